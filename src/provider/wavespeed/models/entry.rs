//! A row of the table of models.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::job::Kind;
use crate::provider::Model;

/// A model and what its requests look like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) model: Model,
    pub(super) sends: Sends,
    /// Further parameters sent as they are: `generate_audio = false`.
    pub(super) extra: BTreeMap<String, Value>,
}

/// Which parameters a model's request has besides those that all of its kind have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sends {
    /// Whether it has to be told to replace.
    pub(super) mode: bool,
    pub(super) resolution: bool,
    pub(super) seed: bool,
}

impl Entry {
    /// Names of what a request has.
    pub(super) fn parameters(&self) -> Vec<String> {
        let (of_kind, size): (&[&str], _) = match self.model.kind {
            Kind::CharacterReplace => (&["video", "image", "prompt"], "resolution"),
            Kind::Extend => (&["video", "prompt", "duration"], "resolution"),
            Kind::Upscale => (&["video"], "target_resolution"),
        };
        let more = [
            (self.sends.mode, "mode"),
            (self.sends.resolution, size),
            (self.sends.seed, "seed"),
        ];
        let more = more.iter().filter(|(sent, _)| *sent).map(|(_, name)| *name);
        let names = of_kind.iter().copied().chain(more);
        names
            .map(str::to_owned)
            .chain(self.extra.keys().cloned())
            .collect()
    }
}
