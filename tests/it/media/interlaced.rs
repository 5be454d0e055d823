//! Frames whose lines are of two moments.

use std::path::{Path, PathBuf};

use filmlab::media::{Deinterlace, VideoPlan};

use super::support::{ffmpeg, fixture, frame_count, fresh, job, run};

/// 2 s of moving squares, 50 fields a second.
fn fields() -> PathBuf {
    fixture(
        "fields.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=50:duration=2 \
         -vf tinterlace=mode=interleave_top,setfield=tff \
         -c:v libx264 -preset veryfast -crf 12 -flags +ildct+ilme -x264opts tff=1 -pix_fmt yuv420p",
    )
}

/// How many frames the reference program finds interlaced and progressive.
fn combs(path: &Path) -> (u32, u32) {
    let log = ffmpeg(
        "",
        &[
            "-i",
            path.to_str().unwrap(),
            "-vf",
            "idet",
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
    (count("TFF:") + count("BFF:"), count("Progressive:"))
}

#[test]
fn interlaced_frames_become_progressive() {
    let source = fields();
    assert!(combs(&source).0 > 40, "{:?}", combs(&source));
    let out = fresh("out.mp4");
    let report = run(&job(&source), &out).unwrap();
    let VideoPlan::Encode { reason, .. } = &report.plan.video else {
        panic!("{:?}", report.plan.video);
    };
    assert!(reason.contains("progressive"), "{reason}");
    assert_eq!(frame_count(&out), 50);
    let (interlaced, progressive) = combs(&out);
    assert!(
        interlaced <= 6 && progressive >= 44,
        "{interlaced} {progressive}"
    );
}

#[test]
fn each_field_may_become_a_frame() {
    let mut render = job(&fields());
    render.profile.video.deinterlace = Deinterlace::Double;
    let out = fresh("out.mp4");
    run(&render, &out).unwrap();
    let frames = frame_count(&out);
    assert!((99..=100).contains(&frames), "{frames}");
    assert!(combs(&out).0 <= 12, "{:?}", combs(&out));
}

#[test]
fn interlaced_frames_may_stay_as_they_are() {
    let mut render = job(&fields());
    render.profile.video.deinterlace = Deinterlace::Off;
    render.force.video = true;
    let out = fresh("out.mp4");
    run(&render, &out).unwrap();
    assert!(combs(&out).0 > 40);
}

#[test]
fn frames_say_it_where_the_headers_are_silent() {
    // MPEG-4's headers name no order of fields; its frames do.
    let source = fixture(
        "fields.avi",
        "-f lavfi -i testsrc2=size=320x240:rate=50:duration=2 \
         -vf tinterlace=mode=interleave_top,setfield=tff \
         -c:v mpeg4 -q:v 2 -flags +ildct+ilme -top 1",
    );
    let out = fresh("out.mp4");
    run(&job(&source), &out).unwrap();
    assert_eq!(frame_count(&out), 50);
    let (interlaced, progressive) = combs(&out);
    assert!(
        interlaced <= 6 && progressive >= 44,
        "{interlaced} {progressive}"
    );
}

#[test]
fn progressive_frames_are_left_alone() {
    let source = super::support::plain();
    let report = run(&job(&source), &fresh("out.mp4")).unwrap();
    assert!(report.plan.is_remux());
    assert!(!report.source.video.unwrap().interlaced);
}
