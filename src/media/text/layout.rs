//! Laying text out.

use std::fmt::Write as _;
use std::sync::Arc;

use resvg::usvg::fontdb::{Database, ID, Source};
use resvg::usvg::{FontFamily, FontResolver, Options, Rect, Tree, WriteOptions};

use super::fonts::{Chosen, Fonts};
use super::style::{Color, TextError, TextMark};
use crate::media::drawing::{Drawing, MOST_BYTES};
use crate::media::error::MediaError;
use crate::media::input::BytesInput;
use crate::media::watermark::Placement;

/// The size that letters are laid out in; outlines are kept to a hundredth of it.
const EM: f32 = 100.0;
/// Width of the outline around letters, of the height of a capital letter; half of it shows.
const STROKE: f32 = 0.16;
/// Space around letters on a background, of the height of a capital letter.
const PADDING: f32 = 0.4;

/// Text that is laid out.
#[derive(Debug, Clone)]
pub struct DrawnText {
    /// Its outlines.
    pub image: BytesInput,
    /// Its width, in heights of a capital letter.
    pub(super) width: f32,
}

impl DrawnText {
    /// Where it goes: `size` of its mark is the height of a capital letter, a placement's is its
    /// width.
    #[must_use]
    pub fn placed(&self, mark: &TextMark, placement: &Placement) -> Placement {
        Placement {
            size: mark.size.times(self.width),
            ..placement.clone()
        }
    }
}

impl Fonts {
    /// Lays text out.
    ///
    /// # Errors
    /// Every [`TextError`].
    pub fn draw(&self, mark: &TextMark) -> Result<DrawnText, TextError> {
        let words = mark.words()?;
        let chosen = self.choose(words, mark.font.as_deref())?;
        let capital = chosen.capital * EM;
        let letters = letters(words, mark, &chosen, capital * STROKE);
        // Once to see how large it is, and once within that.
        let around = format!("<svg xmlns=\"{SVG}\" width=\"1\" height=\"1\">{letters}</svg>");
        let bounds = read(&around, &chosen)?.root().abs_stroke_bounding_box();
        let padding = if mark.background.is_some() {
            capital * PADDING
        } else {
            0.0
        };
        let bounds = bounds
            .outset(padding, padding)
            .filter(|bounds| bounds.width() > 0.0 && bounds.height() > 0.0)
            .ok_or_else(|| TextError::Unusable("there is nothing to see".to_owned()))?;
        let image = framed(&bounds, mark.background, &letters);
        let tree = read(&image, &chosen)?;
        let image = tree.to_string(&WriteOptions {
            preserve_text: false,
            coordinates_precision: 2,
            transforms_precision: 6,
            ..WriteOptions::default()
        });
        if image.len() > MOST_BYTES {
            let why = "its letters are too many, and too rich in detail";
            return Err(TextError::Unusable(why.to_owned()));
        }
        // It goes the way of a drawing from now on. Emoji in colours may be more than one may hold.
        let unfit = |error: MediaError| TextError::Unusable(error.message);
        Drawing::read(image.as_bytes()).map_err(unfit)?;
        Ok(DrawnText {
            image: BytesInput::new(format!("“{words}”"), image.into_bytes()),
            width: bounds.width() / capital,
        })
    }
}

const SVG: &str = "http://www.w3.org/2000/svg";

/// Letters from the origin on.
fn letters(words: &str, mark: &TextMark, chosen: &Chosen, stroke: f32) -> String {
    let mut text = format!(
        "<text xml:space=\"preserve\" font-size=\"{EM}\" {}",
        mark.color.as_attributes("fill")
    );
    if let Some(color) = mark.stroke {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            " {} stroke-width=\"{stroke}\" stroke-linejoin=\"round\" paint-order=\"stroke\"",
            color.as_attributes("stroke")
        );
    }
    text.push('>');
    // The library takes every line for one from left to right. Embedding steers it, and has no look.
    let turned = runs_from_right(words);
    text.extend(turned.then_some('\u{202b}'));
    // Each part says which font it is of: left to itself, the library takes a font that has what the
    // first one lacks for all of the line, if it can.
    let mut face = None;
    for letter in words.chars() {
        let next = chosen.face_of(letter, face);
        if face != Some(next) {
            if face.is_some() {
                text.push_str("</tspan>");
            }
            let _ = write!(text, "<tspan font-family=\"f{next}\">");
            face = Some(next);
        }
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            other => text.push(other),
        }
    }
    if face.is_some() {
        text.push_str("</tspan>");
    }
    text.extend(turned.then_some('\u{202c}'));
    text.push_str("</text>");
    text
}

/// Whether the first letter is of a script that is written from right to left.
fn runs_from_right(words: &str) -> bool {
    let first = words.chars().find(|letter| letter.is_alphabetic());
    first.is_some_and(|letter| {
        matches!(u32::from(letter),
            0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x10800..=0x10fff | 0x1e800..=0x1efff)
    })
}

fn framed(bounds: &Rect, background: Option<Color>, letters: &str) -> String {
    let (x, y, w, h) = (bounds.x(), bounds.y(), bounds.width(), bounds.height());
    let background = background.map(|color| {
        let fill = color.as_attributes("fill");
        format!("<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {fill}/>")
    });
    format!(
        "<svg xmlns=\"{SVG}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\">{}{letters}</svg>",
        background.unwrap_or_default()
    )
}

/// Reads a drawing with text; only the fonts that were chosen for it are there.
fn read(image: &str, chosen: &Chosen) -> Result<Tree, TextError> {
    let mut fonts = Database::new();
    let mut ids = Vec::new();
    for face in &chosen.faces {
        let found = fonts.load_font_source(Source::Binary(face.data.clone()));
        // A file may hold several; that of the index is the one.
        let found = found.iter().find(|id| {
            fonts
                .face(**id)
                .is_some_and(|info| info.index == face.index)
        });
        ids.extend(found.map(|id| (*id, face.covers.clone())));
    }
    let named: Vec<ID> = ids.iter().map(|(id, _)| *id).collect();
    let options = Options {
        fontdb: Arc::new(fonts),
        font_resolver: FontResolver {
            select_font: Box::new(move |font, _| {
                let number = font.families().iter().find_map(|family| match family {
                    FontFamily::Named(name) => name.strip_prefix('f')?.parse::<usize>().ok(),
                    _ => None,
                });
                named.get(number.unwrap_or(0)).copied()
            }),
            select_fallback: Box::new(move |letter, used: &[ID], _| {
                let mut left = ids.iter().filter(|(id, _)| !used.contains(id));
                left.find(|(_, covers)| covers.has(letter))
                    .map(|(id, _)| *id)
            }),
        },
        ..Options::default()
    };
    Tree::from_str(image, &options).map_err(|error| TextError::Unusable(error.to_string()))
}
