//! A row of the table of models.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::provider::Model;

/// A model and what its requests look like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) model: Model,
    pub(super) shape: Shape,
    /// Further parameters sent as they are: `generate_audio = false`.
    pub(super) extra: BTreeMap<String, Value>,
}

/// Which of the kind's parameters a model's request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) resolution: bool,
    pub(super) seed: bool,
}
