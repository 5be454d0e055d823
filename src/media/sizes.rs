//! Which size of a picture is shown longest, where it changes in mid-stream.
//!
//! A call that is recorded begins small and grows with what the network gives: the size it begins
//! with is the size of its first second. Headers of containers and of key frames do not tell for
//! all codecs, so it is the frames that are counted.

/// Recorders step through a dozen. What comes after is not counted: a file of nothing but changes
/// must not fill the memory.
const MOST: usize = 64;

pub(crate) type Size = (u32, u32);

/// How long each size is shown, in ticks of the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// In the order in which they come.
    shown: Vec<(Size, i64)>,
    current: Option<Size>,
}

impl Sizes {
    /// A picture of this size comes next; whether the one before has another.
    pub(crate) fn begin(&mut self, size: Size) -> bool {
        let before = self.current.replace(size);
        before.is_some_and(|before| before != size)
    }

    /// The picture that came last was shown so long.
    pub(crate) fn shown(&mut self, time: i64) {
        let Some(size) = self.current else { return };
        let time = time.max(0);
        match self.shown.iter().position(|(known, _)| *known == size) {
            Some(at) => self.shown[at].1 = self.shown[at].1.saturating_add(time),
            None if self.shown.len() < MOST => self.shown.push((size, time)),
            None => {}
        }
    }

    /// The one shown longest; of equals the first.
    pub(crate) fn longest(&self) -> Option<Size> {
        let longest = self.shown.iter().rev().max_by_key(|(_, time)| *time);
        longest.map(|(size, _)| *size)
    }

    /// Whether another size than this one has been shown longer so far.
    pub(crate) fn overtake(&self, size: Size) -> bool {
        let of = |wanted: Size| {
            let found = self.shown.iter().find(|(known, _)| *known == wanted);
            found.map_or(0, |(_, time)| *time)
        };
        self.longest()
            .is_some_and(|longest| longest != size && of(longest) > of(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(shown: &[(Size, i64)]) -> Sizes {
        let mut sizes = Sizes::default();
        for (size, time) in shown {
            sizes.begin(*size);
            sizes.shown(*time);
        }
        sizes
    }

    #[test]
    fn time_counts_not_frames_and_of_equals_the_first() {
        let (small, large) = ((160, 90), (640, 360));
        let ramp = sizes(&[
            (small, 10),
            (small, 10),
            (large, 15),
            (small, 1),
            (large, 15),
        ]);
        assert_eq!(ramp.longest(), Some(large));
        assert!(ramp.overtake(small));
        assert!(!ramp.overtake(large));
        let even = sizes(&[(small, 10), (large, 10)]);
        assert_eq!(even.longest(), Some(small));
        assert!(!even.overtake(small));
        // Announced, and not one picture of it comes.
        assert!(even.overtake((320, 180)));
        assert!(!Sizes::default().overtake(small));
        assert_eq!(Sizes::default().longest(), None);
    }

    #[test]
    fn a_file_of_nothing_but_changes_takes_no_memory_and_no_time_back() {
        let mut many = Sizes::default();
        for side in 1..10_000 {
            many.begin((side, side));
            many.shown(i64::MAX - 1);
            many.shown(-5);
        }
        assert_eq!(many.shown.len(), MOST);
        assert_eq!(many.longest(), Some((1, 1)));
    }
}
