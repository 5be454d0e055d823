//! Our result beside that of the ffmpeg program with the same settings.

use std::path::{Path, PathBuf};

use super::support::*;

/// What the reference program needs to be told to do the right thing.
pub(crate) struct Case {
    pub name: &'static str,
    /// Filters that undo the trait, in front of `format=yuv420p`.
    pub filter: &'static str,
    /// Width and height of the result.
    pub size: [&'static str; 2],
    pub frames: u64,
    /// range, matrix, transfer, primaries of the result.
    pub tags: [&'static str; 4],
}

pub(crate) const SD: [&str; 4] = ["tv", "smpte170m", "smpte170m", "smpte170m"];
pub(crate) const HD: [&str; 4] = ["tv", "bt709", "bt709", "bt709"];

/// The settings both are given.
const CRF: &str = "18";

/// Encodes with ours and with the program, and holds one against the other.
/// Returns our file.
pub(crate) fn agrees(main: &Path, case: &Case) -> PathBuf {
    let name = case.name;
    let (out, reference) = (fresh("ours.mp4"), fresh("theirs.mp4"));
    let mut render = encoding(main);
    render.profile.video.crf = 18.0;
    // Nothing but the settings under test: no cap by the source's own rate.
    render.force.audio = true;
    let report = run(&render, &out).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let channels = report
        .output
        .audio
        .as_ref()
        .map_or(2, |audio| audio.channels)
        .to_string();
    let filter = [case.filter, "format=yuv420p"].join(",");
    let maps = "-map 0:v:0 -map 0:a:0?";
    let codecs = format!(
        "-c:v libx264 -profile:v high -preset veryfast -crf {CRF} -fps_mode passthrough \
         -enc_time_base -1 -c:a aac -ar 48000 -ac {channels}"
    );
    let mut arguments = vec!["-i", main.to_str().unwrap()];
    arguments.extend(maps.split(' '));
    arguments.extend(["-vf", filter.trim_start_matches(',')]);
    arguments.extend(codecs.split_whitespace());
    arguments.push(reference.to_str().unwrap());
    ffmpeg("", &arguments);

    assert_eq!(report.frames, case.frames, "{name}");
    assert_eq!(frame_count(&out), case.frames, "{name}");
    assert_eq!(
        frame_count(&reference),
        case.frames,
        "{name}: the reference"
    );
    let (ours, mut theirs) = (times(&out, "v"), times(&reference, "v"));
    // Where sound begins first, ours begins with it: the first picture stands longer.
    theirs[0] = theirs[0].min(0.0);
    // Half a frame at the highest rate there is in the fixtures, 60.
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() < 0.008, "{name}: {a} where {b} was expected");
    }
    assert!(ours.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
    let facts = ffprobe(&out, "v", "stream=codec_name,width,height,pix_fmt");
    let [width, height] = case.size;
    assert_eq!(facts, ["h264", width, height, "yuv420p"], "{name}");
    let tags = [
        "color_range",
        "color_space",
        "color_transfer",
        "color_primaries",
    ];
    let found = tags.map(|tag| ffprobe(&out, "v", &format!("stream={tag}")).concat());
    assert_eq!(found, case.tags, "{name}");
    let likeness = ssim(&reference, &out, "setpts=N");
    assert!(likeness > 0.98, "{name}: {likeness}");
    assert!(report.faststart, "{name}");
    sounds_alike(main, &out, name);
    out
}

/// Sound begins and ends where it does in the source, within 10 ms and one AAC frame.
pub(crate) fn sounds_alike(main: &Path, out: &Path, name: &str) {
    let (source, result) = (heard(main), heard(out));
    assert_eq!(source.is_some(), result.is_some(), "{name}");
    if let (Some((begins, ends)), Some((b, e))) = (source, result) {
        assert!(
            (begins - b).abs() < 0.01,
            "{name}: begins at {b}, not {begins}"
        );
        assert!((ends - e).abs() < 0.022, "{name}: ends at {e}, not {ends}");
    }
}

/// First and last moment that is not silent, on the file's own clock.
pub(crate) fn heard(path: &Path) -> Option<(f64, f64)> {
    let filter = "aresample=48000:async=1:first_pts=0";
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args([
            "-map", "0:a:0?", "-af", filter, "-ac", "1", "-f", "s16le", "-",
        ])
        .output()
        .unwrap();
    let loud = |sample: &[u8]| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() > 800;
    let samples = output.stdout.chunks_exact(2);
    let first = samples.clone().position(loud)?;
    let last = samples.clone().count() - samples.rev().position(loud)?;
    Some((first as f64 / 48_000.0, last as f64 / 48_000.0))
}
