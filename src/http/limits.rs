//! What connections may be and do.

use std::time::Duration;

/// What connections may be and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// At once.
    pub most: usize,
    /// At once from one address; absent where a proxy stands in front, whose address all have.
    pub most_per_peer: Option<usize>,
    /// For a request's head, from its first byte; for the first of all from the connection on.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a client to take something of what waits for it.
    pub stall: Duration,
}

impl ConnectionLimits {
    /// Usual times.
    #[must_use]
    pub fn new(most: usize, most_per_peer: Option<usize>) -> Self {
        Self {
            most,
            most_per_peer,
            // A head is some KiB; browsers and proxies send it at once.
            header: Duration::from_secs(20),
            // Longer than a proxy keeps its side (nginx: 60 s), or it would send a request into
            // a connection that is just being closed.
            idle: Duration::from_secs(75),
            // As nginx: a player that pauses comes back with a range.
            stall: Duration::from_secs(60),
        }
    }
}
