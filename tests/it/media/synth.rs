//! The sandbox's stand-in videos are real videos.

use filmlab::media::{Cancel, FileInput, MediaCode, synth};

use super::support::*;

#[test]
fn upscale_really_resizes() {
    let out = fresh("up.mp4");
    let report =
        synth::upscale(&FileInput::new(plain()), 720, true, &out, &Cancel::new()).unwrap();
    assert_eq!(ffprobe(&out, "v", "stream=codec_name,width,height,pix_fmt"), ["h264", "1280", "720", "yuv420p"]);
    assert_eq!(frame_count(&out), 100);
    assert!(report.faststart);
    assert_eq!(packet_hashes(&plain(), "a"), packet_hashes(&out, "a"));
    let likeness = ssim(&plain(), &out, "scale=640:360:flags=bicubic,setsar=1");
    assert!(likeness > 0.95, "{likeness}");
    let silent = fresh("silent.mp4");
    synth::upscale(&FileInput::new(plain()), 540, false, &silent, &Cancel::new()).unwrap();
    assert_eq!(ffprobe(&silent, "v", "stream=width,height"), ["960", "540"]);
    assert!(ffprobe(&silent, "a", "stream=codec_name").is_empty());
}

#[test]
fn extend_begins_with_the_clip_and_goes_on_moving() {
    let out = fresh("longer.mp4");
    let report = synth::extend(&FileInput::new(plain()), 3.0, false, &out, &Cancel::new()).unwrap();
    assert_eq!(frame_count(&out), 175);
    assert_eq!(report.frames, 175);
    assert!((seconds(&out, "v") - 7.0).abs() < 0.01, "{}", seconds(&out, "v"));
    assert!(ssim(&plain(), &out, "trim=end_frame=100") > 0.97);
    // The seam is smooth, and half a second on the picture has moved.
    let part = |start: u32, name: &str| {
        let path = out.with_file_name(name);
        let filter = format!("select=eq(n\\,{start})");
        ffmpeg("", &["-i", out.to_str().unwrap(), "-vf", &filter, "-frames:v", "1", path.to_str().unwrap()]);
        path
    };
    let (last, first, later, end) =
        (part(99, "a.png"), part(100, "b.png"), part(130, "c.png"), part(174, "d.png"));
    let format = "format=yuv420p";
    assert!(ssim(&last, &first, format) > 0.9);
    assert!(ssim(&first, &later, format) < 0.9);
    assert!(ssim(&later, &end, format) < 0.9);
}

#[test]
fn character_replace_lays_the_picture_over_and_keeps_the_rest() {
    let out = fresh("hero.mp4");
    let report = synth::character_replace(
        &FileInput::new(plain()),
        &FileInput::new(red()),
        true,
        &out,
        &Cancel::new(),
    )
    .unwrap();
    assert_eq!(ffprobe(&out, "v", "stream=width,height"), ["640", "360"]);
    assert_eq!(frame_count(&out), 100);
    assert_eq!(report.duration_ms, 4000);
    assert!(report.output.audio.is_some());
    let [r, g, b] = mean_rgb(&out, 2.0, (280, 250, 80, 60));
    assert!(r > 245.0 && g < 10.0 && b < 10.0, "{r} {g} {b}");
    assert!(ssim(&plain(), &out, "crop=640:120:0:0") > 0.97);
}

#[test]
fn failures_leave_nothing() {
    let out = fresh("out.mp4");
    let error = synth::character_replace(
        &FileInput::new(plain()),
        &FileInput::new(plain()),
        true,
        &out,
        &Cancel::new(),
    )
    .unwrap_err();
    assert_eq!(error.code, MediaCode::NotAPicture);
    let cancel = Cancel::new();
    cancel.cancel(filmlab::media::CancelReason::Requested);
    let error = synth::upscale(&FileInput::new(plain()), 720, true, &out, &cancel).unwrap_err();
    assert_eq!(error.code, MediaCode::Cancelled);
    assert_alone(&out, &[]);
}
