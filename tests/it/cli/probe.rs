//! `filmlab probe` against the reference program and against what is known.

use super::{Ran, Workdir, committed, number, reference, stream};
use crate::support::require;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn probe(place: &Workdir, file: &Path) -> Value {
    let ran: Ran = place
        .run([Path::new("probe"), file, Path::new("--json")])
        .succeeded();
    assert_eq!(ran.err, "");
    serde_json::from_str(&ran.out).unwrap()
}

/// The fields whose names are promised.
fn stable(probe: &Value) -> Value {
    let pick = |part: &Value, names: &[&str]| match part {
        Value::Null => Value::Null,
        part => names
            .iter()
            .map(|name| ((*name).to_owned(), part[*name].clone()))
            .collect(),
    };
    json!({
        "container": pick(&probe["container"], &["format", "duration_ms"]),
        "video": pick(&probe["video"], &[
            "codec", "width", "height", "display_width", "display_height", "rotation", "fps",
            "frames", "duration_ms", "pixel_format",
        ]),
        "audio": pick(&probe["audio"], &["codec", "sample_rate", "channels"]),
    })
}

#[test]
fn the_promised_fields_are_as_known() {
    let place = Workdir::new();
    let clip = json!({
        "container": {"format": "mp4", "duration_ms": 5312},
        "video": {
            "codec": "h264", "width": 1280, "height": 720, "display_width": 1280,
            "display_height": 720, "rotation": 0, "fps": 25.0, "frames": 132,
            "duration_ms": 5280, "pixel_format": "yuv420p",
        },
        "audio": {"codec": "aac", "sample_rate": 48000, "channels": 6},
    });
    assert_eq!(stable(&probe(&place, &committed("bigbuckbunny.mp4"))), clip);
    if let Some(file) = require::fixture("rotate90.mp4") {
        let turned = json!({
            "container": {"format": "mp4", "duration_ms": 1000},
            "video": {
                "codec": "h264", "width": 320, "height": 180, "display_width": 180,
                "display_height": 320, "rotation": 90, "fps": 24.0, "frames": 24,
                "duration_ms": 1000, "pixel_format": "yuv420p",
            },
            "audio": {"codec": "aac", "sample_rate": 48000, "channels": 2},
        });
        assert_eq!(stable(&probe(&place, &file)), turned);
    }
    if let Some(file) = require::fixture("animation.gif") {
        let silent = json!({
            "container": {"format": "gif", "duration_ms": 1000},
            "video": {
                "codec": "gif", "width": 160, "height": 90, "display_width": 160,
                "display_height": 90, "rotation": 0, "fps": 10.0, "frames": 10,
                "duration_ms": 1000, "pixel_format": "bgra",
            },
            "audio": null,
        });
        assert_eq!(stable(&probe(&place, &file)), silent);
    }
}

/// Containers with and without a count of frames, with and without sound.
#[test]
fn the_reference_program_says_the_same() {
    let Some(ffprobe) = require::ffprobe() else {
        return;
    };
    let names = [
        "bigbuckbunny.mp4",
        "tiny.mp4",
        "no-audio.mp4",
        "portrait.mp4",
        "single-frame.mp4",
        "vp9-opus.webm",
        "vp8-vorbis.webm",
        "hevc-10bit.mp4",
        "prores.mov",
        "mjpeg.avi",
        "odd-size.mp4",
        "rotate180.mp4",
        "sar.mp4",
        "vfr.mp4",
        "start-offset.ts",
        "subtitle.mkv",
        "surround.mp4",
        "mono-22k.mp4",
        "yuv444-10bit.mkv",
        "cover-art.mp4",
    ];
    let place = Workdir::new();
    for name in names {
        let Some(file) = require::fixture(name) else {
            continue;
        };
        let (ours, theirs) = (probe(&place, &file), reference(&ffprobe, &file));
        let (video, audio) = (stream(&theirs, "video"), stream(&theirs, "audio"));
        for (our, their) in [
            ("codec", "codec_name"),
            ("width", "width"),
            ("height", "height"),
            ("pixel_format", "pix_fmt"),
        ] {
            assert_eq!(ours["video"][our], video[their], "{name} {our}");
        }
        let frames = ours["video"]["frames"].as_u64().map(|frames| frames as f64);
        assert_eq!(frames, Some(number(&video["nb_read_packets"])), "{name}");
        let rate = video["avg_frame_rate"]
            .as_str()
            .unwrap()
            .split_once('/')
            .unwrap();
        let rate = rate.0.parse::<f64>().unwrap() / rate.1.parse::<f64>().unwrap();
        assert!(
            (ours["video"]["fps"].as_f64().unwrap() - rate).abs() < 0.01,
            "{name}"
        );
        // Ours is end minus start; Matroska, and the reference program with it, says the end.
        let format = theirs["format"]["format_name"].as_str().unwrap();
        let before = match number(&theirs["format"]["start_time"]) {
            start if format.starts_with("matroska") => start,
            _ => 0.0,
        };
        let length = (number(&theirs["format"]["duration"]) - before) * 1000.0;
        let told = ours["container"]["duration_ms"].as_f64().unwrap();
        // Newer releases than the oldest one count a negative start as 0.
        let off = (before * 1000.0).abs().max(1.0);
        assert!((told - length).abs() <= off, "{name}: {told} {length}");
        if audio.is_null() {
            assert!(ours["audio"].is_null(), "{name}");
            continue;
        }
        assert_eq!(ours["audio"]["codec"], audio["codec_name"], "{name}");
        assert_eq!(ours["audio"]["channels"], audio["channels"], "{name}");
        let rate = ours["audio"]["sample_rate"].as_f64();
        assert_eq!(rate, Some(number(&audio["sample_rate"])), "{name}");
    }
}

#[test]
fn people_get_a_table() {
    let place = Workdir::new();
    let ran = place
        .run([Path::new("probe"), &committed("bigbuckbunny.mp4")])
        .succeeded();
    assert!(ran.out.starts_with("bigbuckbunny.mp4\n"), "{}", ran.out);
    for part in [
        "container",
        "h264",
        "1280×720",
        "25 fps",
        "132 frames",
        "6 channels (5.1)",
    ] {
        assert!(ran.out.contains(part), "{part} is missing in {}", ran.out);
    }
}
