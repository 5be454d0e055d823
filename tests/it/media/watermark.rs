//! The watermark: in place, in colour, and nowhere else.

use filmlab::media::{Anchor, Length, MediaCode, Placement, Rectangle, Watermark};

use super::support::*;

fn marked(
    main: &std::path::Path,
    logo: &std::path::Path,
    placement: Placement,
) -> (std::path::PathBuf, Rectangle) {
    let out = fresh("marked.mp4");
    let mut render = encoding(main);
    render.watermarks = vec![Watermark {
        image: input(logo),
        placement,
    }];
    let report = run(&render, &out).unwrap();
    assert_eq!(report.frames, 100);
    (out, report.plan.watermarks[0])
}

fn unmarked(main: &std::path::Path) -> std::path::PathBuf {
    let out = fresh("unmarked.mp4");
    run(&encoding(main), &out).unwrap();
    out
}

fn inner(r: Rectangle) -> (u32, u32, u32, u32) {
    (r.x + 6, r.y + 6, r.width - 12, r.height - 12)
}

#[test]
fn a_red_logo_comes_out_red_in_both_matrices() {
    for (name, color) in [
        (
            "m709.mp4",
            "-vf scale=out_color_matrix=bt709:out_range=tv -colorspace bt709 -color_primaries bt709 -color_trc bt709",
        ),
        (
            "m601.mp4",
            "-vf scale=out_color_matrix=bt601:out_range=tv -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m",
        ),
        ("none.mp4", ""),
    ] {
        let main = fixture(
            name,
            &format!(
                "-f lavfi -i testsrc2=size=640x360:rate=25:duration=4 {color} \
                 -c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p"
            ),
        );
        let placement = Placement {
            opacity: 1.0,
            size: Length::Percent(40.0),
            ..Placement::default()
        };
        let (out, rectangle) = marked(&main, &red(), placement);
        for at in [0.0, 2.0, 3.9] {
            let [r, g, b] = mean_rgb(&out, at, inner(rectangle));
            assert!(
                r > 249.0 && g < 6.0 && b < 6.0,
                "{name} at {at}: {r} {g} {b}"
            );
        }
    }
}

#[test]
fn opacity_blends_with_what_is_below() {
    let main = plain();
    let clean = unmarked(&main);
    let placement = Placement {
        anchor: Anchor::Center,
        offset_x: Length::Pixels(0.0),
        offset_y: Length::Pixels(0.0),
        size: Length::Percent(30.0),
        opacity: 0.5,
        ..Placement::default()
    };
    let (out, rectangle) = marked(&main, &red(), placement);
    for at in [0.5, 3.0] {
        let below = mean_rgb(&clean, at, inner(rectangle));
        let found = mean_rgb(&out, at, inner(rectangle));
        let red = [255.0, 0.0, 0.0];
        for channel in 0..3 {
            let wanted = (below[channel] + red[channel]) / 2.0;
            assert!(
                (found[channel] - wanted).abs() < 12.0,
                "{found:?} for {below:?}"
            );
        }
    }
}

#[test]
fn the_rest_of_the_frame_is_left_alone() {
    let main = plain();
    let clean = unmarked(&main);
    let (out, r) = marked(&main, &logo(), Placement::default());
    assert!(r.x > 320 && r.y > 180, "{r:?}");
    assert!(ssim(&clean, &out, "crop=320:360:0:0") > 0.97);
    assert!(ssim(&clean, &out, "crop=640:180:0:0") > 0.97);
    let inside = format!("crop={}:{}:{}:{}", r.width, r.height, r.x, r.y);
    assert!(ssim(&clean, &out, &inside) < 0.9);
}

#[test]
fn it_is_laid_on_after_turning_and_as_large_in_portrait() {
    let portrait = turned(&plain(), [0, 1, -1, 0]);
    let (out, upright) = marked(
        &portrait,
        &red(),
        Placement {
            opacity: 1.0,
            ..Placement::default()
        },
    );
    assert_eq!(ffprobe(&out, "v", "stream=width,height"), ["360", "640"]);
    let [r, g, b] = mean_rgb(&out, 2.0, inner(upright));
    assert!(r > 249.0 && g < 6.0 && b < 6.0, "{r} {g} {b}");
    let (_, landscape) = marked(
        &plain(),
        &red(),
        Placement {
            opacity: 1.0,
            ..Placement::default()
        },
    );
    assert_eq!(
        (upright.width, upright.height),
        (landscape.width, landscape.height)
    );
}

#[test]
fn every_anchor_lands_in_its_third() {
    let main = plain();
    for (anchor, column, row) in [
        (Anchor::TopLeft, 0, 0),
        (Anchor::Top, 1, 0),
        (Anchor::Right, 2, 1),
        (Anchor::BottomLeft, 0, 2),
    ] {
        let placement = Placement {
            anchor,
            opacity: 1.0,
            size: Length::Pixels(100.0),
            ..Placement::default()
        };
        let (out, r) = marked(&main, &red(), placement);
        assert_eq!(
            (
                (r.x + r.width / 2) * 3 / 640,
                (r.y + r.height / 2) * 3 / 360
            ),
            (column, row)
        );
        let [red, green, _] = mean_rgb(&out, 1.0, inner(r));
        assert!(red > 249.0 && green < 6.0, "{anchor}");
    }
}

#[test]
fn an_unusable_watermark_is_the_watermarks_fault() {
    let out = fresh("out.mp4");
    let mut render = encoding(&plain());
    render.watermarks = vec![Watermark {
        image: input(&plain()),
        placement: Placement::default(),
    }];
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::InvalidWatermark
    );
    render.watermarks = vec![Watermark {
        image: input(&red()),
        placement: Placement {
            opacity: 7.0,
            ..Placement::default()
        },
    }];
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::InvalidWatermark
    );
    assert_alone(&out, &[]);
}

#[test]
fn red_is_red_on_wide_colour_and_on_full_range() {
    let cases = [
        (
            "m2020.mp4",
            "-vf scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le -c:v libx264 \
             -colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-10",
        ),
        (
            "mfull.mp4",
            "-vf scale=out_color_matrix=bt709:out_range=pc,format=yuv420p -c:v libx264 \
             -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709",
        ),
        (
            "m444.mp4",
            "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv444p -c:v libx264 \
             -colorspace bt709 -color_primaries bt709 -color_trc bt709",
        ),
    ];
    for (name, options) in cases {
        let main = fixture(
            name,
            &format!(
                "-f lavfi -i testsrc2=size=640x360:rate=25:duration=4 {options} -preset veryfast"
            ),
        );
        let placement = Placement {
            opacity: 1.0,
            size: Length::Percent(40.0),
            ..Placement::default()
        };
        let (out, rectangle) = marked(&main, &red(), placement);
        let [r, g, b] = mean_rgb(&out, 2.0, inner(rectangle));
        assert!(r > 249.0 && g < 6.0 && b < 6.0, "{name}: {r} {g} {b}");
    }
}

#[test]
fn every_kind_of_picture_can_be_a_mark() {
    let source = "-f lavfi -i color=c=red:size=200x100,format=rgba -frames:v 1";
    for name in ["mark.png", "mark.jpg", "mark.webp"] {
        let quality = match name {
            "mark.webp" => "-c:v libwebp -lossless 1",
            "mark.jpg" => "-q:v 2 -pix_fmt yuvj444p",
            _ => "",
        };
        let image = fixture(name, &format!("{source} {quality}"));
        let placement = Placement {
            opacity: 1.0,
            size: Length::Percent(40.0),
            ..Placement::default()
        };
        let (out, rectangle) = marked(&plain(), &image, placement);
        let [r, g, b] = mean_rgb(&out, 2.0, inner(rectangle));
        assert!(r > 246.0 && g < 9.0 && b < 9.0, "{name}: {r} {g} {b}");
    }
}

#[test]
fn transparency_of_webp_is_kept() {
    // Opaque on its left half only.
    let image = fixture(
        "half.webp",
        "-f lavfi -i color=c=red:size=200x100,format=rgba,geq=r=255:g=0:b=0:a='if(lt(X,100),255,0)' \
         -frames:v 1 -c:v libwebp -lossless 1",
    );
    let placement = Placement {
        opacity: 1.0,
        size: Length::Percent(40.0),
        ..Placement::default()
    };
    let (out, r) = marked(&plain(), &image, placement);
    let clean = unmarked(&plain());
    let left = (r.x + 6, r.y + 6, r.width / 2 - 12, r.height - 12);
    let right = (
        r.x + r.width / 2 + 6,
        r.y + 6,
        r.width / 2 - 12,
        r.height - 12,
    );
    let [red, green, blue] = mean_rgb(&out, 2.0, left);
    assert!(
        red > 246.0 && green < 9.0 && blue < 9.0,
        "{red} {green} {blue}"
    );
    let (with, without) = (mean_rgb(&out, 2.0, right), mean_rgb(&clean, 2.0, right));
    for (a, b) in with.iter().zip(&without) {
        assert!((a - b).abs() < 3.0, "{with:?} {without:?}");
    }
}

#[test]
fn a_mark_is_shown_in_its_time_only() {
    let placement = Placement {
        opacity: 1.0,
        size: Length::Percent(40.0),
        from_ms: 1000,
        until_ms: Some(3000),
        ..Placement::default()
    };
    let (out, rectangle) = marked(&plain(), &red(), placement);
    // 25 frames a second: the last before and the first after each change.
    for (at, shown) in [
        (0.0, false),
        (0.96, false),
        (1.0, true),
        (2.96, true),
        (3.0, false),
        (3.96, false),
    ] {
        let [r, g, b] = mean_rgb(&out, at, inner(rectangle));
        let red = r > 240.0 && g < 15.0 && b < 15.0;
        assert_eq!(red, shown, "at {at}: {r} {g} {b}");
    }
    let mut render = encoding(&plain());
    render.watermarks = vec![Watermark {
        image: input(&red()),
        placement: Placement {
            from_ms: 2000,
            until_ms: Some(2000),
            ..Placement::default()
        },
    }];
    let error = run(&render, &fresh("out.mp4")).unwrap_err();
    assert_eq!(error.code, MediaCode::InvalidWatermark);
}
