//! What is said to a model.

use serde_json::{Value, json};

use crate::fields::{Scalar, text};

/// No public limit is documented; this one keeps a job document far below Firestore's 1 MiB.
pub(super) const MAX_CHARS: usize = 4_000;
/// Rust's `trim` takes these off (Unicode's White_Space); a prompt of nothing else is empty.
const NOT_BLANK: &str =
    "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

#[derive(Debug)]
pub(super) enum Prompt {
    Needed,
    Optional,
}

impl Scalar for Prompt {
    /// Absent where it says nothing.
    type Value = Option<String>;

    fn of_json(&self, value: &Value) -> Result<Option<String>, String> {
        let given = text(value)?;
        if given.chars().count() > MAX_CHARS {
            return Err(format!("must be at most {MAX_CHARS} characters"));
        }
        let said = Some(given.trim()).filter(|said| !said.is_empty());
        match (self, said) {
            (Self::Needed, None) => Err("is required".to_owned()),
            (_, said) => Ok(said.map(str::to_owned)),
        }
    }

    fn schema(&self) -> Value {
        match self {
            Self::Optional => json!({"type": "string", "maxLength": MAX_CHARS}),
            Self::Needed => json!({
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_CHARS,
                "pattern": NOT_BLANK,
            }),
        }
    }
}
