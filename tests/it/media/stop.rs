//! Cancellation, deadline and limits: nothing is left behind.

use std::time::{Duration, Instant};

use filmlab::media::{
    Cancel, CancelReason, Event, FileInput, FileOutput, Limits, MediaCode, Render, probe,
};

use super::support::*;

fn long() -> std::path::PathBuf {
    fixture(
        "long.mp4",
        "-f lavfi -i testsrc2=size=1280x720:rate=25:duration=20 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    )
}

fn slow(main: &std::path::Path) -> Render {
    let mut render = encoding(main);
    render.profile.video.preset = filmlab::media::Preset::Slower;
    render
}

#[test]
fn cancelling_midway_leaves_nothing() {
    let out = fresh("out.mp4");
    let cancel = Cancel::new();
    let mut output = FileOutput::new(&out);
    let mut render = slow(&long());
    render.poster = Some(out.with_file_name("poster.jpg").into());
    let started = Instant::now();
    let error = filmlab::media::render(&render, &mut output, &cancel, &mut |event| {
        if matches!(event, Event::Progress(p) if p.frames > 5) {
            cancel.cancel(CancelReason::LeaseLost);
        }
    })
    .unwrap_err();
    assert_eq!(error.code, MediaCode::Cancelled);
    assert!(error.message.contains("lease_lost"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_alone(&out, &[]);
}

#[test]
fn the_deadline_ends_it() {
    let out = fresh("out.mp4");
    let mut render = slow(&long());
    render.limits.deadline_ms = Some(700);
    let started = Instant::now();
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::DeadlineExceeded
    );
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_alone(&out, &[]);
}

#[test]
fn an_earlier_result_survives_a_failure() {
    let out = fresh("out.mp4");
    std::fs::write(&out, b"earlier").unwrap();
    let mut render = encoding(&plain());
    render.limits.max_output_bytes = 20_000;
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::OutputTooLarge
    );
    assert_eq!(std::fs::read(&out).unwrap(), b"earlier");
    assert_alone(&out, &["out.mp4"]);
}

#[test]
fn every_limit_has_its_own_code() {
    let refused = |limits: Limits| {
        probe(&FileInput::new(plain()), &limits, &Cancel::new())
            .unwrap_err()
            .code
    };
    let default = Limits::default;
    assert_eq!(
        refused(Limits {
            max_bytes: 1000,
            ..default()
        }),
        MediaCode::InputTooLarge
    );
    assert_eq!(
        refused(Limits {
            max_streams: 1,
            ..default()
        }),
        MediaCode::TooManyStreams
    );
    assert_eq!(
        refused(Limits {
            max_pixels: 640 * 359,
            ..default()
        }),
        MediaCode::TooManyPixels
    );
    assert_eq!(
        refused(Limits {
            max_fps: 24.0,
            ..default()
        }),
        MediaCode::FrameRateTooHigh
    );
    assert_eq!(
        refused(Limits {
            max_duration_ms: 3999,
            ..default()
        }),
        MediaCode::TooLong
    );
    assert_eq!(
        refused(Limits {
            max_frames: 99,
            ..default()
        }),
        MediaCode::TooManyFrames
    );
    assert_eq!(
        refused(Limits {
            deadline_ms: Some(0),
            ..default()
        }),
        MediaCode::DeadlineExceeded
    );
    let cancel = Cancel::new();
    cancel.cancel(CancelReason::Shutdown);
    let error = probe(&FileInput::new(plain()), &default(), &cancel).unwrap_err();
    assert_eq!(error.code, MediaCode::Cancelled);
}

#[test]
fn frames_are_counted_while_decoding_because_headers_lie() {
    // Matroska does not say how many frames there are.
    let main = fixture(
        "plain.mkv",
        &format!("-i \"{}\" -c copy", plain().display()),
    );
    let out = fresh("out.mp4");
    let mut render = encoding(&main);
    render.limits.max_frames = 50;
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::TooManyFrames
    );
    assert_alone(&out, &[]);
}

#[test]
fn an_unwritable_output_says_so() {
    let mut render = job(&plain());
    let missing = fresh("x").join("no/such/folder/out.mp4");
    assert_eq!(
        run(&render, &missing).unwrap_err().code,
        MediaCode::OutputUnwritable
    );
    let folder = fresh("folder");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(
        run(&render, &folder).unwrap_err().code,
        MediaCode::OutputUnwritable
    );
    let out = fresh("out.mp4");
    render.poster = Some(out.with_file_name("none").join("poster.jpg").into());
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::OutputUnwritable
    );
    assert_alone(&out, &[]);
}
