//! Laying text out.

use std::sync::Arc;

use resvg::usvg::fontdb::{Database, ID, Source};
use resvg::usvg::{FontFamily, FontResolver, Options, Rect, Tree, WriteOptions};

use super::fonts::{Chosen, Fonts};
use super::runs::{Run, runs};
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
        let runs = runs(words, &chosen);
        let look = look(mark, capital * STROKE);
        // Once to see how wide each run is, once to see how large the line is, and once within that.
        let mut places = vec![0.0; runs.len()];
        let apart = read(&bare(&letters(&runs, &places, &look)), &chosen)?;
        let mut next = 0.0;
        for (index, (run, place)) in runs.iter().zip(&mut places).enumerate() {
            *place = next;
            // From the origin to where the next letter would begin.
            let laid = apart.node_by_id(&format!("r{index}"));
            next += match laid {
                Some(laid) if !run.is_space() => laid.bounding_box().right(),
                _ => chosen.width_of_space(run.face, &run.words) * EM,
            };
        }
        let letters = letters(&runs, &places, &look);
        let bounds = read(&bare(&letters), &chosen)?
            .root()
            .abs_stroke_bounding_box();
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

/// Attributes of all letters.
fn look(mark: &TextMark, stroke: f32) -> String {
    let fill = mark.color.as_attributes("fill");
    let stroke = mark.stroke.map(|color| {
        let color = color.as_attributes("stroke");
        format!(
            " {color} stroke-width=\"{stroke}\" stroke-linejoin=\"round\" paint-order=\"stroke\""
        )
    });
    format!("{fill}{}", stroke.unwrap_or_default())
}

/// Each run at its place, as a text of its own: of several fonts in one text, the library lays all of
/// it out in each, and loses letters where one of them joins what another does not.
fn letters(runs: &[Run], places: &[f32], look: &str) -> String {
    let mut text = String::new();
    for (index, (run, place)) in runs.iter().zip(places).enumerate() {
        let face = run.face;
        text.push_str(&format!(
            "<text id=\"r{index}\" x=\"{place}\" xml:space=\"preserve\" font-size=\"{EM}\" \
             font-family=\"f{face}\" {look}>"
        ));
        // The library takes every line for one from left to right. This steers it, and has no look.
        text.extend(run.from_right.then_some('\u{202e}'));
        for letter in run.words.chars() {
            match letter {
                '&' => text.push_str("&amp;"),
                '<' => text.push_str("&lt;"),
                '>' => text.push_str("&gt;"),
                other => text.push(other),
            }
        }
        text.push_str("</text>");
    }
    text
}

fn bare(letters: &str) -> String {
    format!("<svg xmlns=\"{SVG}\" width=\"1\" height=\"1\">{letters}</svg>")
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
    let mut named: Vec<Option<ID>> = Vec::new();
    for face in &chosen.faces {
        let found = fonts.load_font_source(Source::Binary(face.data.clone()));
        // A file may hold several; that of the index is the one.
        let found = found.iter().find(|id| {
            fonts
                .face(**id)
                .is_some_and(|info| info.index == face.index)
        });
        named.push(found.copied());
    }
    let options = Options {
        fontdb: Arc::new(fonts),
        font_resolver: FontResolver {
            select_font: Box::new(move |font, _| {
                let number = font.families().iter().find_map(|family| match family {
                    FontFamily::Named(name) => name.strip_prefix('f')?.parse::<usize>().ok(),
                    _ => None,
                });
                named.get(number.unwrap_or(0)).copied().flatten()
            }),
            // Each run has the font that it is of. A second one would be taken for all of the run.
            select_fallback: Box::new(|_, _, _| None),
        },
        ..Options::default()
    };
    Tree::from_str(image, &options).map_err(|error| TextError::Unusable(error.to_string()))
}
