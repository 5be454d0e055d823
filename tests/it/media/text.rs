//! Text and drawings as layers, measured on the frames of what was made.

use std::path::Path;
use std::sync::Arc;

use filmlab::media::{
    Anchor, BytesInput, Fonts, LEAST_LABEL_MS, LabelLanguage, Length, MAX_LAYERS, MediaCode,
    Placement, TextMark, Watermark,
};

use super::support::*;

fn black(name: &str, size: &str) -> std::path::PathBuf {
    fixture(
        name,
        &format!(
            "-f lavfi -i color=black:size={size}:rate=10:duration=3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p"
        ),
    )
}

/// Rows and columns of a frame that show something bright: the first and behind the last.
fn bright(path: &Path, at: f64, (width, height): (usize, usize)) -> Option<[usize; 4]> {
    let gray = fresh("frame.gray");
    let shown = path.display().to_string();
    let out = gray.display().to_string();
    let at = at.to_string();
    ffmpeg(
        "-y",
        &[
            "-ss",
            &at,
            "-i",
            &shown,
            "-frames:v",
            "1",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            &out,
        ],
    );
    let pixels = std::fs::read(&gray).unwrap();
    assert_eq!(pixels.len(), width * height);
    let row = |y: usize| {
        pixels[y * width..][..width]
            .iter()
            .any(|value| *value > 128)
    };
    let column = |x: usize| (0..height).any(|y| pixels[y * width + x] > 128);
    Some([
        (0..width).find(|x| column(*x))?,
        (0..height).find(|y| row(*y))?,
        (0..width).rfind(|x| column(*x))? + 1,
        (0..height).rfind(|y| row(*y))? + 1,
    ])
}

#[test]
fn text_is_as_high_on_a_portrait_as_on_a_landscape_and_only_in_its_time() {
    let fonts = Fonts::default();
    let mark = TextMark {
        size: Length::Percent(10.0),
        ..TextMark::new("HH")
    };
    let placement = Placement {
        anchor: Anchor::TopLeft,
        opacity: 1.0,
        until_ms: Some(2000),
        ..Placement::default()
    };
    for (name, size) in [("text-w.mp4", (640, 360)), ("text-h.mp4", (360, 640))] {
        let main = black(name, &format!("{}x{}", size.0, size.1));
        let drawn = fonts.draw(&mark).unwrap();
        let mut render = encoding(&main);
        render.watermarks = vec![Watermark {
            placement: drawn.placed(&mark, &placement),
            image: Arc::new(drawn.image),
        }];
        let out = fresh("text.mp4");
        run(&render, &out).unwrap();
        let [left, top, right, bottom] = bright(&out, 1.0, size).unwrap();
        // 10 % of 360 pixels, and the line around it, which is dark, lies outside.
        assert!((bottom - top).abs_diff(36) <= 2, "{name}: {top}–{bottom}");
        assert!(
            (10..=16).contains(&left) && (10..=16).contains(&top),
            "{left} {top}"
        );
        assert!(right - left > 50, "{left}–{right}");
        assert_eq!(bright(&out, 2.5, size), None, "{name}");
    }
}

#[test]
fn a_drawing_is_a_picture_like_others() {
    let svg = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" \
               height=\"20\"><rect width=\"40\" height=\"20\" fill=\"#fff\"/></svg>";
    let main = black("text-w.mp4", "640x360");
    let mut render = encoding(&main);
    let placement = Placement {
        anchor: Anchor::Center,
        offset_x: Length::Pixels(0.0),
        offset_y: Length::Pixels(0.0),
        size: Length::Percent(50.0),
        opacity: 1.0,
        ..Placement::default()
    };
    let layer = |bytes: &[u8]| Watermark {
        image: Arc::new(BytesInput::new("logo.svg", bytes)),
        placement: placement.clone(),
    };
    render.watermarks = vec![layer(svg.as_bytes())];
    let out = fresh("drawing.mp4");
    let report = run(&render, &out).unwrap();
    let at = report.plan.watermarks[0];
    assert_eq!((at.width, at.height), (180, 90));
    let found = bright(&out, 1.0, (640, 360)).unwrap();
    assert_eq!(found, [230, 136, 410, 226].map(|n| n & !1));
    // What cannot be drawn is the watermark's fault, and nothing is written.
    for (bytes, told) in [
        (
            svg.replace("<rect", "<script/><rect").into_bytes(),
            "script",
        ),
        (vec![0x1f, 0x8b, 8, 0, 0, 0], "gzip"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'".to_vec(), "read"),
    ] {
        render.watermarks = vec![layer(&bytes)];
        let error = run(&render, &fresh("refused.mp4")).unwrap_err();
        assert_eq!(error.code, MediaCode::InvalidWatermark, "{error}");
        assert!(error.message.contains(told), "{error}");
    }
}

#[test]
fn the_label_is_a_twentieth_of_the_short_side_high_from_the_start_on() {
    let fonts = Fonts::default();
    for (name, size) in [("text-w.mp4", (640, 360)), ("text-h.mp4", (360, 640))] {
        let main = black(name, &format!("{}x{}", size.0, size.1));
        // Capital letters alone, so that their height is what is measured; then Chinese.
        for words in ["AI", LabelLanguage::Zh.words()] {
            let label = fonts.label(words, Anchor::TopLeft, Some(LEAST_LABEL_MS));
            let (drawn, placement) = label.unwrap();
            let mut render = encoding(&main);
            render.watermarks = vec![Watermark {
                image: Arc::new(drawn.image),
                placement,
            }];
            let out = fresh("label.mp4");
            run(&render, &out).unwrap();
            for at in [0.0, 1.0, 1.9] {
                let [_, top, _, bottom] = bright(&out, at, size).unwrap();
                assert!(
                    (18..=26).contains(&(bottom - top)),
                    "{words} {name}: {top}–{bottom}"
                );
            }
            assert_eq!(bright(&out, 2.1, size), None, "{words} {name}");
        }
    }
}

#[test]
fn the_label_stands_beside_eight_layers() {
    let fonts = Fonts::default();
    let main = black("text-w.mp4", "640x360");
    let (drawn, placement) = fonts.label("AI", Anchor::TopLeft, None).unwrap();
    let layer = Watermark {
        image: Arc::new(drawn.image),
        placement,
    };
    let mut render = encoding(&main);
    render.watermarks = vec![layer.clone(); MAX_LAYERS + 1];
    assert!(run(&render, &fresh("nine.mp4")).is_ok());
    render.watermarks.push(layer);
    let error = run(&render, &fresh("ten.mp4")).unwrap_err();
    assert_eq!(error.code, MediaCode::InvalidWatermark);
}

/// As fonts of emoji in pixels are: characters, and no outlines.
#[test]
fn what_a_font_has_no_outlines_for_it_does_not_have() {
    let whole = include_bytes!("../../../src/media/text/noto/NotoSansDevanagari.ttf");
    let mut bytes = whole.to_vec();
    let tables = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    let directory = &mut bytes[12..12 + 16 * tables];
    let mut directory = directory.chunks_exact_mut(16);
    let glyphs = directory.find(|table| table.starts_with(b"glyf"));
    glyphs.unwrap()[..4].copy_from_slice(b"glyx");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixels.ttf");
    std::fs::write(&file, bytes).unwrap();
    let mut fonts = Fonts::default();
    let error = fonts.add(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "is not a font of outlines (TrueType or OpenType)"
    );
    // In a folder it is passed over, and the next one has them.
    std::fs::write(folder.path().join("whole.ttf"), whole).unwrap();
    fonts.add(folder.path()).unwrap();
    assert!(fonts.draw(&TextMark::new("एआई")).is_ok());
}
