//! Sound whose timestamps lie: gaps that are no gaps, and times far back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use filmlab::media::{MediaCode, Render};

use super::support::*;

const PICTURE: &str = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=4";
const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=4";
const SMALL: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p";

/// Four seconds, the second half of whose sound claims to come `seconds` later.
fn with_gap(seconds: u32) -> PathBuf {
    fixture(
        &format!("sound-gap-{seconds}.mkv"),
        &format!(
            "{PICTURE} {TONE} -af asetpts=PTS+if(gte(T\\,2)\\,{seconds}/TB\\,0) {SMALL} -c:a flac"
        ),
    )
}

/// Nobody's sound is cut for being alone: one picture is shown all the time.
fn with_gap_and_picture(seconds: u32) -> PathBuf {
    fixture(
        &format!("sound-gap-shown-{seconds}.mkv"),
        &format!(
            "-f lavfi -i testsrc2=size=64x48:rate=1:duration={} {TONE} \
             -af asetpts=PTS+if(gte(T\\,2)\\,{seconds}/TB\\,0) {SMALL} -c:a flac",
            seconds + 4
        ),
    )
}

fn continued(before: &Path) -> Render {
    let plain = fixture(
        "gap-after.mp4",
        &format!("{PICTURE} {TONE} {SMALL} -c:a aac"),
    );
    let mut render = encoding(&plain);
    render.before = Some(input(before));
    render
}

#[test]
fn a_forged_gap_in_the_sound_is_not_filled_with_silence() {
    let forged = with_gap(20 * 60);
    let out = fresh("out.mp4");
    let began = Instant::now();
    let error = run(&encoding(&forged), &out).unwrap_err();
    assert_eq!(error.code, MediaCode::TooManyDuplicates, "{error:?}");
    assert_eq!(error.context.stage.as_deref(), Some("filter"));
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_alone(&out, &[]);
    // Before a seam the picture ends the sound.
    let out = fresh("out.mp4");
    run(&continued(&forged), &out).unwrap();
    assert!((seconds(&out, "a") - 8.0).abs() < 0.06);
    // What has a picture all the while is a pause.
    for render in [
        encoding(&with_gap_and_picture(150)),
        continued(&with_gap_and_picture(150)),
    ] {
        let length = if render.before.is_some() {
            158.0
        } else {
            154.0
        };
        let out = fresh("out.mp4");
        run(&render, &out).unwrap();
        assert!((seconds(&out, "a") - length).abs() < 0.1);
        let heard = |from| level(&out, from) > -40.0;
        assert!(heard(0.5) && !heard(60.0) && !heard(150.5) && heard(152.5));
    }
}

/// A Matroska file of four seconds that begins on the second day of its clock. One of its clusters
/// claims to be of the first day; there is half a second of sound in it and no picture.
fn with_a_cluster_of_the_day_before() -> PathBuf {
    let clip = fixture(
        "second-day.mkv",
        &format!(
            "-f lavfi -i testsrc2=size=64x48:rate=1/2:duration=4 {TONE} {SMALL} -c:a pcm_s16le \
             -output_ts_offset 90000 -cluster_time_limit 500"
        ),
    );
    let mut bytes = std::fs::read(clip).unwrap();
    // A cluster begins with its time: name, a length of four, and milliseconds.
    let times: Vec<usize> = (8..bytes.len() - 6)
        .filter(|at| bytes[*at..].starts_with(&[0xe7, 0x84]))
        .filter(|at| {
            bytes[at - 12..*at]
                .windows(4)
                .any(|id| id == [0x1f, 0x43, 0xb6, 0x75])
        })
        .map(|at| at + 2)
        .collect();
    let time = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let late = times.iter().find(|at| time(&bytes, **at) >= 90_001_000);
    let late = *late.unwrap_or_else(|| panic!("{times:?}"));
    bytes[late..late + 4].copy_from_slice(&1000u32.to_be_bytes());
    let forged = fresh("second-day.mkv");
    std::fs::write(&forged, bytes).unwrap();
    forged
}

/// What came after sound that lies far back stood behind a gap of a day.
#[test]
fn sound_far_back_is_damage_and_no_beginning_of_a_gap() {
    let forged = with_a_cluster_of_the_day_before();
    for (render, length) in [(encoding(&forged), 4.0), (continued(&forged), 8.0)] {
        let out = fresh("out.mp4");
        let began = Instant::now();
        let report = run(&render, &out).unwrap_or_else(|error| panic!("{length}: {error:?}"));
        assert!(began.elapsed() < Duration::from_secs(60));
        let bad = report.damage.bad_frames;
        assert!((1..30).contains(&bad), "{:?}", report.damage);
        assert!((seconds(&out, "a") - length).abs() < 0.1);
        for from in [0.0, 2.0, 2.9] {
            let level = level(&out, from);
            assert!(level > -40.0, "{level} dB at {from} s");
        }
    }
}
