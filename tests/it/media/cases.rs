//! Files of `scripts/cases`: trims, loud sound, combs, an only picture; and captures of broadcasts.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::*;
use crate::support::require;

fn case(name: &str) -> Option<PathBuf> {
    require::fixture(&format!("cases/{name}"))
}

/// Frames, seconds of picture and of sound of what comes of a case, as most jobs are and encoded.
fn comes_out(name: &str, frames: u64, picture: f64, sound: Option<f64>) {
    let Some(main) = case(name) else { return };
    for render in [job(&main), encoding(&main)] {
        let out = fresh("out.mp4");
        run(&render, &out).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(frame_count(&out), frames, "{name}");
        let length = seconds(&out, "v");
        assert!((length - picture).abs() <= 0.05, "{name}: {length} s");
        let found = ffprobe(&out, "a", "stream=duration");
        let found = found.first().map(|text| text.parse::<f64>().unwrap());
        assert_eq!(found.is_some(), sound.is_some(), "{name}");
        if let (Some(found), Some(wanted)) = (found, sound) {
            assert!((found - wanted).abs() < 0.05, "{name}: {found} s of sound");
        }
    }
}

/// It begins where no key frame is marked, with offsets below zero.
#[test]
fn a_trim_made_on_a_phone_keeps_all_its_frames() {
    comes_out("mp4-trim-negative-cts.mp4", 34, 1.36, None);
}

#[test]
fn what_was_cut_out_of_the_middle_stays_out() {
    comes_out("mp4-middle-cut-out-aac.mp4", 30, 1.2, Some(1.2));
}

/// 1/120 s of picture in a second of sound: less than a frame of the profile's cap, and all there
/// is to see.
#[test]
fn an_only_picture_that_is_short_is_not_thinned_out() {
    comes_out("mp4-one-short-frame-late.mp4", 1, 0.075, Some(1.0));
}

#[test]
fn loud_sound_of_cameras_stays_within_full_scale() {
    for name in ["loud-5.1.mp4", "loud-4ch-camera.mov"] {
        let Some(main) = case(name) else { return };
        let out = fresh("out.mp4");
        run(&job(&main), &out).unwrap();
        let out = out.to_str().unwrap();
        let log = ffmpeg("", &["-i", out, "-af", "astats", "-f", "null", "-"]);
        let peaks = log
            .lines()
            .filter_map(|line| line.split("Peak level dB:").nth(1))
            .filter_map(|peak| peak.trim().parse::<f64>().ok());
        let peak = peaks.fold(f64::NEG_INFINITY, f64::max);
        assert!((-6.0..=0.5).contains(&peak), "{name}: {peak} dB");
    }
}

#[test]
fn a_broadcast_has_no_combs() {
    let Some(main) = case("interlaced-tff.mp4") else {
        return;
    };
    let out = fresh("out.mp4");
    run(&job(&main), &out).unwrap();
    // What the test picture's own text has of lines lies at the bottom.
    let log = ffmpeg(
        "",
        &[
            "-i",
            out.to_str().unwrap(),
            "-vf",
            "crop=iw:ih*0.7:0:0,idet",
            "-f",
            "null",
            "-",
        ],
    );
    let line = log
        .lines()
        .find(|line| line.contains("Multi frame detection"))
        .unwrap();
    let count = |name: &str| -> u32 {
        let rest = line.split(name).nth(1).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    // The first frames are what the detector itself needs to warm up.
    assert!(count("TFF:") + count("BFF:") <= 6, "{line}");
    assert!(count("Progressive:") >= 19, "{line}");
}

/// Captures of broadcasts and discs begin with a key frame and pictures that are shown before it.
#[test]
fn sound_keeps_its_distance_where_pictures_are_shown_before_the_first_key_frame() {
    if require::ffmpeg().is_none() {
        return;
    }
    let folder = fresh("segments");
    fs::create_dir_all(&folder).unwrap();
    let segments = folder.join("%d.ts");
    ffmpeg(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4 -c:v mpeg2video -q:v 5 -g 24 -bf 2 \
         -f segment -segment_time 1.9 -segment_format mpegts",
        &[segments.to_str().unwrap()],
    );
    let part = folder.join("1.ts");
    // Its first group says that it needs nothing from before: decoders show those pictures.
    let mut bytes = fs::read(&part).unwrap();
    let group = bytes.windows(4).position(|four| four == [0, 0, 1, 0xb8]);
    bytes[group.unwrap() + 7] |= 0x40;
    fs::write(&part, bytes).unwrap();
    let source = folder.join("source.ts");
    ffmpeg(
        &format!("-i {}", part.display()),
        &[
            "-itsoffset",
            "0.05",
            "-f",
            "lavfi",
            "-i",
            "sine=d=2",
            "-c:v",
            "copy",
            "-c:a",
            "mp2",
            source.to_str().unwrap(),
        ],
    );
    let first = |path: &Path, stream: &str| -> f64 {
        let times = ffprobe(path, stream, "frame=best_effort_timestamp_time");
        let times = times
            .iter()
            .filter_map(|text| text.trim_matches(',').parse().ok());
        times.fold(f64::INFINITY, f64::min)
    };
    let key: f64 = ffprobe(&source, "v", "packet=pts_time")[0]
        .trim_matches(',')
        .parse()
        .unwrap();
    let (picture, sound) = (first(&source, "v"), first(&source, "a"));
    assert!(picture < key - 0.07, "{picture} {key}");
    let out = fresh("out.mp4");
    run(&job(&source), &out).unwrap();
    let wanted = sound - picture;
    let found = first(&out, "a");
    assert!(
        (found - wanted).abs() < 0.012,
        "{found} instead of {wanted}"
    );
    assert_eq!(times(&out, "v")[0], 0.0);
    assert!((times(&out, "v")[1] - 0.04).abs() < 0.002);
}
