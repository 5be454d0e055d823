//! Where the result's picture track begins, and how long its sample table says it is.

use std::path::Path;

use filmlab::media::VideoPlan;

use super::support::{encoding, ffprobe, fixture, frame_count, fresh, job, run, seconds, times};

/// A box inside `bytes` by its path, without its header.
fn inside<'a>(bytes: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    let Some((name, rest)) = path.split_first() else {
        return Some(bytes);
    };
    children(bytes)
        .filter(|(found, _)| *found == name.as_bytes())
        .find_map(|(_, content)| inside(content, rest))
}

fn children(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = number(bytes.get(..4)?) as usize;
        let (name, content) = (bytes.get(4..8)?, bytes.get(8..size)?);
        bytes = &bytes[size..];
        Some((name, content))
    })
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// The video track of an MP4, read without libav: players go by its tables.
struct Track {
    /// Sum of the sample table in seconds.
    table: f64,
    /// Claimed by the media header.
    claimed: f64,
    /// Media times of the edit list; -1 is an empty edit.
    edits: Vec<i32>,
}

fn track(path: &Path) -> Track {
    let bytes = std::fs::read(path).unwrap();
    let moov = inside(&bytes, &["moov"]).unwrap();
    let trak = children(moov)
        .filter(|(name, _)| *name == b"trak")
        .map(|(_, trak)| trak)
        .find(|trak| inside(trak, &["mdia", "minf", "vmhd"]).is_some())
        .unwrap();
    let header = inside(trak, &["mdia", "mdhd"]).unwrap();
    assert_eq!(header[0], 0, "a short media header");
    let scale = f64::from(number(&header[12..]));
    let stts = inside(trak, &["mdia", "minf", "stbl", "stts"]).unwrap();
    let table: u64 = stts[8..]
        .chunks_exact(8)
        .map(|entry| u64::from(number(entry)) * u64::from(number(&entry[4..])))
        .sum();
    let edits = inside(trak, &["edts", "elst"]).map_or(Vec::new(), |list| {
        assert_eq!(list[0], 0, "a short edit list");
        list[8..]
            .chunks_exact(12)
            .map(|entry| number(&entry[4..]) as i32)
            .collect()
    });
    Track {
        table: table as f64 / scale,
        claimed: f64::from(number(&header[16..])) / scale,
        edits,
    }
}

#[test]
fn a_last_picture_that_stands_keeps_its_time_in_the_sample_table() {
    let gif = fixture(
        "held.gif",
        "-f lavfi -i testsrc2=size=320x180:rate=10:duration=2 -final_delay 300",
    );
    // Nineteen pictures of 0.1 s, and one of 3 s.
    for preset in [
        filmlab::media::Preset::Ultrafast,
        filmlab::media::Preset::Medium,
    ] {
        let mut render = job(&gif);
        render.profile.video.preset = preset;
        let out = fresh("out.mp4");
        let report = run(&render, &out).unwrap();
        let track = track(&out);
        assert!(
            (track.table - 4.9).abs() < 0.02,
            "{preset:?}: {}",
            track.table
        );
        assert!((track.claimed - track.table).abs() < 0.02);
        assert!((seconds(&out, "v") - 4.9).abs() < 0.02);
        assert_eq!((report.frames, frame_count(&out)), (20, 20));

        // What is copied keeps it as well.
        let again = fresh("again.mp4");
        let report = run(&job(&out), &again).unwrap();
        assert!(report.plan.is_remux(), "{:?}", report.plan);
        assert!((self::track(&again).table - 4.9).abs() < 0.02);
    }
}

#[test]
fn a_picture_stands_at_zero_where_sound_begins_first() {
    let late = fixture(
        "late-picture.ts",
        "-itsoffset 0.5 -f lavfi -i testsrc2=size=320x180:rate=25:duration=2 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=2.5 \
         -map 0:v -map 1:a -c:v libx264 -preset veryfast -bf 2 -pix_fmt yuv420p -c:a aac -f mpegts",
    );
    for render in [encoding(&late), job(&late)] {
        let out = fresh("out.mp4");
        let report = run(&render, &out).unwrap();
        let track = track(&out);
        assert!(!track.edits.contains(&-1), "{:?}", track.edits);
        let shown = times(&out, "v");
        assert!(shown[0].abs() < 0.002, "{:?}", report.plan);
        // The second one keeps its distance to the sound.
        let lead = shown[1] - times(&out, "a").iter().find(|at| **at >= 0.0).unwrap();
        let before = times(&late, "v")[1] - times(&late, "a")[0];
        assert!((lead - before).abs() < 0.03, "{lead} was {before}");
        assert_eq!(frame_count(&out), 50);
        assert!((track.table - 2.5).abs() < 0.05, "{}", track.table);
    }
}

#[test]
fn what_cannot_be_copied_is_encoded() {
    let whole = fixture(
        "whole.ts",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=3 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3 \
         -c:v libx264 -preset veryfast -g 30 -bf 2 -pix_fmt yuv420p -c:a aac -f mpegts",
    );
    // A recorder that joined in the middle: the first group of pictures has no key frame.
    let bytes = std::fs::read(&whole).unwrap();
    let cut = fresh("cut.ts");
    let from = bytes.len() / 188 / 5 * 188;
    // The tables come again before the next key frame.
    std::fs::write(&cut, [&bytes[..188 * 3], &bytes[from..]].concat()).unwrap();
    let out = fresh("out.mp4");
    let report = run(&job(&cut), &out).unwrap();
    let VideoPlan::Encode { reason, .. } = &report.plan.video else {
        panic!("{:?}", report.plan.video);
    };
    assert!(
        reason.contains("whole picture") || reason.contains("fit into an MP4"),
        "{reason}"
    );
    assert_eq!(frame_count(&out), report.frames);
    assert_eq!(ffprobe(&out, "a", "stream=codec_name"), ["aac"]);
}
