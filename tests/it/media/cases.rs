//! Files of `scripts/cases`: trims, loud sound, combs, an only picture; and captures of broadcasts.

use std::fs;
use std::path::{Path, PathBuf};

use filmlab::media::MediaCode;

use super::support::*;
use crate::support::require;

fn case(name: &str) -> Option<PathBuf> {
    require::fixture(&format!("cases/{name}"))
}

#[test]
fn every_case_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(any) = case("mkv-late-subtitle.mkv") else {
        return;
    };
    let mut tests = String::new();
    for entry in fs::read_dir(root.join("tests/it/media")).unwrap() {
        tests += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let without: Vec<String> = fs::read_dir(any.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !tests.contains(&format!("\"{name}\"")))
        .collect();
    assert_eq!(without, Vec::<String>::new());
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
    // A frame of AAC may stand before it.
    let wanted = sound - picture;
    let found = first(&out, "a");
    assert!((found - wanted).abs() < 0.03, "{found} instead of {wanted}");
    assert_eq!(times(&out, "v")[0], 0.0);
    assert!((times(&out, "v")[1] - 0.04).abs() < 0.002);
}

#[test]
fn a_side_longer_than_h264_has_is_refused_as_such() {
    for (size, code) in [
        ("16512x32", Some(MediaCode::TooManyPixels)),
        ("32x16512", Some(MediaCode::TooManyPixels)),
        // More than level 5.2 allows of a side: players of large pictures only, and still a video.
        ("9840x64", None),
    ] {
        let long = fixture(
            "long.gif",
            &format!("-f lavfi -i color=red:size={size}:rate=10:duration=0.3"),
        );
        let ended = run(&encoding(&long), &fresh("out.mp4"));
        assert_eq!(ended.err().map(|error| error.code), code, "{size}");
    }
}

/// Phones write five frames of AMR as one sample; libav decodes the first of them.
#[test]
fn all_frames_of_an_amr_packet_are_heard() {
    if require::ffmpeg().is_none() {
        return;
    }
    let folder = fresh("amr");
    fs::create_dir_all(&folder).unwrap();
    // 2 s of frames of 7.4 kbit/s; whatever is in them is noise.
    let mut seed = 5u32;
    let mut amr = b"#!AMR\n".to_vec();
    for _ in 0..100 {
        amr.push(0x24);
        amr.extend((0..19).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        }));
    }
    let (sound, source) = (folder.join("sound.amr"), folder.join("phone.3gp"));
    fs::write(&sound, amr).unwrap();
    ffmpeg(
        &format!(
            "-f lavfi -i testsrc2=size=176x144:rate=25:duration=2 -i {} -c:v libx264 -bf 0 \
             -preset ultrafast -pix_fmt yuv420p -c:a copy -chunk_duration 60000000 \
             -max_interleave_delta 0",
            sound.display()
        ),
        &[source.to_str().unwrap()],
    );
    // 100 samples of one frame become 20 of five: in the tables of sizes, times and chunks.
    let mut bytes = fs::read(&source).unwrap();
    for (table, was, is) in [
        ("stsz", vec![20, 100], vec![100, 20]),
        ("stts", vec![1, 100, 160], vec![1, 20, 800]),
        ("stsc", vec![1, 1, 100, 1], vec![1, 1, 20, 1]),
    ] {
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        let pattern = [table.as_bytes(), &[0; 4], &words(&was)].concat();
        let at = bytes
            .windows(pattern.len())
            .position(|found| found == pattern);
        let at = at.unwrap_or_else(|| panic!("{table}")) + 8;
        bytes.splice(at..at + 4 * is.len(), words(&is));
    }
    fs::write(&source, bytes).unwrap();
    assert_eq!(ffprobe(&source, "a", "packet=size")[..2], ["100", "100"]);
    let out = fresh("out.mp4");
    run(&job(&source), &out).unwrap();
    let length = seconds(&out, "a");
    assert!((length - 2.0).abs() < 0.08, "{length} s of sound");
    let log = ffmpeg(
        "",
        &[
            "-i",
            out.to_str().unwrap(),
            "-af",
            "silencedetect=n=-60dB:d=0.03",
            "-f",
            "null",
            "-",
        ],
    );
    // At the beginning and at the end the encoder may need some.
    let gaps = log.matches("silence_start").count();
    assert!(gaps <= 2, "{gaps} gaps");
}

#[test]
fn codecs_of_old_programs_come_out_whole() {
    let source = fixture(
        "clip.mp4",
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 -f lavfi -i sine=duration=2 \
         -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    );
    for (name, options) in OLDER {
        let main = fixture(name, &format!("-i {} {options}", source.display()));
        let out = fresh("out.mp4");
        let report = run(&encoding(&main), &out);
        let report = report.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        // One that MPEG-1's decoder holds back comes at the end.
        assert_eq!(frame_count(&out), frame_count(&source), "{name}");
        assert!((seconds(&out, "v") - 2.0).abs() < 0.05, "{name}");
        assert!((seconds(&out, "a") - 2.0).abs() < 0.12, "{name}");
        assert!(report.source.audio.is_some(), "{name}");
    }
}
