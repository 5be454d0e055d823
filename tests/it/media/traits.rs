//! Each fixture has one trait; each is encoded and held against the ffmpeg
//! program, told how to treat it. `docs/media.md` lists them.

use filmlab::media::{Force, MediaCode};

use super::reference::{Case, HD, SD, agrees, heard, sounds_alike};
use super::support::*;
use crate::support::require;

const SHAPE: [&str; 2] = ["320", "180"];

const PLAIN: Case = Case {
    name: "",
    filter: "",
    size: SHAPE,
    frames: 24,
    tags: SD,
};

fn all(cases: &[Case]) {
    for case in cases {
        let Some(main) = require::fixture(case.name) else {
            continue;
        };
        agrees(&main, case);
    }
}

#[test]
fn codecs() {
    all(&[
        Case {
            name: "hevc-10bit.mp4",
            ..PLAIN
        },
        Case {
            name: "vp9-opus.webm",
            ..PLAIN
        },
        Case {
            name: "av1.mp4",
            ..PLAIN
        },
        Case {
            name: "prores.mov",
            frames: 12,
            ..PLAIN
        },
    ]);
}

#[test]
fn older_codecs() {
    all(&[
        // It says BT.601 by its matrix; the rest follows.
        Case {
            name: "vp8-vorbis.webm",
            ..PLAIN
        },
        Case {
            name: "mjpeg.avi",
            filter: "scale=in_range=full:out_range=tv",
            tags: ["tv", "bt470bg", "smpte170m", "bt470bg"],
            ..PLAIN
        },
        Case {
            name: "mpeg4-mp3.avi",
            ..PLAIN
        },
        Case {
            name: "animation.gif",
            size: ["160", "90"],
            frames: 10,
            ..PLAIN
        },
    ]);
}

#[test]
fn geometry() {
    let turned = ["180", "320"];
    all(&[
        Case {
            name: "rotate90.mp4",
            size: turned,
            ..PLAIN
        },
        Case {
            name: "rotate90-flip.mov",
            size: turned,
            ..PLAIN
        },
        Case {
            name: "rotate180.mp4",
            ..PLAIN
        },
        Case {
            name: "portrait.mp4",
            size: turned,
            frames: 60,
            ..PLAIN
        },
        Case {
            name: "sar.mp4",
            filter: "scale=426:240:flags=lanczos+accurate_rnd+full_chroma_int,setsar=1",
            size: ["426", "240"],
            ..PLAIN
        },
    ]);
}

#[test]
fn odd_sizes() {
    let filter = "crop=320:180:0:0:exact=1,setsar=1";
    all(&[
        Case {
            name: "odd-size.mp4",
            filter,
            ..PLAIN
        },
        Case {
            name: "odd-size-444.mp4",
            filter,
            ..PLAIN
        },
    ]);
}

#[test]
fn pixel_formats() {
    all(&[
        Case {
            name: "yuv444-10bit.mkv",
            ..PLAIN
        },
        Case {
            name: "yuv422.mkv",
            ..PLAIN
        },
        Case {
            name: "full-range.mp4",
            filter: "scale=in_range=full:out_range=tv",
            tags: HD,
            ..PLAIN
        },
    ]);
}

#[test]
fn time() {
    all(&[
        Case {
            name: "vfr.mp4",
            frames: 92,
            ..PLAIN
        },
        Case {
            name: "b-frames-open-gop.mp4",
            frames: 72,
            ..PLAIN
        },
        Case {
            name: "single-frame.mp4",
            frames: 1,
            ..PLAIN
        },
        Case {
            name: "non-interleaved.mp4",
            frames: 72,
            ..PLAIN
        },
    ]);
}

#[test]
fn offsets() {
    all(&[
        Case {
            name: "late-audio.mp4",
            frames: 48,
            ..PLAIN
        },
        Case {
            name: "start-offset.ts",
            frames: 48,
            ..PLAIN
        },
        Case {
            name: "subtitle.mkv",
            frames: 48,
            ..PLAIN
        },
    ]);
}

#[test]
fn what_an_edit_list_cuts_off_is_gone() {
    let Some(main) = require::fixture("edit-list.mp4") else {
        return;
    };
    let case = Case {
        name: "edit-list.mp4",
        frames: 36,
        ..PLAIN
    };
    agrees(&main, &case);
    // It would be fit for a copy, which kept the half second that was cut off.
    let out = fresh("out.mp4");
    let report = run(&job(&main), &out).unwrap();
    assert_eq!((report.frames, report.duration_ms), (36, 1500));
    let packets = ffprobe(&out, "v", "stream=nb_frames");
    assert_eq!(packets, ["36"], "{:?}", report.plan);
    sounds_alike(&main, &out, "edit-list.mp4");
    // All but what primes the decoder.
    let sound: usize = ffprobe(&out, "a", "stream=nb_frames")[0].parse().unwrap();
    assert!((71..=74).contains(&sound), "{sound}");
}

#[test]
fn offsets_survive_a_copy() {
    for name in [
        "late-audio.mp4",
        "start-offset.ts",
        "subtitle.mkv",
        "vfr.mp4",
        "gps.mp4",
    ] {
        let Some(main) = require::fixture(name) else {
            continue;
        };
        let out = fresh("out.mp4");
        let report = run(&job(&main), &out).unwrap();
        assert!(report.plan.is_remux(), "{name}: {:?}", report.plan);
        sounds_alike(&main, &out, name);
        // On the file's own clock, which need not begin at 0.
        let start: f64 = ffprobe(&main, "v", "format=start_time")[0].parse().unwrap();
        let shown = times(&out, "v");
        assert!(shown[0].abs() < 0.002, "{name}: {}", shown[0]);
        for (a, b) in times(&main, "v").iter().zip(shown).skip(1) {
            assert!((a - start - b).abs() < 0.002, "{name}: {a} became {b}");
        }
    }
}

#[test]
fn the_last_frame_of_uneven_timing_keeps_its_length() {
    let Some(main) = require::fixture("vfr.mp4") else {
        return;
    };
    for force in [Force::default(), encoding(&main).force] {
        let out = fresh("out.mp4");
        let mut render = job(&main);
        render.force = force;
        let report = run(&render, &out).unwrap();
        let last = times(&out, "v").last().copied().unwrap();
        let shown: f64 = ffprobe(&out, "v", "format=duration")[0].parse().unwrap();
        // At 20 frames a second: shown for 50 ms.
        assert!(
            (shown - last - 0.05).abs() < 0.01,
            "{:?}: {shown} {last}",
            report.plan
        );
    }
}

#[test]
fn other_tracks() {
    let cases = [
        Case {
            name: "cover-art.mp4",
            frames: 48,
            ..PLAIN
        },
        Case {
            name: "gps.mp4",
            frames: 48,
            ..PLAIN
        },
        Case {
            name: "subtitle.mkv",
            frames: 48,
            ..PLAIN
        },
    ];
    for case in cases {
        let Some(main) = require::fixture(case.name) else {
            continue;
        };
        let copy = fresh("copy.mp4");
        run(&job(&main), &copy).unwrap();
        assert_eq!(packet_hashes(&main, "a:0"), packet_hashes(&copy, "a:0"));
        for out in [agrees(&main, &case), copy] {
            let name = case.name;
            let kinds = ffprobe(&out, "0", "stream=codec_type").concat()
                + &ffprobe(&out, "1", "stream=codec_type").concat();
            assert_eq!(kinds, "videoaudio", "{name}");
            assert!(ffprobe(&out, "2", "stream=codec_type").is_empty(), "{name}");
            let bytes = std::fs::read(&out).unwrap();
            for secret in [
                "A title",
                "private",
                "-20.0000",
                "20.0000 S",
                "Not a picture",
            ] {
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "{name} still says {secret}");
            }
        }
    }
}

#[test]
fn sound_of_every_shape() {
    all(&[
        Case {
            name: "surround.mp4",
            ..PLAIN
        },
        Case {
            name: "mono-22k.mp4",
            ..PLAIN
        },
    ]);
    let cases = [
        ("surround.mp4", "2", "48000"),
        ("mono-22k.mp4", "1", "22050"),
        ("yuv444-10bit.mkv", "1", "48000"),
    ];
    for (name, channels, rate) in cases {
        let Some(main) = require::fixture(name) else {
            continue;
        };
        let out = fresh("out.mp4");
        run(&job(&main), &out).unwrap();
        let found = ["codec_name", "sample_rate", "channels"]
            .map(|entry| ffprobe(&out, "a", &format!("stream={entry}")).concat());
        // What is AAC already is copied, whatever its rate.
        assert_eq!(found, ["aac", rate, channels], "{name}");
        sounds_alike(&main, &out, name);
    }
    let Some(surround) = require::fixture("surround.mp4") else {
        return;
    };
    // Each channel has a tone of its own: all but the lowest must be heard on
    // the right side (downmixes leave the bass channel out).
    let out = fresh("out.mp4");
    run(&job(&surround), &out).unwrap();
    for (hertz, left, right) in [
        (300, true, false),
        (500, false, true),
        (700, true, true),
        (900, true, false),
        (1100, false, true),
    ] {
        for (channel, wanted) in [("c0", left), ("c1", right)] {
            let level = tone(&out, channel, hertz);
            assert_eq!(level > -40.0, wanted, "{hertz} Hz in {channel}: {level} dB");
        }
    }
}

/// Level of one tone in one channel, in dB.
fn tone(path: &std::path::Path, channel: &str, hertz: u32) -> f64 {
    let filter = format!(
        "pan=mono|c0={channel},bandpass=f={hertz}:width_type=h:w=20,bandpass=f={hertz}:width_type=h:w=20,volumedetect"
    );
    let log = ffmpeg(
        "",
        &[
            "-i",
            path.to_str().unwrap(),
            "-af",
            &filter,
            "-f",
            "null",
            "-",
        ],
    );
    let line = log
        .lines()
        .find(|line| line.contains("mean_volume"))
        .unwrap();
    let value = line.split("mean_volume:").nth(1).unwrap();
    value.trim().trim_end_matches(" dB").parse().unwrap()
}

#[test]
fn no_sound_stays_no_sound() {
    let Some(main) = require::fixture("no-audio.mp4") else {
        return;
    };
    let out = agrees(
        &main,
        &Case {
            name: "no-audio.mp4",
            frames: 48,
            ..PLAIN
        },
    );
    assert!(heard(&out).is_none() && ffprobe(&out, "a", "stream=index").is_empty());
}

#[test]
fn hdr_becomes_standard_range() {
    let Some(main) = require::fixture("hdr-pq.mp4") else {
        return;
    };
    if !filmlab::media::build_info().zscale {
        let error = run(&job(&main), &fresh("out.mp4")).unwrap_err();
        assert_eq!(error.code, MediaCode::HdrNotSupported);
        return;
    }
    let filter = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
                  tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv";
    all(&[
        Case {
            name: "hdr-pq.mp4",
            filter,
            tags: HD,
            ..PLAIN
        },
        Case {
            name: "hdr-hlg.mp4",
            filter,
            tags: HD,
            ..PLAIN
        },
    ]);
}

#[test]
fn natural_hdr_keeps_its_colours() {
    let Some(clip) = require::fixture("bigbuckbunny.mp4") else {
        return;
    };
    if !filmlab::media::build_info().zscale {
        return;
    }
    for curve in ["smpte2084", "arib-std-b67"] {
        // As graded for a screen: white at 203 cd/m², the reference of BT.2408.
        let graded = format!(
            "-i {} -t 1 -an -vf scale=320:180:in_color_matrix=bt709:in_range=tv,format=gbrp10le,\
             zscale=min=gbr:tin=709:pin=709:rin=full:t=linear:p=709:m=gbr:npl=203,format=gbrpf32le,\
             zscale=p=2020:t={curve}:m=2020_ncl:r=tv:npl=203,format=yuv420p10le \
             -c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params \
             log-level=error:colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc",
            clip.display()
        );
        let main = fixture(
            &format!("{curve}.mp4"),
            &graded.replace(",             ", ","),
        );
        let out = fresh("out.mp4");
        run(&job(&main), &out).unwrap();
        let plain = fixture(
            "sdr.mp4",
            &format!(
                "-i {} -t 1 -an -vf scale=320:180:in_color_matrix=bt709:out_color_matrix=bt709 \
                 -colorspace bt709 -c:v libx264 -pix_fmt yuv420p",
                clip.display()
            ),
        );
        // Grass, sky and shade: darker, since highlights need room, of the same hue.
        for part in [(200, 100, 100, 60), (260, 20, 50, 40), (0, 40, 60, 60)] {
            let (before, after) = (mean_rgb(&plain, 0.5, part), mean_rgb(&out, 0.5, part));
            let factors = [0, 1, 2].map(|channel| after[channel] / before[channel].max(1.0));
            let (least, most) = factors.iter().fold((f64::MAX, 0f64), |(low, high), f| {
                (low.min(*f), high.max(*f))
            });
            assert!(
                least > 0.6 && most < 1.15 && most / least < 1.35,
                "{curve} {part:?}: {before:?} became {after:?}"
            );
        }
    }
}

#[test]
fn a_size_that_changes_gets_bars_and_is_not_stretched() {
    let Some(main) = require::fixture("resolution-change.ts") else {
        return;
    };
    let filter = "scale=320:180:force_original_aspect_ratio=decrease:flags=lanczos+accurate_rnd,\
                  pad=320:180:(ow-iw)/2:(oh-ih)/2";
    let out = agrees(
        &main,
        &Case {
            name: "resolution-change.ts",
            filter,
            frames: 48,
            ..PLAIN
        },
    );
    let [r, g, b] = mean_rgb(&out, 1.5, (0, 0, 60, 180));
    assert!(r + g + b < 12.0, "{r} {g} {b}");
}

#[test]
fn a_file_that_breaks_off_is_refused() {
    let Some(main) = require::fixture("truncated.mp4") else {
        return;
    };
    for render in [job(&main), encoding(&main)] {
        let out = fresh("out.mp4");
        assert_eq!(run(&render, &out).unwrap_err().code, MediaCode::Truncated);
        assert_alone(&out, &[]);
    }
}

#[test]
fn a_file_that_breaks_off_is_taken_as_far_as_it_goes_where_that_is_allowed() {
    let Some(main) = require::fixture("truncated.mp4") else {
        return;
    };
    for mut render in [job(&main), encoding(&main)] {
        render.limits.allow_truncated = true;
        let out = fresh("out.mp4");
        let report = run(&render, &out).unwrap();
        assert!(report.damage.truncated, "{report:?}");
        // 60 % of the bytes hold about as many of the 48 frames.
        assert!((20..=36).contains(&report.frames), "{}", report.frames);
        assert_eq!(frame_count(&out), report.frames);
        let (_, ends) = heard(&out).unwrap();
        let shown = report.duration_ms as f64 / 1000.0;
        assert!(
            (ends - shown).abs() < 0.25,
            "sound to {ends}, picture to {shown}"
        );
    }
    let out = fresh("out.mp4");
    assert!(!run(&job(&plain()), &out).unwrap().damage.truncated);
}
