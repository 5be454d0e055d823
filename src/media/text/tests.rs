use std::io::Read as _;

use super::super::drawing::Drawing;
use super::super::image::Image;
use super::super::input::Input as _;
use super::super::watermark::{Length, Placement};
use super::*;

fn svg(drawn: &DrawnText) -> String {
    let mut text = String::new();
    drawn
        .image
        .open()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Drawn with capital letters of so many pixels.
fn seen(fonts: &Fonts, mark: &TextMark, capital: f32) -> Image {
    let drawn = fonts.draw(mark).unwrap();
    let drawing = Drawing::read(svg(&drawn).as_bytes()).unwrap();
    let width = drawn.width * capital;
    let height = width * drawing.height as f32 / drawing.width as f32;
    drawing
        .draw(width.round() as u32, height.round() as u32)
        .unwrap()
}

fn plain(text: &str) -> TextMark {
    TextMark {
        stroke: None,
        ..TextMark::new(text)
    }
}

#[test]
fn a_capital_letter_is_as_high_as_it_should_be() {
    let image = seen(&Fonts::default(), &plain("H"), 60.0);
    // The picture is the letter, to the edge.
    assert!(image.height.abs_diff(60) <= 1, "{}", image.height);
    let inside = |x: u32, y: u32| image.rgba[((y * image.width + x) * 4) as usize..][..4].to_vec();
    assert_eq!(inside(3, image.height / 4), [255; 4]);
    assert_eq!(inside(image.width / 2, image.height / 4)[3], 0);
    let placed = Fonts::default().draw(&plain("H")).unwrap();
    let placed = placed.placed(&plain("H"), &Placement::default());
    let rectangle = placed
        .rectangle((1920, 1080), (image.width, image.height))
        .unwrap();
    // 4 % of 1080 pixels.
    assert!(rectangle.height.abs_diff(43) <= 2, "{rectangle:?}");
}

#[test]
fn colours_lines_and_boxes_are_where_they_belong() {
    let mark = TextMark {
        color: "#ff0000".parse().unwrap(),
        stroke: Some("#00ff00".parse().unwrap()),
        background: Some("#0000ff80".parse().unwrap()),
        ..TextMark::new("I")
    };
    let image = seen(&Fonts::default(), &mark, 100.0);
    let row = image.height / 2 * image.width;
    let row = &image.rgba[(row * 4) as usize..((row + image.width) * 4) as usize];
    let has = |wanted: [u8; 4]| {
        row.chunks_exact(4)
            .any(|pixel| pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 3))
    };
    assert!(has([255, 0, 0, 255]) && has([0, 255, 0, 255]) && has([0, 0, 255, 128]));
    assert_eq!(row[..4], [0, 0, 255, 128]);
}

#[test]
fn markup_stays_text() {
    let fonts = Fonts::default();
    let of = |text: &str| fonts.draw(&plain(text)).unwrap().width;
    let hostile = "</text><script>x</script>&lt;&#65;]]>";
    assert!(of(hostile) > of("x") * 20.0);
    assert!(of("<b>A</b>") > of("A") * 5.0);
    assert!(of("&lt;") > of("<") * 2.0);
    let drawn = svg(&fonts.draw(&plain(hostile)).unwrap());
    assert!(
        !drawn.contains("script") && !drawn.contains("<text"),
        "{drawn}"
    );
}

#[test]
fn what_no_font_has_is_told_by_its_name() {
    let fonts = Fonts::default();
    for (text, missing) in [("a日b", '日'), ("hi 🎬", '🎬'), ("ש", 'ש')] {
        let error = fonts.draw(&plain(text)).unwrap_err();
        assert_eq!(error, TextError::NoGlyph(missing));
        let code = format!("U+{:04X}", u32::from(missing));
        assert!(error.to_string().contains(&code), "{error}");
    }
    let mark = TextMark {
        font: Some("Comic Sans".to_owned()),
        ..plain("a")
    };
    assert_eq!(
        fonts.draw(&mark).unwrap_err(),
        TextError::NoFont("Comic Sans".to_owned())
    );
    let named = TextMark {
        font: Some("noto sans".to_owned()),
        ..plain("a")
    };
    assert!(fonts.draw(&named).is_ok());
}

#[test]
fn long_names_and_steering_characters_are_drawn() {
    let fonts = Fonts::default();
    let name = format!(
        "@{}",
        "Ünïcödé_ΑΩ_ёж_"
            .repeat(5)
            .chars()
            .take(63)
            .collect::<String>()
    );
    assert_eq!(name.chars().count(), 64);
    let drawn = fonts.draw(&TextMark::new(&name)).unwrap();
    assert!(drawn.width > 40.0, "{}", drawn.width);
    // 200 letters at their widest still lie on a frame.
    let long = TextMark {
        size: Length::Percent(100.0),
        ..TextMark::new("W".repeat(MOST_LETTERS))
    };
    let drawn = fonts.draw(&long).unwrap();
    let placed = drawn.placed(&long, &Placement::default());
    assert!(placed.rectangle((640, 360), (16_384, 80)).unwrap().width <= 640);
    for unseen in ["a\u{200d}b", "\u{202e}abc\u{202c}", "a\u{fe0f}", "e\u{301}"] {
        assert!(fonts.draw(&plain(unseen)).is_ok(), "{unseen:?}");
    }
}

#[test]
fn right_to_left_is_from_right_to_left() {
    let fonts = Fonts::default();
    // The dot of the first letter's word is at the right; letters join, so that the word is shorter
    // than its letters one by one.
    let word = fonts.draw(&plain("مولد")).unwrap().width;
    let letters: f32 = ["م", "و", "ل", "د"]
        .map(|letter| fonts.draw(&plain(letter)).unwrap().width)
        .iter()
        .sum();
    assert!(word < letters, "{word} {letters}");
    // With a Latin letter behind it: that one is at the left end.
    let image = seen(&fonts, &plain("مولد I"), 80.0);
    let column = |x: u32| {
        (0..image.height)
            .filter(|y| image.rgba[((y * image.width + x) * 4 + 3) as usize] > 128)
            .count()
    };
    // Its stem stands between serifs.
    let stem = (0..30).find(|x| column(*x).abs_diff(80) <= 3);
    assert!(
        stem.is_some(),
        "{:?}",
        (0..30).map(column).collect::<Vec<_>>()
    );
}

#[test]
fn a_second_font_draws_what_the_first_lacks_and_no_more() {
    // The Arabic font has Latin punctuation and digits, too; the letters of the first stay its own.
    let chosen = Fonts::default().choose("ab 1 مول 2 ab", None).unwrap();
    assert_eq!(chosen.faces.len(), 2);
    let mut faces = Vec::new();
    for letter in "ab 1 مول ab".chars() {
        faces.push(chosen.face_of(letter, faces.last().copied()));
    }
    assert_eq!(faces[..5], [0; 5]);
    assert_eq!(faces[5..8], [1; 3]);
    assert_eq!(faces[9..], [0; 2]);
    let alone = Fonts::default().draw(&plain("HH")).unwrap().width;
    let beside = Fonts::default().draw(&plain("HH生")).unwrap().width;
    // An ideograph is as wide as it is high: 1 em, 1.4 capital letters.
    assert!((beside - alone - 1.4).abs() < 0.2, "{alone} {beside}");
}

#[test]
fn fonts_of_a_folder_count_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "no font").unwrap();
    std::fs::write(folder.path().join("broken.ttf"), "no font either").unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let file = inner.join("Other.TTF");
    let bytes = include_bytes!("noto/NotoSansDevanagari.ttf");
    std::fs::write(&file, bytes).unwrap();
    let mut fonts = Fonts::default();
    fonts.add(folder.path()).unwrap();
    let named = TextMark {
        font: Some("Noto Sans Devanagari".to_owned()),
        ..plain("एआई")
    };
    assert!(fonts.draw(&named).is_ok());
    let broken = folder.path().join("broken.ttf");
    assert!(matches!(fonts.add(&broken), Err(FontError::NotAFont)));
    let gone = folder.path().join("gone.ttf");
    assert!(matches!(fonts.add(&gone), Err(FontError::Unreadable(_))));
    let large = folder.path().join("large.ttf");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(65 << 20)
        .unwrap();
    assert!(matches!(fonts.add(&large), Err(FontError::TooLarge)));
}
