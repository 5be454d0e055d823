//! What an edit list cuts out stays out of the sound too.

use std::path::{Path, PathBuf};

use filmlab::media::AudioPlan;

use super::support::{ffprobe, fixture, frame_count, fresh, job, run};

/// A clip of a second and a half whose edit list keeps 0.5 s at its start and 0.5 s at its end.
fn middle_cut_out() -> PathBuf {
    let whole = fixture(
        "whole.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1.5 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=1.5 \
         -c:v libx264 -preset veryfast -bf 0 -g 25 -pix_fmt yuv420p -c:a aac -shortest",
    );
    let bytes = std::fs::read(&whole).unwrap();
    let out = fresh("cut.mp4");
    std::fs::write(&out, two_parts(bytes, 1.0)).unwrap();
    out
}

/// Replaces each track's edit list of one part by one of two: the index stands last, so that no
/// offset into the media changes. The second part begins `second` seconds into the media.
fn two_parts(mut bytes: Vec<u8>, second: f64) -> Vec<u8> {
    let number =
        |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let find = |bytes: &[u8], name: &[u8], from: usize| {
        (from..bytes.len() - 4).find(|at| &bytes[*at..*at + 4] == name)
    };
    let moov = find(&bytes, b"moov", 0).unwrap();
    assert!(
        moov > find(&bytes, b"mdat", 0).unwrap(),
        "the index stands last"
    );
    let movie_scale = number(&bytes, find(&bytes, b"mvhd", moov).unwrap() + 4 + 12);
    let mut from = moov;
    while let Some(trak) = find(&bytes, b"trak", from) {
        let elst = find(&bytes, b"elst", trak).unwrap();
        let mdhd = find(&bytes, b"mdhd", trak).unwrap();
        let scale = number(&bytes, mdhd + 4 + 12);
        assert_eq!(number(&bytes, elst + 8), 1, "one part");
        let begins = number(&bytes, elst + 16);
        // Both last half a second.
        let half = movie_scale / 2;
        bytes[elst + 8..elst + 12].copy_from_slice(&2u32.to_be_bytes());
        bytes[elst + 12..elst + 16].copy_from_slice(&half.to_be_bytes());
        let mut part = half.to_be_bytes().to_vec();
        part.extend((begins + (f64::from(scale) * second).round() as u32).to_be_bytes());
        part.extend(0x0001_0000u32.to_be_bytes());
        let end = elst + 24;
        bytes.splice(end..end, part);
        for start in [elst, elst - 8, trak, moov] {
            let grown = number(&bytes, start - 4) + 12;
            bytes[start - 4..start].copy_from_slice(&grown.to_be_bytes());
        }
        from = end + 12;
    }
    bytes
}

fn sound_seconds(path: &Path) -> f64 {
    let samples: u32 = ffprobe(path, "a", "frame=nb_samples")
        .iter()
        .filter_map(|line| line.parse::<u32>().ok())
        .sum();
    f64::from(samples) / 48_000.0
}

#[test]
fn what_an_edit_list_cuts_out_of_the_middle_is_gone() {
    let out = fresh("out.mp4");
    let report = run(&job(&middle_cut_out()), &out).unwrap();
    let AudioPlan::Encode { reason, .. } = &report.plan.audio else {
        panic!("{:?}", report.plan.audio);
    };
    assert!(reason.contains("cuts out"), "{reason}");
    // A part may begin or end within a frame.
    let frames = frame_count(&out);
    assert!((25..=26).contains(&frames), "{frames}");
    let sound = sound_seconds(&out);
    assert!((0.95..1.1).contains(&sound), "{sound}");
}

/// Where the second part begins among pictures that are stored in another order than shown.
#[test]
fn a_part_that_begins_among_reordered_pictures_follows_at_once() {
    let whole = fixture(
        "reordered.mp4",
        "-f lavfi -i testsrc=size=320x180:rate=25:duration=3 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3 \
         -c:v libx264 -preset veryfast -bf 3 -g 75 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -shortest",
    );
    let bytes = std::fs::read(&whole).unwrap();
    for picture in 35..39 {
        let main = fresh("parts.mp4");
        let begins = f64::from(picture) / 25.0;
        std::fs::write(&main, two_parts(bytes.clone(), begins)).unwrap();
        let out = fresh("out.mp4");
        run(&job(&main), &out).unwrap();
        let mut times: Vec<f64> = ffprobe(&out, "v", "frame=pts_time")
            .iter()
            .filter_map(|line| line.trim_end_matches(',').parse().ok())
            .collect();
        times.sort_by(f64::total_cmp);
        assert!((25..=26).contains(&times.len()), "{picture}: {times:?}");
        let longest = times
            .windows(2)
            .map(|two| two[1] - two[0])
            .fold(0.0, f64::max);
        assert!(longest < 0.041, "{picture}: {times:?}");
    }
}
