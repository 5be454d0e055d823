//! Whom a visit waits for, so that a time that runs out is laid at the right door.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;

use crate::job::Code;

/// What is waited for at this moment, by the failure that its absence would be. Work that is
/// dropped while it waits leaves its word behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Awaited(Arc<Mutex<Option<Code>>>);

impl Awaited {
    pub(super) fn now(&self) -> Option<Code> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, code: Option<Code>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = code;
    }

    pub(super) async fn during<F: Future>(&self, code: Code, work: F) -> F::Output {
        self.set(Some(code));
        let output = work.await;
        self.set(None);
        output
    }

    /// The same for each part of a stream: not while somebody else is busy with a part that came.
    pub(super) fn each<T>(
        &self,
        code: Code,
        mut parts: Pin<Box<dyn Stream<Item = T> + Send>>,
    ) -> impl Stream<Item = T> + Send + Unpin + use<T> {
        let awaited = self.clone();
        futures::stream::poll_fn(move |task| {
            let part = parts.as_mut().poll_next(task);
            awaited.set(part.is_pending().then_some(code));
            part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt as _, StreamExt as _};

    #[test]
    fn work_that_is_dropped_while_it_waits_leaves_its_word() {
        let awaited = Awaited::default();
        let done = awaited.during(Code::DownloadFailed, async { 1 });
        assert_eq!((done.now_or_never(), awaited.now()), (Some(1), None));
        let hangs = awaited.during(Code::DownloadFailed, std::future::pending::<()>());
        assert_eq!(hangs.now_or_never(), None);
        assert_eq!(awaited.now(), Some(Code::DownloadFailed));
    }

    #[test]
    fn a_part_that_came_is_not_waited_for() {
        let awaited = Awaited::default();
        let parts = futures::stream::iter([1]).chain(futures::stream::pending());
        let mut parts = awaited.each(Code::SourceUnreachable, parts.boxed());
        assert_eq!(parts.next().now_or_never(), Some(Some(1)));
        assert_eq!(awaited.now(), None);
        assert_eq!(parts.next().now_or_never(), None);
        assert_eq!(awaited.now(), Some(Code::SourceUnreachable));
    }
}
