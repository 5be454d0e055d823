//! What a body is held to.

use crate::fields::Fault;
use crate::http::HttpSettings;
use crate::job::{Owner, WatermarkSpec};

#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) settings: &'a HttpSettings,
    /// Whose job it is to be; absent where nobody asks yet.
    pub(super) owner: Option<&'a Owner>,
    pub(super) check_watermark: fn(&[WatermarkSpec]) -> Vec<Fault>,
}

pub(super) const UNKNOWN: &str = "is not a known field";
