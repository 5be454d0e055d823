//! A video and what continues it: one video, with nothing to be noticed at the seam.

use std::path::{Path, PathBuf};
use std::process::Command;

use filmlab::media::{
    AudioFrom, AudioPlan, Event, MediaCode, Placement, Render, Report, VideoPlan, Watermark,
};

use super::support::*;
use crate::support::require;

const RED: &str = "color=red:size=320x180:rate=24:duration=2";
const BLUE: &str = "color=blue:size=640x360:rate=30:duration=1";
const LOW: &str = "sine=frequency=440:sample_rate=48000:duration=2";
const HIGH: &str = "sine=frequency=2000:sample_rate=44100:duration=1";

/// One part, its picture and, if there is any, its sound.
fn part(name: &str, picture: &str, sound: Option<&str>, options: &str) -> PathBuf {
    let sound = sound.map_or(String::new(), |sound| {
        format!("-f lavfi -i {sound} -c:a aac")
    });
    fixture(
        name,
        &format!(
            "-f lavfi -i {picture} {sound} -c:v libx264 -preset veryfast -crf 12 -bf 2 \
             -pix_fmt yuv420p {options}"
        )
        .replace("-c:a aac -c:v", "-c:v"),
    )
}

fn red(sound: bool) -> PathBuf {
    part(
        if sound {
            "join-red.mp4"
        } else {
            "join-red-mute.mp4"
        },
        RED,
        sound.then_some(LOW),
        "",
    )
}

fn blue(sound: bool) -> PathBuf {
    part(
        if sound {
            "join-blue.mp4"
        } else {
            "join-blue-mute.mp4"
        },
        BLUE,
        sound.then_some(HIGH),
        "-vf scale=out_color_matrix=bt709:out_range=tv -colorspace bt709 -color_primaries bt709 -color_trc bt709",
    )
}

fn joining(before: &Path, main: &Path) -> Render {
    let mut render = job(main);
    render.before = Some(input(before));
    render.profile.video.crf = 12.0;
    render.profile.video.max_fps = None;
    render
}

fn joined(before: &Path, main: &Path) -> (PathBuf, Report) {
    let out = fresh("joined.mp4");
    let report = run(&joining(before, main), &out).unwrap();
    (out, report)
}

/// Frames stand at even distances, over the seam too.
fn assert_even(path: &Path, fps: f64, frames: usize) {
    let times = times(path, "v");
    assert_eq!(times.len(), frames);
    for (index, time) in times.iter().enumerate() {
        let wanted = index as f64 / fps;
        assert!((time - wanted).abs() < 0.001, "frame {index} at {time}");
    }
    let dts: Vec<f64> = ffprobe(path, "v", "packet=dts_time")
        .iter()
        .filter_map(|line| line.parse().ok())
        .collect();
    assert!(dts.windows(2).all(|pair| pair[0] < pair[1]), "{dts:?}");
}

/// Energy of a tone in each window of 5 ms of the first channel.
fn energies(path: &Path, hertz: f64) -> Vec<f64> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args([
            "-map", "0:a", "-ac", "1", "-ar", "48000", "-f", "f32le", "-",
        ])
        .output()
        .unwrap();
    let samples: Vec<f64> = output
        .stdout
        .chunks_exact(4)
        .map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())))
        .collect();
    samples
        .chunks_exact(240)
        .map(|window| {
            let (mut re, mut im) = (0.0, 0.0);
            for (index, sample) in window.iter().enumerate() {
                let angle = std::f64::consts::TAU * hertz * index as f64 / 48_000.0;
                re += sample * angle.cos();
                im += sample * angle.sin();
            }
            (re * re + im * im).sqrt() / window.len() as f64
        })
        .collect()
}

/// From when to when a tone is heard, in seconds.
fn tone(path: &Path, hertz: f64) -> Option<(f64, f64)> {
    let energies = energies(path, hertz);
    let loud = |energy: &f64| *energy > 0.02;
    let first = energies.iter().position(loud)?;
    let last = energies.iter().rposition(loud)?;
    Some((first as f64 * 0.005, (last + 1) as f64 * 0.005))
}

fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 0.010
}

#[test]
fn both_parts_are_one_video_of_one_size_rate_and_colour() {
    let (out, report) = joined(&red(true), &blue(true));
    let VideoPlan::Encode {
        width,
        height,
        fps,
        reason,
        ..
    } = &report.plan.video
    else {
        panic!("{:?}", report.plan)
    };
    assert_eq!((*width, *height, *fps), (640, 360, Some(30.0)));
    assert!(reason.contains("it continues a video"), "{reason}");
    assert_eq!(report.plan.continues_ms, Some(2000));
    // Two seconds and one at 30 frames a second.
    assert_even(&out, 30.0, 90);
    assert_eq!((report.frames, report.duration_ms), (90, 3000));
    for (index, color) in [
        (0.0, "red"),
        (1.93, "red"),
        (1.96, "red"),
        (2.0, "blue"),
        (2.95, "blue"),
    ] {
        let [r, g, b] = mean_rgb(&out, index, (0, 0, 640, 360));
        let found = match (r > 240.0, b > 240.0) {
            (true, false) if g < 12.0 && b < 12.0 => "red",
            (false, true) if g < 12.0 && r < 12.0 => "blue",
            _ => "neither",
        };
        assert_eq!(found, color, "at {index}: {r} {g} {b}");
    }
}

#[test]
fn sound_meets_at_the_seam() {
    let (out, report) = joined(&red(true), &blue(true));
    let AudioPlan::Encode { from, reason, .. } = &report.plan.audio else {
        panic!("{:?}", report.plan)
    };
    assert_eq!(*from, AudioFrom::Both);
    assert!(
        reason.contains("followed by that of the new part"),
        "{reason}"
    );
    let (low, high) = (tone(&out, 440.0).unwrap(), tone(&out, 2000.0).unwrap());
    assert!(close(low.0, 0.0) && close(low.1, 2.0), "{low:?}");
    assert!(close(high.0, 2.0) && close(high.1, 3.0), "{high:?}");
    assert!((seconds(&out, "a") - 3.0).abs() < 0.03);
}

#[test]
fn where_one_part_has_no_sound_there_is_silence() {
    let (out, _) = joined(&red(true), &blue(false));
    let low = tone(&out, 440.0).unwrap();
    assert!(close(low.0, 0.0) && close(low.1, 2.0), "{low:?}");
    assert!((seconds(&out, "a") - 3.0).abs() < 0.03);

    let (out, _) = joined(&red(false), &blue(true));
    let high = tone(&out, 2000.0).unwrap();
    assert!(close(high.0, 2.0) && close(high.1, 3.0), "{high:?}");

    let (out, report) = joined(&red(false), &blue(false));
    assert!(matches!(report.plan.audio, AudioPlan::None { .. }));
    assert!(ffprobe(&out, "a", "stream=index").is_empty());

    // A track of digital silence is none.
    let mut render = joining(&red(true), &blue(true));
    render.main_is_silent = true;
    let out = fresh("out.mp4");
    run(&render, &out).unwrap();
    assert!(tone(&out, 2000.0).is_none() && tone(&out, 440.0).is_some());
}

#[test]
fn sound_that_is_longer_or_begins_late_keeps_its_place() {
    // The source's sound goes on for a second after its picture; the new part's
    // begins 0.3 s after its own.
    let long = part(
        "join-long.mkv",
        RED,
        Some("sine=frequency=440:sample_rate=48000:duration=3"),
        "-ac 2",
    );
    let late = fixture(
        "join-late.ts",
        &format!(
            "-f lavfi -i {BLUE} -itsoffset 0.3 -f lavfi -i {HIGH} -t 1 -c:v libx264 -bf 2 \
             -pix_fmt yuv420p -c:a aac -muxdelay 0 -output_ts_offset 7"
        ),
    );
    let (out, _) = joined(&long, &late);
    assert_even(&out, 30.0, 90);
    let (low, high) = (tone(&out, 440.0).unwrap(), tone(&out, 2000.0).unwrap());
    assert!(close(low.1, 2.0), "{low:?}");
    assert!((high.0 - 2.3).abs() < 0.03, "{high:?}");
}

#[test]
fn the_source_may_have_any_trait() {
    for (name, seconds, sound) in [
        ("start-offset.ts", 2.0, true),
        ("vfr.mp4", 3.0, true),
        ("late-audio.mp4", 2.0, true),
        ("rotate90.mp4", 1.0, true),
        ("hdr-hlg.mp4", 1.0, true),
        ("vp9-opus.webm", 1.0, true),
        ("no-audio.mp4", 2.0, false),
        ("mjpeg.avi", 1.0, true),
    ] {
        let Some(source) = require::fixture(name) else {
            continue;
        };
        let (out, report) = joined(&source, &blue(true));
        // vfr.mp4 averages 30.67 frames a second: more than the new part's 30.
        let VideoPlan::Encode { fps: Some(fps), .. } = report.plan.video else {
            panic!("{:?}", report.plan)
        };
        let first = (seconds * fps).round();
        let frames = frame_count(&out) as f64;
        assert!(
            (frames - first - fps).abs() <= 2.0,
            "{name}: {frames} at {fps}"
        );
        let step = times(&out, "v");
        assert!(
            // The first picture may stand longer, where sound begins before it.
            step.windows(2)
                .skip(1)
                .all(|pair| (pair[1] - pair[0] - 1.0 / fps).abs() < 0.002),
            "{name}: {step:?}"
        );
        // The blue part, and its tone, begin together.
        let seam = (frames - fps.round()) / fps;
        let high = tone(&out, 2000.0).unwrap();
        assert!(
            (high.0 - seam).abs() <= 0.010 + 1.0 / fps,
            "{name}: {high:?}, seam {seam}"
        );
        let [_, _, before] = mean_rgb(&out, seam - 1.5 / fps, (300, 160, 40, 40));
        let [r, g, b] = mean_rgb(&out, seam + 0.5 / fps, (300, 160, 40, 40));
        assert!(r < 12.0 && g < 12.0 && b > 240.0, "{name}: {r} {g} {b}");
        assert!(before < 240.0 || name == "mjpeg.avi", "{name}");
        if name == "late-audio.mp4" {
            let low = tone(&out, 440.0).unwrap();
            assert!((low.0 - 0.75).abs() < 0.03, "{low:?}");
        }
        if !sound {
            assert!(tone(&out, 440.0).is_none());
        }
        if name == "rotate90.mp4" {
            // Upright beside a wide new part: bars, and nothing stretched.
            let [r, g, b] = mean_rgb(&out, 0.5, (0, 0, 150, 360));
            assert!(r + g + b < 20.0, "{r} {g} {b}");
        }
    }
}

#[test]
fn the_mark_lies_over_the_whole() {
    let mut render = joining(&red(true), &blue(true));
    let lime = fixture(
        "lime.png",
        "-f lavfi -i color=c=lime:size=100x100,format=rgba -frames:v 1",
    );
    render.watermarks = vec![Watermark {
        image: input(&lime),
        placement: Placement {
            opacity: 1.0,
            fade_out_ms: 500,
            ..Placement::default()
        },
    }];
    let out = fresh("out.mp4");
    let report = run(&render, &out).unwrap();
    let at = report.plan.watermarks[0];
    let inner = (at.x + 6, at.y + 6, at.width - 12, at.height - 12);
    for time in [0.0, 1.96, 2.0, 2.4] {
        let [r, g, b] = mean_rgb(&out, time, inner);
        assert!(g > 240.0 && r < 12.0 && b < 12.0, "at {time}: {r} {g} {b}");
    }
    // The fade ends with the whole, not with either part.
    let [_, g, b] = mean_rgb(&out, 2.75, inner);
    assert!(
        (g - 127.0).abs() < 12.0 && (b - 127.0).abs() < 12.0,
        "{g} {b}"
    );
}

#[test]
fn progress_and_limits_know_both_parts() {
    let out = fresh("out.mp4");
    let (_, events) = run_events(&joining(&red(true), &blue(true)), &out);
    let mut last = 0;
    for event in &events {
        if let Event::Progress(at) = event {
            assert_eq!(at.duration_ms, 3000);
            assert!(at.out_time_ms >= last, "{at:?}");
            last = at.out_time_ms;
        }
    }
    let Some(cut) = require::fixture("truncated.mp4") else {
        return;
    };
    for (before, main) in [(&cut, &blue(true)), (&blue(true), &cut)] {
        let out = fresh("out.mp4");
        let error = run(&joining(before, main), &out).unwrap_err();
        assert_eq!(error.code, MediaCode::Truncated, "{error:?}");
        assert_alone(&out, &[]);
    }
}

#[test]
fn the_poster_and_a_cap_work_on_the_whole() {
    let mut render = joining(&red(true), &blue(true));
    render.profile.video.max_height = Some(180);
    render.profile.video.max_fps = Some(15.0);
    let out = fresh("out.mp4");
    render.poster = Some(out.with_file_name("poster.jpg").into());
    let report = run(&render, &out).unwrap();
    assert_even(&out, 15.0, 45);
    assert_eq!(ffprobe(&out, "v", "stream=width,height"), ["320", "180"]);
    assert!(report.poster.is_some());
    let (low, high) = (tone(&out, 440.0).unwrap(), tone(&out, 2000.0).unwrap());
    assert!(close(low.1, 2.0) && close(high.0, 2.0), "{low:?} {high:?}");
}

#[test]
fn samples_that_are_no_numbers_are_silent_before_the_seam_too() {
    let before = fixture(
        "join-nan.mov",
        &format!(
            "-f lavfi -i {RED} \
             -f lavfi -i aevalsrc=exprs=if(between(t\\,1\\,1.05)\\,0/0\\,0.3*sin(2*PI*440*t)):s=48000:d=2 \
             -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a pcm_f32le"
        ),
    );
    let (_, report) = joined(&before, &blue(true));
    assert!(report.damage.bad_frames > 0, "{:?}", report.damage);
}
