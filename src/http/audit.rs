//! Who changed what: a line for each, apart from all other lines by its target.

use super::caller::Caller;
use crate::job::JobId;
use crate::telemetry;

/// `what`: the change in a word. When and through which route it came says the line itself.
pub(super) fn audit(caller: &Caller, what: &'static str, job: &JobId) {
    tracing::info!(target: telemetry::AUDIT, who = caller.name(), what, %job, "changed");
}
