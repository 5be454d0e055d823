//! Clocks that begin again within a file.
//!
//! Transport and program streams have no index: written one after the other they are one file, as
//! recorders split them and `cat` joins them. The clock of each part begins again. Taken as it
//! stands, the second part would lie over the first.

use super::packet::Packet;
use crate::media::ratio::{Ratio, Time};

/// Both count in ticks of 90 kHz (ISO/IEC 13818-1).
const BASE: Ratio = Ratio::new(1, 90_000);

/// Less than this back is disorder of the muxer's. (A decoding time never goes back by itself.)
const BACK: Time = Time::from_millis(500);
/// What lies no further from where a stream would have gone on goes on there.
const NEAR: Time = Time::from_millis(1000);
/// Streams of one part end this far from one another at most; what lies further is damage.
const APART: Time = Time::from_millis(10_000);

/// Demuxers whose files may be joined so.
pub(super) fn may_restart(format: &str) -> bool {
    matches!(format, "mpegts" | "mpeg")
}

/// Puts the parts of a file one after the other.
///
/// A part begins where the longest stream of the part before ended. All streams of a part are
/// moved by the same time, so that picture and sound stay together.
#[derive(Debug, Default)]
pub(super) struct Clock {
    streams: Vec<Option<Stream>>,
    /// By how much the latest part is moved.
    latest: Time,
    restarts: u32,
}

/// Where one stream is.
#[derive(Clone, Copy, Debug)]
struct Stream {
    /// When its next packet comes, by the file's clock.
    next: Time,
    moved: Time,
    /// The same as it was a packet ago.
    before: (Time, Time),
}

impl Stream {
    /// When its next packet comes in the whole.
    fn end(&self) -> Time {
        self.next + self.moved
    }
}

impl Clock {
    /// Puts a packet behind the parts before its own.
    pub(super) fn place(&mut self, packet: &mut Packet) {
        let moved = match packet.dts() {
            Some(at) => self.moves(
                packet.stream(),
                Time::of(at, BASE),
                Time::of(packet.duration(), BASE),
            ),
            None => self
                .stream(packet.stream())
                .map_or(self.latest, |known| known.moved),
        };
        packet.subtract((Time::ZERO - moved).ticks(BASE));
    }

    fn stream(&self, index: usize) -> Option<Stream> {
        self.streams.get(index).copied().flatten()
    }

    /// By how much a packet is to be moved that is decoded at `at` and lasts so long.
    fn moves(&mut self, stream: usize, at: Time, lasts: Time) -> Time {
        if self.streams.len() <= stream {
            self.streams.resize(stream + 1, None);
        }
        let lasts = lasts.max(Time::ZERO);
        let Some(known) = self.stream(stream) else {
            self.streams[stream] = Some(Stream {
                next: at + lasts,
                moved: self.latest,
                before: (at, self.latest),
            });
            return self.latest;
        };
        let moved = self.moved(known, at);
        self.streams[stream] = Some(Stream {
            next: at + lasts,
            moved,
            before: (known.next, known.moved),
        });
        moved
    }

    fn moved(&mut self, known: Stream, at: Time) -> Time {
        let (next, moved) = known.before;
        if far(at, known.next, BACK) && !far(at, next, NEAR) {
            // It was one packet that lay elsewhere.
            if moved != known.moved {
                self.latest = moved;
                self.restarts = self.restarts.saturating_sub(1);
            }
            return moved;
        }
        if known.next - at <= BACK {
            return known.moved;
        }
        if self.latest != known.moved && !far(at + self.latest, known.end(), APART) {
            return self.latest;
        }
        let ends = self.streams.iter().flatten().map(Stream::end);
        let near = ends.filter(|end| !far(*end, known.end(), APART));
        self.latest = near.fold(known.end(), Time::max) - at;
        self.restarts = self.restarts.saturating_add(1);
        self.latest
    }

    /// How often it began again.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }
}

fn far(one: Time, other: Time, than: Time) -> bool {
    one - other > than || other - one > than
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> Time {
        Time::from_millis(ms)
    }

    /// Where packets of 40 ms of two streams come to lie.
    fn placed(packets: &[(usize, i64)]) -> (Vec<i64>, u32) {
        let mut clock = Clock::default();
        let placed = packets.iter().map(|(stream, at)| {
            let moved = clock.moves(*stream, ms(*at), ms(40));
            i64::try_from((ms(*at) + moved + ms(100_000)).millis()).unwrap() - 100_000
        });
        (placed.collect(), clock.restarts())
    }

    /// Packets from `from` on, every 40 ms.
    fn run(stream: usize, from: i64, count: i64) -> Vec<(usize, i64)> {
        (0..count)
            .map(|index| (stream, from + index * 40))
            .collect()
    }

    #[test]
    fn a_part_comes_after_the_longest_stream_of_the_one_before() {
        let parts = [
            run(0, 1000, 100), // to 5000
            run(1, 1000, 105), // to 5200
            run(0, 1000, 2),
            run(1, 980, 1),
            run(0, 1080, 1),
        ]
        .concat();
        let (placed, restarts) = placed(&parts);
        assert_eq!(placed[205..], [5200, 5240, 5180, 5280]);
        assert_eq!(restarts, 1);
    }

    #[test]
    fn it_may_begin_again_and_again() {
        let part = [run(0, 7000, 50), run(1, 7000, 50)].concat();
        let (placed, restarts) = placed(&part.repeat(4));
        assert_eq!(restarts, 3);
        let first: Vec<i64> = placed.chunks(50).map(|chunk| chunk[0]).collect();
        assert_eq!(
            first,
            [7000, 7000, 9000, 9000, 11_000, 11_000, 13_000, 13_000]
        );
    }

    /// A transport stream gives what is left of one stream when the next part has begun already.
    #[test]
    fn what_is_late_of_the_part_before_stays_with_it() {
        let parts = [
            run(0, 1000, 100),
            run(1, 1000, 99),
            run(0, 1000, 1),
            run(1, 4960, 1),
            run(1, 1000, 1),
        ]
        .concat();
        let (placed, restarts) = placed(&parts);
        assert_eq!(placed[199..], [5000, 4960, 5000]);
        assert_eq!(restarts, 1);
    }

    #[test]
    fn one_packet_that_lies_elsewhere_moves_nothing_behind_it() {
        for odd in [0, 50_000] {
            let parts = [
                run(0, 10_000, 50),
                run(1, 10_000, 50),
                vec![(0, odd)],
                run(0, 12_040, 2),
                run(1, 12_000, 1),
            ]
            .concat();
            let (placed, restarts) = placed(&parts);
            assert_eq!(placed[101..], [12_040, 12_080, 12_000], "{odd}");
            assert_eq!(restarts, 0);
        }
    }

    #[test]
    fn pauses_and_small_disorder_are_left_alone() {
        let parts = [run(0, 0, 10), run(0, 60_000, 2), run(0, 59_900, 1)].concat();
        let (placed, restarts) = placed(&parts);
        assert_eq!(placed[10..], [60_000, 60_040, 59_900]);
        assert_eq!(restarts, 0);
    }
}
