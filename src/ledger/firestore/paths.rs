//! Where each record lies.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::job::{JobId, Owner};

pub(super) const JOBS: &str = "jobs";
pub(super) const CALLBACKS: &str = "callbacks";
pub(super) const USERS: &str = "users";
pub(super) const ENTRIES: &str = "credit_entries";
pub(super) const OUTBOX: &str = "outbox";
pub(super) const IDEMPOTENCY: &str = "idempotency";
/// Sums of what ended: everybody's at the top, and each owner's below the user.
pub(super) const COUNTERS: &str = "counters";
/// What makes creations of one owner notice each other.
pub(super) const GUARDS: &str = "guards";
/// How the provider does with each model.
pub(super) const BREAKERS: &str = "breakers";
/// Sums of what was removed with its owners.
pub(super) const BOOKS: &str = "books";
pub(super) const MARKS: &str = "marks";
pub(super) const UNREADABLE: &str = "unreadable";

/// Everything that the name of a document is made of.
#[derive(Debug, Clone)]
pub(super) struct DocumentPath {
    pub(super) parent: String,
    pub(super) collection: &'static str,
    pub(super) id: String,
}

impl DocumentPath {
    fn at(parent: &str, collection: &'static str, id: &str) -> Self {
        Self {
            parent: parent.to_owned(),
            collection,
            id: encoded(id),
        }
    }

    /// A document of a collection at the top, whatever its id.
    pub(super) fn document(root: &str, collection: &'static str, id: &str) -> Self {
        Self::at(root, collection, id)
    }

    pub(super) fn job(root: &str, id: &JobId) -> Self {
        Self::at(root, JOBS, id.as_str())
    }

    pub(super) fn callback(root: &str, id: &JobId, intent: &str) -> Self {
        Self::at(&Self::job(root, id).name(), CALLBACKS, intent)
    }

    pub(super) fn user(root: &str, owner: &Owner) -> Self {
        Self::at(root, USERS, owner.as_str())
    }

    pub(super) fn entry(root: &str, owner: &Owner, entry: &str) -> Self {
        Self::at(&Self::user(root, owner).name(), ENTRIES, entry)
    }

    pub(super) fn counter(root: &str, owner: Option<&Owner>, id: &str) -> Self {
        match owner {
            Some(owner) => Self::at(&Self::user(root, owner).name(), COUNTERS, id),
            None => Self::at(root, COUNTERS, id),
        }
    }

    pub(super) fn notice(root: &str, id: &str) -> Self {
        Self::at(root, OUTBOX, id)
    }

    pub(super) fn mark(root: &str, name: &str) -> Self {
        Self::at(root, MARKS, name)
    }

    /// The owner's length keeps two pairs of owner and key from reading the same.
    pub(super) fn idempotency(root: &str, owner: &Owner, key: &str) -> Self {
        let owner = owner.as_str();
        let digest = Sha256::digest(format!("{}:{owner}:{key}", owner.len()));
        Self::at(root, IDEMPOTENCY, &hex::encode(digest))
    }

    pub(super) fn name(&self) -> String {
        format!("{}/{}/{}", self.parent, self.collection, self.id)
    }
}

const UNSAFE: &AsciiSet = &CONTROLS.add(b'/').add(b'%');

/// Names come from callers too: Firestore takes no slash, no `.`, no `..` and no `__…__`.
fn encoded(id: &str) -> String {
    let safe = utf8_percent_encode(id, UNSAFE).to_string();
    match safe.as_bytes() {
        [b'.'] | [b'.', b'.'] => safe.replacen('.', "%2E", 1),
        [b'_', b'_', ..] => safe.replacen('_', "%5F", 1),
        [] => "%".into(),
        _ => safe,
    }
}

/// The id at the end of a document's name, as it was before it was encoded.
pub(super) fn id_of(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last == "%" {
        return String::new();
    }
    percent_decode_str(last).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_an_id_and_comes_back() {
        for text in [
            "j1:1:hold",
            "a/b",
            "50%",
            "..",
            ".",
            "__x__",
            "",
            "ä b",
            "a%2Fb",
            "\n",
        ] {
            let id = encoded(text);
            assert!(
                !id.is_empty()
                    && !id.contains('/')
                    && id != "."
                    && id != ".."
                    && !id.starts_with("__")
            );
            assert_eq!(id_of(&format!("projects/p/x/{id}")), text);
        }
        assert_eq!(encoded("j1:1:hold"), "j1:1:hold");
    }

    #[test]
    fn keys_of_two_owners_never_meet() {
        let place =
            |owner: &str, key| DocumentPath::idempotency("r", &owner.parse().unwrap(), key).id;
        assert_ne!(place("a", "b"), place("ab", ""));
        assert_ne!(place("1", "1:a"), place("11", ":a"));
    }
}
