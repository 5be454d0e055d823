//! Whether the service can take work, looked at once for all who ask.
//!
//! Reading tells little: a disk that is full, or was mounted read-only, answers reads for ever.
//! So a mark is written into each store, seldom; and everybody who asks within seconds gets the
//! same answer, since anybody may ask.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::clock::{SharedClock, Timestamp, later};
use crate::ledger::Ledger;
use crate::queue::Queue;
use crate::storage::Storage;

/// Probes usually wait for a few seconds at most.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A write waits for those before it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(3);
/// How long it is believed that what could be written, or not, still can or cannot be.
const WRITE_EVERY: Duration = Duration::from_secs(30);

/// What is looked at.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) storage: Storage,
    pub(super) clock: SharedClock,
}

/// Which parts can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Up {
    pub(super) ledger: bool,
    pub(super) queue: bool,
    pub(super) storage: bool,
}

/// What was seen last. Shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct Readiness {
    /// The name of this process's marks.
    name: Arc<str>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    up: Option<(Timestamp, Up)>,
    /// Whether ledger and storage took a mark.
    written: Option<(Timestamp, (bool, bool))>,
}

/// What was seen, if that is not too long ago; nor after now, by a clock that was set back.
fn fresh<T: Copy>(seen: Option<(Timestamp, T)>, now: Timestamp, good_for: Duration) -> Option<T> {
    let (at, what) = seen?;
    (at <= now && now < later(at, good_for)).then_some(what)
}

impl Readiness {
    pub(super) fn new() -> Self {
        let name = format!("w-{}", ulid::Ulid::new().to_string().to_lowercase());
        Self {
            name: name.into(),
            seen: Arc::default(),
        }
    }

    /// Who asks while somebody looks waits for what that one sees.
    pub(super) async fn look(&self, parts: Parts) -> Up {
        let seen = Arc::clone(&self.seen).lock_owned().await;
        if let Some(up) = fresh(seen.up, parts.clock.now(), FRESH) {
            return up;
        }
        // On a task of its own: whoever asks and hangs up must neither make the next one look
        // anew nor leave a mark half made.
        let readiness = self.clone();
        let looked = tokio::spawn(async move { readiness.look_anew(seen, &parts).await });
        looked.await.unwrap_or(Up {
            ledger: false,
            queue: false,
            storage: false,
        })
    }

    async fn look_anew(&self, mut seen: OwnedMutexGuard<Seen>, parts: &Parts) -> Up {
        let now = parts.clock.now();
        let known = fresh(seen.written, now, WRITE_EVERY);
        let written = async {
            match known {
                Some(written) => written,
                None => self.write(parts).await,
            }
        };
        let (ledger, queue, storage, written) = tokio::join!(
            within("ledger", PING_TIMEOUT, parts.ledger.ping()),
            within("queue", PING_TIMEOUT, parts.queue.ping()),
            within("storage", PING_TIMEOUT, parts.storage.ping()),
            written,
        );
        if known.is_none() {
            seen.written = Some((now, written));
        }
        let up = Up {
            ledger: ledger && written.0,
            queue,
            storage: storage && written.1,
        };
        seen.up = Some((now, up));
        up
    }

    /// Whether ledger and storage take a mark.
    async fn write(&self, parts: &Parts) -> (bool, bool) {
        let ledger = parts.ledger.mark(&self.name, parts.clock.now());
        let storage = parts.storage.mark(&self.name);
        tokio::join!(
            within("ledger", WRITE_TIMEOUT, ledger),
            within("storage", WRITE_TIMEOUT, storage),
        )
    }
}

async fn within<E: Display>(
    part: &str,
    timeout: Duration,
    answer: impl Future<Output = Result<(), E>>,
) -> bool {
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(part, %error, "not ready");
            false
        }
        Err(_) => {
            let timeout_ms = timeout.as_millis() as u64;
            tracing::warn!(part, timeout_ms, "not ready");
            false
        }
    }
}
