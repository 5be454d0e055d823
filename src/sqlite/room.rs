//! A bound on rows that is not counted each time.

use std::sync::atomic::{AtomicU32, Ordering};

/// Additions between two counts. Other processes that add to the same file are noticed after so
/// many of our own.
const BETWEEN: u32 = 256;

/// How many rows there may be. To count a hundred thousand takes milliseconds, in which no other
/// write goes on: what is known to fit is not counted again.
#[derive(Debug)]
pub(crate) struct Room {
    most: u32,
    /// So many more fit for certain, as far as this process knows.
    left: AtomicU32,
}

impl Room {
    pub(crate) fn of(most: u32) -> Self {
        Self {
            most,
            left: AtomicU32::new(0),
        }
    }

    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Whether one more fits, which is taken as added. `count` says how many there are without
    /// it, counted no further than it is told.
    pub(crate) fn admits<E>(&self, count: impl FnOnce(u32) -> Result<u32, E>) -> Result<bool, E> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if taken.is_ok() {
            return Ok(true);
        }
        let free = self.most.saturating_sub(count(self.most)?);
        let Some(left) = free.checked_sub(1) else {
            return Ok(false);
        };
        self.left.store(left.min(BETWEEN), Ordering::Relaxed);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn never_more_than_fit_and_few_counts() {
        let room = Room::of(1000);
        let (there, counts) = (Cell::new(0), Cell::new(0));
        let count = |most: u32| {
            counts.set(counts.get() + 1);
            Ok::<_, ()>(most.min(there.get()))
        };
        for _ in 0..1000 {
            assert_eq!(room.admits(count), Ok(true));
            there.set(there.get() + 1);
        }
        assert!(counts.get() < 8, "{}", counts.get());
        assert_eq!(room.admits(count), Ok(false));
        // A place is given back.
        there.set(999);
        assert_eq!(room.admits(count), Ok(true));
        there.set(1000);
        assert_eq!(room.admits(count), Ok(false));
        assert_eq!(Room::of(0).admits(count), Ok(false));
    }
}
