//! A picture that changes its size in mid-stream: recorded calls begin small and grow.

use std::path::{Path, PathBuf};

use filmlab::media::{self, Cancel, Event, FileInput, Limits, Probe, VideoPlan};

use super::support::{
    encoding, ffmpeg, ffprobe, fixture, frame_count, fresh, job, mean_rgb, run, run_events,
};

const SMALL: &str = "160x90";
const LARGE: &str = "320x180";

/// One file of several parts, each of a size and a number of frames, its packets as they are.
fn grown(container: &str, codec: &str, parts: &[(&str, u32)]) -> PathBuf {
    let list = fresh("list.txt");
    let lines: String = parts
        .iter()
        .map(|(size, frames)| {
            let part = fixture(
                &format!("part.{container}"),
                &format!(
                    "-f lavfi -i testsrc2=size={size}:rate=25 -frames:v {frames} {codec} \
                     -pix_fmt yuv420p"
                ),
            );
            format!("file '{}'\n", part.display())
        })
        .collect();
    std::fs::write(&list, lines).unwrap();
    let out = fresh(&format!("grown.{container}"));
    ffmpeg(
        &format!("-f concat -safe 0 -i {} -c copy", list.display()),
        &[out.to_str().unwrap()],
    );
    out
}

#[test]
fn the_size_shown_longest_is_taken_whatever_the_codec() {
    for (container, codec) in [
        ("ts", "-c:v libx264 -preset veryfast -bf 2"),
        (
            "ts",
            "-c:v libx265 -preset ultrafast -x265-params log-level=error",
        ),
        ("ts", "-c:v mpeg2video -q:v 4"),
        ("webm", "-c:v libvpx -deadline realtime -b:v 1M"),
        ("webm", "-c:v libvpx-vp9 -deadline realtime -b:v 1M"),
        ("mkv", "-c:v libaom-av1 -cpu-used 8 -usage realtime -b:v 1M"),
        ("mkv", "-c:v mjpeg -q:v 4 -strict unofficial"),
    ] {
        let main = grown(container, codec, &[(SMALL, 10), (LARGE, 40)]);
        let out = fresh("out.mp4");
        let report = run(&job(&main), &out).unwrap_or_else(|error| panic!("{codec}: {error:?}"));
        let size = ffprobe(&out, "v", "stream=width,height");
        assert_eq!(size, ["320", "180"], "{codec}");
        // One that MPEG-2's decoder holds back is lost at the change, for everybody.
        assert_eq!(frame_count(&out), frame_count(&main), "{codec}");
        let VideoPlan::Encode { reason, .. } = &report.plan.video else {
            panic!("{codec}: {:?}", report.plan.video);
        };
        assert!(
            reason.contains("begins with 160×90 and is shown longest with 320×180"),
            "{codec}: {reason}"
        );
        let video = report.source.video.unwrap();
        assert_eq!(video.begins_with, Some([160, 90]), "{codec}");
        assert_eq!((video.display_width, video.display_height), (320, 180));
        // Before anything is paid it is known too.
        let told = probed(&main, &Limits::default()).video.unwrap();
        assert_eq!(told.begins_with, Some([160, 90]), "{codec}");
        assert_eq!((told.display_width, told.display_height), (320, 180));
    }
}

fn probed(file: &Path, limits: &Limits) -> Probe {
    media::probe(&FileInput::new(file), limits, &Cancel::new()).unwrap()
}

#[test]
fn a_probe_tells_the_size_shown_longest_within_its_bounds() {
    let vp8 = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 5";
    let size = |file: &Path, limits: &Limits| {
        let video = probed(file, limits).video.unwrap();
        (video.width, video.begins_with)
    };
    let usual = Limits::default();
    // Not the size that it ends with, but that of most of it.
    let back = grown("webm", vp8, &[(LARGE, 20), (SMALL, 10)]);
    assert_eq!(size(&back, &usual), (320, None));
    let late = grown("webm", vp8, &[(SMALL, 10), (LARGE, 15)]);
    assert_eq!(size(&late, &usual), (320, Some([160, 90])));
    // As a browser records it: nobody wrote down how long it is, so all of it is read.
    let live = fresh("live.webm");
    ffmpeg(
        &format!("-i {} -c copy -live 1", late.display()),
        &[live.to_str().unwrap()],
    );
    let told = probed(&live, &usual);
    assert_eq!(told.container.duration_ms, 1000);
    assert_eq!(told.video.unwrap().begins_with, Some([160, 90]));
    // What lies behind the bound is not looked at, and the size it begins with is told.
    let bounded = Limits {
        probe_size: 4096,
        ..Limits::default()
    };
    assert_eq!(size(&late, &bounded), (160, None));
    // Where the look ends in the larger size, that is taken to go on to the end.
    let long = grown("webm", vp8, &[(SMALL, 10), (LARGE, 5), (LARGE, 10)]);
    let within = Limits {
        probe_size: std::fs::metadata(&long).unwrap().len() * 6 / 10,
        ..Limits::default()
    };
    assert_eq!(size(&long, &within), (320, Some([160, 90])));
}

#[test]
fn the_size_it_begins_with_stays_where_it_is_shown_as_long() {
    let codec = "-c:v libx264 -preset veryfast -bf 0";
    for parts in [
        [(LARGE, 30), (SMALL, 10), (LARGE, 5)],
        // As long as the other: no reason to leave what the file says.
        [(LARGE, 20), (SMALL, 10), (SMALL, 10)],
        // Shown longer for a while, and not in the end.
        [(LARGE, 10), (SMALL, 20), (LARGE, 20)],
    ] {
        let main = grown("ts", codec, &parts);
        let out = fresh("out.mp4");
        let (report, events) = run_events(&encoding(&main), &out);
        assert_eq!(
            ffprobe(&out, "v", "stream=width,height"),
            ["320", "180"],
            "{parts:?}"
        );
        let frames: u32 = parts.iter().map(|(_, frames)| frames).sum();
        assert_eq!(frame_count(&out), u64::from(frames), "{parts:?}");
        assert_eq!(report.source.video.unwrap().begins_with, None);
        // Encoded once, but for what was overtaken for a while.
        let plans = events
            .iter()
            .filter(|event| matches!(event, Event::Planned(_)))
            .count();
        assert_eq!(plans, 1 + usize::from(parts[0].1 == 10), "{parts:?}");
    }
}

#[test]
fn another_shape_gets_bars_within_the_size_shown_longest() {
    let main = grown(
        "ts",
        "-c:v libx264 -preset veryfast -bf 0",
        &[("180x180", 10), ("320x180", 30)],
    );
    let out = fresh("out.mp4");
    run(&job(&main), &out).unwrap();
    assert_eq!(ffprobe(&out, "v", "stream=width,height"), ["320", "180"]);
    let [r, g, b] = mean_rgb(&out, 0.2, (0, 0, 64, 180));
    assert!(r + g + b < 12.0, "{r} {g} {b}");
    let [r, g, b] = mean_rgb(&out, 0.2, (80, 0, 160, 180));
    assert!(r + g + b > 100.0, "{r} {g} {b}");
}

#[test]
fn a_strict_pass_takes_one_size_only() {
    let main = grown(
        "ts",
        "-c:v libx264 -preset veryfast",
        &[(SMALL, 10), (LARGE, 40)],
    );
    let mut render = job(&main);
    render.strict = true;
    let out = fresh("out.mp4");
    let error = run(&render, &out).unwrap_err();
    assert_eq!(error.code, media::MediaCode::NotDecodable);
    assert!(error.message.contains("size"), "{error:?}");
    assert!(!out.exists());
}
