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
        let face = chosen.face_of(&letter.to_string(), faces.last().copied());
        faces.push(face.unwrap());
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

/// The built-in font with characters of another order: each is drawn as the letter beside it. Further
/// tables come with it.
fn made(
    shown: &[(std::ops::RangeInclusive<char>, char)],
    tables: &[(&[u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let whole: &[u8] = include_bytes!("noto/NotoSans.ttf");
    let font = skrifa::FontRef::new(whole).unwrap();
    // A table of ranges of glyphs (format 12), each of one.
    let of = |(range, letter): &(std::ops::RangeInclusive<char>, char)| {
        let glyph = glyph(*letter);
        range
            .clone()
            .map(move |shown| [u32::from(shown), u32::from(shown), glyph])
    };
    let mut groups: Vec<[u32; 3]> = shown.iter().flat_map(of).collect();
    groups.sort_unstable();
    let count = groups.len() as u32;
    let head = [
        1u32,
        0x0003_000a,
        12,
        0x000c_0000,
        16 + 12 * count,
        0,
        count,
    ];
    let words = head.into_iter().chain(groups.into_iter().flatten());
    let cmap = words.flat_map(u32::to_be_bytes).collect();
    let mut all = vec![(*b"cmap", cmap)];
    all.extend(tables.iter().map(|(tag, bytes)| (**tag, bytes.clone())));
    for record in font.table_directory().table_records() {
        let tag = record.tag().to_be_bytes();
        // Its rules know letters by their glyphs, which are others here.
        if !["cmap", "GSUB", "GPOS", "GDEF"]
            .iter()
            .any(|left| left.as_bytes() == tag)
        {
            let bytes = font.table_data(record.tag()).unwrap();
            all.push((tag, bytes.as_bytes().to_vec()));
        }
    }
    all.sort_by_key(|(tag, _)| *tag);
    let mut file = whole[..4].to_vec();
    file.extend(
        [all.len() as u16, 0, 0, 0]
            .into_iter()
            .flat_map(u16::to_be_bytes),
    );
    let mut at = 12 + 16 * all.len();
    let mut body = Vec::new();
    for (tag, mut bytes) in all {
        file.extend(tag);
        file.extend(
            [0, at as u32, bytes.len() as u32]
                .into_iter()
                .flat_map(u32::to_be_bytes),
        );
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        at += bytes.len();
        body.extend(bytes);
    }
    file.extend(body);
    file
}

/// A letter's glyph in the built-in font.
fn glyph(letter: char) -> u32 {
    use skrifa::MetadataProvider as _;
    let font = skrifa::FontRef::new(include_bytes!("noto/NotoSans.ttf")).unwrap();
    font.charmap().map(letter).unwrap().to_u32()
}

/// The built-in fonts and another one. It is read again when it is needed: its folder has to stay.
fn with(font: &[u8]) -> (tempfile::TempDir, Fonts) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.ttf");
    std::fs::write(&file, font).unwrap();
    let mut fonts = Fonts::default();
    fonts.add(&file).unwrap();
    (folder, fonts)
}

/// The outlines of what is drawn, one after the other.
fn outlines(fonts: &Fonts, text: &str) -> Vec<String> {
    let drawn = svg(&fonts.draw(&plain(text)).unwrap());
    let parts = drawn.split(" d=\"").skip(1);
    parts
        .map(|part| part.split('"').next().unwrap().to_owned())
        .collect()
}

#[test]
fn letters_beside_an_emoji_are_those_of_the_first_font() {
    // It has all of the line, as fonts of symbols often do, and no letter looks like the first font's.
    let (_folder, fonts) = with(&made(
        &[
            (' '..='~', 'W'),
            ('\u{300}'..='\u{36f}', 'W'),
            ('\u{20e3}'..='\u{20e3}', 'W'),
            ('\u{5d0}'..='\u{5ea}', 'I'),
            ('\u{1f300}'..='\u{1faff}', 'O'),
        ],
        &[],
    ));
    let alone = outlines(&fonts, "Hi");
    assert_eq!(alone.len(), 1);
    for text in ["Hi 😀", "Hi 👩\u{200d}🚀", "Hi\u{200f} 😀"] {
        let drawn = outlines(&fonts, text);
        assert_eq!(drawn.len(), 2, "{text}");
        assert_eq!(drawn[0], alone[0], "{text}");
    }
    // Behind it as well, and with an accent that both have.
    let accent = outlines(&Fonts::default(), "e\u{301}");
    let of = |text: &str| fonts.draw(&plain(text)).unwrap().width;
    let both = outlines(&fonts, "e\u{301}😀");
    assert_eq!(both[0], accent[0]);
    assert!((of("😀iii") - of("iii😀")).abs() < 0.1);
    // A sign behind it is of the first font, and spaces keep their width.
    let wide = of("😀 @i") - of("😀") - Fonts::default().draw(&plain("@i")).unwrap().width;
    assert!((0.2..0.8).contains(&wide), "{wide}");
    assert!(of("😀 א") > of("😀א") + 0.2);
    // An emoji of several parts stays with its parts, and so does what is laid over a letter.
    assert_eq!(outlines(&fonts, "👩\u{200d}🚀").len(), 1);
    assert_eq!(outlines(&fonts, "1\u{20e3}").len(), 1);
    // From right to left, the letters behind are the ones at the left.
    let turned = outlines(&fonts, "אב HH");
    assert_eq!(turned.len(), 2);
    assert_eq!(turned[0], outlines(&fonts, "HH")[0]);
}

#[test]
fn letters_that_join_stand_beside_those_of_another_font() {
    let fonts = Fonts::default();
    let of = |text: &str| fonts.draw(&plain(text)).unwrap().width;
    // Lam and alef are one glyph of the Arabic font, and two letters that the first one lacks.
    for text in ["H لا", "لا H", "H لا H"] {
        let drawn = of(text);
        let latin = text.replace("لا", "").trim().to_owned();
        assert!(drawn > of("لا") + of(&latin) - 0.4, "{text}: {drawn}");
        assert!(drawn < of("لا") + of(&latin) + 0.8, "{text}: {drawn}");
    }
}

/// One glyph of two layers, the first red and the second blue.
fn layered(letter: char, layers: [char; 2]) -> Vec<(&'static [u8; 4], Vec<u8>)> {
    let id = |letter: char| glyph(letter) as u16;
    let words = |words: &[u16]| {
        words
            .iter()
            .copied()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    // Version 0: one glyph with layers, from byte 14; two layers, from byte 20.
    let colr = words(&[
        0,
        1,
        0,
        14,
        0,
        20,
        2,
        id(letter),
        0,
        2,
        id(layers[0]),
        0,
        id(layers[1]),
        1,
    ]);
    // One palette of two colours, from byte 14: blue, green, red, opacity.
    let mut cpal = words(&[0, 2, 1, 2, 0, 14, 0]);
    cpal.extend([0, 0, 255, 255, 255, 0, 0, 255]);
    vec![(b"COLR", colr), (b"CPAL", cpal)]
}

#[test]
fn layers_in_colours_are_drawn_in_their_colours() {
    let font = made(
        &[('😀'..='😀', 'O'), ('😁'..='😁', 'I')],
        &layered('O', ['W', 'I']),
    );
    let (_folder, fonts) = with(&font);
    let image = seen(&fonts, &plain("H😀"), 60.0);
    let has = |wanted: [u8; 4]| image.rgba.chunks_exact(4).any(|pixel| pixel == wanted);
    assert!(has([255; 4]) && has([255, 0, 0, 255]) && has([0, 0, 255, 255]));
    // Without layers it is an outline in the colour of the text.
    let image = seen(&fonts, &plain("😁"), 60.0);
    assert!(
        image
            .rgba
            .chunks_exact(4)
            .all(|pixel| pixel[3] < 255 || pixel == [255; 4])
    );
}

#[test]
fn colours_that_turn_are_not_drawn_and_told() {
    let id = |letter: char| (glyph(letter) as u16).to_be_bytes();
    // Version 1: no glyph of version 0; one glyph, from byte 34.
    let mut colr: Vec<u8> = [1u16, 0, 0, 0, 0, 0, 0, 0, 34]
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    colr.resize(34, 0);
    // Its record, then an outline (10) that is filled with colours around a point (8), of two stops.
    colr.extend([0, 0, 0, 1]);
    colr.extend(id('O'));
    colr.extend([0, 0, 0, 10, 10, 0, 0, 6]);
    colr.extend(id('W'));
    colr.extend([8, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0x40, 0]);
    colr.extend([0, 0, 2, 0, 0, 0, 0, 0x40, 0, 0x40, 0, 0, 1, 0x40, 0]);
    let cpal = layered('O', ['W', 'I']).pop().unwrap();
    let font = made(
        &[('😀'..='😀', 'O'), ('😁'..='😁', 'I')],
        &[(b"COLR", colr), cpal],
    );
    let (_folder, fonts) = with(&font);
    assert!(fonts.draw(&plain("😁")).is_ok());
    assert_eq!(
        fonts.draw(&plain("😀")).unwrap_err(),
        TextError::NoGlyph('😀')
    );
}
