//! What phones, browsers' recorders, cameras, live servers and editors write: each file
//! of `scripts/cases` has one trait, and comes out right or is refused in words.

use std::path::PathBuf;

use filmlab::media::{
    AudioPlan, AudioTrack, Cancel, FileInput, Limits, MediaCode, MediaError, Report, VideoPlan,
    probe,
};

use super::support::*;
use crate::support::require;

fn case(name: &str) -> Option<PathBuf> {
    require::fixture(&format!("cases/{name}"))
}

/// What has to come of a file.
struct Right {
    name: &'static str,
    frames: u64,
    /// Length of the picture, and how far it may be off.
    seconds: (f64, f64),
    /// Length of the sound; `None` is none.
    sound: Option<f64>,
    size: [&'static str; 2],
}

const PLAIN: Right = Right {
    name: "",
    frames: 50,
    // The first picture may stand longer where sound begins before it.
    seconds: (2.0, 0.1),
    sound: Some(2.0),
    size: ["320", "180"],
};

/// Processes a file as most jobs do and with its picture encoded anew.
fn comes_out(right: &Right) -> Option<Report> {
    let main = case(right.name)?;
    let name = right.name;
    let mut last = None;
    for render in [job(&main), encoding(&main)] {
        let out = fresh("out.mp4");
        let report = run(&render, &out).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(frame_count(&out), right.frames, "{name}: frames");
        assert_eq!(
            ffprobe(&out, "v", "stream=width,height"),
            right.size,
            "{name}"
        );
        let (wanted, off) = right.seconds;
        let length = seconds(&out, "v");
        assert!(
            (length - wanted).abs() <= off,
            "{name}: {length} s of picture"
        );
        let sound = ffprobe(&out, "a", "stream=duration");
        assert_eq!(
            sound.is_empty(),
            right.sound.is_none(),
            "{name}: {:?}",
            report.plan.audio
        );
        if let (Some(wanted), Some(found)) = (right.sound, sound.first()) {
            let found: f64 = found.parse().unwrap();
            assert!((found - wanted).abs() < 0.15, "{name}: {found} s of sound");
        }
        last = Some(report);
    }
    last
}

fn refusal(name: &str) -> Option<MediaError> {
    let main = case(name)?;
    let input = FileInput::new(&main);
    Some(match probe(&input, &Limits::default(), &Cancel::new()) {
        Err(error) => error,
        Ok(_) => run(&encoding(&main), &fresh("out.mp4")).unwrap_err(),
    })
}

/// Each is refused with this code, and its message holds all these words and none of
/// libav's own.
fn refused(name: &str, code: MediaCode, words: &[&str]) {
    let Some(error) = refusal(name) else { return };
    assert_eq!(error.code, code, "{name}: {error}");
    for word in words {
        assert!(error.message.contains(word), "{name}: {error}");
    }
    for inner in ["avformat", "avcodec", "av_read", "Invalid data", "unknown"] {
        assert!(!error.message.contains(inner), "{name}: {error}");
    }
}

#[test]
fn the_rate_is_measured_not_believed() {
    for right in [
        Right {
            name: "webm-recorder-jitter.webm",
            ..PLAIN
        },
        Right {
            name: "webm-recorder-burst.webm",
            seconds: (1.2, 0.12),
            ..PLAIN
        },
        Right {
            name: "webm-1ms-default-duration.webm",
            ..PLAIN
        },
    ] {
        let Some(report) = comes_out(&right) else {
            return;
        };
        let fps = report.source.video.unwrap().fps;
        assert!((20.0..50.0).contains(&fps), "{}: {fps}", right.name);
    }
}

/// A browser's recorder and a live server write their headers before they know. Nothing that is
/// asked about a length may be answered with none.
#[test]
fn a_length_that_is_not_written_is_measured() {
    let live = |name: &str, how: &str| {
        let whole = fixture(
            "live-whole.mkv",
            "-f lavfi -i testsrc2=size=96x54:rate=25:duration=3 -f lavfi -i sine=duration=3 \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
        );
        fixture(name, &format!("-i {} {how}", whole.display()))
    };
    let webm = live(
        "live.webm",
        "-c:v libvpx -deadline realtime -c:a libvorbis -live 1",
    );
    let parts = live(
        "live.mp4",
        "-c copy -movflags frag_keyframe+empty_moov+default_base_moof",
    );
    let flv = live("live.flv", "-c copy -flvflags no_duration_filesize");
    // As a live server writes what it cannot know: all bits set.
    let unknown = fresh("unknown.mp4");
    let mut bytes = std::fs::read(&parts).unwrap();
    for (kind, at) in [(b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 20)] {
        let places: Vec<_> = (0..bytes.len() - 64)
            .filter(|place| &bytes[*place..*place + 4] == kind)
            .collect();
        assert!(!places.is_empty());
        for place in places {
            bytes[place + 4 + at..][..4].fill(0xff);
        }
    }
    std::fs::write(&unknown, bytes).unwrap();
    for file in [webm, parts, flv, unknown] {
        let limits = Limits::default();
        let found = probe(&FileInput::new(&file), &limits, &Cancel::new()).unwrap();
        let name = file.display();
        // Sound was encoded twice, with what its encoders put before and behind it.
        let whole = found.container.duration_ms;
        assert!(whole.abs_diff(3000) <= 120, "{name}: {whole}");
        let picture = found.video.unwrap().duration_ms;
        assert!(picture.abs_diff(3000) <= 60, "{name}: {picture}");
        let sound = found.audio.unwrap().duration_ms;
        assert!(sound.abs_diff(3000) <= 120, "{name}: {sound}");
        let short = Limits {
            max_duration_ms: 1500,
            ..Limits::default()
        };
        let refused = probe(&FileInput::new(&file), &short, &Cancel::new()).unwrap_err();
        assert_eq!(refused.code, MediaCode::TooLong, "{name}: {refused}");
        // Of a length that is not known there is no rate to hold the result to.
        assert!(found.container.bit_rate > 10_000, "{name}");
        let report = run(&encoding(&file), &fresh("out.mp4")).unwrap();
        let claimed = report.source.container.duration_ms;
        assert!(claimed == 0 || claimed.abs_diff(whole) <= 120, "{name}");
        let VideoPlan::Encode { max_rate, .. } = report.plan.video else {
            panic!("{name}: {:?}", report.plan.video);
        };
        assert_eq!(max_rate.is_none(), claimed == 0, "{name}: {max_rate:?}");
        // Nor is there room for an index of ten minutes, which such a clip does not need.
        let source = std::fs::metadata(&file).unwrap().len();
        assert!(report.faststart, "{name}");
        assert!(report.bytes < source + 400_000, "{name}: {}", report.bytes);
    }
}

#[test]
fn what_really_comes_faster_is_thinned_out_up_to_the_limit() {
    let fast = fixture(
        "fast.mkv",
        "-f lavfi -i testsrc2=size=96x54:rate=500:duration=1.5 -c:v libx264 -preset ultrafast \
         -pix_fmt yuv420p",
    );
    let out = fresh("out.mp4");
    let mut free = job(&fast);
    free.profile.video.max_fps = None;
    let report = run(&free, &out).unwrap();
    assert!(report.frames.abs_diff(360) <= 2, "{}", report.frames);
    let mut capped = job(&fast);
    capped.profile.video.max_fps = Some(50.0);
    let report = run(&capped, &fresh("out.mp4")).unwrap();
    assert!(report.frames.abs_diff(75) <= 1, "{}", report.frames);
    let mut strict = job(&fast);
    strict.limits.max_fps = 240.0;
    let error = run(&strict, &fresh("out.mp4")).unwrap_err();
    assert_eq!(error.code, MediaCode::FrameRateTooHigh);
}

#[test]
fn length_is_end_minus_start() {
    for name in [
        "mkv-start-10s.mkv",
        "mkv-start-2000s.mkv",
        "webm-start-100s.webm",
        "mp4-fragments-start-10s.mp4",
        "mp4-fragments-start-4000s.mp4",
    ] {
        let Some(report) = comes_out(&Right { name, ..PLAIN }) else {
            return;
        };
        let claimed = report.source.container.duration_ms;
        assert!(claimed.abs_diff(2000) < 100, "{name}: {claimed} ms");
    }
    let Some(report) = comes_out(&Right {
        name: "mp4-fragments-video-start-10s.mp4",
        sound: None,
        ..PLAIN
    }) else {
        return;
    };
    assert!(report.source.container.duration_ms.abs_diff(2000) < 100);
}

#[test]
fn only_picture_and_sound_have_a_length() {
    let Some(report) = comes_out(&Right {
        name: "mkv-late-subtitle.mkv",
        ..PLAIN
    }) else {
        return;
    };
    let claimed = report.source.container.duration_ms;
    assert!(claimed.abs_diff(2000) < 100, "{claimed}");
}

#[test]
fn counts_of_an_avi_prove_nothing_and_an_end_that_is_missing_does() {
    comes_out(&Right {
        name: "avi-h264-two-per-frame.avi",
        sound: Some(2.05),
        ..PLAIN
    });
    comes_out(&Right {
        name: "avi-dropped-frames.avi",
        frames: 40,
        ..PLAIN
    });
    comes_out(&Right {
        name: "mkv-whole.mkv",
        sound: None,
        ..PLAIN
    });
    refused("avi-cut.avi", MediaCode::Truncated, &["breaks off"]);
    refused("mkv-cut.mkv", MediaCode::Truncated, &["breaks off"]);
}

fn reason(plan: &AudioPlan) -> &str {
    match plan {
        AudioPlan::Copy { reason, .. }
        | AudioPlan::Encode { reason, .. }
        | AudioPlan::None { reason } => reason,
    }
}

#[test]
fn sound_that_is_announced_and_never_comes_is_no_sound() {
    for name in [
        "mp4-audio-track-empty.mp4",
        "ts-audio-announced-never-sent.ts",
        "mp4-fragments-without-the-sound.mp4",
    ] {
        let right = Right {
            name,
            sound: None,
            ..PLAIN
        };
        let Some(report) = comes_out(&right) else {
            return;
        };
        let said = reason(&report.plan.audio);
        assert!(said.contains("nothing comes on it"), "{name}: {said}");
    }
}

#[test]
fn the_first_track_that_can_be_used_is_taken_and_the_plan_says_which() {
    // A codec of phones that nobody else knows, then AAC.
    let Some(report) = comes_out(&Right {
        name: "mov-apac-first-aac-second.mov",
        ..PLAIN
    }) else {
        return;
    };
    let said = reason(&report.plan.audio);
    assert!(said.contains("track 2 is taken"), "{said}");
    assert!(
        said.contains("track 1") && said.contains("apac is not supported"),
        "{said}"
    );
    refused("mov-apac-only.mov", MediaCode::UnsupportedCodec, &["apac"]);
}

#[test]
fn a_track_of_sound_can_be_asked_for() {
    let Some(main) = case("mkv-two-languages.mkv") else {
        return;
    };
    let codec = |track: Option<&str>| {
        let mut render = job(&main);
        render.audio_track = track.map(|track| track.parse::<AudioTrack>().unwrap());
        let report = run(&render, &fresh("out.mp4"))?;
        Ok::<_, MediaError>(report.source.audio.unwrap().codec)
    };
    // The second one is the default.
    assert_eq!(codec(None).unwrap(), "ac3");
    assert_eq!(codec(Some("1")).unwrap(), "aac");
    assert_eq!(codec(Some("2")).unwrap(), "ac3");
    assert_eq!(codec(Some("deu")).unwrap(), "aac");
    assert_eq!(codec(Some("ENG")).unwrap(), "ac3");
    for missing in ["3", "fra"] {
        let error = codec(Some(missing)).unwrap_err();
        assert_eq!(error.code, MediaCode::UnsupportedCodec);
        assert!(error.message.contains(missing), "{error}");
    }
    for nonsense in ["0", "", "x", "a b", "-"] {
        assert!(nonsense.parse::<AudioTrack>().is_err(), "{nonsense}");
    }
}

#[test]
fn sound_and_picture_of_a_transport_stream_are_found_whatever_its_table_says() {
    for name in [
        "ts-dts.ts",
        "ts-aac-as-private.ts",
        "ts-h264-as-private.ts",
        "ts-mp2-sound.ts",
    ] {
        comes_out(&Right { name, ..PLAIN });
    }
}

#[test]
fn times_finer_than_a_microsecond_lose_no_frame() {
    comes_out(&Right {
        name: "mp4-10mhz-2398.mp4",
        frames: 48,
        sound: None,
        ..PLAIN
    });
    comes_out(&Right {
        name: "mkv-ns-scale.mkv",
        seconds: (1.667, 0.06),
        sound: None,
        ..PLAIN
    });
}

#[test]
fn a_recording_that_grows_has_the_size_shown_longest() {
    for (name, size, seconds, frames, sound) in [
        ("webm-webrtc-ramp.webm", ["640", "360"], 2.0, 50, Some(2.0)),
        // Both parts have pictures at two of its times.
        ("ts-h264-ramp.ts", ["1280", "720"], 2.35, 58, None),
    ] {
        let Some(report) = comes_out(&Right {
            name,
            frames,
            seconds: (seconds, 0.1),
            sound,
            size,
        }) else {
            return;
        };
        let video = report.source.video.unwrap();
        assert!(video.begins_with.is_some(), "{name}: {video:?}");
    }
}

#[test]
fn a_gif_without_a_delay_plays_as_in_browsers() {
    let right = Right {
        name: "gif-delay-10ms.gif",
        frames: 12,
        seconds: (1.2, 0.01),
        sound: None,
        size: ["96", "54"],
    };
    let Some(report) = comes_out(&right) else {
        return;
    };
    let video = report.source.video.unwrap();
    assert_eq!((video.duration_ms, video.frames), (1200, Some(12)));
    assert!((video.fps - 10.0).abs() < 0.01, "{}", video.fps);
}

#[test]
fn of_two_video_tracks_the_moving_one_is_taken() {
    comes_out(&Right {
        name: "mp4-moving-photo.mp4",
        ..PLAIN
    });
}

#[test]
fn dolby_vision_that_nobody_else_can_show_is_refused() {
    refused(
        "dolby-vision-5.mp4",
        MediaCode::HdrNotSupported,
        &["Dolby Vision", "profile 5"],
    );
}

/// Left, top, width and height.
fn looks_like(
    name: &'static str,
    size: [&'static str; 2],
    [x, y, w, h]: [u32; 4],
    sound: Option<f64>,
) {
    let right = Right {
        name,
        size,
        sound,
        ..PLAIN
    };
    let Some(report) = comes_out(&right) else {
        return;
    };
    assert_eq!(
        report.source.video.unwrap().crop,
        Some([x, y, w, h]),
        "{name}"
    );
    let main = case(name).unwrap();
    let out = fresh("out.mp4");
    run(&encoding(&main), &out).unwrap();
    let reference = fresh("reference.mp4");
    ffmpeg(
        &format!("-i {}", main.display()),
        &[
            // Newer programs would crop by themselves, before.
            "-vf",
            &format!("crop={w}:{h}:{x}:{y}:exact=1,setsar=1"),
            "-an",
            "-fps_mode",
            "passthrough",
            "-c:v",
            "libx264",
            "-crf",
            "16",
            "-pix_fmt",
            "yuv420p",
            reference.to_str().unwrap(),
        ],
    );
    let likeness = ssim(&reference, &out, "settb=1/25,setpts=N");
    assert!(likeness > 0.97, "{name}: {likeness}");
}

#[test]
fn what_the_container_crops_is_cropped() {
    looks_like(
        "mp4-clap-240x180.mp4",
        ["240", "180"],
        [40, 0, 240, 180],
        Some(2.0),
    );
    looks_like(
        "mp4-clap-320x172-low.mp4",
        ["320", "172"],
        [0, 8, 320, 172],
        Some(2.0),
    );
    looks_like(
        "mkv-crop-320x100.mkv",
        ["320", "100"],
        [0, 40, 320, 100],
        None,
    );
    looks_like(
        "mkv-crop-shown-320x100.mkv",
        ["320", "100"],
        [0, 40, 320, 100],
        None,
    );
}

#[test]
fn formats_that_people_have() {
    for (name, right) in [
        ("ts-mpeg2.ts", PLAIN),
        ("ps-mpeg2.mpg", PLAIN),
        ("flv-h264-aac.flv", PLAIN),
        ("mov-alac.mov", PLAIN),
        ("avi-mjpeg-adpcm.avi", PLAIN),
        ("avi-divx3.avi", PLAIN),
        (
            "m2ts-lpcm.m2ts",
            Right {
                frames: 22,
                seconds: (0.92, 0.1),
                sound: Some(0.8),
                ..PLAIN
            },
        ),
        (
            "3gp-h263.3gp",
            Right {
                frames: 32,
                seconds: (2.133, 0.06),
                size: ["256", "144"],
                ..PLAIN
            },
        ),
        ("mkv-dts-first-ac3-second.mkv", PLAIN),
    ] {
        comes_out(&Right { name, ..right });
    }
}

#[test]
fn sound_of_discs_and_old_phones() {
    for name in [
        "mkv-truehd.mkv",
        "ts-truehd.ts",
        "3gp-amr-nb.3gp",
        "3gp-amr-wb.3gp",
    ] {
        comes_out(&Right { name, ..PLAIN });
    }
}

#[test]
fn formats_of_camcorders_and_editing_programs() {
    // Pixels of DV are not square.
    for name in ["avi-dv-pcm.avi", "mov-dv-pcm.mov"] {
        comes_out(&Right {
            name,
            frames: 20,
            seconds: (0.8, 0.05),
            sound: Some(0.8),
            size: ["768", "576"],
        });
    }
    comes_out(&Right {
        name: "mov-dnxhr-pcm.mov",
        ..PLAIN
    });
    comes_out(&Right {
        name: "mov-dnxhd-pcm.mov",
        frames: 10,
        seconds: (0.4, 0.05),
        sound: Some(0.4),
        size: ["1280", "720"],
    });
}

#[test]
fn a_file_that_is_none_is_called_what_it_is() {
    use MediaCode::*;
    refused("cut-before-index.mp4", Truncated, &["its index is missing"]);
    refused(
        "init-only.mp4",
        Truncated,
        &["there is a header, and no video"],
    );
    refused(
        "mp4-protected-by-a-shop.m4v",
        UnsupportedCodec,
        &["is encrypted"],
    );
    refused(
        "mp4-common-encryption.mp4",
        UnsupportedCodec,
        &["is encrypted"],
    );
    refused("wmv2.wmv", UnsupportedFormat, &["WMV", "MP4, MOV"]);
    refused("animation.png", UnsupportedFormat, &["animated PNG"]);
    refused("animation.webp", UnsupportedFormat, &["animated WebP"]);
    refused("photo.heic", NotAVideo, &["HEIC"]);
    refused("photo.avif", NotAVideo, &["AVIF"]);
}
