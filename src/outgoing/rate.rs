//! The least speed of a transfer: who sends a byte now and then keeps nobody for long.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use tokio::time::{Instant, timeout};

/// So many bytes in each stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeastRate {
    pub bytes: u64,
    pub window: Duration,
}

impl LeastRate {
    /// 16 KiB a second: a telephone line of the slower sort. A hiccup of half a minute is borne
    /// where enough came before it.
    pub const USUAL: Self = Self {
        bytes: 480 << 10,
        window: Duration::from_secs(30),
    };
}

impl Default for LeastRate {
    fn default() -> Self {
        Self::USUAL
    }
}

impl LeastRate {
    /// What to say of a transfer that was slower.
    #[must_use]
    pub fn missed(&self) -> String {
        let Self { bytes, window } = self;
        format!(
            "fewer than {bytes} bytes came in {} s",
            window.as_secs_f64()
        )
    }
}

#[derive(Debug)]
struct Counted<S> {
    stream: S,
    /// In this window.
    waited: Duration,
    bytes: u64,
}

/// Ends `stream` with `slow` where it falls short of the rate. Only the time that is spent waiting
/// for it counts: how long the reader takes with what came is not the sender's fault.
pub fn at_least<S, E>(
    stream: S,
    least: LeastRate,
    slow: fn(LeastRate) -> E,
) -> BoxStream<'static, Result<Bytes, E>>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: Send + 'static,
{
    let counted = Counted {
        stream,
        waited: Duration::ZERO,
        bytes: 0,
    };
    // Ends after its first error.
    futures::stream::unfold(Some(counted), move |state| async move {
        let mut state = state?;
        loop {
            let began = Instant::now();
            let left = least.window.saturating_sub(state.waited);
            let part = timeout(left, state.stream.next()).await;
            state.waited += began.elapsed();
            let part = match part {
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(error), None)),
                Ok(Some(Ok(part))) => {
                    state.bytes = state.bytes.saturating_add(part.len() as u64);
                    Some(part)
                }
                Err(_) => None,
            };
            if state.waited >= least.window {
                if state.bytes < least.bytes {
                    return Some((Err(slow(least)), None));
                }
                state.waited = Duration::ZERO;
                state.bytes = 0;
            }
            if let Some(part) = part {
                return Some((Ok(part), Some(state)));
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const LEAST: LeastRate = LeastRate {
        bytes: 100,
        window: Duration::from_millis(200),
    };

    fn slow(_: LeastRate) -> &'static str {
        "slow"
    }

    /// Parts of so many bytes, each after a pause.
    fn parts(
        count: usize,
        bytes: usize,
        pause: Duration,
    ) -> BoxStream<'static, Result<Bytes, &'static str>> {
        stream::iter(0..count)
            .then(move |_| async move {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Ok(Bytes::from(vec![0; bytes]))
            })
            .boxed()
    }

    async fn read(
        stream: BoxStream<'static, Result<Bytes, &'static str>>,
    ) -> (usize, Option<&'static str>) {
        let got: Vec<_> = at_least(stream, LEAST, slow).collect().await;
        let bytes = got.iter().flatten().map(Bytes::len).sum();
        (bytes, got.into_iter().find_map(Result::err))
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_not_enough() {
        let drip = parts(1_000, 1, Duration::from_millis(20));
        let began = Instant::now();
        let (bytes, error) = read(drip).await;
        assert_eq!(error, Some("slow"));
        assert!(bytes < 100 && began.elapsed() >= LEAST.window);
        // It is not the silence that is looked at: a burst earns one window, not two.
        let burst = parts(1, 10_000, Duration::ZERO).chain(stream::pending());
        assert_eq!(read(burst.boxed()).await, (10_000, Some("slow")));
    }

    #[tokio::test]
    async fn what_is_fast_enough_comes_whole_and_a_short_rest_is_no_fault() {
        let steady = parts(10, 100, Duration::from_millis(60));
        assert_eq!(read(steady).await, (1_000, None));
        let small = parts(1, 3, Duration::from_millis(20));
        assert_eq!(read(small).await, (3, None));
        let broken = parts(1, 3, Duration::ZERO).chain(stream::iter([Err("broken")]));
        assert_eq!(read(broken.boxed()).await, (3, Some("broken")));
    }

    #[tokio::test]
    async fn a_slow_reader_is_not_the_senders_fault() {
        let mut stream = at_least(parts(5, 1, Duration::ZERO), LEAST, slow);
        let mut bytes = 0;
        while let Some(part) = stream.next().await {
            bytes += part.unwrap().len();
            tokio::time::sleep(LEAST.window).await;
        }
        assert_eq!(bytes, 5);
    }
}
