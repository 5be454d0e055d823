//! `[retention]`: how long files outlive what they are for.

use std::time::Duration;

use super::reader::Reader;

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

pub(super) fn retention(r: &mut Reader) -> Retention {
    let retention = Retention {
        results: kept(r, "retention.results", 30 * DAY),
        failed: kept(r, "retention.failed", 7 * DAY),
        sources: kept(r, "retention.sources", 7 * DAY),
        work: r.duration("retention.work", DAY),
    };
    // A claim that was lost may write until its visit's budget is over.
    if retention.work < SHORTEST_WORK {
        r.fault("retention.work", "must be at least 1h");
    }
    retention
}

const SHORTEST_WORK: Duration = Duration::from_secs(3600);

/// A duration, or `never`.
fn kept(r: &mut Reader, key: &str, default: Duration) -> Option<Duration> {
    if r.get::<String>(key).as_deref() == Some("never") {
        return None;
    }
    let kept = r.duration(key, default);
    if kept.is_zero() {
        r.fault(key, "must be longer than 0, or never");
    }
    Some(kept)
}
