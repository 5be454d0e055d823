//! Why a document cannot be read: damaged, or written by a newer revision of this program.
//!
//! While a release is rolled out, two revisions share a ledger. What the newer one wrote and the
//! older one does not understand is left alone: only damage is ever ended by us.

use std::fmt::Display;
use std::str::FromStr as _;

use serde_json::Value;

use super::LedgerError;
use crate::job::notice::{DeliveryState, Event};
use crate::job::{Code, Kind, SCHEMA_VERSION, Status};

/// Fields that hold one word of a closed list, which a newer revision may have made longer. The
/// others of their kind are told by what the parser says.
const CLOSED: [(&str, Knows); 5] = [
    ("/status", |word| is_word::<Status>(word)),
    ("/stage", |word| is_word::<crate::job::Stage>(word)),
    ("/kind", |word| Kind::from_str(word).is_ok()),
    ("/error/code", |word| Code::from_str(word).is_ok()),
    ("/event", |word| Event::from_str(word).is_ok()),
];

/// Whether a word is on the list.
type Knows = fn(&str) -> bool;

fn is_word<T: serde::de::DeserializeOwned>(word: &str) -> bool {
    serde_json::from_value::<T>(word.into()).is_ok()
}

/// The error for a document that was refused for `reason`. `document` is absent where it is no
/// JSON object at all.
pub fn refused(id: &str, document: Option<&Value>, reason: impl Display) -> LedgerError {
    let reason = reason.to_string();
    let (id, newer) = (
        id.to_owned(),
        document.is_some_and(|it| is_newer(it, &reason)),
    );
    if newer {
        LedgerError::Newer { id, reason }
    } else {
        LedgerError::Malformed { id, reason }
    }
}

/// The error for a document that says it is of a newer revision, if it does.
pub(super) fn newer(id: &str, schema_version: u32) -> Option<LedgerError> {
    (schema_version > SCHEMA_VERSION).then(|| LedgerError::Newer {
        id: id.to_owned(),
        reason: format!("it has schema version {schema_version}; {SCHEMA_VERSION} is known here"),
    })
}

fn is_newer(document: &Value, reason: &str) -> bool {
    let version = document.get("schema_version").and_then(Value::as_u64);
    version.is_some_and(|version| version > SCHEMA_VERSION.into())
        // What serde says of a word that is in no closed list of ours.
        || reason.starts_with("unknown variant")
        || CLOSED.iter().any(|(path, known)| {
            let word = document.pointer(path).and_then(Value::as_str);
            word.is_some_and(|word| !known(word))
        })
}

/// Whether a notice's state is one that ends it. Of a notice that cannot be read, too.
pub fn is_final(state: &str) -> bool {
    DeliveryState::from_str(state).is_ok_and(|state| state != DeliveryState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value, reason = "made for the call")]
    fn is_left_alone(document: Value) -> bool {
        let reason = serde_json::from_value::<crate::job::Job>(document.clone()).unwrap_err();
        matches!(
            refused("j1", Some(&document), reason),
            LedgerError::Newer { .. }
        )
    }

    #[test]
    fn unknown_words_and_higher_versions_are_of_a_newer_revision() {
        let sound = json!({
            "id": "j1", "owner": "u1", "kind": "upscale", "params": {"target": "1080p"},
            "source": {"video": "sources/u1/v.mp4"}, "status": "processing", "stage": "submit",
            "credits": {"state": "none"}, "progress": {"percent": 1.0, "phase": "submit"},
            "created_at": "2026-11-27T00:00:00Z", "updated_at": "2026-11-27T00:00:00Z",
            "deadline_at": "2026-11-27T02:00:00Z",
        });
        assert!(serde_json::from_value::<crate::job::Job>(sound.clone()).is_ok());
        let with = |path: &str, value: Value| {
            let mut document = sound.clone();
            let (parent, name) = path.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[name] = value;
            document
        };
        for (path, word) in [
            ("/status", "paused"),
            ("/stage", "colour"),
            ("/kind", "dream"),
            ("/credits/state", "lent"),
            ("/progress/phase", "colour"),
        ] {
            assert!(is_left_alone(with(path, word.into())), "{path}");
            assert!(!is_left_alone(with(path, json!([7]))), "{path} is damaged");
        }
        let error = json!({"code": "media_dreamt", "message": "x", "party": "caller",
            "attempt": 1, "at": "2026-11-27T00:00:00Z"});
        assert!(is_left_alone(with("/error", error)));
        // Whatever else is wrong with it, and whatever is found first.
        let mut both = with("/source", json!(7));
        both["schema_version"] = json!(SCHEMA_VERSION + 1);
        assert!(is_left_alone(both));
        let mut both = with("/source", json!(7));
        both["status"] = "paused".into();
        assert!(is_left_alone(both));
        assert!(!is_left_alone(with("/source", json!(7))));
        assert!(newer("j1", SCHEMA_VERSION + 1).is_some() && newer("j1", SCHEMA_VERSION).is_none());
    }
}
