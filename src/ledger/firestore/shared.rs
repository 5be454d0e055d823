//! Small records that all instances go by: a document each.

use gcloud_sdk::google::firestore::v1::Write;
use serde_json::Value;

use super::super::backend::Shared;
use super::paths::{BREAKERS, DocumentPath, GUARDS};
use super::store::Store;
use super::values;
use super::writes::{Only, replace};

/// Of all of them.
const MOMENTS: [&str; 3] = ["since", "rests_until", "probe.until"];

pub(super) fn place(store: &Store, what: &Shared) -> DocumentPath {
    match what {
        Shared::Guard(owner) => DocumentPath::document(store.root(), GUARDS, owner.as_str()),
        Shared::Breaker(model) => DocumentPath::document(store.root(), BREAKERS, model),
    }
}

/// The whole document, on the condition that it is as it was read.
pub(super) fn put(store: &Store, what: &Shared, value: &Value, only: Only) -> Write {
    let object = value.as_object().cloned().unwrap_or_default();
    replace(&place(store, what), values::fields(object, &MOMENTS), only)
}
