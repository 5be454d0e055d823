//! Each limit, just below and just at what an input needs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use filmlab::media::{MediaCode, Render};

use super::support::*;

const SMALL: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p";

/// 64×48, 25 fps, four seconds: 100 frames.
fn four_seconds() -> PathBuf {
    fixture(
        "four-seconds.mp4",
        &format!("-f lavfi -i testsrc2=size=64x48:rate=25:duration=4 {SMALL}"),
    )
}

/// The same, the second half of which claims to come `seconds` later. Matroska goes on saying that
/// there are 25 frames a second.
fn with_gap(seconds: u32) -> PathBuf {
    let later = format!("setpts=PTS+if(gte(N\\,50)\\,{seconds}/TB\\,0)");
    fixture(
        &format!("gap-{seconds}.mkv"),
        &format!(
            "-i {} -vf {later} -fps_mode passthrough {SMALL}",
            four_seconds().display()
        ),
    )
}

/// A picture every `every` seconds, `count` of them.
fn slide_show(every: u32, count: u32) -> PathBuf {
    fixture(
        &format!("slides-{every}-{count}.mp4"),
        &format!(
            "-f lavfi -i testsrc2=size=64x48:rate=1/{every}:duration={} {SMALL}",
            every * count
        ),
    )
}

/// Brought to ten frames a second.
fn thinned(main: &Path) -> Render {
    let mut render = encoding(main);
    render.profile.video.max_fps = Some(10.0);
    render
}

/// Continued by 25 frames a second, which both get.
fn continued(before: &Path) -> Render {
    let mut render = encoding(&four_seconds());
    render.before = Some(input(before));
    render
}

#[test]
fn a_forged_gap_is_not_filled_with_copies() {
    let forged = with_gap(20 * 60);
    for render in [thinned(&forged), continued(&forged)] {
        let out = fresh("out.mp4");
        let began = Instant::now();
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code, MediaCode::TooManyDuplicates, "{error:?}");
        assert_eq!(error.context.stage.as_deref(), Some("filter"));
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_alone(&out, &[]);
    }
    // Where frames keep their times, nothing has to be filled.
    let out = fresh("out.mp4");
    assert_eq!(run(&encoding(&forged), &out).unwrap().frames, 100);
}

#[test]
fn the_second_part_of_a_joined_video_has_a_count_of_its_own() {
    // Ten pictures of ten seconds would pay for the gap.
    let mut render = encoding(&with_gap(20 * 60));
    render.before = Some(input(&slide_show(10, 10)));
    let out = fresh("out.mp4");
    let error = run(&render, &out).unwrap_err();
    assert_eq!(error.code, MediaCode::TooManyDuplicates, "{error:?}");
    // And what the first has used up is not missing from it.
    let out = fresh("out.mp4");
    let report = run(&continued(&with_gap(100)), &out).unwrap();
    assert_eq!(report.frames, 100 + 2500 + 100);
}

#[test]
fn slow_sources_are_filled_whole() {
    for (slow, seconds) in [
        (slide_show(1, 150), 150),
        (slide_show(20, 15), 300),
        // One picture alone.
        (slide_show(180, 1), 180),
    ] {
        let out = fresh("out.mp4");
        let report = run(&continued(&slow), &out).unwrap();
        let frames = (seconds + 4) * 25;
        assert!(
            report.frames.abs_diff(frames) <= 1,
            "{} of {frames}",
            report.frames
        );
    }
}
