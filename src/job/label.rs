//! The visible label that a result gets.

use serde::{Deserialize, Serialize};

/// Agreed on when a job is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What it says.
    pub words: String,
    /// Where it is; absent: at the upper left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Shown from the start until before this, in milliseconds; absent: to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// What a job asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelChoice {
    /// None, whatever the settings say.
    Off,
    /// The words of the settings.
    On,
    /// Words of its own.
    Words(String),
}

impl LabelChoice {
    /// What `off`, `on` or words mean.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "off" => Self::Off,
            "on" => Self::On,
            words => Self::Words(words.to_owned()),
        }
    }

    /// The label, where `usual` is what the settings would have if it were on.
    #[must_use]
    pub fn label(self, usual: &Label) -> Option<Label> {
        match self {
            Self::Off => None,
            Self::On => Some(usual.clone()),
            Self::Words(words) => Some(Label {
                words,
                ..usual.clone()
            }),
        }
    }
}
