//! Who may work on media: bounded by number and by memory, first come, first served, on threads
//! of its own.
//!
//! Passes (check, render, verify) share slots and a budget of memory. Probing reads headers only;
//! it has a few places of its own, so that a new job is not kept from the provider by videos that
//! are being encoded. What is let in keeps its place until its native work is over, waited for or
//! not.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::footprint::MOST_THREADS;
use crate::telemetry::metrics::{self, MediaPass};

const MIB: u64 = 1 << 20;
/// Probes at once: two of one owner, and one that is kept for others.
pub(super) const PROBES: u32 = 3;
/// The most a hostile header was measured to take while probing is 53 MB.
const PROBE_MIB: u32 = 64;
/// Lets work in.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    /// In MiB. Fair: who asks for much is not passed by those who ask for little later.
    memory: Arc<Semaphore>,
    /// All of `memory`.
    whole: u32,
    probes: Arc<Semaphore>,
    /// Passes that run or wait.
    asking: Arc<AtomicUsize>,
    cores: usize,
}

impl Admission {
    /// At most `slots` passes, and probes, that take at most `bytes` together; `cores` is what
    /// they share.
    pub(super) fn new(slots: usize, bytes: u64, cores: usize) -> Self {
        let budget = u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
        let whole = budget.saturating_sub(PROBES * PROBE_MIB).max(1);
        Self {
            slots: Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS))),
            memory: Arc::new(Semaphore::new(whole as usize)),
            whole,
            probes: Arc::new(Semaphore::new(PROBES as usize)),
            asking: Arc::default(),
            cores: cores.max(1),
        }
    }

    /// The threads that passes share.
    pub(super) fn cores(&self) -> usize {
        self.cores
    }

    /// A place for a pass that takes `bytes`, or `None` where none came free within `patience`.
    /// One that takes more than there is gets all of it, and runs alone.
    pub(super) async fn pass(&self, bytes: u64, patience: Duration) -> Option<Permit> {
        let asks = Asks::new(&self.asking);
        let mib = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
        let mib = mib.clamp(1, self.whole);
        let places = async {
            // The slot first: whoever waits for memory with it is the first of those who do.
            let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
            let memory = Arc::clone(&self.memory)
                .acquire_many_owned(mib)
                .await
                .ok()?;
            Some([slot, memory])
        };
        let places = tokio::time::timeout(patience, places).await.ok()??;
        Some(Permit(Arc::new(Inner {
            _pass: Some(MediaPass::begun(u64::from(mib) * MIB)),
            asks: Some(asks),
            cores: self.cores,
            asked: bytes,
            bytes: u64::from(mib) * MIB,
            is_whole: mib == self.whole,
            _permits: places.into(),
        })))
    }

    /// A place for a look at headers.
    pub(super) async fn probe(&self, patience: Duration) -> Option<Permit> {
        let place = Arc::clone(&self.probes).acquire_owned();
        let place = tokio::time::timeout(patience, place).await.ok()?.ok()?;
        Some(Permit(Arc::new(Inner {
            _pass: None,
            asks: None,
            cores: 1,
            asked: u64::from(PROBE_MIB) * MIB,
            bytes: u64::from(PROBE_MIB) * MIB,
            is_whole: false,
            _permits: vec![place],
        })))
    }
}

/// A pass counts from the moment it begins to wait.
#[derive(Debug)]
struct Asks(Arc<AtomicUsize>);

impl Asks {
    fn new(asking: &Arc<AtomicUsize>) -> Self {
        asking.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(asking))
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place to work in, given back with its last clone.
#[derive(Debug, Clone)]
pub(super) struct Permit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    _pass: Option<MediaPass>,
    asks: Option<Asks>,
    cores: usize,
    /// What it was reckoned to take, be it more than there is.
    asked: u64,
    bytes: u64,
    is_whole: bool,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Permit {
    /// Whether work of this cost may go on here.
    pub(super) fn covers(&self, bytes: u64) -> bool {
        self.0.is_whole || bytes <= self.0.bytes
    }

    /// The bytes that its work was reckoned to take.
    pub(super) fn asked(&self) -> u64 {
        self.0.asked
    }

    /// Codec threads: all cores for one that is alone, an equal share among those that run or
    /// wait, and one for a probe.
    pub(super) fn threads(&self) -> usize {
        let asking = self.0.asks.as_ref();
        let asking = asking.map_or(1, |asks| asks.0.load(Ordering::Relaxed));
        (self.0.cores / asking.max(1)).clamp(1, MOST_THREADS)
    }

    /// Runs `work` on a thread of its own; the place is taken until it ends, also where nobody
    /// waits for it any more. A thread costs microseconds, the shortest work milliseconds: none
    /// are kept, and there are never more than places.
    pub(super) fn run<T, F>(&self, work: F) -> impl Future<Output = Result<T, Broken>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let place = self.clone();
        // Reading and writing objects waits for the runtime.
        let runtime = Handle::try_current().ok();
        let begun = std::thread::Builder::new()
            .name("filmlab-media".into())
            .spawn(move || {
                let _entered = runtime.as_ref().map(Handle::enter);
                let done = catch_unwind(AssertUnwindSafe(work));
                metrics::media_took(cpu_of_this_thread());
                drop(place);
                // Nobody may be waiting any more.
                let _ = answer.send(done);
            });
        async move {
            begun.map_err(|error| Broken(format!("no thread could be made: {error}")))?;
            match answered.await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(panic)) => Err(Broken(format!("media work panicked: {}", said(&*panic)))),
                Err(_) => Err(Broken("media work ended without an answer".into())),
            }
        }
    }
}

/// Since it was made.
fn cpu_of_this_thread() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// Media work that came to no end of its own: a defect.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(String);

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::sync::mpsc;

    use tokio::task::JoinSet;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const NONE: Duration = Duration::ZERO;

    /// Slots, and so many MiB for passes.
    fn admission(slots: usize, mib: u64) -> Arc<Admission> {
        let probes = u64::from(PROBES * PROBE_MIB);
        Arc::new(Admission::new(slots, (mib + probes) * MIB, 8))
    }

    /// Waits until `count` passes run or wait.
    async fn until_asking(admission: &Admission, count: usize) {
        while admission.asking.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
        // Those that were counted have been polled to where they wait by now.
        tokio::task::yield_now().await;
    }

    #[tokio::test]
    async fn a_large_one_waits_for_its_budget_and_is_not_passed_by_small_ones() {
        let admission = admission(8, 100);
        let small = admission.pass(40 * MIB, NONE).await.unwrap();
        let mut waiting = JoinSet::new();
        for (count, mib) in [(2, 90), (3, 10)] {
            let admission = Arc::clone(&admission);
            let other = Arc::clone(&admission);
            waiting.spawn(async move { (mib, admission.pass(mib * MIB, LONG).await.unwrap()) });
            until_asking(&other, count).await;
        }
        // 60 MiB and slots are free, and both wait: the small one behind the large one.
        assert!(waiting.try_join_next().is_none());
        assert!(admission.pass(MIB, NONE).await.is_none());
        drop(small);
        let first = waiting.join_next().await.unwrap().unwrap();
        let second = waiting.join_next().await.unwrap().unwrap();
        let mut both = [first.0, second.0];
        both.sort_unstable();
        assert_eq!(both, [10, 90]);
        assert_eq!(admission.memory.available_permits(), 0);
        drop((first, second));
        assert_eq!(admission.memory.available_permits(), 100);
    }

    #[tokio::test]
    async fn more_than_the_budget_runs_alone() {
        let admission = admission(8, 100);
        let small = admission.pass(MIB, NONE).await.unwrap();
        assert!(admission.pass(5000 * MIB, NONE).await.is_none());
        drop(small);
        let huge = admission.pass(5000 * MIB, NONE).await.unwrap();
        assert!(huge.covers(9000 * MIB));
        assert!(admission.pass(MIB, NONE).await.is_none());
        // Who gave up waiting holds nothing.
        drop(huge);
        let small = admission.pass(MIB, NONE).await.unwrap();
        assert!(!small.covers(2 * MIB));
        assert_eq!(admission.asking.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn slots_bound_the_number_and_probes_have_their_own() {
        let admission = admission(1, 1000);
        let pass = admission.pass(MIB, NONE).await.unwrap();
        assert!(admission.pass(MIB, NONE).await.is_none());
        let mut probes = Vec::new();
        for _ in 0..PROBES {
            probes.push(admission.probe(NONE).await.unwrap());
        }
        assert!(admission.probe(NONE).await.is_none());
        drop(probes);
        assert!(admission.probe(NONE).await.is_some());
        drop(pass);
    }

    #[tokio::test]
    async fn eight_at_once_never_take_more_than_there_is() {
        let admission = admission(8, 100);
        let (taken, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut all = JoinSet::new();
        for number in 0..8_u64 {
            let (admission, taken, most) = (
                Arc::clone(&admission),
                Arc::clone(&taken),
                Arc::clone(&most),
            );
            all.spawn(async move {
                let mib = 30 + number * 5;
                let permit = admission.pass(mib * MIB, LONG).await.unwrap();
                let work = permit.run(move || {
                    let now = taken.fetch_add(mib, Ordering::SeqCst) + mib;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    taken.fetch_sub(mib, Ordering::SeqCst);
                });
                work.await.unwrap();
            });
        }
        assert_eq!(all.join_all().await.len(), 8);
        let most = most.load(Ordering::SeqCst);
        assert!((30..=100).contains(&most), "{most}");
    }

    #[tokio::test]
    async fn a_panic_breaks_its_own_work_only() {
        let admission = admission(1, 100);
        let permit = admission.pass(MIB, NONE).await.unwrap();
        let broken = permit.run(|| -> u8 { panic!("a defect") }).await;
        assert_eq!(
            broken.unwrap_err().to_string(),
            "media work panicked: a defect"
        );
        let name = permit.run(|| std::thread::current().name().map(str::to_owned));
        assert_eq!(name.await.unwrap().as_deref(), Some("filmlab-media"));
        drop(permit);
        assert!(admission.pass(100 * MIB, NONE).await.is_some());
    }

    #[tokio::test]
    async fn work_nobody_waits_for_keeps_its_place_until_it_ends() {
        let admission = admission(1, 100);
        let permit = admission.pass(MIB, NONE).await.unwrap();
        let (go, gone) = mpsc::channel::<()>();
        drop(permit.run(move || gone.recv()));
        drop(permit);
        assert!(admission.pass(MIB, NONE).await.is_none());
        go.send(()).unwrap();
        assert!(admission.pass(MIB, LONG).await.is_some());
    }

    #[tokio::test]
    async fn threads_are_all_cores_for_one_alone_and_shared_among_many() {
        let admission = admission(2, 100);
        let one = admission.pass(MIB, NONE).await.unwrap();
        assert_eq!(one.threads(), 8);
        let two = admission.pass(MIB, NONE).await.unwrap();
        assert_eq!((one.threads(), two.threads()), (4, 4));
        let mut waiting = JoinSet::new();
        for _ in 0..20 {
            let admission = Arc::clone(&admission);
            waiting.spawn(async move { admission.pass(MIB, LONG).await });
        }
        until_asking(&admission, 22).await;
        assert_eq!(one.threads(), 1);
        waiting.shutdown().await;
        drop(two);
        assert_eq!(one.threads(), 8);
        assert_eq!(admission.probe(NONE).await.unwrap().threads(), 1);
    }
}
