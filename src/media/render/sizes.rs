//! Which size of a picture is shown longest, where it changes in mid-stream.
//!
//! A call that is recorded begins small and grows with what the network gives: the size it begins
//! with is the size of its first second. Headers of containers and of key frames do not tell for
//! all codecs, so it is the frames that are counted.

use std::sync::Arc;

use super::pass::Reader;
use super::video::{memory, nominal_rate, open_decoder};
use crate::media::av::{Decoder, Frame, Packet, Received};
use crate::media::error::MediaError;
use crate::media::input::Input;
use crate::media::limits::{Guard, Limits};
use crate::media::probe::{Choice, open_as};
use crate::media::ratio::rescale;

/// Recorders step through a dozen. What comes after is not counted: a file of nothing but changes
/// must not fill the memory.
const MOST: usize = 64;

type Size = (u32, u32);

/// How long each size is shown, in ticks of the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// In the order in which they come.
    shown: Vec<(Size, i64)>,
    current: Option<Size>,
}

impl Sizes {
    /// A picture of this size comes next.
    pub(super) fn begin(&mut self, size: Size) {
        self.current = Some(size);
    }

    /// The picture that came last was shown so long.
    pub(super) fn shown(&mut self, time: i64) {
        let Some(size) = self.current else { return };
        let time = time.max(0);
        match self.shown.iter().position(|(known, _)| *known == size) {
            Some(at) => self.shown[at].1 = self.shown[at].1.saturating_add(time),
            None if self.shown.len() < MOST => self.shown.push((size, time)),
            None => {}
        }
    }

    /// The one shown longest; of equals the first.
    fn longest(&self) -> Option<Size> {
        let longest = self.shown.iter().rev().max_by_key(|(_, time)| *time);
        longest.map(|(size, _)| *size)
    }

    /// Whether another size than this one has been shown longer so far.
    pub(super) fn overtake(&self, size: Size) -> bool {
        let of = |wanted: Size| {
            let found = self.shown.iter().find(|(known, _)| *known == wanted);
            found.map_or(0, |(_, time)| *time)
        };
        self.longest()
            .is_some_and(|longest| longest != size && of(longest) > of(size))
    }
}

/// Decodes a video to its end to learn which size is shown longest; `None` if nothing decodes.
///
/// Only for files of which it is known that the size changes: it costs as much as decoding them.
pub(super) fn longest(
    input: &dyn Input,
    choice: &Choice,
    limits: &Limits,
    threads: usize,
    guard: &Arc<Guard>,
) -> Result<Option<Size>, MediaError> {
    let mut opened = open_as("open", input, choice, limits, guard)?;
    let stream = opened.video.clone();
    opened.demuxer.keep_only(&[stream.index]);
    let nominal = rescale(1, nominal_rate(&opened).inverse(), stream.time_base).max(1);
    let mut survey = Survey {
        decoder: open_decoder(&opened, threads, limits)?,
        frame: Frame::new().map_err(memory)?,
        sizes: Sizes::default(),
        last: None,
        frames: 0,
    };
    let mut packet = Packet::new().map_err(memory)?;
    let mut reader = Reader::default();
    let name = input.describe();
    // What is longer than allowed is refused by the pass that comes after.
    while survey.frames <= limits.max_frames
        && reader.next(&mut opened, &mut packet, &name, guard)?
    {
        if packet.stream() == stream.index {
            survey.send(Some(&packet));
        }
    }
    survey.send(None);
    survey.sizes.shown(nominal);
    Ok(survey.sizes.longest())
}

struct Survey {
    decoder: Decoder,
    frame: Frame,
    sizes: Sizes,
    last: Option<i64>,
    frames: u64,
}

impl Survey {
    /// What does not decode is not shown either.
    fn send(&mut self, packet: Option<&Packet>) {
        let _ = self.decoder.send(packet);
        while matches!(self.decoder.receive(&mut self.frame), Ok(Received::Item)) {
            self.frames += 1;
            let at = self.frame.best_effort().or(self.last).unwrap_or(0);
            if let Some(last) = self.last {
                self.sizes.shown(at.saturating_sub(last));
            }
            self.last = Some(at);
            self.sizes.begin((self.frame.width(), self.frame.height()));
        }
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
