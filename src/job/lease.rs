//! Who may change a job, and for how long.

use std::time::Duration;

use super::{Fence, Job, Lease, Progress, Stage, Status, Timestamp};

/// Proof of a claim: every owner write carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub holder: String,
    pub fence: Fence,
}

impl Claim {
    /// Whether the job is still ours. Expiry alone does not end a claim: only another fence does.
    #[must_use]
    pub fn holds(&self, job: &Job) -> bool {
        job.lease.fence == self.fence && job.lease.holder.as_deref() == Some(&self.holder)
    }
}

/// Why a job cannot be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unclaimable {
    Ended,
    Leased { until: Timestamp },
}

impl Job {
    /// Takes the lease, as one ledger write: raises the fence, and the attempt where the last
    /// one failed or died for no known reason. A death inside native work is a crash instead, and
    /// one beside another job's native work (`beside`) costs nothing.
    pub fn claim(
        &mut self,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
        beside: bool,
    ) -> Result<Claim, Unclaimable> {
        if self.status.is_ended() {
            return Err(Unclaimable::Ended);
        }
        if let (true, Some(until)) = (self.lease.is_live(now), self.lease.expires_at) {
            return Err(Unclaimable::Leased { until });
        }
        self.drop_void_waiting();
        // A lease that still names a holder was never given back: that attempt died.
        let died = self.lease.holder.is_some();
        if died && self.is_in_native_work() {
            self.crashes = self.crashes.saturating_add(1);
        } else if died && !beside || self.attempt_failed {
            self.attempt += 1;
            self.attempt_failed = false;
        }
        self.lease = Lease {
            holder: Some(holder.to_owned()),
            fence: self.lease.fence.next(),
            expires_at: Some(later(now, ttl)),
        };
        if self.status == Status::Queued {
            self.status = Status::Processing;
            self.stage = Some(self.stage.unwrap_or(Stage::Submit));
        }
        self.next_visit_at = self.lease.expires_at;
        self.note_time(now);
        self.updated_at = now;
        self.revision += 1;
        // From here on it holds what this revision writes.
        self.schema_version = super::SCHEMA_VERSION;
        Ok(Claim {
            holder: holder.to_owned(),
            fence: self.lease.fence,
        })
    }

    /// Keeps the lease for another `ttl`, and shows how far the work is: one ledger write.
    pub fn renew(&mut self, progress: Option<&Progress>, now: Timestamp, ttl: Duration) {
        if let Some(progress) = progress {
            self.show(progress);
        }
        self.lease.expires_at = Some(later(now, ttl));
        self.next_visit_at = self.lease.expires_at;
        self.updated_at = now;
        self.revision += 1;
    }

    /// Shows progress; what would go back is left as it is.
    fn show(&mut self, progress: &Progress) {
        if progress.percent >= self.progress.percent {
            self.progress = progress.clone();
        }
    }

    /// Gives the lease back and plans the next visit under a new number.
    pub(super) fn leave(&mut self, next_visit: Option<Timestamp>) {
        self.end_native_work();
        self.lease.holder = None;
        self.lease.expires_at = None;
        self.next_visit_at = next_visit;
        self.wake.at = next_visit;
        if next_visit.is_some() {
            self.wake.seq += 1;
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{at, job};
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    #[test]
    fn a_live_lease_is_respected_and_a_dead_one_costs_an_attempt() {
        let mut job = job();
        let first = job.claim("a", at(0), TTL, false).unwrap();
        assert_eq!(
            job.claim("b", at(59), TTL, false),
            Err(Unclaimable::Leased { until: at(60) })
        );
        let second = job.claim("b", at(60), TTL, false).unwrap();
        assert!(second.fence > first.fence);
        assert_eq!(job.attempt, 2);
        assert!(second.holds(&job) && !first.holds(&job));
    }

    #[test]
    fn a_lease_given_back_costs_nothing() {
        let mut job = job();
        for n in 0..20 {
            job.claim("a", at(n), TTL, false).unwrap();
            job.leave(Some(at(n + 1)));
        }
        assert_eq!((job.attempt, job.wake.seq), (1, 21));
    }
}
