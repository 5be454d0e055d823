//! Repeating what may be repeated.

use std::time::{Duration, Instant, SystemTime};

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use retry_policies::policies::ExponentialBackoff;
use retry_policies::{Jitter, RetryDecision, RetryPolicy};

use super::client::refusal;
use crate::clock::{Clock, SystemClock};

/// How often and how long a call may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// Tries after the first. The official clients make five.
    pub retries: u32,
    pub least_wait: Duration,
    pub longest_wait: Duration,
    /// No wait is begun that would end later than this after the first try began.
    pub total: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self {
            retries: 4,
            least_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(15),
            // A visit asks once and can come back later: holding it for longer gains nothing.
            total: Duration::from_secs(90),
        }
    }
}

impl RetryLimits {
    /// The pause before the next try, or `None` when it should not be made.
    ///
    /// `asked` is what the server asked for. Where it asks for more time than is left, giving up
    /// at once lets the caller plan a later visit with that number.
    pub(super) fn pause(
        &self,
        began: Instant,
        past_retries: u32,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let policy = ExponentialBackoff::builder()
            .retry_bounds(self.least_wait.min(self.longest_wait), self.longest_wait)
            .jitter(Jitter::Bounded)
            .build_with_max_retries(self.retries);
        let RetryDecision::Retry { execute_after } =
            policy.should_retry(SystemTime::now(), past_retries)
        else {
            return None;
        };
        let backoff = execute_after
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let wait = backoff.max(asked.unwrap_or_default());
        (began.elapsed() + wait <= self.total).then_some(wait)
    }
}

/// Repeats GET, HEAD and PUT where the failure looks passing: connection errors, timeouts, 429,
/// 500, 502, 503 and 504. Anything else, and a body that cannot be sent twice, goes out once.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryIdempotent(pub(super) RetryLimits);

#[async_trait::async_trait]
impl Middleware for RetryIdempotent {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD | Method::PUT) {
            return next.run(request, extensions).await;
        }
        let began = Instant::now();
        let mut past_retries = 0;
        loop {
            let Some(copy) = request.try_clone() else {
                return next.run(request, extensions).await;
            };
            let result = next.clone().run(copy, extensions).await;
            let asked = match &result {
                Ok(response) if is_passing(response.status()) => retry_after(response.headers()),
                Err(error) if refusal(error).is_some() => return result,
                Err(error) if error.is_connect() || error.is_timeout() || error.is_request() => {
                    None
                }
                _ => return result,
            };
            let Some(wait) = self.0.pause(began, past_retries, asked) else {
                return result;
            };
            past_retries += 1;
            tracing::debug!(
                host = request.url().host_str(),
                path = request.url().path(),
                past_retries,
                wait_ms = wait.as_millis() as u64,
                "provider call failed, trying again"
            );
            tokio::time::sleep(wait).await;
        }
    }
}

/// Statuses after which the same call may well succeed.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// How long the server asks us to wait, as seconds or as a date; no more than an hour, since the
/// header is not ours to trust.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const MOST: Duration = Duration::from_secs(3600);
    let text = headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .ok()?;
        crate::clock::elapsed(SystemClock.now(), at)
    };
    Some(wait.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, value.parse().expect("a header"));
        headers
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date_and_bounded() {
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after(&headers("999999")),
            Some(Duration::from_secs(3600))
        );
        assert_eq!(
            retry_after(&headers("Sun, 06 Nov 1994 08:49:37 GMT")),
            Some(Duration::ZERO)
        );
        assert_eq!(
            retry_after(&headers("Sat, 06 Nov 2094 08:49:37 GMT")),
            Some(Duration::from_secs(3600))
        );
        assert_eq!(retry_after(&headers("soon")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_pause_stays_within_its_bounds() {
        let limits = RetryLimits::default();
        let began = Instant::now();
        for past in 0..limits.retries {
            let wait = limits.pause(began, past, None).expect("a try is left");
            assert!(wait <= limits.longest_wait, "{wait:?}");
        }
        assert_eq!(limits.pause(began, limits.retries, None), None);
        assert_eq!(
            limits.pause(began, 0, Some(Duration::from_secs(3600))),
            None
        );
        let asked = Duration::from_secs(40);
        assert_eq!(limits.pause(began, 0, Some(asked)), Some(asked));
    }
}
