//! `filmlab process` on the real clip and on clips with a trait of their own.

use super::probe::probe;
use super::{Workdir, committed, number, reference, stream};
use crate::support::require;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The mean colour of a part of frame `index`.
fn mean_colour(ffmpeg: &Path, file: &Path, index: u32, crop: &str) -> [f64; 3] {
    let filter = format!("select=eq(n\\,{index}),crop={crop},scale=1:1:flags=area,format=rgb24");
    let pixel = Command::new(ffmpeg)
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "-"])
        .output()
        .unwrap()
        .stdout;
    [0, 1, 2].map(|channel| f64::from(pixel[channel]))
}

#[test]
fn the_real_clip_is_marked_compressed_and_reported() {
    let place = Workdir::new();
    let (input, logo) = (committed("bigbuckbunny.mp4"), committed("logo.png"));
    let ran = place
        .run([
            "process",
            input.to_str().unwrap(),
            "--output",
            "out.mp4",
            "--watermark",
            logo.to_str().unwrap(),
            "--anchor",
            "bottom-right",
            "--opacity",
            "0.8",
            "--scale",
            "15%",
            "--crf",
            "24",
            "--preset",
            "veryfast",
            "--poster",
            "out.jpg",
            "--report",
            "out.json",
        ])
        .succeeded();
    // No bar where there is no terminal, and two lines for people.
    assert_eq!(ran.err, "");
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    for part in [
        "out.mp4",
        "1280×720",
        "132 frames",
        "a watermark is laid on",
        "took",
    ] {
        assert!(ran.out.contains(part), "{part} is missing in {}", ran.out);
    }
    assert_eq!(place.entries(), ["out.jpg", "out.json", "out.mp4"]);

    let report = place.json("out.json");
    assert_eq!(report["plan"]["video"]["action"], "encode");
    assert_eq!(report["plan"]["video"]["crf"], 24.0);
    assert_eq!(report["plan"]["video"]["preset"], "veryfast");
    assert_eq!(report["plan"]["video"]["reason"], "a watermark is laid on");
    assert_eq!(
        report["plan"]["audio"]["reason"],
        "6 channels are mixed down to 2"
    );
    assert_eq!(report["faststart"], true);
    assert_eq!(report["frames"], 132);
    let bytes = fs::metadata(place.path("out.mp4")).unwrap().len();
    assert_eq!(report["bytes"].as_u64(), Some(bytes));

    let told = probe(&place, &place.path("out.mp4"));
    assert_eq!(told, report["output"]);
    assert_eq!(told["container"]["faststart"], true);
    assert_eq!(
        &fs::read(place.path("out.jpg")).unwrap()[..3],
        b"\xff\xd8\xff"
    );

    let Some(ffprobe) = require::ffprobe() else {
        return;
    };
    let theirs = reference(&ffprobe, &place.path("out.mp4"));
    let video = stream(&theirs, "video");
    assert_eq!(told["video"]["codec"], video["codec_name"]);
    assert_eq!(told["video"]["pixel_format"], video["pix_fmt"]);
    assert_eq!(number(&video["nb_read_packets"]), 132.0);
    assert_eq!(
        told["audio"]["codec"],
        stream(&theirs, "audio")["codec_name"]
    );
    assert_eq!(
        told["audio"]["channels"],
        stream(&theirs, "audio")["channels"]
    );
    let poster = reference(&ffprobe, &place.path("out.jpg"));
    assert_eq!(stream(&poster, "video")["codec_name"], "mjpeg");
    assert_eq!(stream(&poster, "video")["width"], 1280);
    assert_eq!(stream(&poster, "video")["height"], 720);

    let Some(ffmpeg) = require::ffmpeg() else {
        return;
    };
    // The left edge of the mark is flat red, laid over grass, on video and poster.
    let mark = &report["plan"]["watermarks"][0];
    let at = |name: &str, plus: u64| mark[name].as_u64().unwrap() + plus;
    let crop = format!("4:10:{}:{}", at("x", 2), at("y", 10));
    for (file, index) in [("out.mp4", 50), ("out.jpg", 0)] {
        let [red, green, blue] = mean_colour(&ffmpeg, &place.path(file), index, &crop);
        assert!(
            red > 190.0 && green < 90.0 && blue < 90.0,
            "{file}: {red} {green} {blue}"
        );
    }
}

#[test]
fn each_watermark_has_the_flags_behind_it() {
    let Some(ffmpeg) = require::ffmpeg() else {
        return;
    };
    let Some(input) = require::fixture("tiny.mp4") else {
        return;
    };
    let place = Workdir::new();
    let logo = committed("logo.png");
    let logo = logo.to_str().unwrap();
    let first = [
        "--watermark",
        logo,
        "--anchor",
        "top-left",
        "--until-ms",
        "1000",
    ];
    let second = [
        "--watermark",
        logo,
        "--from-ms",
        "1000",
        "--scale",
        "50%",
        "--opacity",
        "1",
    ];
    let args = [
        "process",
        input.to_str().unwrap(),
        "-o",
        "out.mp4",
        "--report",
        "out.json",
    ];
    place
        .run(args.into_iter().chain(first).chain(second))
        .succeeded();
    let marks = place.json("out.json")["plan"]["watermarks"].clone();
    let at = |index: usize, name: &str| marks[index][name].as_u64().unwrap();
    assert_eq!((at(0, "x"), at(0, "y"), at(0, "width")), (6, 6, 36));
    assert_eq!(at(1, "width"), 90);
    assert!(at(1, "x") > 160 && at(1, "y") > 90, "{marks}");
    // The left edge of the logo is flat red.
    for (index, frame, shown) in [(0, 23, true), (0, 24, false), (1, 23, false), (1, 24, true)] {
        let crop = format!("2:2:{}:{}", at(index, "x") + 2, at(index, "y") + 6);
        let [red, green, blue] = mean_colour(&ffmpeg, &place.path("out.mp4"), frame, &crop);
        let is_red = red > 180.0 && green < 110.0 && blue < 110.0;
        assert_eq!(
            is_red, shown,
            "layer {index}, frame {frame}: {red} {green} {blue}"
        );
    }
}

#[test]
fn a_fine_video_is_copied_and_says_so() {
    let Some(input) = require::fixture("tiny.mp4") else {
        return;
    };
    let place = Workdir::new();
    let args = [
        "process",
        input.to_str().unwrap(),
        "-o",
        "out.mp4",
        "--report",
        "out.json",
    ];
    let ran = place.run(args).succeeded();
    assert!(
        ran.out.contains("picture copied (") && ran.out.contains("sound copied ("),
        "{ran:?}"
    );
    let report = place.json("out.json");
    assert_eq!(report["plan"]["video"]["action"], "copy");
    assert!(
        report["plan"]["video"]["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );
    assert_eq!(report["frames"], 48);

    // Who asks for a quality gets it.
    for flag in [["--crf", "30"], ["--preset", "fast"]] {
        let ran = place
            .run(args.iter().chain(&flag).chain(&["-y"]))
            .succeeded();
        assert!(ran.out.contains("re-encoding was asked for"), "{ran:?}");
        assert!(!ran.out.contains("note:"), "{ran:?}");
    }
}

#[test]
fn a_profile_of_the_settings_file_is_used_and_flags_override_it() {
    let Some(input) = require::fixture("portrait.mp4") else {
        return;
    };
    let place = Workdir::new();
    let settings = "[profiles.stamp.video]\ncrf = 30.0\npreset = \"fast\"\nmax_height = 90\n";
    fs::write(
        place.path("filmlab.toml"),
        format!("[profiles.stamp]\nname = \"stamp\"\n{settings}"),
    )
    .unwrap();
    place
        .run([
            "process",
            input.to_str().unwrap(),
            "-o",
            "out.mp4",
            "--profile",
            "stamp",
            "--preset",
            "ultrafast",
            "--report",
            "out.json",
            "--threads",
            "1",
        ])
        .succeeded();
    let plan = &place.json("out.json")["plan"];
    assert_eq!(plan["profile"], "stamp");
    assert_eq!(plan["video"]["crf"], 30.0);
    assert_eq!(plan["video"]["preset"], "ultrafast");
    let told = probe(&place, &place.path("out.mp4"));
    assert_eq!(
        (&told["video"]["width"], &told["video"]["height"]),
        (&90.into(), &160.into())
    );
}

/// What the metadata says about a person's whereabouts stays behind.
#[test]
fn the_results_can_be_read_by_others_and_tell_no_place() {
    let Some(input) = require::fixture("gps.mp4") else {
        return;
    };
    let place = Workdir::new();
    place
        .run(["process", input.to_str().unwrap(), "-o", "out.mp4"])
        .succeeded();
    if let Some(ffprobe) = require::ffprobe() {
        let tags = &reference(&ffprobe, &place.path("out.mp4"))["format"]["tags"];
        let names = tags
            .as_object()
            .map(|tags| tags.keys().cloned().collect::<Vec<_>>());
        let private = |name: &String| name.contains("location") || name == "comment";
        assert!(!names.unwrap_or_default().iter().any(private), "{tags}");
    }
    #[cfg(unix)]
    {
        // As any new file here, not as a temporary one.
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(place.path("plain"), "").unwrap();
        let mode = |name: &str| place.path(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode("out.mp4"), mode("plain"));
    }
}

#[test]
fn a_result_says_how_it_was_made_as_far_as_anybody_said_it() {
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let place = Workdir::new();
    let made = |input: &Path, name: &str, more: &[&str]| {
        let mut args = vec!["process", input.to_str().unwrap(), "--output", name];
        args.extend(more);
        place.run(args).succeeded();
        place.path(name)
    };
    let plain = made(&clip, "plain.mp4", &[]);
    let said = probe(&place, &plain)["provenance"].clone();
    assert!(
        said["id"].as_str().unwrap().starts_with("urn:uuid:"),
        "{said}"
    );
    assert!(said["source_type"].is_null(), "{said}");
    let marked = made(
        &plain,
        "marked.mp4",
        &["--source-type", "trainedAlgorithmicMedia"],
    );
    let kept = made(&marked, "kept.mp4", &[]);
    let again = probe(&place, &kept)["provenance"].clone();
    assert_eq!(again["source_type"], "trainedAlgorithmicMedia");
    assert_ne!(again["id"], said["id"]);
    let shown = place.run([Path::new("probe"), &kept]).succeeded().out;
    let line = "  says       trainedAlgorithmicMedia, by filmlab ";
    assert!(shown.contains(line), "{shown}");
    assert!(again["manifest"].is_null(), "{again}");
    let signed = made(&marked, "signed.mp4", &["--sign"]);
    let manifest = &probe(&place, &signed)["provenance"]["manifest"];
    assert_eq!(manifest["state"], "trusted", "{manifest}");
    let shown = place.run([Path::new("probe"), &signed]).succeeded().out;
    let line = "  manifest   C2PA, as it was signed, with the certificate of this machine, ";
    assert!(shown.contains(line), "{shown}");
    assert!(
        shown.contains("  made of    video/mp4 (parentOf)\n"),
        "{shown}"
    );
    let own = fs::read(place.path("var/filmlab/signing.pem")).unwrap();
    made(&marked, "again.mp4", &["--sign"]);
    assert_eq!(
        own,
        fs::read(place.path("var/filmlab/signing.pem")).unwrap()
    );
    let ran = place.run([
        "process",
        "plain.mp4",
        "--output",
        "x.mp4",
        "--source-type",
        "film",
    ]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert!(ran.err.contains("digitalCapture"), "{ran:?}");

    let ran = place
        .filmlab(["process", "plain.mp4", "--output", "silent.mp4"])
        .env("FILMLAB_PROVENANCE__METADATA", "false")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(probe(&place, &place.path("silent.mp4"))["provenance"].is_null());
}
