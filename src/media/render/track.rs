//! The result's picture track: where its times begin and how they end.
//!
//! A file may begin with sound alone, and its last picture may stand for seconds. Players go by
//! the sample table, not by what headers claim: a track that begins late shows black at 0, and a
//! table whose last sample is no last picture makes the end vanish. Both are mended here, on
//! packets, so that what is encoded and what is copied come out alike.

use std::collections::VecDeque;

use crate::media::av::{AvError, Packet};

/// Packets that may come before the first decoding time: as many as H.264 may hold back.
const MOST_UNTIMED: usize = 16;

/// Packets held back from the one that is shown last on: as many as H.264 may decode after it.
const MOST_HELD: usize = 17;

/// Holds packets of the picture back until it is known that another one is shown after them.
#[derive(Default)]
pub(super) struct PictureTrack {
    /// The first ones, whose decoding times the container leaves to be reckoned.
    untimed: Vec<Packet>,
    /// Those that are decoded before the first picture is shown.
    starting: Vec<Packet>,
    /// The first of them is shown last of all so far.
    held: VecDeque<Packet>,
    /// Decoding time of the last packet that was given away.
    given: Option<i64>,
    /// Presentation and decoding time of the first packet.
    first: Option<(i64, i64)>,
    /// End of the time in which anything is shown.
    end: i64,
}

impl PictureTrack {
    /// Takes a packet, times in the muxer's base; gives those that can be written now.
    pub(super) fn next(&mut self, packet: &mut Packet) -> Result<Vec<Packet>, AvError> {
        let unfit = || AvError::invalid("av_interleaved_write_frame");
        let packet = packet.take()?;
        if packet.pts().is_none() {
            return Err(unfit());
        }
        let Some(dts) = packet.dts() else {
            let begun = self.first.is_some() || !self.starting.is_empty();
            if begun || self.untimed.len() >= MOST_UNTIMED {
                return Err(unfit());
            }
            self.untimed.push(packet);
            return Ok(Vec::new());
        };
        let mut ready = self.reckon(dts);
        ready.extend(self.admit(packet));
        Ok(ready)
    }

    /// Counts back from a decoding time over the packets that have none.
    fn reckon(&mut self, dts: i64) -> Vec<Packet> {
        let mut untimed = std::mem::take(&mut self.untimed);
        let step = untimed.first().map_or(1, |first| first.duration().max(1));
        let mut at = dts;
        for packet in untimed.iter_mut().rev() {
            at = at.saturating_sub(step);
            packet.set_dts(at.min(packet.pts().unwrap_or(at)));
        }
        untimed
            .into_iter()
            .flat_map(|packet| self.admit(packet))
            .collect()
    }

    fn admit(&mut self, packet: Packet) -> Vec<Packet> {
        if self.first.is_some() {
            return self.hold(packet);
        }
        let dts = packet.dts();
        self.starting.push(packet);
        let shown = self.starting.first().and_then(Packet::pts);
        if dts < shown && self.starting.len() < MOST_UNTIMED {
            return Vec::new();
        }
        self.begin()
    }

    /// Where pictures stand long at the start, encoders let the first ones be decoded as long
    /// before they are shown. All of that would be in the table's sum: they are decoded one
    /// picture's time after the other.
    fn begin(&mut self) -> Vec<Packet> {
        let mut packets = std::mem::take(&mut self.starting);
        let shown = packets.first().and_then(Packet::pts).unwrap_or(0);
        let durations = packets.iter().map(Packet::duration);
        let step = durations.filter(|duration| *duration > 0).min();
        let early = |packet: &&Packet| packet.dts().is_some_and(|dts| dts < shown);
        let mut before = packets.iter().take_while(early).count() as i64;
        for packet in &mut packets {
            if let (Some(step), Some(dts), true) = (step, packet.dts(), before > 0) {
                packet.set_dts(dts.max(shown.saturating_sub(before.saturating_mul(step))));
            }
            before -= 1;
        }
        if let Some(first) = packets.first_mut() {
            let (pts, dts) = (first.pts().unwrap_or(0), first.dts().unwrap_or(0));
            // The first picture stands from the beginning on; the second keeps its time.
            let late = pts.max(0);
            first.subtract(late);
            first.set_duration(first.duration().max(0).saturating_add(late));
            self.first = Some((pts.min(0), dts.saturating_sub(late)));
        }
        packets
            .into_iter()
            .flat_map(|packet| self.hold(packet))
            .collect()
    }

    /// Gives what is shown before a packet, or is too much to be held.
    fn hold(&mut self, packet: Packet) -> Vec<Packet> {
        let shown = packet.pts().unwrap_or(0);
        self.lasts_until(shown.saturating_add(packet.duration()));
        let last = self.held.front().and_then(Packet::pts);
        let ready: Vec<Packet> = match last {
            Some(last) if shown < last && self.held.len() < MOST_HELD => Vec::new(),
            Some(last) if shown < last => self.held.pop_front().into_iter().collect(),
            _ => self.held.drain(..).collect(),
        };
        self.held.push_back(packet);
        self.given = ready.last().and_then(Packet::dts).or(self.given);
        ready
    }

    /// Something is shown until then.
    pub(super) fn lasts_until(&mut self, end: i64) {
        self.end = self.end.max(end);
    }

    /// Whether a packet is shown before the first one, which would then not be the first picture.
    pub(super) fn comes_before_first(&self, pts: i64) -> bool {
        let first = self.first.map(|(first, _)| first);
        let starting = self.starting.first().and_then(Packet::pts);
        first
            .or(starting.map(|first| first.min(0)))
            .is_some_and(|first| pts < first)
    }

    /// The last packets. What the sample table says of the last one closes the track: the table's
    /// sum has to reach from the first picture's time to the last one's end. With B-frames the
    /// last packet is not the last picture, and its own duration would leave that one's time out.
    pub(super) fn last(&mut self) -> Vec<Packet> {
        let earliest = self.untimed.iter().filter_map(Packet::pts).min();
        let mut ready = earliest.map_or_else(Vec::new, |pts| self.reckon(pts));
        if !self.starting.is_empty() {
            ready.extend(self.begin());
        }
        // What is shown last is shown to the end.
        if let Some(last) = self.held.front_mut()
            && let Some(pts) = last.pts()
        {
            last.set_duration(last.duration().max(self.end.saturating_sub(pts)));
        }
        let is_shown_last = self.held.len() == 1;
        let Some(mut packet) = self.held.pop_back() else {
            return ready;
        };
        ready.extend(self.held.drain(..));
        let before = ready.last().and_then(Packet::dts).or(self.given);
        if let (Some((first_pts, first_dts)), Some(pts), Some(dts)) =
            (self.first, packet.pts(), packet.dts())
        {
            let delay = first_pts.saturating_sub(first_dts);
            // Not so early that its end would lie behind the last picture's; and if it is that
            // picture, not so late that nothing of its time would be left.
            let least = pts.saturating_sub(delay);
            let dts = match before.filter(|_| is_shown_last) {
                Some(before) => least.max(before.saturating_add(1)),
                None => dts.max(least),
            };
            let rest = self
                .end
                .saturating_sub(first_pts)
                .saturating_sub(dts.saturating_sub(first_dts));
            packet.set_dts(dts);
            packet.set_duration(rest.max(1));
        }
        ready.push(packet);
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pts: i64, dts: i64, duration: i64) -> Packet {
        let mut packet = Packet::from_bytes(&[0]).unwrap();
        packet.set_pts(pts);
        packet.set_dts(dts);
        packet.set_duration(duration);
        packet
    }

    /// Packets in decoding order; gives times and durations as they are written.
    fn through(packets: &[(i64, i64, i64)]) -> Vec<(i64, i64, i64)> {
        let mut track = PictureTrack::default();
        let mut written = Vec::new();
        for (pts, dts, duration) in packets {
            written.extend(track.next(&mut packet(*pts, *dts, *duration)).unwrap());
        }
        written.extend(track.last());
        written
            .iter()
            .map(|packet| {
                (
                    packet.pts().unwrap(),
                    packet.dts().unwrap(),
                    packet.duration(),
                )
            })
            .collect()
    }

    /// What a sample table says: distances of decoding times, and the last one's duration.
    fn table(written: &[(i64, i64, i64)]) -> i64 {
        let (first, last) = (written[0], written[written.len() - 1]);
        last.1 - first.1 + last.2
    }

    #[test]
    fn the_table_holds_a_last_picture_that_stands_long_whatever_the_order() {
        // I P B, the P stands for 300; the same with uneven times; without B-frames.
        for (packets, end) in [
            (vec![(0, -10, 10), (20, 0, 300), (10, 10, 10)], 320),
            (vec![(0, -10, 200), (700, 0, 300), (200, 200, 500)], 1000),
            (vec![(0, 0, 10), (10, 10, 10), (20, 20, 300)], 320),
        ] {
            let written = through(&packets);
            assert_eq!(table(&written), end, "{written:?}");
            let shown = written
                .iter()
                .map(|(pts, _, duration)| pts + duration)
                .max();
            assert_eq!(shown, Some(end), "{written:?}");
            assert!(written.is_sorted_by_key(|(_, dts, _)| *dts), "{written:?}");
            assert!(
                written.iter().all(|(pts, dts, _)| dts <= pts),
                "{written:?}"
            );
        }
    }

    #[test]
    fn pictures_that_stand_long_at_the_start_are_not_in_the_sum_twice() {
        // Decoding times as encoders give them whose pictures come unevenly: the second one is
        // shown late, or the third, or the last one is left no time of its own.
        for (packets, end) in [
            (
                vec![
                    (0, -1040, 1000),
                    (1000, -40, 40),
                    (1080, 0, 40),
                    (1040, 1000, 40),
                    (1120, 1040, 40),
                ],
                1160,
            ),
            (
                vec![
                    (0, -1040, 40),
                    (1080, -1000, 40),
                    (40, 0, 1000),
                    (1040, 40, 40),
                    (1120, 1040, 40),
                ],
                1160,
            ),
            (
                vec![
                    (0, -120, 80),
                    (80, -40, 40),
                    (120, 0, 40),
                    (200, 80, 40),
                    (160, 120, 40),
                    (240, 160, 40),
                ],
                280,
            ),
        ] {
            let written = through(&packets);
            assert_eq!(table(&written), end, "{written:?}");
            let shown = written
                .iter()
                .map(|(pts, _, duration)| pts + duration)
                .max();
            assert!(
                shown.is_some_and(|shown| (end - 1..=end).contains(&shown)),
                "{written:?}"
            );
            let steps: Vec<i64> = written.iter().map(|(_, dts, _)| *dts).collect();
            assert!(steps.is_sorted_by(|one, other| one < other), "{written:?}");
            assert!(
                written.iter().all(|(pts, dts, _)| dts <= pts),
                "{written:?}"
            );
        }
    }

    #[test]
    fn what_is_shown_last_lasts_to_the_end_wherever_it_is_decoded() {
        // Copied: only the container knows that the last picture stands for 300.
        let mut track = PictureTrack::default();
        let mut written = Vec::new();
        for (pts, dts) in [(0, -10), (40, 0), (20, 10), (10, 20), (30, 30)] {
            written.extend(track.next(&mut packet(pts, dts, 10)).unwrap());
        }
        track.lasts_until(340);
        written.extend(track.last());
        let ends: Vec<i64> = written
            .iter()
            .map(|packet| packet.pts().unwrap() + packet.duration())
            .collect();
        assert_eq!(ends.iter().max(), Some(&340));
        let (first, last) = (&written[0], &written[4]);
        let sum = last.dts().unwrap() - first.dts().unwrap() + last.duration();
        assert_eq!((written.len(), sum), (5, 340));
    }

    #[test]
    fn the_first_picture_stands_from_zero_on_and_the_second_keeps_its_time() {
        let written = through(&[(70, 60, 10), (90, 70, 10), (80, 80, 10)]);
        assert_eq!(written[0], (0, -10, 80));
        assert_eq!(written[1].0, 90);
        assert_eq!(table(&written), 100);
    }

    #[test]
    fn decoding_times_that_a_container_leaves_out_are_reckoned() {
        let mut track = PictureTrack::default();
        let mut written = Vec::new();
        for (pts, dts) in [(20, None), (60, None), (40, Some(20)), (80, Some(40))] {
            let mut packet = packet(pts, 0, 20);
            packet.set_dts(dts.unwrap_or(i64::MIN));
            written.extend(track.next(&mut packet).unwrap());
        }
        written.extend(track.last());
        let times: Vec<_> = written
            .iter()
            .map(|packet| (packet.pts().unwrap(), packet.dts().unwrap()))
            .collect();
        assert_eq!(times, [(0, -40), (60, 0), (40, 20), (80, 40)]);
    }
}
