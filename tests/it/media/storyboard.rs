//! Storyboards: what a tile shows is what the video shows at its time.

use std::path::{Path, PathBuf};
use std::process::Command;

use filmlab::media::{Report, StoryboardInfo};

use super::support::{encoding, ffprobe, fixture, fresh, input, job, mean_rgb, run};

/// 8 s whose light says which second it is, with a key frame in every second.
fn seconds() -> PathBuf {
    fixture(
        "seconds.mp4",
        "-f lavfi -i color=gray:size=320x180:rate=25:duration=8 \
         -vf geq=lum='30+25*floor(T)':cb=128:cr=128,format=yuv420p,\
         scale=out_color_matrix=bt709:out_range=tv -colorspace bt709 -color_primaries bt709 \
         -color_trc bt709 -c:v libx264 -preset veryfast -crf 10 -bf 2 -g 25 -movflags +faststart",
    )
}

/// The sprite on disk, and what is said of it.
fn sprite(report: &Report) -> (PathBuf, &StoryboardInfo) {
    let path = fresh("storyboard.jpg");
    let jpeg = report.storyboard_jpeg.as_ref().unwrap();
    std::fs::write(&path, jpeg).unwrap();
    let info = report.storyboard.as_ref().unwrap();
    assert_eq!(info.bytes, jpeg.len() as u64);
    let size = ffprobe(&path, "v", "stream=codec_name,width,height");
    let told = [info.width, info.height].map(|side| side.to_string());
    assert_eq!(size, ["mjpeg", told[0].as_str(), told[1].as_str()]);
    (path, info)
}

/// Holds every `step`th tile against the video at its time.
fn assert_shows(report: &Report, video: &Path, step: usize) {
    let (path, info) = sprite(report);
    for (place, at_ms) in info.times_ms.iter().enumerate().step_by(step) {
        let place = place as u32;
        let (width, height) = (info.tile_width, info.tile_height);
        let (x, y) = (place % info.columns * width, place / info.columns * height);
        // Within the tile: JPEG mixes colours over its edge.
        let tile = mean_rgb(&path, 0.0, (x + 8, y + 8, width - 16, height - 16));
        let shown = mean_rgb(video, *at_ms as f64 / 1000.0, (0, 0, 320, 180));
        for (tile, shown) in tile.iter().zip(shown) {
            assert!((tile - shown).abs() < 8.0, "{at_ms} ms: {tile} {shown}");
        }
    }
}

/// The cues as the reference program reads them: beginning and end in seconds.
fn cues(report: &Report) -> Vec<(f64, f64)> {
    let info = report.storyboard.as_ref().unwrap();
    let path = fresh("storyboard.vtt");
    std::fs::write(&path, info.vtt("storyboard.jpg", report.duration_ms)).unwrap();
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "packet=pts_time,duration_time",
        ])
        .args(["-of", "csv=p=0"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            let (at, lasts) = line.split_once(',').unwrap();
            let at: f64 = at.parse().unwrap();
            (at, at + lasts.trim_end_matches(',').parse::<f64>().unwrap())
        })
        .collect()
}

#[test]
fn tiles_show_the_video_at_their_times() {
    let main = seconds();
    let out = fresh("out.mp4");
    let mut render = encoding(&main);
    render.storyboard = true;
    let report = run(&render, &out).unwrap();
    let info = report.storyboard.as_ref().unwrap();
    let every_half: Vec<u64> = (0..16).map(|at| (at * 500u64).div_ceil(40) * 40).collect();
    assert_eq!(info.times_ms, every_half);
    assert_eq!(
        (info.tile_width, info.tile_height, info.columns),
        (160, 90, 8)
    );
    assert_shows(&report, &out, 5);
    let cues = cues(&report);
    assert_eq!(cues.len(), 16);
    for (pair, at_ms) in cues.windows(2).zip(&every_half[1..]) {
        let at = *at_ms as f64 / 1000.0;
        assert!((pair[0].1 - at).abs() < 0.001 && (pair[1].0 - at).abs() < 0.001);
    }
    assert!(
        cues[0].0.abs() < 0.001 && (cues[15].1 - 8.0).abs() < 0.05,
        "{cues:?}"
    );
}

#[test]
fn a_copied_picture_gives_its_key_frames() {
    let main = seconds();
    let out = fresh("out.mp4");
    let mut render = job(&main);
    render.storyboard = true;
    let report = run(&render, &out).unwrap();
    assert!(report.plan.is_remux(), "{:?}", report.plan);
    let info = report.storyboard.as_ref().unwrap();
    assert_eq!(info.times_ms, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000]);
    assert_shows(&report, &out, 3);
    assert_eq!(cues(&report).len(), 8);
    // And nothing where none is asked for.
    render.storyboard = false;
    let report = run(&render, &out).unwrap();
    assert_eq!((report.storyboard, report.storyboard_jpeg), (None, None));
}

#[test]
fn a_join_has_tiles_of_both_parts() {
    let main = seconds();
    let out = fresh("out.mp4");
    let mut render = encoding(&main);
    render.before = Some(input(&main));
    render.storyboard = true;
    let report = run(&render, &out).unwrap();
    let info = report.storyboard.as_ref().unwrap();
    assert_eq!(info.times_ms.len(), 32);
    assert!(info.times_ms.is_sorted() && info.times_ms[31] >= 15_500);
    assert_shows(&report, &out, 9);
}
