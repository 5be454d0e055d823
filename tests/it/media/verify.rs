//! Verification finds what is wrong, and only that.

use filmlab::media::{
    AudioExpectation, Cancel, DecodeDepth, Expectation, FileInput, Limits, MediaCode, Verified,
    verify,
};

use super::support::*;

fn check(path: &std::path::Path, expect: &Expectation) -> Result<Verified, MediaCode> {
    verify(
        &FileInput::new(path),
        expect,
        &Limits::default(),
        &Cancel::new(),
    )
    .map_err(|e| e.code)
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
        depth: DecodeDepth::Ends,
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
    let bytes = std::fs::read(plain()).unwrap();
    for share in [50, 80, 95] {
        let cut = fresh("cut.mp4");
        std::fs::write(&cut, &bytes[..bytes.len() * share / 100]).unwrap();
        let code = check(&cut, &Expectation::default()).unwrap_err();
        assert!(
            matches!(code, MediaCode::Truncated | MediaCode::NotDecodable),
            "{share} %: {code}"
        );
    }
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
