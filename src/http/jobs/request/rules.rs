//! What a body is held to.

use crate::http::HttpSettings;
use crate::job::Owner;

#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) settings: &'a HttpSettings,
    /// Whose job it is to be; absent where nobody asks yet.
    pub(super) owner: Option<&'a Owner>,
}

pub(super) const UNKNOWN: &str = "is not a known field";
