//! Brings due tasks to the receiver.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::EmbeddedQueue;
use crate::clock::{SharedClock, elapsed};
use crate::job::Timestamp;
use crate::queue::{Delivery, Lane, Receiver, Task};

/// The longest sleep: tasks that another process scheduled ring no bell here.
const POLL: Duration = Duration::from_secs(1);

/// Deliveries at once, those that wait for a place at the receiver included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    pub jobs: NonZeroU32,
    pub notices: NonZeroU32,
}

impl EmbeddedQueue {
    /// Delivers due tasks to `receiver`, so many at once, until `shutdown`; then takes no more and
    /// waits for the deliveries that are running. Jobs and notices never wait for each other. A
    /// receiver that panics counts as [`Delivery::Again`]; a delivery cut off by the end of the
    /// process is repeated.
    pub async fn run(
        &self,
        receiver: Arc<dyn Receiver>,
        clock: SharedClock,
        widths: Widths,
        shutdown: CancellationToken,
    ) {
        let run = |lane, width| {
            let (receiver, clock) = (Arc::clone(&receiver), Arc::clone(&clock));
            self.run_lane(lane, receiver, clock, width, shutdown.clone())
        };
        tokio::join!(
            run(Lane::Jobs, widths.jobs),
            run(Lane::Notices, widths.notices)
        );
    }

    async fn run_lane(
        &self,
        lane: Lane,
        receiver: Arc<dyn Receiver>,
        clock: SharedClock,
        width: NonZeroU32,
        shutdown: CancellationToken,
    ) {
        let mut running = JoinSet::new();
        let mut names: HashMap<Id, String> = HashMap::new();
        // Three chances to stay out of sight before a running task shows up again.
        let period = (self.invisible / 3).max(Duration::from_millis(1));
        let mut keep = interval_at(Instant::now() + period, period);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);

        while !(shutdown.is_cancelled() && running.is_empty()) {
            let taking = !shutdown.is_cancelled();
            let mut free = width.get().saturating_sub(running.len() as u32);
            let mut pause = POLL;
            if taking && free > 0 {
                let now = clock.now();
                match self.take(Some(lane), now, free).await {
                    Ok(due) => {
                        for (task, deliveries) in due {
                            let name = task.name();
                            // It could not be kept out of sight, say for want of the database: it
                            // runs all the same, and here no task runs twice at once.
                            if names.values().any(|running| *running == name) {
                                continue;
                            }
                            let (queue, receiver, clock) =
                                (self.clone(), Arc::clone(&receiver), Arc::clone(&clock));
                            let delivery = deliver(queue, receiver, clock, task, deliveries);
                            names.insert(running.spawn(delivery).id(), name);
                            free -= 1;
                        }
                        pause = self.pause(lane, now).await;
                    }
                    // Not at once again: what is broken stays so for a moment.
                    Err(error) => tracing::error!(%error, "no tasks can be taken"),
                }
            }
            tokio::select! {
                Some(ended) = running.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => error.id(),
                    };
                    names.remove(&id);
                }
                () = shutdown.cancelled(), if taking => {}
                () = self.bells.of(lane).notified(), if taking && free > 0 => {}
                () = sleep(pause), if taking && free > 0 => {}
                _ = keep.tick(), if !names.is_empty() => {
                    let names = names.values().cloned().collect();
                    if let Err(error) = self.keep(names, clock.now()).await {
                        tracing::warn!(%error, "running tasks may be delivered a second time");
                    }
                }
            }
        }
    }

    /// How long to sleep if nothing happens.
    async fn pause(&self, lane: Lane, now: Timestamp) -> Duration {
        match self.next_due(Some(lane)).await {
            Ok(Some(at)) => elapsed(now, at).min(POLL),
            Ok(None) | Err(_) => POLL,
        }
    }
}

async fn deliver(
    queue: EmbeddedQueue,
    receiver: Arc<dyn Receiver>,
    clock: SharedClock,
    task: Task,
    deliveries: u32,
) {
    let received = AssertUnwindSafe(receiver.receive(task.clone(), deliveries))
        .catch_unwind()
        .await;
    let delivery = received.unwrap_or_else(|_| {
        tracing::error!(%task, deliveries, "the receiver of a task panicked");
        Delivery::Again
    });
    if let Err(error) = queue.finish(&task, delivery, clock.now()).await {
        tracing::error!(%task, %error, "a task's end was not noted; it is delivered again");
    }
}
