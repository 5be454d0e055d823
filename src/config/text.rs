//! `[fonts]`, and the text of `[watermark]`.

use std::path::PathBuf;

use super::provenance::Line;
use super::reader::Reader;
use super::table::{Keyed as _, Open, Setting, settings};
use crate::fields::{DiskPath, Flag, Parsed, Text};
use crate::media::{Color, DrawnText, Fonts, Length, Paint, TextMark};

const LENGTH: Parsed<Length> = Parsed::new("percent of the short side, or pixels");
const PAINT: Parsed<Paint> = Parsed::new("`#rgb`, `#rrggbb`, `#rrggbbaa`, `none`");

settings! { TEXT of "watermark" {
    WORDS: Open<Line> = "text", Line, "none",
        "text instead of a picture. See [Watermark](media.md#watermark) for this and the next five";
    FONT: Open<Text> = "font", Text("a family"), "the built-in one", "what the text is written in";
    SIZE: Setting<Parsed<Length>> = "size", LENGTH, TextMark::SIZE,
        "height of the text's capital letters; more than 0";
    COLOR: Setting<Parsed<Color>> = "color", Parsed::new("`#rgb`, `#rrggbb`, `#rrggbbaa`"),
        Color::WHITE, "of the text";
    STROKE: Setting<Parsed<Paint>> = "stroke", PAINT, Paint(Some(Color::BLACK)),
        "of a line around each letter";
    BACKGROUND: Setting<Parsed<Paint>> = "background", PAINT, Paint(None),
        "of a box behind the text";
}}

settings! { FONTS of "fonts" {
    PATH: Open<DiskPath> = "path", DiskPath("a file, or a folder"), "none",
        "fonts besides the built-in ones (TrueType or OpenType); see [Text](media.md#text)";
    SYSTEM: Setting<Flag> = "system", Flag, false,
        "whether those under `/usr/share/fonts` and `/usr/local/share/fonts` count too";
}}

/// The fonts there are.
pub(super) fn fonts(r: &mut Reader) -> Fonts {
    let mut fonts = Fonts::default();
    let path: Option<PathBuf> = r.given(&PATH);
    if let Some(path) = path
        && let Err(error) = fonts.add(&path)
    {
        r.fault(&PATH.key(), format!("{} {error}", path.display()));
    }
    if r.value(&SYSTEM) {
        fonts.add_system();
    }
    fonts
}

/// The text of a layer, laid out, if it has any.
pub(super) fn text(r: &mut Reader, at: &str, fonts: &Fonts) -> Option<(TextMark, DrawnText)> {
    let words = r.given_at(at, &WORDS);
    let mark = TextMark {
        text: words.clone().unwrap_or_default(),
        font: r.given_at(at, &FONT),
        size: r.value_at(at, &SIZE),
        color: r.value_at(at, &COLOR),
        stroke: r.value_at(at, &STROKE).0,
        background: r.value_at(at, &BACKGROUND).0,
    };
    let key = |field: &str| format!("{at}.{field}");
    if words.is_none() {
        // What is written badly is told already.
        if !r.is_faulty(&key(WORDS.field())) {
            for row in TEXT.iter().skip(1).map(|setting| setting.row()) {
                let key = key(row.field());
                if r.has(&key) && !r.is_faulty(&key) {
                    r.fault(&key, format!("goes with {at}.text"));
                }
            }
        }
        return None;
    }
    if let Some(why) = mark.size_fault() {
        r.fault(&key(SIZE.field()), why);
    }
    match fonts.draw(&mark) {
        Ok(drawn) => Some((mark, drawn)),
        Err(error) => {
            r.fault(&key(WORDS.field()), error.to_string());
            None
        }
    }
}
