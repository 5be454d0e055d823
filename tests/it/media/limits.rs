//! Each limit, just below and just at what an input needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use filmlab::media::{Cancel, CancelReason, FileInput, Limits, MediaCode, Render, probe};

use super::support::*;

const SMALL: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p";

/// 64×48, 25 fps, four seconds: 100 frames.
fn four_seconds() -> PathBuf {
    fixture(
        "four-seconds.mp4",
        &format!("-f lavfi -i testsrc2=size=64x48:rate=25:duration=4 {SMALL}"),
    )
}

/// The same, the second half of which claims to come `seconds` later. Matroska goes on saying that
/// there are 25 frames a second.
fn with_gap(seconds: u32) -> PathBuf {
    let later = format!("setpts=PTS+if(gte(N\\,50)\\,{seconds}/TB\\,0)");
    fixture(
        &format!("gap-{seconds}.mkv"),
        &format!(
            "-i \"{}\" -vf {later} -fps_mode passthrough {SMALL}",
            four_seconds().display()
        ),
    )
}

/// A picture every `every` seconds, `count` of them.
fn slide_show(every: u32, count: u32) -> PathBuf {
    fixture(
        &format!("slides-{every}-{count}.mp4"),
        &format!(
            "-f lavfi -i testsrc2=size=64x48:rate=1/{every}:duration={} {SMALL}",
            every * count
        ),
    )
}

/// Brought to ten frames a second.
fn thinned(main: &Path) -> Render {
    let mut render = encoding(main);
    render.profile.video.max_fps = Some(10.0);
    render
}

/// Continued by 25 frames a second, which both get.
fn continued(before: &Path) -> Render {
    let mut render = encoding(&four_seconds());
    render.before = Some(input(before));
    render
}

#[test]
fn a_forged_gap_is_not_filled_with_copies() {
    let forged = with_gap(20 * 60);
    for render in [thinned(&forged), continued(&forged)] {
        let out = fresh("out.mp4");
        let began = Instant::now();
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code, MediaCode::TooManyDuplicates, "{error:?}");
        assert_eq!(error.context.stage.as_deref(), Some("filter"));
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_alone(&out, &[]);
    }
    // Where frames keep their times, nothing has to be filled.
    let out = fresh("out.mp4");
    assert_eq!(run(&encoding(&forged), &out).unwrap().frames, 100);
}

#[test]
fn the_second_part_of_a_joined_video_has_a_count_of_its_own() {
    // Ten pictures of ten seconds would pay for the gap.
    let mut render = encoding(&with_gap(20 * 60));
    render.before = Some(input(&slide_show(10, 10)));
    let out = fresh("out.mp4");
    let error = run(&render, &out).unwrap_err();
    assert_eq!(error.code, MediaCode::TooManyDuplicates, "{error:?}");
    // And what the first has used up is not missing from it.
    let out = fresh("out.mp4");
    let report = run(&continued(&with_gap(100)), &out).unwrap();
    assert_eq!(report.frames, 100 + 2500 + 100);
}

#[test]
fn slow_sources_are_filled_whole() {
    for (slow, seconds) in [
        (slide_show(1, 150), 150),
        (slide_show(20, 15), 300),
        // One picture alone.
        (slide_show(180, 1), 180),
    ] {
        let out = fresh("out.mp4");
        let report = run(&continued(&slow), &out).unwrap();
        let frames = (seconds + 4) * 25;
        assert!(
            report.frames.abs_diff(frames) <= 1,
            "{} of {frames}",
            report.frames
        );
    }
}

type Set = Box<dyn Fn(&mut Limits, bool)>;

/// A setting that decides whether an input passes.
struct Row {
    setting: &'static str,
    code: MediaCode,
    render: Render,
    /// Sets it to the least with which the input passes, or to less.
    set: Set,
}

fn row(
    setting: &'static str,
    code: MediaCode,
    render: Render,
    set: impl Fn(&mut Limits, bool) + 'static,
) -> Row {
    Row {
        setting,
        code,
        render,
        set: Box::new(set),
    }
}

/// A transport stream of sound, whose picture begins three seconds later, and where in the file.
fn late_picture() -> (PathBuf, u64) {
    let path = fixture(
        "late-picture.ts",
        &format!(
            "-f lavfi -i sine=sample_rate=48000:duration=7 -itsoffset 3 -i \"{}\" -map 1:v -map 0:a \
             -c:v copy -c:a aac -b:a 192k -muxdelay 0 -muxpreload 0",
            four_seconds().display()
        ),
    );
    let bytes = std::fs::read(&path).unwrap();
    // The muxer gives the first stream the packet identifier 0x100.
    let at = bytes
        .chunks(188)
        .position(|packet| (packet[1] & 0x1f, packet[2]) == (1, 0))
        .unwrap();
    (path, at as u64 * 188)
}

/// [`plain`] with damaged packets in it, and the share of them.
fn damaged() -> (Render, f64) {
    let mut bytes = std::fs::read(plain()).unwrap();
    let media = bytes.windows(4).position(|name| name == b"mdat").unwrap() + 8;
    for start in (media + 5_000..bytes.len() - 400).step_by(60_000) {
        for byte in &mut bytes[start..start + 400] {
            *byte ^= 0x5a;
        }
    }
    let path = fresh("damaged.mp4");
    std::fs::write(&path, bytes).unwrap();
    let mut render = encoding(&path);
    render.limits.max_damage = 1.0;
    let damage = run(&render, &fresh("out.mp4")).unwrap().damage;
    let bad = damage.bad_packets.max(damage.bad_frames);
    assert!(bad > 0 && bad < 100, "{damage:?}");
    (render, bad as f64 / 100.0)
}

/// The last quarter of the bytes is missing; the index stands first.
fn cut() -> PathBuf {
    let bytes = std::fs::read(plain()).unwrap();
    let path = fresh("cut.mp4");
    std::fs::write(&path, &bytes[..bytes.len() * 3 / 4]).unwrap();
    path
}

/// What is seen before anything is decoded.
fn rows_of_headers() -> Vec<Row> {
    let clip = four_seconds();
    let length = std::fs::metadata(&clip).unwrap().len();
    let (late, picture_at) = late_picture();
    // libav counts what is in the packets, not the packets.
    assert!(picture_at > 2 * (16 << 10), "{picture_at}");
    vec![
        row(
            "max_bytes",
            MediaCode::InputTooLarge,
            encoding(&clip),
            move |limits, enough| {
                limits.max_bytes = length - u64::from(!enough);
            },
        ),
        row(
            "max_streams",
            MediaCode::TooManyStreams,
            encoding(&plain()),
            |limits, enough| {
                limits.max_streams = 1 + u32::from(enough);
            },
        ),
        row(
            "probe_size",
            MediaCode::ProbeLimit,
            encoding(&late),
            move |limits, enough| {
                limits.probe_size = if enough {
                    picture_at + (16 << 10)
                } else {
                    16 << 10
                };
            },
        ),
        row(
            "analyze_duration_ms",
            MediaCode::ProbeLimit,
            encoding(&late),
            |limits, enough| {
                limits.analyze_duration_ms = if enough { 3500 } else { 2500 };
            },
        ),
        row(
            "max_pixels",
            MediaCode::TooManyPixels,
            encoding(&clip),
            |limits, enough| {
                limits.max_pixels = 64 * 48 - u64::from(!enough);
            },
        ),
        row(
            "max_fps",
            MediaCode::FrameRateTooHigh,
            encoding(&clip),
            |limits, enough| {
                limits.max_fps = if enough { 25.0 } else { 24.99 };
            },
        ),
    ]
}

/// What is seen while working.
fn rows_of_work() -> Vec<Row> {
    let clip = four_seconds();
    let result = run(&encoding(&clip), &fresh("out.mp4")).unwrap().bytes;
    let (damaged, share) = damaged();
    vec![
        row(
            "max_duration_ms",
            MediaCode::TooLong,
            encoding(&clip),
            |limits, enough| {
                limits.max_duration_ms = 4000 - u64::from(!enough);
            },
        ),
        row(
            "max_frames",
            MediaCode::TooManyFrames,
            encoding(&clip),
            |limits, enough| {
                limits.max_frames = 100 - u64::from(!enough);
            },
        ),
        // 2600 frames of 100, which are worth 99 and 250 for the one that is shown longest, and
        // 1500 that are always allowed.
        row(
            "max_duplication",
            MediaCode::TooManyDuplicates,
            continued(&with_gap(100)),
            |limits, enough| limits.max_duplication = 3 + u32::from(enough),
        ),
        row(
            "max_output_bytes",
            MediaCode::OutputTooLarge,
            encoding(&clip),
            move |limits, enough| {
                limits.max_output_bytes = result - u64::from(!enough);
            },
        ),
        // What is needed is not known to the millisecond.
        row(
            "deadline_ms",
            MediaCode::DeadlineExceeded,
            encoding(&clip),
            |limits, enough| {
                limits.deadline_ms = Some(if enough { 120_000 } else { 1 });
            },
        ),
        row(
            "max_damage",
            MediaCode::DamagedMedia,
            damaged,
            move |limits, enough| {
                limits.max_damage = if enough { share } else { share - 0.001 };
            },
        ),
        row(
            "allow_truncated",
            MediaCode::Truncated,
            encoding(&cut()),
            |limits, enough| {
                // What the cut has torn is damage besides.
                limits.max_damage = 0.5;
                limits.allow_truncated = enough;
            },
        ),
    ]
}

#[test]
fn each_limit_refuses_with_its_own_code_just_below_what_is_needed() {
    let mut rows = rows_of_headers();
    rows.extend(rows_of_work());
    for row in &rows {
        let mut render = row.render.clone();
        let out = fresh("out.mp4");
        (row.set)(&mut render.limits, false);
        let error = run(&render, &out).expect_err(row.setting);
        assert_eq!(error.code, row.code, "{}: {error:?}", row.setting);
        assert_alone(&out, &[]);
        (row.set)(&mut render.limits, true);
        let passed = run(&render, &out);
        assert!(passed.is_ok(), "{}: {passed:?}", row.setting);
    }
    let tried: BTreeSet<_> = rows.iter().map(|row| row.setting).collect();
    let settings = serde_json::to_value(Limits::default()).unwrap();
    let settings: BTreeSet<_> = settings.as_object().unwrap().keys().cloned().collect();
    assert!(settings.iter().eq(tried.iter()), "{settings:?} {tried:?}");
    let mut settings_of = BTreeMap::<&str, Vec<&str>>::new();
    for row in &rows {
        settings_of
            .entry(row.code.as_str())
            .or_default()
            .push(row.setting);
    }
    settings_of.retain(|_, settings| settings.len() > 1);
    // Both bound one thing.
    let shared = BTreeMap::from([("probe_limit", vec!["probe_size", "analyze_duration_ms"])]);
    assert_eq!(settings_of, shared);
}

/// It is set for a whole process.
#[test]
fn no_piece_of_memory_is_larger_than_allowed() {
    // A plane of 4096 × 2160 in 10 bit takes 17 MiB.
    let large = fixture(
        "large.mp4",
        "-f lavfi -i color=size=4096x2160:rate=25:duration=0.04 -c:v libx264 -preset ultrafast \
         -pix_fmt yuv420p10le",
    );
    let process = |most: &str| {
        let out = fresh("out.mp4");
        let ran = Command::new(env!("CARGO_BIN_EXE_filmlab"))
            .args(["process", "--profile", "small", "--output"])
            .args([&out, &large])
            .env_clear()
            .env("FILMLAB_LIMITS__MAX_ALLOCATION", most)
            .current_dir(out.parent().unwrap())
            .output()
            .unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let (status, told) = process("16 MiB");
    assert_eq!(status, Some(65), "{told}");
    assert!(told.starts_with("filmlab: memory_limit: "), "{told}");
    let (status, told) = process("24 MiB");
    assert_eq!(status, Some(0), "{told}");
}

/// A copy of a Matroska file whose header claims another length.
fn claiming(path: &Path, seconds: f64) -> PathBuf {
    let mut bytes = std::fs::read(path).unwrap();
    // The element Duration, 8 bytes long, in milliseconds.
    let head = [0x44, 0x89, 0x88];
    let at = bytes.windows(3).position(|id| id == head).unwrap() + 3;
    bytes[at..at + 8].copy_from_slice(&(seconds * 1000.0).to_be_bytes());
    let out = fresh("claiming.mkv");
    std::fs::write(&out, bytes).unwrap();
    out
}

#[test]
fn headers_that_lie_are_found_out_while_decoding() {
    let main = fixture(
        "four-seconds.mkv",
        &format!("-i \"{}\" -c copy", four_seconds().display()),
    );
    let lying = claiming(&main, 0.5);
    let found = probe(&FileInput::new(&lying), &Limits::default(), &Cancel::new()).unwrap();
    assert_eq!(found.container.duration_ms, 500);
    let codes = [
        (MediaCode::TooManyFrames, 99, 600_000),
        (MediaCode::TooLong, 240_000, 3_000),
    ];
    for (code, max_frames, max_duration_ms) in codes {
        let limits = Limits {
            max_frames,
            max_duration_ms,
            ..Limits::default()
        };
        // The headers are within.
        probe(&FileInput::new(&lying), &limits, &Cancel::new()).unwrap();
        for mut render in [encoding(&lying), job(&lying)] {
            let out = fresh("out.mp4");
            render.limits = limits.clone();
            let error = run(&render, &out).unwrap_err();
            assert_eq!(error.code, code, "{error:?}");
            assert_alone(&out, &[]);
        }
    }
}

#[test]
fn work_that_was_stopped_before_it_began_does_not_begin() {
    let cancel = Cancel::new();
    cancel.cancel(CancelReason::Shutdown);
    let error = probe(&FileInput::new(plain()), &Limits::default(), &cancel).unwrap_err();
    assert_eq!(error.code, MediaCode::Cancelled);
}
