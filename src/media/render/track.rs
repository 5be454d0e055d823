//! The result's picture track: where its times begin and how they end.
//!
//! A file may begin with sound alone, and its last picture may stand for seconds. Players go by
//! the sample table, not by what headers claim: a track that begins late shows black at 0, and a
//! table whose last sample is no last picture makes the end vanish. Both are mended here, on
//! packets, so that what is encoded and what is copied come out alike.

use crate::media::av::{AvError, Packet};

/// Holds each packet of the picture back until the next one comes.
#[derive(Default)]
pub(super) struct PictureTrack {
    held: Option<Packet>,
    /// Presentation and decoding time of the first packet.
    first: Option<(i64, i64)>,
    /// End of the time in which anything is shown.
    end: i64,
}

impl PictureTrack {
    /// Takes a packet, times in the muxer's base and filled in; gives the one before it.
    pub(super) fn next(&mut self, packet: &mut Packet) -> Result<Option<Packet>, AvError> {
        let mut packet = packet.take()?;
        let (Some(pts), Some(dts)) = (packet.pts(), packet.dts()) else {
            return Err(AvError::invalid("av_interleaved_write_frame"));
        };
        if self.first.is_none() {
            // The first picture stands from the beginning on; the second keeps its time.
            packet.subtract(pts.max(0));
            packet.set_duration(packet.duration().max(0).saturating_add(pts.max(0)));
            self.first = Some((pts.min(0), dts.saturating_sub(pts.max(0))));
        }
        let shown = packet.pts().unwrap_or(pts);
        self.end = self.end.max(shown.saturating_add(packet.duration()));
        Ok(self.held.replace(packet))
    }

    /// Whether a packet is shown before the first one, which would then not be the first picture.
    pub(super) fn comes_before_first(&self, pts: i64) -> bool {
        self.first.is_some_and(|(first, _)| pts < first)
    }

    /// The last packet. What the sample table says of it closes the track: the table's sum has
    /// to reach from the first picture's time to the last one's end. With B-frames the last
    /// packet is not the last picture, and its own duration would leave that one's time out.
    pub(super) fn last(&mut self) -> Option<Packet> {
        let mut packet = self.held.take()?;
        if let (Some((first_pts, first_dts)), Some(pts), Some(dts)) =
            (self.first, packet.pts(), packet.dts())
        {
            let delay = first_pts.saturating_sub(first_dts);
            // A table that is copied may hold the last picture's time in its last sample already.
            let told = dts.saturating_add(packet.duration()).saturating_add(delay);
            self.end = self.end.max(told);
            // Not so early that its end would lie behind the last picture's.
            let dts = dts.max(pts.saturating_sub(delay));
            let rest = self
                .end
                .saturating_sub(first_pts)
                .saturating_sub(dts.saturating_sub(first_dts));
            packet.set_dts(dts);
            packet.set_duration(rest.max(1));
        }
        Some(packet)
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
    fn the_first_picture_stands_from_zero_on_and_the_second_keeps_its_time() {
        let written = through(&[(70, 60, 10), (90, 70, 10), (80, 80, 10)]);
        assert_eq!(written[0], (0, -10, 80));
        assert_eq!(written[1].0, 90);
        assert_eq!(table(&written), 100);
    }
}
