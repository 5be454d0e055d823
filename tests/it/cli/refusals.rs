//! Inputs and places that cannot be used: each its own code, and nothing left behind.

use super::{Workdir, committed};
use crate::support::require;
use std::fs;
use std::path::Path;
use std::process::Command;

const REFUSED: [(&str, &str); 12] = [
    ("text.mp4", "unsupported_format"),
    ("empty.mp4", "empty_file"),
    ("noise.mp4", "unsupported_format"),
    ("picture.mp4", "not_a_video"),
    ("playlist.mp4", "unsupported_format"),
    ("playlist.m3u8", "unsupported_format"),
    ("concat.mp4", "unsupported_format"),
    ("unsupported-codec.mkv", "unsupported_codec"),
    ("unsupported-codec.avi", "unsupported_codec"),
    ("unsupported-format.wmv", "unsupported_format"),
    ("audio-only.m4a", "no_video_stream"),
    ("truncated.mp4", "truncated"),
];

const OUT: [&str; 6] = [
    "-o", "out.mp4", "--poster", "out.jpg", "--report", "out.json",
];

fn process(place: &Workdir, input: &Path) -> super::Ran {
    place.run(["process", input.to_str().unwrap()].into_iter().chain(OUT))
}

#[test]
fn bad_inputs_have_their_codes_and_leave_nothing() {
    for (name, code) in REFUSED {
        let Some(input) = require::fixture(name) else {
            continue;
        };
        let place = Workdir::new();
        let ran = process(&place, &input).failed(65, code);
        assert!(ran.err.contains(name), "{ran:?}");
        assert!(
            place.entries().is_empty(),
            "{name} left {:?}",
            place.entries()
        );
    }
}

/// Laying a mark on takes another road than copying.
#[test]
fn a_truncated_video_is_refused_when_it_is_encoded_too() {
    let Some(input) = require::fixture("truncated.mp4") else {
        return;
    };
    let place = Workdir::new();
    let logo = committed("logo.png");
    let args = [
        "process",
        input.to_str().unwrap(),
        "--watermark",
        logo.to_str().unwrap(),
    ];
    place
        .run(args.into_iter().chain(OUT))
        .failed(65, "truncated");
    assert!(place.entries().is_empty(), "{:?}", place.entries());
}

#[test]
fn what_probe_refuses_has_the_same_code() {
    for (name, code) in REFUSED.iter().filter(|(_, code)| *code != "truncated") {
        let Some(input) = require::fixture(name) else {
            continue;
        };
        Workdir::new()
            .run([Path::new("probe"), &input])
            .failed(65, code);
        Workdir::new()
            .run([Path::new("probe"), &input, Path::new("--json")])
            .failed(65, code);
    }
}

#[test]
fn black_and_frozen_pictures_are_refused_where_the_settings_say_so() {
    let Some(ffmpeg) = require::ffmpeg() else {
        return;
    };
    let place = Workdir::new();
    let made = Command::new(ffmpeg)
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .args([
            "color=black:size=320x180:rate=24:duration=2",
            "-pix_fmt",
            "yuv420p",
        ])
        .arg(place.path("black.mp4"))
        .status()
        .unwrap();
    assert!(made.success());
    // Copied, and encoded with a mark on it: the input is to blame either way.
    let logo = committed("logo.png");
    let marked = ["--watermark", logo.to_str().unwrap()];
    for (setting, code) in [
        ("max_black_ms = 900", "picture_black"),
        ("max_frozen_ms = 900", "picture_frozen"),
    ] {
        fs::write(place.path("lab.toml"), format!("[verify]\n{setting}\n")).unwrap();
        let args = ["--config", "lab.toml", "process", "black.mp4"];
        place.run(args.into_iter().chain(OUT)).failed(65, code);
        let args = args.into_iter().chain(OUT).chain(marked);
        place.run(args).failed(65, code);
    }
    assert_eq!(place.entries(), ["black.mp4", "lab.toml"]);
    fs::write(place.path("lab.toml"), "[verify]\nmax_black_ms = 2500\n").unwrap();
    let args = ["--config", "lab.toml", "process", "black.mp4"];
    place.run(args.into_iter().chain(OUT)).succeeded();
}

#[test]
fn missing_files_and_directories_are_unreadable() {
    let place = Workdir::new();
    fs::create_dir(place.path("folder.mp4")).unwrap();
    for name in ["nope.mp4", "folder.mp4"] {
        let ran = process(&place, Path::new(name)).failed(65, "input_unreadable");
        assert!(ran.err.contains(name), "{ran:?}");
        place.run(["probe", name]).failed(65, "input_unreadable");
        assert_eq!(place.entries(), ["folder.mp4"]);
    }
}

#[test]
fn a_logo_that_is_none_is_told_before_the_work() {
    let place = Workdir::new();
    fs::write(place.path("logo.png"), "not a picture").unwrap();
    let input = committed("bigbuckbunny.mp4");
    let args = [
        "process",
        input.to_str().unwrap(),
        "--watermark",
        "logo.png",
    ];
    place
        .run(args.into_iter().chain(OUT))
        .failed(65, "invalid_watermark");
    assert_eq!(place.entries(), ["logo.png"]);
}

/// `/sys` refuses even root, whom permissions do not stop.
#[cfg(target_os = "linux")]
#[test]
fn a_place_that_may_not_be_written_to_is_this_machines_fault() {
    let place = Workdir::new();
    let input = committed("bigbuckbunny.mp4");
    let input = input.to_str().unwrap();
    let args = ["process", input, "-o", "/sys/out.mp4"];
    place.run(args).failed(70, "output_unwritable");
    // The other files are not left either.
    let args = [
        "process",
        input,
        "-o",
        "out.mp4",
        "--poster",
        "/sys/out.jpg",
    ];
    place.run(args).failed(70, "output_unwritable");
    assert!(place.entries().is_empty(), "{:?}", place.entries());
}
