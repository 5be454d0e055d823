//! Which blocks of an object are in memory, which are on their way, and which go first.
//!
//! Pure bookkeeping: [`super::reader`] does the waiting and the fetching.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::error::ReadProblem;

/// Large enough that a request's latency is small beside its transfer, small enough that two
/// places read in turn (video here, sound there) waste little.
pub(super) const BLOCK_BYTES: u64 = 1 << 20;
/// Blocks kept, those on their way included: 16 MiB for one input.
pub(super) const BLOCKS: usize = 16;
/// Blocks fetched ahead of a place that is read in order, in one request.
const AHEAD: u64 = 4;
/// What was fetched ahead stays while so many blocks are begun elsewhere: two places read in turn
/// have up to six each that are still to come. Longer, and nobody will read it any more.
const UNREAD_STAYS: u64 = BLOCKS as u64;
/// A block wanted since so many others were begun may be one that is read right now, at one of
/// several places in turn. Nothing is fetched ahead in its stead.
const IN_USE: u64 = 4;

#[derive(Debug)]
enum Slot {
    /// Part of a request that is under way.
    Coming,
    Here {
        bytes: Bytes,
        /// Until when it should stay, counted in blocks begun.
        keep: u64,
        read: bool,
    },
    /// Its request failed for good; the next who wants it asks anew.
    Failed(ReadProblem),
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Found {
    Here(Bytes),
    /// Wait for it.
    Coming,
    /// Its request failed.
    Failed(ReadProblem),
    /// Nobody has asked for it, or it is gone again.
    Absent,
}

#[derive(Debug)]
pub(super) struct Blocks {
    slots: HashMap<u64, Slot>,
    /// Number of blocks of the object.
    count: u64,
    /// Blocks read for the first time since they came.
    begun: u64,
}

impl Blocks {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            slots: HashMap::new(),
            count: bytes.div_ceil(BLOCK_BYTES),
            begun: 0,
        }
    }

    /// Looks a block up; a failure is told once.
    pub(super) fn find(&mut self, number: u64) -> Found {
        match self.slots.get_mut(&number) {
            Some(Slot::Here { bytes, keep, read }) => {
                if !std::mem::replace(read, true) {
                    self.begun += 1;
                }
                *keep = self.begun;
                Found::Here(bytes.clone())
            }
            Some(Slot::Coming) => Found::Coming,
            Some(Slot::Failed(problem)) => {
                let problem = problem.clone();
                self.slots.remove(&number);
                Found::Failed(problem)
            }
            None => Found::Absent,
        }
    }

    /// What to fetch, in one request, for a reader that wants `number` and does not find it.
    /// Empty while there is no room.
    pub(super) fn wanted(&mut self, number: u64) -> Range<u64> {
        let most = if self.follows(number) { AHEAD } else { 1 };
        if self.reserve(number, 1, u64::MAX).is_empty() {
            return number..number;
        }
        number..self.reserve(number + 1, most - 1, self.idle()).end
    }

    /// What to fetch while a reader works on `number`: the blocks behind it, once the place is
    /// read in order and half of what was fetched ahead is used up.
    pub(super) fn ahead(&mut self, number: u64) -> Range<u64> {
        if !self.follows(number) {
            return 0..0;
        }
        let known = (number + 1..=number + AHEAD)
            .take_while(|next| self.slots.contains_key(next))
            .count() as u64;
        if known > AHEAD / 2 {
            return 0..0;
        }
        self.reserve(number + 1 + known, AHEAD, self.idle())
    }

    /// What need not be kept beyond this may go for what is fetched ahead.
    fn idle(&self) -> u64 {
        self.begun.saturating_sub(IN_USE)
    }

    /// Whether the block before is there: then the place is read in order.
    fn follows(&self, number: u64) -> bool {
        number
            .checked_sub(1)
            .is_some_and(|before| matches!(self.slots.get(&before), Some(Slot::Here { .. })))
    }

    /// Marks up to `most` missing blocks from `first` on as coming, as far as there is room or
    /// blocks may go that are kept until `idle` at most.
    fn reserve(&mut self, first: u64, most: u64, idle: u64) -> Range<u64> {
        let mut next = first;
        while next < self.count.min(first + most)
            && !self.slots.contains_key(&next)
            && self.make_room(idle)
        {
            self.slots.insert(next, Slot::Coming);
            next += 1;
        }
        first..next
    }

    /// Lets the block go that is worth least.
    fn make_room(&mut self, idle: u64) -> bool {
        if self.slots.len() < BLOCKS {
            return true;
        }
        let oldest = self
            .slots
            .iter()
            .filter_map(|(number, slot)| match slot {
                Slot::Here { keep, .. } => Some((*keep, *number)),
                Slot::Failed(_) => Some((0, *number)),
                Slot::Coming => None,
            })
            .min();
        match oldest {
            Some((keep, number)) if keep <= idle => self.slots.remove(&number).is_some(),
            _ => false,
        }
    }

    pub(super) fn arrived(&mut self, number: u64, bytes: Bytes) {
        let slot = Slot::Here {
            bytes,
            keep: self.begun + UNREAD_STAYS,
            read: false,
        };
        self.slots.insert(number, slot);
    }

    pub(super) fn failed(&mut self, numbers: Range<u64>, problem: &ReadProblem) {
        for number in numbers {
            self.slots.insert(number, Slot::Failed(problem.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(blocks: &mut Blocks, numbers: Range<u64>) {
        for number in numbers {
            blocks.arrived(number, Bytes::from_static(b"x"));
        }
    }

    /// Reads a block as a reader does; gives the blocks that were asked for.
    fn read(blocks: &mut Blocks, number: u64) -> u64 {
        let mut asked = 0;
        if matches!(blocks.find(number), Found::Absent) {
            let wanted = blocks.wanted(number);
            asked += wanted.end - wanted.start;
            arrive(blocks, wanted);
            assert!(matches!(blocks.find(number), Found::Here(_)));
        }
        let ahead = blocks.ahead(number);
        asked += ahead.end - ahead.start;
        arrive(blocks, ahead);
        asked
    }

    #[test]
    fn reading_in_order_fetches_every_block_once() {
        let mut blocks = Blocks::new(100 * BLOCK_BYTES);
        let asked: u64 = (0..100).map(|number| read(&mut blocks, number)).sum();
        assert_eq!(asked, 100);
        assert!(blocks.slots.len() <= BLOCKS);
    }

    #[test]
    fn two_places_read_in_turn_fetch_every_block_once() {
        let mut blocks = Blocks::new(100 * BLOCK_BYTES);
        let asked: u64 = (0..50)
            .map(|at| read(&mut blocks, at) + read(&mut blocks, 50 + at))
            .sum();
        // The first place runs into the second's blocks, which are gone by then.
        assert!((100..=100 + AHEAD).contains(&asked), "{asked}");
    }

    #[test]
    fn three_places_read_in_turn_fetch_every_block_once() {
        let mut blocks = Blocks::new(150 * BLOCK_BYTES);
        let mut asked = 0;
        for at in 0..50 {
            // As a demuxer does: from place to place many times within a block.
            for place in [0, 50, 100].repeat(20) {
                asked += read(&mut blocks, place + at);
            }
            assert!(blocks.slots.len() <= BLOCKS);
        }
        assert!((150..=150 + 2 * AHEAD).contains(&asked), "{asked}");
    }

    #[test]
    fn what_was_fetched_in_vain_goes() {
        let mut blocks = Blocks::new(1000 * BLOCK_BYTES);
        // A place is read in order, and left with blocks ahead of it.
        for number in 0..3 {
            read(&mut blocks, number);
        }
        for number in 100..200 {
            read(&mut blocks, number);
        }
        assert!((0..10).all(|number| matches!(blocks.find(number), Found::Absent)));
    }

    #[test]
    fn jumping_about_fetches_nothing_ahead() {
        let mut blocks = Blocks::new(100 * BLOCK_BYTES);
        for number in [0, 90, 7, 50, 30] {
            assert_eq!(read(&mut blocks, number), 1, "{number}");
        }
    }

    #[test]
    fn what_is_on_its_way_is_never_pushed_out() {
        let mut blocks = Blocks::new(100 * BLOCK_BYTES);
        for number in 0..BLOCKS as u64 {
            assert_eq!(blocks.wanted(number * 2), number * 2..number * 2 + 1);
        }
        assert!(blocks.wanted(50).is_empty(), "there is no room");
        arrive(&mut blocks, 0..1);
        assert_eq!(blocks.wanted(50), 50..51);
        assert!(matches!(blocks.find(0), Found::Absent));
    }

    #[test]
    fn a_failure_is_told_once_and_asked_again() {
        let mut blocks = Blocks::new(4 * BLOCK_BYTES);
        let wanted = blocks.wanted(0);
        blocks.failed(wanted, &ReadProblem::Stopped);
        assert!(matches!(blocks.find(0), Found::Failed(_)));
        assert!(matches!(blocks.find(0), Found::Absent));
    }
}
