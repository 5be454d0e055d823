//! Verification finds what is wrong, and only that.

use filmlab::media::{
    AudioExpectation, Cancel, DecodeDepth, Expectation, FileInput, Limits, MediaCode, Shape,
    Verified, verify,
};

use super::support::*;
use crate::support::require;

fn check(path: &std::path::Path, expect: &Expectation) -> Result<Verified, MediaCode> {
    verify(
        &FileInput::new(path),
        expect,
        &Limits::default(),
        &Cancel::new(),
    )
    .map_err(|error| {
        eprintln!("{error} {:?}", error.context);
        error.code
    })
}

fn whole() -> Expectation {
    Expectation {
        duration_ms: Some((4000, 100)),
        min_duration_ms: Some(3900),
        frames: Some((100, 0)),
        width: Some(640),
        height: Some(360),
        audio: AudioExpectation::Required,
        video_codec: Some("h264".to_owned()),
        audio_codec: Some("aac".to_owned()),
        ..Expectation::default()
    }
}

#[test]
fn a_good_file_passes_at_both_depths() {
    let found = check(&plain(), &whole()).unwrap();
    assert_eq!(found.frames, 100);
    assert_eq!(found.duration_ms, 4000);
    // Two groups of 50: both ends are all there is.
    assert_eq!(found.decoded_frames, 100);
    let full = Expectation {
        depth: DecodeDepth::Full,
        ..whole()
    };
    assert_eq!(check(&plain(), &full).unwrap().decoded_frames, 100);
}

#[test]
fn each_wrong_expectation_has_its_code() {
    let wrong = |change: fn(&mut Expectation)| {
        let mut expect = whole();
        change(&mut expect);
        check(&plain(), &expect).unwrap_err()
    };
    assert_eq!(
        wrong(|e| e.duration_ms = Some((5000, 200))),
        MediaCode::WrongDuration
    );
    assert_eq!(
        wrong(|e| e.min_duration_ms = Some(4500)),
        MediaCode::WrongDuration
    );
    assert_eq!(
        wrong(|e| e.frames = Some((120, 5))),
        MediaCode::FramesMissing
    );
    assert_eq!(wrong(|e| e.width = Some(1280)), MediaCode::WrongSize);
    assert_eq!(wrong(|e| e.height = Some(720)), MediaCode::WrongSize);
    // Twice a rounding to 32 pixels is the same shape; lying down, upright or square is not.
    let shape = |width, height| {
        let within = 1.2;
        let shape = Some(Shape {
            width,
            height,
            within,
        });
        check(&plain(), &Expectation { shape, ..whole() }).map(drop)
    };
    assert_eq!(
        [shape(1920, 1080), shape(848, 464), shape(640, 301)],
        [Ok(()); 3]
    );
    for (width, height) in [
        (1080, 1920),
        (640, 640),
        (640, 480),
        (640, 299),
        (2100, 900),
    ] {
        assert_eq!(
            shape(width, height),
            Err(MediaCode::WrongSize),
            "{width}×{height}"
        );
    }
    assert_eq!(
        wrong(|e| e.audio = AudioExpectation::Absent),
        MediaCode::AudioUnexpected
    );
    assert_eq!(
        wrong(|e| e.video_codec = Some("hevc".into())),
        MediaCode::WrongCodec
    );
    assert_eq!(
        check(&silent(), &whole()).unwrap_err(),
        MediaCode::AudioMissing
    );
}

#[test]
fn truncation_is_found() {
    // Several groups of pictures, and a single one that is broken by the cut.
    let one_group = fixture(
        "one-group.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=3 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3 \
         -c:v libx264 -g 250 -pix_fmt yuv420p -c:a aac -movflags +faststart",
    );
    for whole in [plain(), one_group] {
        let bytes = std::fs::read(&whole).unwrap();
        for share in [50, 60, 80, 95] {
            let cut = fresh("cut.mp4");
            std::fs::write(&cut, &bytes[..bytes.len() * share / 100]).unwrap();
            for depth in [DecodeDepth::Ends, DecodeDepth::Full] {
                let expect = Expectation {
                    depth,
                    ..Expectation::default()
                };
                let code = check(&cut, &expect).unwrap_err();
                assert_eq!(code, MediaCode::Truncated, "{whole:?} {share} %");
            }
        }
    }
}

#[test]
fn healthy_files_of_every_container_pass() {
    let names = [
        "tiny.mp4",
        "b-frames-open-gop.mp4",
        "subtitle.mkv",
        "yuv422.mkv",
        "vp9-opus.webm",
        "start-offset.ts",
        "mpeg4-mp3.avi",
        "gps.mp4",
        "edit-list.mp4",
        "rotate90-flip.mov",
        "animation.gif",
    ];
    for name in names {
        let Some(clip) = require::fixture(name) else {
            return;
        };
        check(&clip, &Expectation::default()).unwrap_or_else(|code| panic!("{name}: {code}"));
    }
    // Matroska seeks by an index at its end, which nothing has read before.
    for name in ["tiny", "b-frames-open-gop"] {
        let Some(clip) = require::fixture(&format!("{name}.mp4")) else {
            return;
        };
        let copy = fixture(
            &format!("{name}.mkv"),
            &format!("-i \"{}\" -c copy", clip.display()),
        );
        check(&copy, &Expectation::default()).unwrap_or_else(|code| panic!("{name}.mkv: {code}"));
    }
}

#[test]
fn what_verification_finds_is_told_from_what_opening_finds() {
    let stage = |path: &std::path::Path| {
        let error = verify(
            &FileInput::new(path),
            &Expectation::default(),
            &Limits::default(),
            &Cancel::new(),
        )
        .unwrap_err();
        error.context.stage.unwrap()
    };
    let text = fresh("text.mp4");
    std::fs::write(&text, "no video").unwrap();
    assert_eq!(stage(&text), "verify");
    assert_eq!(stage(&fresh("missing.mp4")), "verify");
}

#[test]
fn a_last_group_that_does_not_decode_is_found() {
    let mut bytes = std::fs::read(silent()).unwrap();
    let media = bytes
        .windows(4)
        .position(|window| window == b"mdat")
        .unwrap();
    let index = bytes
        .windows(4)
        .position(|window| window == b"moov")
        .unwrap();
    let end = if index > media {
        index - 4
    } else {
        bytes.len()
    };
    let start = media + (end - media) * 3 / 4;
    for byte in &mut bytes[start..end] {
        *byte = 0xa5;
    }
    let damaged = fresh("damaged.mp4");
    std::fs::write(&damaged, bytes).unwrap();
    assert_eq!(
        check(&damaged, &Expectation::default()).unwrap_err(),
        MediaCode::NotDecodable
    );
}

#[test]
fn open_groups_of_pictures_are_not_taken_for_damage() {
    let main = fixture(
        "open.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=6 -c:v libx264 \
         -x264-params open-gop=1:keyint=30:bframes=3 -pix_fmt yuv420p",
    );
    let hevc = fixture(
        "openhevc.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=6 -c:v libx265 -preset ultrafast \
         -x265-params log-level=error:open-gop=1:keyint=30:bframes=3 -pix_fmt yuv420p -tag:v hvc1",
    );
    for path in [main, hevc] {
        check(&path, &Expectation::default()).unwrap();
    }
}

#[test]
fn a_size_that_changes_in_mid_stream_is_found() {
    let Some(change) = require::fixture("resolution-change.ts") else {
        return;
    };
    // In the middle only: three parts, of which the first and last agree.
    let small = fixture(
        "small.ts",
        "-f lavfi -i testsrc2=size=240x240:rate=24:duration=1 -c:v libx264 -bf 0 -pix_fmt yuv420p \
         -output_ts_offset 1",
    );
    let [first, last] = [("first.ts", 0), ("last.ts", 2)].map(|(name, offset)| {
        fixture(
            name,
            &format!(
                "-f lavfi -i testsrc2=size=320x180:rate=24:duration=1 -c:v libx264 -bf 0 \
                 -pix_fmt yuv420p -output_ts_offset {offset}"
            ),
        )
    });
    let between = fresh("between.ts");
    let parts = [first, small, last].map(|path| std::fs::read(path).unwrap());
    std::fs::write(&between, parts.concat()).unwrap();
    for path in [change, between] {
        let wrong = check(&path, &Expectation::default()).unwrap_err();
        assert_eq!(wrong, MediaCode::WrongSize, "{path:?}");
    }
}

#[test]
fn pictures_that_stay_black_or_still_are_found() {
    // Moves for a second, stands still for two, is black for two.
    let main = fixture(
        "dull.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 \
         -vf tpad=stop_mode=clone:stop_duration=2,tpad=stop_mode=add:stop_duration=2:color=black -c:v libx264 -g 25 -pix_fmt yuv420p",
    );
    let expect = |black: Option<u64>, frozen: Option<u64>| Expectation {
        max_black_ms: black,
        max_frozen_ms: frozen,
        ..Expectation::default()
    };
    let black = check(&main, &expect(Some(1500), None)).unwrap_err();
    assert_eq!(black, MediaCode::PictureBlack);
    let frozen = check(&main, &expect(None, Some(1500))).unwrap_err();
    assert_eq!(frozen, MediaCode::PictureFrozen);
    let found = check(&main, &expect(Some(2500), Some(2500))).unwrap();
    assert!(found.black_ms.unwrap().abs_diff(2000) <= 120, "{found:?}");
    assert!(found.frozen_ms.unwrap().abs_diff(2000) <= 120, "{found:?}");
    // Nobody looks unless asked to, and a lively picture passes.
    assert_eq!(check(&main, &expect(None, None)).unwrap().black_ms, None);
    check(&plain(), &expect(Some(0), Some(300))).unwrap();
}

/// What a result of ours has to be besides.
fn own() -> Expectation {
    Expectation {
        own: true,
        ..Expectation::default()
    }
}

#[test]
fn a_sample_table_that_holds_less_than_is_claimed_is_found() {
    let good = fresh("good.mp4");
    run(&job(&plain()), &good).unwrap();
    assert_eq!(check(&good, &own()).unwrap().begins_ms, 0);
    // All pictures but the last are shown for half of their time, and the header still claims
    // four seconds.
    let mut bytes = std::fs::read(&good).unwrap();
    let table = bytes.windows(4).position(|four| four == b"stts").unwrap();
    let length = table + 4 + 8 + 4;
    let ticks = u32::from_be_bytes(bytes[length..length + 4].try_into().unwrap());
    bytes[length..length + 4].copy_from_slice(&(ticks / 2).to_be_bytes());
    let short = fresh("short.mp4");
    std::fs::write(&short, bytes).unwrap();
    assert_eq!(check(&short, &own()), Err(MediaCode::WrongDuration));
    // Whatever others write is another matter.
    assert_eq!(check(&short, &Expectation::default()).unwrap().frames, 100);
}

#[test]
fn a_picture_that_does_not_stand_at_zero_is_found() {
    let late = fixture(
        "late.mp4",
        "-itsoffset 0.5 -f lavfi -i testsrc2=size=320x180:rate=25:duration=1 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=1.5 \
         -map 0:v -map 1:a -fps_mode passthrough -c:v libx264 -preset veryfast \
         -pix_fmt yuv420p -c:a aac",
    );
    let found = check(&late, &Expectation::default()).unwrap();
    assert!(found.begins_ms.abs_diff(500) < 30, "{found:?}");
    assert_eq!(check(&late, &own()), Err(MediaCode::WrongDuration));
}

#[test]
fn sound_that_is_announced_and_gone_is_no_sound() {
    let name = "cases/mp4-fragments-without-the-sound.mp4";
    let Some(empty) = require::fixture(name) else {
        return;
    };
    let required = Expectation {
        audio: AudioExpectation::Required,
        ..Expectation::default()
    };
    assert_eq!(check(&empty, &required), Err(MediaCode::AudioMissing));
    // Whoever made it: the source's sound can be put back.
    let found = check(&empty, &Expectation::default()).unwrap();
    assert_eq!(found.probe.audio, None);
    assert_eq!(found.probe.unused_audio[0].reason, "nothing comes on it");
    // And if the source's is announced only, too, there is none, and the plan says so.
    let mut render = job(&silent());
    render.audio_source = Some(input(&empty));
    let out = fresh("out.mp4");
    let report = run(&render, &out).unwrap();
    let filmlab::media::AudioPlan::None { reason } = &report.plan.audio else {
        panic!("{:?}", report.plan.audio);
    };
    assert!(reason.contains("nothing comes"), "{reason}");
    assert!(ffprobe(&out, "a", "stream=codec_name").is_empty());
}
