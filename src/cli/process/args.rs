//! The flags.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use strum::IntoEnumIterator as _;

use super::marks::{Marks, within};
use crate::media::{AudioTrack, Preset, SourceType};

#[derive(Debug, Args)]
#[command(
    override_usage = "filmlab process [OPTIONS] <INPUT> --output <FILE>",
    after_help = EXIT_STATUS
)]
pub(in crate::cli) struct ProcessArgs {
    // Optional for the parser alone, so that their absence is told with all other faults.
    /// The video.
    #[arg(value_name = "INPUT")]
    pub(super) input: Option<PathBuf>,
    /// Where the result goes: an MP4 of H.264 and AAC that starts fast.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) marks: Marks,
    /// Encoding settings: web, small, archive, or one of the settings file.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "web",
        help_heading = "Encoding"
    )]
    pub(super) profile: String,
    /// Instead of the profile's quality: 1 (finest) to 51 (coarsest).
    #[arg(long, value_name = "1-51", value_parser = crf, help_heading = "Encoding")]
    pub(super) crf: Option<f32>,
    /// Instead of the profile's: x264's speed against size.
    #[arg(long, value_name = "PRESET", value_parser = preset(), help_heading = "Encoding")]
    pub(super) preset: Option<Preset>,
    /// Threads of the codecs; 0 is one a core.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Encoding",
          value_parser = clap::value_parser!(u16).range(0..=128))]
    pub(super) threads: u16,
    /// The track of sound to take: its number from 1, or its language.
    #[arg(long, value_name = "N|LANG", help_heading = "Encoding")]
    pub(super) audio_track: Option<AudioTrack>,
    /// How the video was made, in IPTC's words, for its metadata; by default what the input says.
    #[arg(long, value_name = "WORD", value_parser = source_type(), help_heading = "Provenance")]
    pub(super) source_type: Option<SourceType>,
    /// The visible label: on (in the language of the settings), off, or words of your own
    /// [default: off].
    #[arg(long, value_name = "on|off|WORDS", help_heading = "Provenance")]
    pub(super) label: Option<String>,
    /// Sign the result (C2PA), with the key of the settings or of this machine.
    #[arg(long, help_heading = "Provenance")]
    pub(super) sign: bool,
    /// Also write a poster: one good frame as JPEG.
    #[arg(long, value_name = "FILE")]
    pub(super) poster: Option<PathBuf>,
    /// Also write what was done and why, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Replace files that exist.
    #[arg(short = 'y', long)]
    pub(super) overwrite: bool,
}

const EXIT_STATUS: &str = "\
Exit status: 0 done; 64 flags or settings are wrong; 65 the input is not usable; 70 a fault of \
this program or machine; 130 or 143 stopped by Ctrl-C or SIGTERM. Whatever it is but 0, no file \
was written or replaced.";

/// IPTC's words.
fn source_type() -> impl clap::builder::TypedValueParser<Value = SourceType> {
    let words = SourceType::iter().map(|word| PossibleValue::new(<&str>::from(word)));
    PossibleValuesParser::new(words).try_map(|word| word.parse::<SourceType>())
}

fn preset() -> impl clap::builder::TypedValueParser<Value = Preset> {
    PossibleValuesParser::new([
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
    ])
    .try_map(|name| name.parse::<Preset>())
}

/// Below 1, x264 is lossless, which the H.264 that browsers play (High) does not know.
fn crf(text: &str) -> Result<f32, String> {
    within(text, 1.0, 51.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_that_help_offers_is_one() {
        let presets = offered(&preset());
        assert_eq!(presets.len(), 9);
        for name in presets {
            assert_eq!(name.parse().map(Preset::as_str), Ok(name.as_str()));
        }
    }

    fn offered(parser: &impl clap::builder::TypedValueParser) -> Vec<String> {
        let values = parser.possible_values().into_iter().flatten();
        values.map(|value| value.get_name().to_owned()).collect()
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(crf("18.5"), Ok(18.5));
        for bad in ["52", "0", "nan", "", "low"] {
            assert!(crf(bad).is_err(), "{bad}");
        }
    }
}
