//! Text as a layer: laid out once, by the fonts there are, into a drawing of outlines.
//!
//! What comes of it is an SVG picture without text: whoever draws it needs no fonts, and it goes the
//! way of any other picture of a watermark.

mod fonts;
mod label;
mod layout;
mod runs;
mod style;

pub use self::fonts::{FontError, Fonts};
pub use self::label::{LEAST_LABEL_MS, LabelLanguage, MOST_LABEL};
pub use self::layout::DrawnText;
pub use self::style::{Color, ColorError, MOST_LETTERS, Paint, TextError, TextMark};

#[cfg(test)]
mod tests;
