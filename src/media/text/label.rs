//! The visible label: words that say of a video that a model made it.

use super::fonts::Fonts;
use super::layout::DrawnText;
use super::style::{TextError, TextMark};
use crate::media::watermark::{Anchor, Length, Placement};

/// Letters of a label.
pub const MOST_LABEL: usize = 40;

/// Height of its capital letters. Laws ask for 5 % of the shorter side at least; even pixels may take
/// a part of what is more.
const SIZE: f32 = 5.4;

/// The least time that laws ask for, from the start.
pub const LEAST_LABEL_MS: u64 = 2000;

/// What a label says, by language.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs, reason = "codes of ISO 639-1")]
pub enum LabelLanguage {
    En,
    De,
    Fr,
    Es,
    It,
    Pt,
    Nl,
    Pl,
    Ru,
    Uk,
    Zh,
    Ja,
    Ko,
    Ar,
    Hi,
}

impl LabelLanguage {
    /// Its words. The built-in fonts have every letter of them (`scripts/fonts.sh`).
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::En => "AI-generated",
            Self::De => "KI-generiert",
            Self::Fr => "Généré par IA",
            Self::Es => "Generado por IA",
            Self::It => "Generato con IA",
            Self::Pt => "Gerado por IA",
            Self::Nl => "AI-gegenereerd",
            Self::Pl => "Wygenerowane przez AI",
            Self::Ru => "Создано ИИ",
            Self::Uk => "Створено ШІ",
            // What GB 45438-2025 and its Japanese neighbours write alike.
            Self::Zh | Self::Ja => "AI生成",
            Self::Ko => "AI 생성",
            Self::Ar => "مولد بالذكاء الاصطناعي",
            Self::Hi => "एआई द्वारा निर्मित",
        }
    }
}

impl Fonts {
    /// Lays a label out, and says where it goes: from the start on, until `until_ms` if that is set.
    ///
    /// # Errors
    /// Every [`TextError`]; `Unusable` where it would have to be smaller than laws ask for.
    pub fn label(
        &self,
        words: &str,
        anchor: Anchor,
        until_ms: Option<u64>,
    ) -> Result<(DrawnText, Placement), TextError> {
        let mark = TextMark {
            size: Length::Percent(SIZE),
            ..TextMark::new(words)
        };
        let drawn = self.draw(&mark)?;
        let placement = drawn.placed(
            &mark,
            &Placement {
                anchor,
                opacity: 1.0,
                until_ms,
                ..Placement::USUAL
            },
        );
        // A frame is never narrower than its short side.
        match placement.size {
            Length::Percent(width) if width <= 100.0 => Ok((drawn, placement)),
            _ => Err(TextError::Unusable(
                "it is too long for a label: on an upright video it would be lower than 5 %"
                    .to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn the_built_in_fonts_have_the_words_of_every_language() {
        let fonts = Fonts::default();
        for language in LabelLanguage::iter() {
            let label = fonts.label(language.words(), Anchor::TopLeft, None);
            let (_, placement) = label.unwrap_or_else(|error| panic!("{language}: {error}"));
            assert_eq!((placement.from_ms, placement.fade_in_ms), (0, 0));
            assert!((placement.opacity - 1.0).abs() < f32::EPSILON);
        }
    }

    #[test]
    fn a_label_that_would_have_to_be_smaller_is_refused() {
        let fonts = Fonts::default();
        let long = fonts.label(&"W".repeat(MOST_LABEL), Anchor::TopLeft, None);
        assert!(matches!(long, Err(TextError::Unusable(_))), "{long:?}");
        assert!(
            fonts
                .label("Made with a model", Anchor::Top, Some(2000))
                .is_ok()
        );
    }
}
