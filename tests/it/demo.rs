//! `filmlab demo` held against what it promises: each kind, from request to result, decoded.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::media::support::{boxes, ffmpeg, ffprobe, frame_count, fresh, mean_rgb, seconds, ssim};
use crate::support::require;

/// Two seconds of the real clip: the demo's own five would triple the test's time and show the
/// same.
fn clip() -> Option<PathBuf> {
    let whole = require::fixture("bigbuckbunny.mp4")?;
    require::ffmpeg()?;
    require::ffprobe()?;
    let clip = fresh("clip.mp4");
    ffmpeg(
        "",
        &[
            "-i",
            whole.to_str().unwrap(),
            "-t",
            "2",
            "-c",
            "copy",
            "-movflags",
            "+faststart",
            clip.to_str().unwrap(),
        ],
    );
    Some(clip)
}

fn demo(clip: &Path, flags: &[&str]) -> (PathBuf, String) {
    let output = fresh("demo");
    let ran = Command::new(env!("CARGO_BIN_EXE_filmlab"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("demo")
        .args([
            "--video",
            clip.to_str().unwrap(),
            "--output",
            output.to_str().unwrap(),
        ])
        .args(flags)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    (output, told)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn each_kind_gives_what_it_promises() {
    let Some(clip) = clip() else { return };
    let (marked, told) = demo(&clip, &[]);
    let (plain, _) = demo(&clip, &["--no-watermark"]);
    assert!(told.contains("left, 0 held"), "{told}");
    for kind in ["character_replace", "extend", "upscale"] {
        let folder = marked.join(kind);
        let result = folder.join("result.mp4");
        assert!(told.contains(&format!("{}", result.display())), "{told}");
        assert_deliverable(&folder, kind);
        assert_marked(&folder, &plain.join(kind), kind);

        let (source_s, result_s) = (seconds(&clip, "v:0"), seconds(&result, "v:0"));
        let size = ffprobe(&result, "v:0", "stream=width,height");
        match kind {
            "extend" => {
                assert!((result_s - source_s - 4.0).abs() < 0.1, "{result_s}");
                let beginning = "trim=duration=1.9,setpts=PTS-STARTPTS";
                let alike = ssim(&clip, &plain.join("extend/result.mp4"), beginning);
                assert!(alike >= 0.97, "it does not begin with its source: {alike}");
            }
            "upscale" => {
                assert_eq!(size, ["1920", "1080"]);
                assert!((result_s - source_s).abs() <= 0.05, "{result_s}");
            }
            _ => {
                assert_eq!(size, ["1280", "720"]);
                assert!((result_s - source_s).abs() <= 0.05, "{result_s}");
                let frames = (frame_count(&clip), frame_count(&result));
                assert!(frames.0.abs_diff(frames.1) <= 1, "{frames:?}");
            }
        }
    }
}

/// Faststart H.264/yuv420p and AAC, although the sandbox's videos are silent; poster; metadata.
fn assert_deliverable(folder: &Path, kind: &str) {
    let result = folder.join("result.mp4");
    let boxes = boxes(&result);
    let place = |name: &str| boxes.iter().position(|found| found == name).unwrap();
    assert!(place("moov") < place("mdat"), "{kind}: {boxes:?}");
    assert_eq!(
        ffprobe(&result, "v:0", "stream=codec_name,pix_fmt"),
        ["h264", "yuv420p"]
    );
    assert_eq!(ffprobe(&result, "a:0", "stream=codec_name"), ["aac"]);
    // Sound, not just a track of it: the clip's first two seconds are audible.
    let level = ffmpeg(
        "",
        &[
            "-i",
            result.to_str().unwrap(),
            "-t",
            "2",
            "-af",
            "volumedetect",
            "-f",
            "null",
            "-",
        ],
    );
    let level: f64 = level
        .split("max_volume:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(level > -60.0, "{kind} is silent: {level} dB");
    let poster = ffprobe(
        &folder.join("poster.jpg"),
        "v:0",
        "stream=codec_name,width,height",
    );
    let size = ffprobe(&result, "v:0", "stream=width,height");
    assert_eq!(poster, [vec!["mjpeg".to_owned()], size].concat());
    let metadata = json(&folder.join("metadata.json"));
    assert_eq!(metadata["kind"], kind);
    assert_eq!(metadata["probe"]["container"]["faststart"], true);
    // It says what it is, and is signed.
    let said = &metadata["probe"]["provenance"];
    assert!(said["source_type"].is_string(), "{kind}: {said}");
    assert!(said["manifest"]["bytes"].is_u64(), "{kind}: {said}");
    assert!(
        metadata["processing"]["plan"]["video"]["encode"]["reason"].is_string()
            || metadata["processing"]["plan"]["video"]
                .to_string()
                .contains("reason"),
        "{metadata:#}"
    );
}

/// Outside the mark the picture is that of the same encode without it; inside it is the logo,
/// blended.
fn assert_marked(marked: &Path, plain: &Path, kind: &str) {
    let mark = &json(&marked.join("metadata.json"))["processing"]["plan"]["watermarks"][0];
    let edge = |name: &str| u32::try_from(mark[name].as_u64().unwrap()).unwrap();
    let (x, y, width, height) = (edge("x"), edge("y"), edge("width"), edge("height"));
    let (marked, plain) = (marked.join("result.mp4"), plain.join("result.mp4"));
    // The mark is at the bottom right: all above it, and all to its left.
    for outside in [
        format!("crop=in_w:{}:0:0", y - y % 2),
        format!("crop={}:in_h:0:0", x - x % 2),
    ] {
        let alike = ssim(&marked, &plain, &outside);
        assert!(alike >= 0.97, "{kind} differs outside the mark: {alike}");
    }
    let frame = fresh("frame.png");
    let at = "1";
    ffmpeg(
        "",
        &[
            "-ss",
            at,
            "-i",
            plain.to_str().unwrap(),
            "-frames:v",
            "1",
            frame.to_str().unwrap(),
        ],
    );
    let logo = format!("{}/fixtures/logo.png", env!("CARGO_MANIFEST_DIR"));
    let blended = fresh("blended.png");
    // 0.85 is the default opacity.
    let graph = format!(
        "[1:v]scale={width}:{height},format=rgba,colorchannelmixer=aa=0.85[mark];\
         [0:v]format=gbrp[frame];[frame][mark]overlay={x}:{y}:format=gbrp"
    );
    ffmpeg(
        "",
        &[
            "-i",
            frame.to_str().unwrap(),
            "-i",
            &logo,
            "-filter_complex",
            &graph,
            "-frames:v",
            "1",
            blended.to_str().unwrap(),
        ],
    );
    let inside = (x, y, width, height);
    let (found, wanted) = (
        mean_rgb(&marked, 1.0, inside),
        mean_rgb(&blended, 0.0, inside),
    );
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(
            (found - wanted).abs() <= 12.0,
            "{kind}: {found:?} inside the mark at {inside:?}, not {wanted:?}"
        );
    }
    let bare = mean_rgb(&plain, 1.0, inside);
    assert!(
        bare.iter()
            .zip(found)
            .any(|(bare, found)| (bare - found).abs() > 30.0),
        "{kind}: no mark"
    );
}
