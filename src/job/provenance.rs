//! What a result is to say of how it was made.

use serde::{Deserialize, Serialize};

use super::label::Label;

/// Agreed on when a job is created; each of its rounds keeps it, whatever the settings say by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Whether anything is said in the file.
    #[serde(default = "yes")]
    pub metadata: bool,
    /// Whether somebody signs for the file, where there is a key and something is said.
    #[serde(default = "yes")]
    pub sign: bool,
    /// Whether the model is named.
    #[serde(default = "yes")]
    pub model: bool,
    /// An upscale is called made in part by a model, not enhanced by one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upscale_is_composite: bool,
    /// Who answers for the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The producer that the entry `AIGC` names; absent: there is no such entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aigc_producer: Option<String>,
    /// The visible label; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

fn yes() -> bool {
    true
}

impl Provenance {
    /// What is said where nobody says otherwise.
    pub const USUAL: Self = Self {
        metadata: true,
        sign: true,
        model: true,
        upscale_is_composite: false,
        provider: None,
        aigc_producer: None,
        label: None,
    };
}

impl Default for Provenance {
    fn default() -> Self {
        Self::USUAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_leaves_out_is_the_default() {
        let read: Provenance = serde_json::from_str("{}").unwrap();
        assert_eq!(read, Provenance::default());
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Provenance>(&text).unwrap(), read);
    }
}
