//! `[retention]`: how long files outlive what they are for.

use std::time::Duration;

use super::reader::Reader;
use super::table::{Setting, settings};
use crate::fields::{Bounds, Form, Span};

/// Nothing is deleted for its age where there is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Results of completed jobs, from the end of the job.
    pub results: Option<Duration>,
    /// What the provider made for a round that failed or was cancelled, from its end.
    pub failed: Option<Duration>,
    /// Inputs, from their upload.
    pub sources: Option<Duration>,
    /// Work files of a claim that was lost while its job goes on.
    pub work: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

settings! { RETENTION of "retention" {
    RESULTS: Setting<Kept> = "results", Kept, Some(DAY.saturating_mul(30)),
        "results of completed jobs, from the end of the job";
    FAILED: Setting<Kept> = "failed", Kept, Some(DAY.saturating_mul(7)),
        "what the provider made for a round that failed or was cancelled";
    SOURCES: Setting<Kept> = "sources", Kept, Some(DAY.saturating_mul(7)),
        "uploads, from their upload";
    // A claim that was lost may write until its visit's budget is over.
    WORK: Setting<Span> = "work", Span(Bounds::AtLeast(Duration::from_secs(3600))), DAY,
        "work files of lost claims";
}}

pub(super) fn retention(r: &mut Reader) -> Retention {
    Retention {
        results: r.value(&RESULTS),
        failed: r.value(&FAILED),
        sources: r.value(&SOURCES),
        work: r.value(&WORK),
    }
}

/// A duration, or `never`.
#[derive(Debug)]
pub(super) struct Kept;

const NEVER: &str = "never";
const SOME: Span = Span(Bounds::Above(Duration::ZERO));

impl Form for Kept {
    type Value = Option<Duration>;

    fn of_text(&self, text: &str) -> Result<Option<Duration>, String> {
        if text == NEVER {
            return Ok(None);
        }
        let kept = SOME.of_text(text).map(Some);
        kept.map_err(|fault| format!("{fault}; or {NEVER}"))
    }

    fn takes(&self) -> String {
        format!("{}, or `{NEVER}`", SOME.takes())
    }

    fn shown(&self, value: &Option<Duration>) -> String {
        value
            .as_ref()
            .map_or_else(|| format!("`{NEVER}`"), |kept| SOME.shown(kept))
    }
}
