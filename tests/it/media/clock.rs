//! Files made of several parts, the clock of each of which begins again.

use std::path::{Path, PathBuf};

use filmlab::media::{Cancel, Limits, Render, VideoPlan, probe};

use super::support::*;

/// Two seconds of picture, and of a tone.
fn part(name: &str, hertz: u32, options: &str) -> PathBuf {
    fixture(
        name,
        &format!(
            "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 \
             -f lavfi -i sine=frequency={hertz}:sample_rate=48000:duration=2 {options}"
        ),
    )
}

const H264: &str = "-c:v libx264 -preset veryfast -bf 2 -g 25 -pix_fmt yuv420p -c:a aac -ac 2";

/// Files behind one another, as `cat` joins them.
fn one_after_the_other(name: &str, parts: &[PathBuf]) -> PathBuf {
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|part| std::fs::read(part).unwrap())
        .collect();
    let whole = fresh(name);
    std::fs::write(&whole, bytes).unwrap();
    whole
}

fn transport() -> PathBuf {
    let low = part("clock-low.ts", 440, H264);
    let high = part(
        "clock-high.ts",
        2000,
        &format!("{H264} -output_ts_offset 7"),
    );
    one_after_the_other("clock.ts", &[high, low.clone(), low])
}

fn program() -> PathBuf {
    let low = part(
        "clock-low.mpg",
        440,
        "-c:v mpeg2video -q:v 4 -bf 2 -c:a mp2",
    );
    let high = part(
        "clock-high.mpg",
        2000,
        "-c:v mpeg2video -q:v 4 -bf 2 -c:a mp2",
    );
    one_after_the_other("clock.mpg", &[high, low.clone(), low])
}

/// Everything of all parts, in order: 2 s at 2000 Hz, then 4 s at 440 Hz.
fn assert_whole(path: &Path, what: &str) {
    assert_eq!(frame_times(path).len(), 150, "{what}");
    let times = frame_times(path);
    let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = steps.fold(0.0, f64::max);
    assert!(longest < 0.2, "{what}: {longest}");
    assert!((seconds(path, "v") - 6.0).abs() < 0.3, "{what}");
    assert!((seconds(path, "a") - 6.0).abs() < 0.3, "{what}");
    for (from, hertz) in [(0.5, 2000), (2.5, 440), (4.7, 440)] {
        assert!(
            tone_level(path, from, hertz) > -30.0,
            "{what}: {hertz} at {from}"
        );
        assert!(
            tone_level(path, from, 2440 - hertz) < -40.0,
            "{what}: at {from}"
        );
    }
}

/// When its pictures are shown, in order.
fn frame_times(path: &Path) -> Vec<f64> {
    let times = ffprobe(path, "v", "packet=pts_time");
    let mut times: Vec<f64> = times.iter().map(|time| time.parse().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Level of one tone in a second of sound, in dB of full scale.
fn tone_level(path: &Path, from: f64, hertz: u32) -> f64 {
    let log = ffmpeg(
        &format!(
            "-ss {from} -t 1 -i {} -vn -af bandpass=f={hertz}:width_type=h:w=100,volumedetect -f null -",
            path.display()
        ),
        &[],
    );
    let mean = log.split("mean_volume:").nth(1).unwrap();
    mean.split_whitespace().next().unwrap().parse().unwrap()
}

/// The second part lay over the first: half of the pictures were left out, or stood between those
/// of the first.
#[test]
fn parts_whose_clock_begins_again_come_one_after_the_other() {
    for whole in [transport(), program()] {
        let what = whole.display().to_string();
        let found = probe(&*input(&whole), &Limits::default(), &Cancel::new()).unwrap();
        assert!(
            found.container.duration_ms.abs_diff(6000) < 300,
            "{what}: {found:?}"
        );
        assert!(
            found.video.unwrap().duration_ms.abs_diff(6000) < 300,
            "{what}"
        );
        let out = fresh("out.mp4");
        let report = run(&encoding(&whole), &out).unwrap();
        assert_eq!(report.damage.dropped_frames, 0, "{what}");
        assert_whole(&out, &what);
    }
}

#[test]
fn they_are_copied_one_after_the_other_as_well() {
    let whole = transport();
    let out = fresh("out.mp4");
    let report = run(&job(&whole), &out).unwrap();
    assert!(
        matches!(report.plan.video, VideoPlan::Copy { .. }),
        "{:?}",
        report.plan
    );
    assert_whole(&out, "copied");
}

/// Sound put back, and a part before a seam, end where their whole file ends.
#[test]
fn their_whole_length_counts_where_they_are_put_together() {
    let whole = transport();
    let next = part("clock-next.mp4", 440, H264);
    let joined = Render {
        before: Some(input(&whole)),
        ..encoding(&next)
    };
    let out = fresh("out.mp4");
    run(&joined, &out).unwrap();
    // A seam may take some frames: sound lasts a little longer than the picture.
    assert!((200..=206).contains(&frame_times(&out).len()));
    assert!((seconds(&out, "a") - 8.1).abs() < 0.2);
}
