//! What really happens to results, as files that are really broken that way.

use filmlab::media::{
    AudioExpectation, Cancel, Checks, DecodeDepth, Expectation, FileInput, Limits, MediaCode,
    Verified, VideoPlan, Watermark, is_audible, verify,
};

use super::support::*;

fn check(path: &std::path::Path, expect: &Expectation) -> Result<Verified, MediaCode> {
    let input = FileInput::new(path);
    verify(&input, expect, &Limits::default(), &Cancel::new()).map_err(|error| {
        eprintln!("{error} {:?}", error.context);
        error.code
    })
}

/// Two seconds of moving picture with a sound of its own.
fn with_sound(name: &str, sound: &str, codec: &str) -> std::path::PathBuf {
    fixture(
        name,
        &format!(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -f lavfi -i {sound} \
             -t 2 -c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p {codec}"
        ),
    )
}

fn nothing_heard() -> std::path::PathBuf {
    with_sound(
        "nothing.mp4",
        "anullsrc=channel_layout=stereo:sample_rate=48000",
        "-c:a aac",
    )
}

#[test]
fn digital_silence_is_not_sound() {
    let audible = Expectation {
        audible: true,
        ..Expectation::default()
    };
    let silent = nothing_heard();
    assert_eq!(check(&silent, &audible), Err(MediaCode::AudioSilent));
    let listened = Expectation {
        listen: true,
        ..Expectation::default()
    };
    assert_eq!(check(&silent, &listened).unwrap().audible, Some(false));
    assert_eq!(
        check(&silent, &Expectation::default()).unwrap().audible,
        None
    );
    // A quiet room is a sound, and so is one that comes at the end only.
    let quiet = with_sound(
        "quiet.mkv",
        "anoisesrc=sample_rate=48000:amplitude=0.001:seed=1:color=brown",
        "-c:a libopus",
    );
    let late = with_sound(
        "late-tone.avi",
        "aevalsrc=sin(2*PI*440*t)*gt(t\\,1.8)/8:s=44100",
        "-c:a pcm_s16le",
    );
    for path in [&quiet, &late, &plain()] {
        assert_eq!(
            check(path, &audible).unwrap().audible,
            Some(true),
            "{path:?}"
        );
    }
    let heard = |path: &std::path::Path| {
        let input = FileInput::new(path);
        is_audible(&input, &Limits::default(), &Cancel::new()).unwrap()
    };
    assert!(heard(&late) && heard(&quiet));
    assert!(!heard(&nothing_heard()) && !heard(&super::support::silent()));
}

#[test]
fn a_silent_track_gives_way_to_the_sources_sound() {
    for render in [encoding(&nothing_heard()), job(&nothing_heard())] {
        let out = fresh("out.mp4");
        let mut render = render;
        render.audio_source = Some(input(&plain()));
        render.main_is_silent = true;
        let report = run(&render, &out).unwrap();
        let hashes = packet_hashes(&out, "a");
        assert_eq!(
            hashes[..80],
            packet_hashes(&plain(), "a")[..80],
            "{:?}",
            report.plan
        );
        assert!((seconds(&out, "a") - 2.0).abs() < 0.05);
        // Nothing is put back where the source has no sound either.
        render.audio_source = Some(input(&silent()));
        let out = fresh("out.mp4");
        run(&render, &out).unwrap();
        let kept = packet_hashes(&out, "a");
        assert_eq!(kept, packet_hashes(&nothing_heard(), "a"));
    }
}

#[test]
fn what_players_do_not_know_is_found_and_encoded_anew() {
    let source = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -c:v libx264";
    for (name, options) in [
        ("p444.mp4", "-pix_fmt yuv444p"),
        ("p10.mp4", "-pix_fmt yuv420p10le"),
        // Lossless: 4:2:0, and a profile that browsers refuse all the same.
        ("lossless.mp4", "-pix_fmt yuv420p -qp 0"),
        ("level.mp4", "-pix_fmt yuv420p -level 6.2"),
    ] {
        let path = fixture(name, &format!("{source} {options}"));
        let playable = Expectation {
            playable: true,
            ..Expectation::default()
        };
        assert_eq!(
            check(&path, &playable),
            Err(MediaCode::NotPlayable),
            "{name}"
        );
        check(&path, &Expectation::default()).unwrap();
        let out = fresh("out.mp4");
        let report = run(&job(&path), &out).unwrap();
        assert!(
            matches!(report.plan.video, VideoPlan::Encode { .. }),
            "{name}: {:?}",
            report.plan
        );
        check(&out, &playable).unwrap();
        assert_eq!(ffprobe(&out, "v", "stream=profile"), ["High"], "{name}");
    }
}

/// Moves for a second, stands still for two, is black for two.
fn dull() -> std::path::PathBuf {
    fixture(
        "dull-with-sound.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 \
         -vf tpad=stop_mode=clone:stop_duration=2,tpad=stop_mode=add:stop_duration=2:color=black \
         -c:v libx264 -g 25 -pix_fmt yuv420p",
    )
}

#[test]
fn black_and_frozen_pictures_are_found_while_they_are_made() {
    // A mark on a black picture makes it no less black.
    let mut marked = encoding(&dull());
    marked.watermarks = vec![Watermark {
        image: input(&logo()),
        placement: filmlab::media::Placement::default(),
    }];
    for render in [marked, encoding(&dull()), job(&dull())] {
        let found = |max_black_ms, max_frozen_ms| {
            let out = fresh("out.mp4");
            let mut render = render.clone();
            render.checks = Checks {
                max_black_ms,
                max_frozen_ms,
                ..Checks::default()
            };
            let code = run(&render, &out).err().map(|error| error.code);
            assert_alone(&out, if code.is_some() { &[] } else { &["out.mp4"] });
            code
        };
        assert_eq!(found(Some(1500), None), Some(MediaCode::PictureBlack));
        assert_eq!(found(None, Some(1500)), Some(MediaCode::PictureFrozen));
        assert_eq!(found(Some(2500), Some(2500)), None);
        assert_eq!(found(None, None), None);
    }
}

/// Four groups of 25 frames; of the one that begins at this share of the media, some bytes are
/// overwritten.
fn overwritten(share: f64) -> std::path::PathBuf {
    let whole = fixture(
        "four-groups.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4 -c:v libx264 -preset veryfast \
         -x264-params keyint=25:scenecut=0 -pix_fmt yuv420p",
    );
    let mut bytes = std::fs::read(&whole).unwrap();
    let media = bytes.windows(4).position(|part| part == b"mdat").unwrap();
    let index = bytes.windows(4).position(|part| part == b"moov").unwrap();
    let end = if index > media { index } else { bytes.len() };
    let at = media + ((end - media) as f64 * share) as usize;
    bytes[at..at + (end - media) / 20].fill(0xa5);
    let damaged = fresh("damaged.mp4");
    std::fs::write(&damaged, bytes).unwrap();
    damaged
}

#[test]
fn damage_in_the_middle_is_found_by_decoding_everything() {
    let damaged = overwritten(0.6);
    let depth = |depth| Expectation {
        depth,
        ..Expectation::default()
    };
    check(&damaged, &depth(DecodeDepth::Ends)).unwrap();
    assert_eq!(
        check(&damaged, &depth(DecodeDepth::Full)),
        Err(MediaCode::NotDecodable)
    );
    // A copy of it would not be whole: where every frame is decoded it is mended.
    let mut render = job(&damaged);
    render.limits.max_damage = 0.5;
    assert!(run(&render, &fresh("copy.mp4")).unwrap().plan.is_remux());
    render.checks.full_decode = true;
    let out = fresh("mended.mp4");
    let report = run(&render, &out).unwrap();
    assert!(!report.plan.is_remux(), "{:?}", report.plan);
    check(&out, &depth(DecodeDepth::Full)).unwrap();
}

#[test]
fn a_strict_pass_ends_at_damage_and_is_the_same_without_any() {
    let strict = |mut render: filmlab::media::Render, out: &std::path::Path| {
        render.strict = true;
        render.limits.max_damage = 0.5;
        run(&render, out).map_err(|error| (error.code, error.context.stage))
    };
    let bad = Err((MediaCode::NotDecodable, Some("decode".to_owned())));
    for share in [0.1, 0.6, 0.9] {
        let damaged = overwritten(share);
        let out = fresh("out.mp4");
        assert_eq!(strict(encoding(&damaged), &out).map(|_| ()), bad, "{share}");
        assert_alone(&out, &[]);
        let mut mending = encoding(&damaged);
        mending.limits.max_damage = 0.5;
        let report = run(&mending, &out).unwrap();
        assert!(report.damage.bad_packets + report.damage.bad_frames > 0);
        // What it continues is not what is strictly looked at.
        let mut after = encoding(&plain());
        after.before = Some(input(&damaged));
        assert!(strict(after, &fresh("joined.mp4")).is_ok());
        let mut after = encoding(&damaged);
        after.before = Some(input(&plain()));
        assert_eq!(strict(after, &fresh("joined.mp4")).map(|_| ()), bad);
    }
    let [one, other] = [fresh("one.mp4"), fresh("other.mp4")];
    strict(encoding(&plain()), &one).unwrap();
    run(&encoding(&plain()), &other).unwrap();
    assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap());
}

#[test]
fn packets_alone_tell_a_whole_file_and_one_that_is_cut() {
    let packets = Expectation {
        depth: DecodeDepth::Packets,
        frames: Some((100, 0)),
        audio: AudioExpectation::Required,
        audible: true,
        ..Expectation::default()
    };
    let found = check(&plain(), &packets).unwrap();
    assert_eq!((found.frames, found.decoded_frames), (100, 0));
    assert_eq!(found.duration_ms, 4000);
    let bytes = std::fs::read(plain()).unwrap();
    let cut = fresh("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    assert_eq!(check(&cut, &packets), Err(MediaCode::Truncated));
}
