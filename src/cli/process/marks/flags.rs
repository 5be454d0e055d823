//! The flags of a layer, as the parser sees them.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use strum::IntoEnumIterator as _;

use crate::media::{Anchor, Color, Length, LengthError, Paint};

/// The flags as the parser sees them.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Picture to lay over the frames: PNG, JPEG, WebP or SVG. Again for a further layer; the flags
    /// below belong to the watermark named before them.
    #[arg(long, value_name = "LOGO", help_heading = "Watermark")]
    watermark: Vec<PathBuf>,
    /// A line of text to lay over the frames. It begins a layer, as a picture does.
    #[arg(long, value_name = "WORDS", help_heading = "Watermark")]
    text: Vec<String>,
    /// Family of the text's font [default: the built-in one].
    #[arg(long, value_name = "FAMILY", help_heading = "Watermark")]
    font: Vec<String>,
    /// Height of the text's capital letters: 4% of the frame's short side, or 24px [default: 4%].
    #[arg(long, value_name = "LENGTH", value_parser = scale, help_heading = "Watermark")]
    size: Vec<Length>,
    // As help: in a comment the default would be taken for a link.
    #[arg(
        long,
        value_name = "COLOR",
        help = "Of the text: #rrggbb, or #rrggbbaa [default: #ffffff]",
        help_heading = "Watermark"
    )]
    color: Vec<Color>,
    #[arg(
        long,
        value_name = "COLOR",
        help = "Of a line around each letter, or none [default: #000000]",
        help_heading = "Watermark"
    )]
    stroke: Vec<Paint>,
    /// Of a box behind the text, or none [default: none].
    #[arg(long, value_name = "COLOR", help_heading = "Watermark")]
    background: Vec<Paint>,
    /// Corner, edge or centre the mark is tied to [default: bottom-right].
    #[arg(long, value_name = "PLACE", value_parser = anchor(), help_heading = "Watermark")]
    anchor: Vec<Anchor>,
    /// 0 (invisible) to 1 [default: 0.85].
    #[arg(long, value_name = "0-1", value_parser = opacity, help_heading = "Watermark")]
    opacity: Vec<f32>,
    /// Width of the mark: 15% of the frame's short side, or 240px [default: 20%].
    #[arg(long, value_name = "LENGTH", value_parser = scale, help_heading = "Watermark")]
    scale: Vec<Length>,
    /// Distance from the anchored left or right edge [default: 3%].
    #[arg(
        long,
        value_name = "LENGTH",
        allow_hyphen_values = true,
        help_heading = "Watermark"
    )]
    offset_x: Vec<Length>,
    /// Distance from the anchored top or bottom edge [default: 3%].
    #[arg(
        long,
        value_name = "LENGTH",
        allow_hyphen_values = true,
        help_heading = "Watermark"
    )]
    offset_y: Vec<Length>,
    /// Shown from here on, in milliseconds of the result.
    #[arg(long, value_name = "MS", help_heading = "Watermark")]
    from_ms: Vec<u64>,
    /// Shown until before this [default: to the end].
    #[arg(long, value_name = "MS", help_heading = "Watermark")]
    until_ms: Vec<u64>,
    /// Fades in over this time.
    #[arg(long, value_name = "MS", help_heading = "Watermark")]
    fade_in_ms: Vec<u64>,
    /// Fades out over this time.
    #[arg(long, value_name = "MS", help_heading = "Watermark")]
    fade_out_ms: Vec<u64>,
}
fn anchor() -> impl TypedValueParser<Value = Anchor> {
    PossibleValuesParser::new(Anchor::iter().map(<&str>::from))
        .try_map(|name| name.parse::<Anchor>())
}

/// A number in a range; "nan" is none.
pub(in crate::cli::process) fn within(text: &str, least: f32, most: f32) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("write a number from {least} to {most}"))
}

fn opacity(text: &str) -> Result<f32, String> {
    within(text, 0.0, 1.0)
}

fn scale(text: &str) -> Result<Length, String> {
    let length: Length = text
        .parse()
        .map_err(|error: LengthError| error.to_string())?;
    let (Length::Percent(value) | Length::Pixels(value)) = length;
    if value > 0.0 {
        Ok(length)
    } else {
        Err("it must be more than 0".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(opacity("0"), Ok(0.0));
        assert!(scale("0%").is_err() && scale("-3px").is_err());
        assert_eq!(scale("15%"), Ok(Length::Percent(15.0)));
    }
}
