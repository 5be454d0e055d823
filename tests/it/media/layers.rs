//! Several watermarks: each in its place, its colour and its time.

use std::path::{Path, PathBuf};

use filmlab::media::{Anchor, Length, MAX_LAYERS, MediaCode, Placement, Rectangle, Watermark};

use super::support::*;

/// A 100×100 picture of one colour in a format of its own.
fn patch(color: &str, ending: &str) -> PathBuf {
    let quality = match ending {
        "webp" => "-c:v libwebp -lossless 1",
        "jpg" => "-q:v 2 -pix_fmt yuvj444p",
        _ => "",
    };
    fixture(
        &format!("patch-{color}.{ending}"),
        &format!("-f lavfi -i color=c={color}:size=100x100,format=rgba -frames:v 1 {quality}"),
    )
}

fn layer(image: &Path, placement: Placement) -> Watermark {
    Watermark {
        image: input(image),
        placement,
    }
}

fn opaque(anchor: Anchor) -> Placement {
    Placement {
        anchor,
        opacity: 1.0,
        size: Length::Percent(25.0),
        ..Placement::default()
    }
}

fn with(main: &Path, layers: Vec<Watermark>) -> (PathBuf, Vec<Rectangle>) {
    let out = fresh("layers.mp4");
    let mut render = encoding(main);
    render.watermarks = layers;
    let report = run(&render, &out).unwrap();
    (out, report.plan.watermarks)
}

fn inner(r: Rectangle) -> (u32, u32, u32, u32) {
    (r.x + 6, r.y + 6, r.width - 12, r.height - 12)
}

fn near(found: [f64; 3], wanted: [f64; 3], within: f64) -> bool {
    found
        .iter()
        .zip(wanted)
        .all(|(a, b)| (a - b).abs() < within)
}

const RED: [f64; 3] = [255.0, 0.0, 0.0];
const GREEN: [f64; 3] = [0.0, 255.0, 0.0];
const BLUE: [f64; 3] = [0.0, 0.0, 255.0];

#[test]
fn each_layer_has_its_colour_in_every_colour_space() {
    let said = |matrix: &str, range: &str, more: &str| {
        format!("-vf scale=out_color_matrix={matrix}:out_range={range},format={more}")
    };
    let cases = [
        (
            "bt601",
            said(
                "bt601",
                "tv",
                "yuv420p -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m",
            ),
        ),
        (
            "bt709",
            said(
                "bt709",
                "tv",
                "yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709",
            ),
        ),
        (
            "bt2020",
            said(
                "bt2020",
                "tv",
                "yuv420p10le -colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-10",
            ),
        ),
        (
            "full",
            said(
                "bt709",
                "pc",
                "yuv420p -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709",
            ),
        ),
    ];
    for (name, options) in cases {
        let main = fixture(
            &format!("layers-{name}.mp4"),
            &format!(
                "-f lavfi -i testsrc2=size=640x360:rate=25:duration=1 {options} \
                 -c:v libx264 -preset veryfast"
            ),
        );
        let (out, at) = with(
            &main,
            vec![
                layer(&patch("red", "png"), opaque(Anchor::TopLeft)),
                layer(&patch("lime", "jpg"), opaque(Anchor::Center)),
                layer(&patch("blue", "webp"), opaque(Anchor::BottomRight)),
            ],
        );
        for (r, wanted) in at.iter().zip([RED, GREEN, BLUE]) {
            let found = mean_rgb(&out, 0.5, inner(*r));
            assert!(near(found, wanted, 9.0), "{name}: {found:?}, {wanted:?}");
        }
    }
}

#[test]
fn later_layers_lie_over_earlier_ones() {
    let place = Placement {
        offset_x: Length::Pixels(0.0),
        offset_y: Length::Pixels(0.0),
        ..opaque(Anchor::Center)
    };
    let small = Placement {
        size: Length::Pixels(40.0),
        ..place.clone()
    };
    let (out, at) = with(
        &plain(),
        vec![
            layer(&patch("red", "png"), place),
            layer(&patch("blue", "png"), small),
        ],
    );
    assert_eq!((at[1].width, at[1].height), (40, 40));
    let found = mean_rgb(&out, 1.0, inner(at[1]));
    assert!(near(found, BLUE, 9.0), "{found:?}");
    // Beside the small one the large one shows.
    let found = mean_rgb(&out, 1.0, (at[0].x + 4, at[0].y + 4, 14, 14));
    assert!(near(found, RED, 9.0), "{found:?}");
}

#[test]
fn each_layer_has_its_own_time_place_and_size() {
    let first = Placement {
        until_ms: Some(1000),
        offset_x: Length::Pixels(20.0),
        offset_y: Length::Percent(10.0),
        size: Length::Pixels(80.0),
        ..opaque(Anchor::TopLeft)
    };
    let second = Placement {
        from_ms: 1000,
        until_ms: None,
        ..first.clone()
    };
    let third = Placement {
        from_ms: 2000,
        until_ms: Some(3000),
        ..opaque(Anchor::Right)
    };
    let (out, at) = with(
        &plain(),
        vec![
            layer(&patch("red", "png"), first),
            layer(&patch("blue", "png"), second),
            layer(&patch("lime", "png"), third),
        ],
    );
    assert_eq!(
        at[0],
        Rectangle {
            x: 20,
            y: 36,
            width: 80,
            height: 80
        }
    );
    // 25 frames a second: the last frame before and the first after each change.
    for (time, wanted) in [(0.0, RED), (0.96, RED), (1.0, BLUE), (3.96, BLUE)] {
        let found = mean_rgb(&out, time, inner(at[0]));
        assert!(near(found, wanted, 16.0), "at {time}: {found:?}");
    }
    for (time, shown) in [
        (1.96, false),
        (2.0, true),
        (2.96, true),
        (3.0, false),
        (3.96, false),
    ] {
        let found = mean_rgb(&out, time, inner(at[2]));
        assert_eq!(near(found, GREEN, 16.0), shown, "at {time}: {found:?}");
    }
}

#[test]
fn fades_rise_and_fall_frame_by_frame() {
    let main = fixture(
        "grey.mp4",
        "-f lavfi -i color=c=gray:size=640x360:rate=25:duration=4 \
         -c:v libx264 -preset veryfast -crf 10 -pix_fmt yuv420p",
    );
    let base = mean_rgb(&main, 1.0, (100, 100, 50, 50));
    let placement = Placement {
        from_ms: 1000,
        until_ms: Some(3000),
        fade_in_ms: 800,
        fade_out_ms: 400,
        opacity: 0.8,
        ..opaque(Anchor::Center)
    };
    let to_the_end = Placement {
        from_ms: 3000,
        until_ms: None,
        fade_in_ms: 0,
        fade_out_ms: 800,
        ..placement.clone()
    };
    let (out, at) = with(
        &main,
        vec![
            layer(&patch("red", "png"), placement),
            layer(&patch("red", "png"), to_the_end),
        ],
    );
    for (time, opacity) in [
        (0.96, 0.0),
        (1.0, 0.0),
        (1.2, 0.2),
        (1.4, 0.4),
        (1.6, 0.6),
        (1.8, 0.8),
        (2.4, 0.8),
        (2.8, 0.4),
        (2.92, 0.16),
        (3.0, 0.8),
        (3.6, 0.4),
        (3.92, 0.08),
    ] {
        let found = mean_rgb(&out, time, inner(at[0]));
        let wanted = [0, 1, 2].map(|c: usize| base[c] + (RED[c] - base[c]) * opacity);
        assert!(
            near(found, wanted, 7.0),
            "at {time}: {found:?}, expected {wanted:?}"
        );
    }
}

#[test]
fn too_many_layers_and_times_that_do_not_fit_are_refused() {
    let refused = |layers: Vec<Watermark>| {
        let out = fresh("out.mp4");
        let mut render = encoding(&plain());
        render.watermarks = layers;
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code, MediaCode::InvalidWatermark, "{error}");
        assert_alone(&out, &[]);
    };
    let red = patch("red", "png");
    // A label is laid on beside them.
    refused(vec![layer(&red, Placement::default()); MAX_LAYERS + 2]);
    refused(vec![
        layer(&red, Placement::default()),
        layer(
            &red,
            Placement {
                until_ms: Some(500),
                fade_in_ms: 300,
                fade_out_ms: 300,
                ..Placement::default()
            },
        ),
    ]);
}
