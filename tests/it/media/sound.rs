//! Sound: copied, resampled, put back, absent.

use filmlab::media::{AudioFrom, AudioPlan, MediaCode};

use super::support::*;

#[test]
fn aac_is_copied_packet_by_packet() {
    let out = fresh("out.mp4");
    let report = run(&encoding(&plain()), &out).unwrap();
    assert!(matches!(
        report.plan.audio,
        AudioPlan::Copy {
            from: AudioFrom::Main,
            ..
        }
    ));
    assert_eq!(packet_hashes(&plain(), "a"), packet_hashes(&out, "a"));
    assert_eq!(times(&plain(), "a"), times(&out, "a"));
}

#[test]
fn other_codecs_become_aac_at_48_khz_and_keep_their_length() {
    for (name, codec) in [
        ("mp3.mp4", "-c:a libmp3lame -ar 44100"),
        ("pcm.mov", "-c:a pcm_s16le -ar 44100"),
        ("ac3.mkv", "-c:a ac3 -ar 48000"),
    ] {
        let main = fixture(
            name,
            &format!(
                "-f lavfi -i testsrc2=size=320x240:rate=25:duration=3 \
                 -f lavfi -i sine=frequency=440:duration=3 -c:v libx264 -pix_fmt yuv420p -ac 2 {codec}"
            ),
        );
        let out = fresh("out.mp4");
        run(&job(&main), &out).unwrap();
        assert_eq!(
            ffprobe(&out, "a", "stream=codec_name,sample_rate,channels"),
            ["aac", "48000", "2"],
            "{name}"
        );
        assert!(
            (seconds(&out, "a") - 3.0).abs() < 0.06,
            "{name} {}",
            seconds(&out, "a")
        );
    }
}

#[test]
fn surround_is_mixed_down_not_dropped() {
    let main = fixture(
        "surround.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=2 \
         -filter_complex [1:a]pan=5.1|FC=c0[a] -map 0:v -map [a] -c:v libx264 -pix_fmt yuv420p -c:a aac",
    );
    let out = fresh("out.mp4");
    run(&job(&main), &out).unwrap();
    assert_eq!(ffprobe(&out, "a", "stream=channels"), ["2"]);
    let log = ffmpeg(
        "",
        &[
            "-i",
            out.to_str().unwrap(),
            "-af",
            "volumedetect",
            "-f",
            "null",
            "-",
        ],
    );
    // All the sound was in the centre channel.
    let volume: f64 = log
        .split("mean_volume:")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(volume > -40.0, "{volume}");
}

#[test]
fn no_sound_is_fine() {
    let out = fresh("out.mp4");
    let report = run(&encoding(&silent()), &out).unwrap();
    assert!(matches!(report.plan.audio, AudioPlan::None { .. }));
    assert!(ffprobe(&out, "a", "stream=codec_name").is_empty());
    assert_eq!(report.output.audio, None);
}

#[test]
fn the_sources_sound_is_put_back() {
    for render in [encoding(&silent()), job(&silent())] {
        let out = fresh("out.mp4");
        let mut render = render;
        render.audio_source = Some(input(&plain()));
        let report = run(&render, &out).unwrap();
        assert!(
            matches!(
                report.plan.audio,
                AudioPlan::Copy {
                    from: AudioFrom::Source,
                    ..
                }
            ),
            "{:?}",
            report.plan
        );
        assert_eq!(
            packet_hashes(&plain(), "a")[..180],
            packet_hashes(&out, "a")[..180]
        );
        assert_eq!(times(&plain(), "a")[..180], times(&out, "a")[..180]);
        assert!(seconds(&out, "a") < 4.04, "{}", seconds(&out, "a"));
    }
}

#[test]
fn sound_put_back_is_cut_at_the_end_of_the_picture() {
    let long = fixture(
        "long.mkv",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=8 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=8 -c:v libx264 -pix_fmt yuv420p -c:a libopus",
    );
    let out = fresh("out.mp4");
    let mut render = encoding(&silent());
    render.audio_source = Some(input(&long));
    let report = run(&render, &out).unwrap();
    assert!(matches!(
        report.plan.audio,
        AudioPlan::Encode {
            from: AudioFrom::Source,
            ..
        }
    ));
    let length = seconds(&out, "a");
    assert!((3.9..4.06).contains(&length), "{length}");
}

/// What does not say how long it is was taken to be over at once.
#[test]
fn sound_is_put_back_to_a_picture_that_does_not_say_how_long_it_is() {
    let main = fixture(
        "live.webm",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 -c:v libvpx -f webm -live 1",
    );
    let mut render = encoding(&main);
    render.audio_source = Some(input(&plain()));
    let out = fresh("out.mp4");
    run(&render, &out).unwrap();
    assert!((seconds(&out, "a") - 2.0).abs() < 0.06);
    assert!(level(&out, 0.5) > -40.0);
}

#[test]
fn sound_put_back_keeps_its_distance_to_its_own_picture() {
    // Everything starts at 10 s, the sound half a second after the picture.
    let late = fixture(
        "late.ts",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=4 -itsoffset 0.5 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=3 -c:v libx264 -pix_fmt yuv420p \
         -c:a aac -muxdelay 0 -output_ts_offset 10",
    );
    let out = fresh("out.mp4");
    let mut render = encoding(&silent());
    render.audio_source = Some(input(&late));
    run(&render, &out).unwrap();
    let first = times(&out, "a")[0];
    assert!((first - 0.5).abs() < 0.05, "{first}");
    // The same file processed by itself keeps both together as well.
    let out = fresh("out.mp4");
    run(&encoding(&late), &out).unwrap();
    let (video, sound) = (times(&out, "v")[0], times(&out, "a")[0]);
    assert!(
        video.abs() < 0.001 && (sound - 0.5).abs() < 0.05,
        "{video} {sound}"
    );
}

/// Silence is made a second at a time; what the container promises holds.
#[test]
fn a_long_gap_in_the_sound_becomes_silence() {
    let main = fixture(
        "gap.mkv",
        "-f lavfi -i testsrc2=size=64x48:rate=5:duration=25 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=4 \
         -af asetpts=PTS+if(gte(T\\,2)\\,20/TB\\,0) -c:v libx264 -preset ultrafast -c:a flac",
    );
    let out = fresh("out.mp4");
    let report = run(&encoding(&main), &out).unwrap();
    let sound = report.output.audio.unwrap();
    assert!(sound.duration_ms.abs_diff(24_000) < 100, "{sound:?}");
    for (from, sounds) in [
        (0.5, true),
        (3.0, false),
        (12.0, false),
        (20.5, false),
        (22.5, true),
    ] {
        let level = level(&out, from);
        assert_eq!(level > -40.0, sounds, "{level} dB at {from} s");
    }
}

/// Floats may be anything in a damaged file, and an encoder takes only numbers.
#[test]
fn samples_that_are_no_numbers_become_silence() {
    for (name, value) in [("nan.mov", "0/0"), ("inf.mov", "1/0"), ("huge.mov", "1e30")] {
        let main = fixture(
            name,
            &format!(
                "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 \
                 -f lavfi -i aevalsrc=exprs=if(between(t\\,1\\,1.05)\\,{value}\\,0.3*sin(2*PI*440*t)):s=48000:d=2 \
                 -c:v libx264 -pix_fmt yuv420p -c:a pcm_f32le"
            ),
        );
        let out = fresh("out.mp4");
        let report = run(&job(&main), &out).unwrap();
        assert!(report.damage.bad_frames > 0, "{name}: {:?}", report.damage);
        assert!((seconds(&out, "a") - 2.0).abs() < 0.06, "{name}");
    }
}

/// A rate that no converter has is damage of the file, and no work for a resampler.
#[test]
fn a_rate_that_nobody_samples_with_is_the_files_fault() {
    let main = fixture(
        "alac.mov",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=1 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=1 \
         -c:v libx264 -pix_fmt yuv420p -c:a alac",
    );
    let mut bytes = std::fs::read(main).unwrap();
    // The rate in ALAC's own description stands 28 bytes behind the name of its box.
    let description = bytes.windows(4).rposition(|name| name == b"alac").unwrap();
    let rate = description + 28;
    assert_eq!(bytes[rate..rate + 4], 48_000u32.to_be_bytes());
    bytes[rate] = 0x40;
    let forged = fresh("forged.mov");
    std::fs::write(&forged, bytes).unwrap();
    let refused = run(&job(&forged), &fresh("out.mp4")).unwrap_err();
    // Some builds refuse it while they open the file.
    assert!(
        matches!(
            refused.code,
            MediaCode::DamagedMedia | MediaCode::Truncated | MediaCode::UnsupportedFormat
        ),
        "{refused}"
    );
}
