//! Copying: when it is right, what it costs, and the way out when it is not.

use std::path::Path;

use filmlab::media::{Event, Force, MediaCode, Report, VideoPlan};

use super::support::*;
use crate::support::require;

fn reason(report: &Report) -> (&'static str, &str) {
    match &report.plan.video {
        VideoPlan::Copy { reason } => ("copy", reason),
        VideoPlan::Encode { reason, .. } => ("encode", reason),
    }
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn a_copy_can_be_refused() {
    let out = fresh("out.mp4");
    let mut render = job(&plain());
    render.force = Force {
        video: true,
        ..Force::default()
    };
    let report = run(&render, &out).unwrap();
    assert_eq!(reason(&report), ("encode", "re-encoding was asked for"));
    assert_ne!(packet_hashes(&plain(), "v"), packet_hashes(&out, "v"));
    assert_eq!(packet_hashes(&plain(), "a"), packet_hashes(&out, "a"));
}

#[test]
fn a_quality_no_player_could_show_is_refused() {
    for crf in [0.0, 0.5, 52.0, f32::NAN] {
        let out = fresh("out.mp4");
        let mut render = encoding(&plain());
        render.profile.video.crf = crf;
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code, MediaCode::InvalidProfile, "{crf}");
        assert_alone(&out, &[]);
    }
    let out = fresh("out.mp4");
    let mut render = encoding(&plain());
    render.profile.video.crf = 1.0;
    run(&render, &out).unwrap();
    assert_eq!(ffprobe(&out, "v", "stream=profile"), ["High"]);
}

#[test]
fn damaged_pictures_are_encoded_where_a_copy_would_not_decode() {
    let Some(main) = require::fixture("damaged.mp4") else {
        return;
    };
    let out = fresh("out.mp4");
    let (report, events) = run_events(&job(&main), &out);
    assert_eq!(reason(&report), ("encode", "its damaged frames are mended"));
    assert!(report.damage.bad_frames + report.damage.bad_packets > 0);
    let plans = events
        .iter()
        .filter(|event| matches!(event, Event::Planned(_)));
    assert_eq!(plans.count(), 2);
    assert!(report.frames.abs_diff(48) <= 2, "{}", report.frames);
    assert_eq!(frame_count(&out), report.frames);
    assert_alone(&out, &["out.mp4"]);

    // Once, and only as far as damage is tolerated.
    let out = fresh("out.mp4");
    let mut strict = job(&main);
    strict.limits.max_damage = 0.0;
    let error = run(&strict, &out).unwrap_err();
    assert_eq!(error.code, MediaCode::DamagedMedia);
    assert_alone(&out, &[]);
}

#[test]
fn a_size_that_changes_is_never_copied() {
    let Some(main) = require::fixture("resolution-change.ts") else {
        return;
    };
    let out = fresh("out.mp4");
    let report = run(&job(&main), &out).unwrap();
    assert_eq!(
        reason(&report),
        ("encode", "it changes in mid-stream and becomes one")
    );
    assert_eq!(
        ffprobe(&out, "v", "stream=width,height"),
        ["320", "180"],
        "{report:?}"
    );
    assert_eq!((report.frames, frame_count(&out)), (48, 48));
    let sizes = ffprobe(&out, "v", "frame=width,height");
    assert!(sizes.chunks(2).all(|size| size == ["320", "180"]));
}

#[test]
fn the_index_takes_little_room_and_still_stands_first() {
    for (name, most) in [("single-frame.mp4", 8 << 10), ("tiny.mp4", 12 << 10)] {
        let Some(main) = require::fixture(name) else {
            return;
        };
        let out = fresh("out.mp4");
        let report = run(&job(&main), &out).unwrap();
        let more = bytes(&out).saturating_sub(bytes(&main));
        assert!(report.faststart && more < most, "{name}: {more} bytes more");
    }
    // Neither frames nor a steady rate are known: slow at first, then fast.
    let uneven = fixture(
        "uneven.mkv",
        "-f lavfi -i testsrc2=size=160x120:rate=60:duration=60 \
         -vf select='not(mod(n,30))+gt(t,12)' -fps_mode passthrough \
         -c:v libx264 -preset ultrafast -crf 35 -pix_fmt yuv420p",
    );
    for render in [job(&uneven), encoding(&uneven)] {
        let out = fresh("out.mp4");
        let report = run(&render, &out).unwrap();
        assert!(report.faststart, "{:?}", report.plan);
    }
}

#[test]
fn two_writers_to_one_place_do_not_mix() {
    use filmlab::media::{FileOutput, Output};
    use std::io::Write;

    let out = fresh("out.bin");
    let (mut one, mut two) = (FileOutput::new(&out), FileOutput::new(&out));
    let (mut first, mut second) = (one.create().unwrap(), two.create().unwrap());
    first.write_all(b"first").unwrap();
    second.write_all(b"second, longer").unwrap();
    one.commit().unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), b"first");
    two.commit().unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), b"second, longer");
    assert_alone(&out, &["out.bin"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let plain = out.with_file_name("plain");
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&out), mode(&plain));
    }

    let mut dropped = FileOutput::new(&out);
    dropped.create().unwrap().write_all(b"x").unwrap();
    // Opening again begins anew and leaves nothing of the first.
    dropped.create().unwrap();
    drop(dropped);
    std::fs::remove_file(out.with_file_name("plain")).unwrap();
    assert_alone(&out, &["out.bin"]);
}
