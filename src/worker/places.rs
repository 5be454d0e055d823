//! Places to work in, dealt out fairly among owners.
//!
//! Each kind of work has places of its own: visits, visits that fetch an input from the web
//! first, looks at a source, media passes, quotes, notices. What hangs in one kind takes nothing
//! from another. Within a kind three rules hold:
//!
//! 1. An owner may hold a share of the places that the others leave, and where two or more are
//!    left never all of them: who comes later finds one.
//! 2. A place that becomes free goes to the waiting owner who holds the fewest; among equals to
//!    the one who was served longest ago, and among one owner's to the first who came.
//! 3. The list of those who wait is bounded, and shared out by rule 1 too. Who finds no room in
//!    it, or no place in time, is told so and comes again.
//!
//! These are the places of one process. The state is small and behind one lock, which is held
//! for no longer than it takes to look through the owners that wait.

mod dealt;
mod lines;

use std::time::Duration;

pub(super) use dealt::{Place, Places};
use lines::Lines;

/// How many places there are, and how they are shared out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceLimits {
    /// Visits at once, besides those that fetch.
    pub visits: usize,
    /// Visits at once that fetch an input from the web.
    pub fetches: usize,
    /// Quotes at once: a source from the web is fetched whole for each.
    pub quotes: usize,
    /// Deliveries of notices at once.
    pub notices: usize,
    /// Of the places that others leave, what one owner may hold: above 0, and 1 for all.
    pub share: f64,
    /// Who may wait for the places of one kind, all owners together.
    pub waiting: usize,
    /// How long a visit or a notice waits. Where every one that waits is a request held open, it
    /// is better brought again.
    pub patience: Duration,
}

impl Default for PlaceLimits {
    fn default() -> Self {
        Self {
            visits: 24,
            fetches: 8,
            quotes: 3,
            notices: 8,
            share: 0.75,
            waiting: 64,
            patience: Duration::from_secs(600),
        }
    }
}

/// All places of this process.
#[derive(Debug)]
pub(super) struct AllPlaces {
    pub(super) visits: Places,
    pub(super) fetches: Places,
    pub(super) probes: Places,
    /// Passes are few and take long: all may be one owner's, and the turn is what is shared.
    pub(super) passes: Places,
    pub(super) quotes: Places,
    pub(super) notices: Places,
    /// Who waits for a place to make a visit or to deliver a notice.
    pub(super) lines: Lines,
}

impl AllPlaces {
    pub(super) fn new(limits: &PlaceLimits, probes: usize, passes: usize) -> Self {
        let places = |places| Places::new(places, limits.waiting, limits.share);
        // Those who wait for these hold another place meanwhile: that is bound enough.
        let inner = |places, share| Places::new(places, usize::MAX, share);
        Self {
            visits: places(limits.visits),
            fetches: places(limits.fetches),
            probes: inner(probes, limits.share),
            passes: inner(passes, 1.0),
            quotes: places(limits.quotes),
            notices: places(limits.notices),
            lines: Lines::default(),
        }
    }
}
