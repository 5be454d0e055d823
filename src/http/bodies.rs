//! Request bodies that are read whole: bounded each, bounded together, and bounded in time.
//!
//! Whoever sends one has shown a token by then. Still, what many send at once must not add up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Problem;
use crate::job::Code;

/// The unit in which memory is counted.
const BLOCK: usize = 1024;
/// Bodies in memory, in all: 256 of the largest JSON, 32 of the largest callbacks.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The memory for bodies. Cheap to clone; all clones share it.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    blocks: Arc<Semaphore>,
    time: Duration,
}

/// What a request's body takes; the frame holds it until the request is answered, since what was
/// read from the body lives so long.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Taken {
    fn add(&self, permit: OwnedSemaphorePermit) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.as_mut() {
            Some(taken) => taken.merge(permit),
            None => *taken = Some(permit),
        }
    }
}

impl Bodies {
    /// `time`: for one body.
    pub(super) fn new(time: Duration) -> Self {
        Self::of(MOST_BYTES, time)
    }

    fn of(bytes: usize, time: Duration) -> Self {
        Self {
            blocks: Arc::new(Semaphore::new(bytes / BLOCK)),
            time,
        }
    }

    /// The whole body of at most `limit` bytes.
    pub(super) async fn read(&self, request: Request, limit: usize) -> Result<Bytes, Problem> {
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > limit as u64) {
            return Err(too_large(limit));
        }
        tokio::time::timeout(self.time, self.collect(request, limit))
            .await
            .unwrap_or_else(|_| Err(slow(self.time)))
    }

    async fn collect(&self, request: Request, limit: usize) -> Result<Bytes, Problem> {
        let taken = request
            .extensions()
            .get::<Taken>()
            .cloned()
            .unwrap_or_default();
        let mut chunks = request.into_body().into_data_stream();
        let mut body = BytesMut::new();
        let mut blocks = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                Problem::new(Code::InvalidRequest)
                    .detail("The body broke off.")
                    .because(error)
            })?;
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            // Before it is copied: memory is taken as it is used, not as it is announced, so that
            // whoever announces much and sends nothing takes nothing.
            let needed = (body.len() + chunk.len()).div_ceil(BLOCK);
            let more = u32::try_from(needed - blocks).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.blocks)
                .try_acquire_many_owned(more)
                .map_err(|_| full())?;
            taken.add(permit);
            blocks = needed;
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::RequestTooLarge).detail(format!("The body may have at most {limit} bytes."))
}

fn full() -> Problem {
    Problem::new(Code::Overloaded)
        .detail("The service is reading as many requests as it takes at once.")
        .because("the memory for request bodies is taken")
}

fn slow(time: Duration) -> Problem {
    Problem::new(Code::InvalidRequest)
        .status(StatusCode::REQUEST_TIMEOUT)
        .detail(format!("The body did not come within {time:?}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    const LONG: Duration = Duration::from_secs(60);

    fn request(body: Body, taken: &Taken) -> Request {
        let mut request = Request::new(body);
        request.extensions_mut().insert(taken.clone());
        request
    }

    #[tokio::test]
    async fn bodies_share_their_memory_until_they_are_answered() {
        let bodies = Bodies::of(4 * BLOCK, LONG);
        let full = |bytes: usize| Body::from(vec![b'x'; bytes]);
        let (first, second) = (Taken::default(), Taken::default());
        let read = bodies.read(request(full(3 * BLOCK), &first), 4 * BLOCK);
        assert_eq!(read.await.unwrap().len(), 3 * BLOCK);
        let read = bodies.read(request(full(BLOCK + 1), &second), 4 * BLOCK);
        let problem = read.await.unwrap_err();
        assert_eq!(
            (problem.code, problem.status.as_u16()),
            (Code::Overloaded, 503)
        );
        // One that fits still does, and what is answered makes room.
        let read = bodies.read(request(full(BLOCK), &second), 4 * BLOCK);
        read.await.unwrap();
        drop((first, second));
        assert_eq!(bodies.blocks.available_permits(), 4);
    }

    #[tokio::test]
    async fn whoever_announces_much_and_sends_little_takes_little() {
        let bodies = Bodies::of(4 * BLOCK, LONG);
        let taken = Taken::default();
        let (send, chunks) = futures::channel::mpsc::unbounded::<std::io::Result<Bytes>>();
        send.unbounded_send(Ok(Bytes::from_static(b"half")))
            .unwrap();
        let half = request(Body::from_stream(chunks), &taken);
        let reading = tokio::spawn({
            let bodies = bodies.clone();
            async move { bodies.read(half, 4 * BLOCK).await }
        });
        while bodies.blocks.available_permits() == 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bodies.blocks.available_permits(), 3);
        drop(send);
        assert_eq!(reading.await.unwrap().unwrap(), "half");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let bodies = Bodies::new(Duration::from_millis(20));
        let taken = Taken::default();
        let never = Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>());
        let problem = bodies.read(request(never, &taken), 9).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::REQUEST_TIMEOUT);
    }
}
