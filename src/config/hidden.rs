//! The form of keys and tokens.

use crate::fields::Form;
use crate::secret::Secret;

/// Fewer characters are guessed.
const SHORTEST: usize = 16;

/// Text that no log shows.
#[derive(Debug)]
pub(super) struct Hidden;

impl Form for Hidden {
    type Value = Secret;

    fn of_text(&self, text: &str) -> Result<Secret, String> {
        Ok(Secret::new(text))
    }

    fn takes(&self) -> String {
        "text".to_owned()
    }

    fn shown(&self, _: &Secret) -> String {
        "…".to_owned()
    }
}

/// The same, too long to be guessed.
#[derive(Debug)]
pub(super) struct Unguessed;

impl Unguessed {
    pub(super) fn fits(secret: &Secret) -> bool {
        secret.expose().len() >= SHORTEST
    }

    pub(super) fn fault() -> String {
        format!("must have at least {SHORTEST} characters")
    }
}

impl Form for Unguessed {
    type Value = Secret;

    fn of_text(&self, text: &str) -> Result<Secret, String> {
        let secret = Secret::new(text);
        Some(secret).filter(Self::fits).ok_or_else(Self::fault)
    }

    fn takes(&self) -> String {
        format!("text, at least {SHORTEST} characters")
    }

    fn shown(&self, _: &Secret) -> String {
        "…".to_owned()
    }
}
