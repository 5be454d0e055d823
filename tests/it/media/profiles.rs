//! What a profile may ask for, and what it never does.

use filmlab::media::{AudioSettings, MediaCode, Profile, Report, VideoPlan, VideoSettings};

use super::support::*;

fn own(video: VideoSettings, audio: AudioSettings) -> Profile {
    Profile {
        name: "own".to_owned(),
        video,
        audio,
        full_decode: None,
    }
}

fn fast() -> VideoSettings {
    VideoSettings {
        preset: filmlab::media::Preset::Ultrafast,
        ..VideoSettings::default()
    }
}

fn made(main: &std::path::Path, profile: Profile) -> (std::path::PathBuf, Report) {
    let out = fresh("out.mp4");
    let mut render = job(main);
    render.profile = profile;
    let report = run(&render, &out).unwrap();
    (out, report)
}

fn reason(report: &Report) -> &str {
    match &report.plan.video {
        VideoPlan::Copy { reason } | VideoPlan::Encode { reason, .. } => reason,
    }
}

#[test]
fn nothing_to_change_is_a_remux_whatever_the_crf() {
    let video = VideoSettings {
        crf: 40.0,
        max_height: Some(360),
        max_fps: Some(25.0),
        ..fast()
    };
    let (_, report) = made(&plain(), own(video, AudioSettings::default()));
    assert!(report.plan.is_remux(), "{:?}", report.plan);
}

#[test]
fn a_cap_makes_smaller_and_never_larger() {
    let capped = |lines| VideoSettings {
        max_height: Some(lines),
        ..fast()
    };
    let size = |main: &std::path::Path, lines| {
        let (out, _) = made(main, own(capped(lines), AudioSettings::default()));
        ffprobe(&out, "v", "stream=width,height").join("x")
    };
    assert_eq!(size(&plain(), 180), "320x180");
    assert_eq!(size(&plain(), 1080), "640x360");
    // The short side of an upright video is its width.
    let upright = turned(&plain(), [0, 1, -1, 0]);
    assert_eq!(size(&upright, 180), "180x320");
}

#[test]
fn a_cap_on_the_frame_rate_thins_out_and_keeps_the_length() {
    let capped = |fps| VideoSettings {
        max_fps: Some(fps),
        ..fast()
    };
    let (out, report) = made(&plain(), own(capped(10.0), AudioSettings::default()));
    assert_eq!((report.frames, frame_count(&out)), (40, 40));
    assert!((seconds(&out, "v") - 4.0).abs() < 0.05);
    assert!(reason(&report).contains("frames per second"), "{report:?}");
    let (_, report) = made(&plain(), own(capped(50.0), AudioSettings::default()));
    assert!(report.plan.is_remux(), "nobody needs more frames");
}

#[test]
fn the_rate_is_capped_by_the_profile_and_by_the_source() {
    let noisy = fixture(
        "noisy.mp4",
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=4 -vf noise=alls=60:allf=t \
         -c:v libx264 -preset veryfast -b:v 6M -pix_fmt yuv420p",
    );
    let video = VideoSettings {
        crf: 10.0,
        max_rate: Some(1_000_000),
        ..fast()
    };
    let (_, report) = made(&noisy, own(video, AudioSettings::default()));
    let rate = report.output.video.as_ref().unwrap().bit_rate;
    assert!(rate < 1_300_000, "{rate}");

    // No cap of the profile's, a quality beyond the source's: the source bounds it.
    let source = plain();
    let mut render = job(&source);
    render.force.video = true;
    render.profile = own(
        VideoSettings { crf: 1.0, ..fast() },
        AudioSettings::default(),
    );
    let out = fresh("out.mp4");
    let report = run(&render, &out).unwrap();
    let before = report.source.video.as_ref().unwrap().bit_rate;
    let after = report.output.video.as_ref().unwrap().bit_rate;
    let VideoPlan::Encode { max_rate, .. } = report.plan.video else {
        panic!("{:?}", report.plan)
    };
    assert!(
        max_rate.unwrap() <= (before * 11 / 10).max(400_000),
        "{max_rate:?} {before}"
    );
    // A peak, and a clip hardly longer than the buffer it is measured over.
    assert!(after < before * 3 / 2, "{before} became {after}");
}

#[test]
fn sound_is_as_the_profile_says_where_it_is_encoded() {
    let surround = fixture(
        "opus51.mkv",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 \
         -f lavfi -i anoisesrc=duration=1:seed=3:sample_rate=48000:amplitude=0.2 \
         -ac 6 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a libopus",
    );
    for (channels, rate, most) in [("1", "22050", 1), ("2", "44100", 2), ("6", "48000", 8)] {
        let audio = AudioSettings {
            bit_rate: 64_000,
            sample_rate: rate.parse().unwrap(),
            max_channels: most,
        };
        let (out, _) = made(&surround, own(fast(), audio));
        let found = ["sample_rate", "channels"]
            .map(|entry| ffprobe(&out, "a", &format!("stream={entry}")).concat());
        assert_eq!(found, [rate, channels]);
    }
}

#[test]
fn every_setting_has_bounds() {
    let video = |change: fn(&mut VideoSettings)| {
        let mut video = fast();
        change(&mut video);
        own(video, AudioSettings::default())
    };
    let audio = |change: fn(&mut AudioSettings)| {
        let mut audio = AudioSettings::default();
        change(&mut audio);
        own(fast(), audio)
    };
    for (field, profile) in [
        ("video.crf", video(|v| v.crf = 0.5)),
        ("video.max_rate", video(|v| v.max_rate = Some(0))),
        ("video.max_height", video(|v| v.max_height = Some(0))),
        ("video.max_fps", video(|v| v.max_fps = Some(f64::NAN))),
        ("audio.bit_rate", audio(|a| a.bit_rate = 0)),
        ("audio.sample_rate", audio(|a| a.sample_rate = 47_000)),
        ("audio.max_channels", audio(|a| a.max_channels = 0)),
    ] {
        let faults = profile.faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].0, field);
        let mut render = job(&plain());
        render.profile = profile;
        let error = run(&render, &fresh("out.mp4")).unwrap_err();
        assert_eq!(error.code, MediaCode::InvalidProfile);
        assert!(error.message.contains(field), "{error}");
    }
}

#[test]
fn without_its_caps_a_profile_is_otherwise_the_same() {
    let small = Profile::builtin("small").unwrap();
    let free = small.clone().uncapped();
    assert_eq!((free.video.max_height, free.video.max_fps), (None, None));
    assert_eq!(
        (free.video.crf, free.video.max_rate),
        (small.video.crf, small.video.max_rate)
    );
    assert_eq!(free.audio, small.audio);
}
