//! The places for connections: so many in all, and so many for one peer.
//!
//! A connection that does nothing keeps nobody out: where all places are taken, the one that has
//! been quiet for longest goes. Only where each of them has a request under way is a new one
//! refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::ConnectionLimits;
use super::pulse::Pulse;

/// Cheap to clone; all clones share the places.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    open: Arc<Mutex<Open>>,
    limits: ConnectionLimits,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, (IpAddr, Arc<Pulse>)>,
    of_peer: HashMap<IpAddr, usize>,
}

/// Why a connection is refused: each of the others has a request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    InAll,
    OfPeer,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    number: u64,
    pub(super) pulse: Arc<Pulse>,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self {
            open: Arc::default(),
            limits,
        }
    }

    pub(super) fn admit(&self, peer: IpAddr) -> Result<Admitted, Refused> {
        let peer = network(peer);
        let mut open = lock(&self.open);
        let of_peer = open.of_peer.get(&peer).copied().unwrap_or(0);
        if self
            .limits
            .most_per_peer
            .is_some_and(|most| of_peer >= most)
            && !open.evict(|of| of == peer)
        {
            return Err(Refused::OfPeer);
        }
        if open.all.len() >= self.limits.most && !open.evict(|_| true) {
            return Err(Refused::InAll);
        }
        let number = open.next;
        open.next += 1;
        let pulse = Arc::new(Pulse::new());
        open.all.insert(number, (peer, Arc::clone(&pulse)));
        *open.of_peer.entry(peer).or_default() += 1;
        Ok(Admitted {
            number,
            pulse,
            open: Arc::clone(&self.open),
        })
    }
}

impl Open {
    /// Makes the one go that has been quiet for longest; `false` if there is none.
    fn evict(&mut self, among: impl Fn(IpAddr) -> bool) -> bool {
        let quiet = self.all.iter().filter(|(_, (peer, _))| among(*peer));
        let quiet = quiet.filter_map(|(number, (_, pulse))| Some((pulse.quiet_since()?, *number)));
        let Some((_, number)) = quiet.min() else {
            return false;
        };
        if let Some((_, pulse)) = self.all.get(&number) {
            pulse.evicted.cancel();
        }
        // Its place is free at once; its socket is closed by its own task, in a moment.
        self.remove(number);
        true
    }

    fn remove(&mut self, number: u64) {
        let Some((peer, _)) = self.all.remove(&number) else {
            return;
        };
        match self.of_peer.get_mut(&peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.of_peer.remove(&peer);
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        lock(&self.open).remove(self.number);
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who counts as one peer: an IPv4 address, or the /64 that one IPv6 customer has at least.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn the_longest_quiet_one_makes_room_and_a_busy_one_never() {
        let connections = Connections::new(ConnectionLimits::new(3, None));
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(connections.admit(ip("192.0.2.1")).unwrap());
        }
        let busy = open[0].pulse.begin(false);
        let more = connections.admit(ip("192.0.2.2")).unwrap();
        let evicted: Vec<_> = open
            .iter()
            .map(|of| of.pulse.evicted.is_cancelled())
            .collect();
        assert_eq!(evicted, [false, true, false]);
        // Whose place was taken gives back none.
        drop(open.remove(1));
        let _others = [open[1].pulse.begin(false), more.pulse.begin(false)];
        let refused = connections.admit(ip("192.0.2.3")).unwrap_err();
        assert_eq!(refused, Refused::InAll);
        drop(busy);
        connections.admit(ip("192.0.2.3")).unwrap();
        assert!(open[0].pulse.evicted.is_cancelled());
    }

    #[tokio::test]
    async fn a_peer_is_bounded_among_its_own() {
        let connections = Connections::new(ConnectionLimits::new(9, Some(2)));
        let other = connections.admit(ip("2001:db8:0:2::1")).unwrap();
        // Two addresses of one network, and one written in two ways.
        for pair in [
            ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"],
            ["192.0.2.1", "::ffff:192.0.2.1"],
        ] {
            let open = pair.map(|peer| connections.admit(ip(peer)).unwrap());
            let busy: Vec<_> = open.iter().map(|of| of.pulse.begin(false)).collect();
            let refused = connections.admit(ip(pair[0])).unwrap_err();
            assert_eq!(refused, Refused::OfPeer);
            drop(busy);
            connections.admit(ip(pair[0])).unwrap();
        }
        assert!(!other.pulse.evicted.is_cancelled());
        drop(other);
        let open = lock(&connections.open);
        assert!(open.all.is_empty() && open.of_peer.is_empty());
    }

    #[tokio::test]
    async fn each_kind_of_waiting_has_its_limit() {
        let limits = ConnectionLimits::new(1, None);
        let pulse = Arc::new(Pulse::new());
        let left = |pulse: &Pulse| Some(pulse.deadline(&limits)? - pulse.quiet_since()?);
        assert_eq!(left(&pulse), Some(limits.header));
        let first = pulse.begin(false);
        // However long the handler takes.
        assert_eq!(pulse.deadline(&limits), None);
        drop(first);
        assert_eq!(left(&pulse), Some(limits.idle));
    }
}
