//! Just enough of H.264 to see that a stream changes its parameters.
//!
//! An MP4 declares one size for a track. A stream that is copied into it must
//! therefore keep the sequence parameter set it began with; a second one that
//! differs may mean another size, and is not told apart from one that does not.

/// NAL unit type of a sequence parameter set.
const SPS: u8 = 7;

/// The sequence parameter sets seen so far.
#[derive(Debug)]
pub(crate) struct ParameterSets {
    /// Bytes of the length in front of each unit; `None` where start codes divide them.
    length_size: Option<usize>,
    known: Vec<Vec<u8>>,
}

impl ParameterSets {
    /// Begins with the decoder configuration of the container, which may be empty.
    pub(crate) fn new(configuration: &[u8]) -> Self {
        let mut sets = Self {
            length_size: None,
            known: Vec::new(),
        };
        match configuration {
            // An avcC record: version, profile, compatibility, level, length
            // size, number of sets, then each with its length in two bytes.
            [1, _, _, _, size, count, rest @ ..] => {
                sets.length_size = Some(usize::from(size & 3) + 1);
                let mut rest = rest;
                for _ in 0..count & 31 {
                    let Some((unit, after)) = split(rest, 2) else {
                        break;
                    };
                    sets.learn(unit);
                    rest = after;
                }
            }
            stream => {
                sets.packet_changes(stream);
            }
        }
        sets
    }

    /// Whether there is more than one, so that the stream may change.
    pub(crate) fn several(&self) -> bool {
        self.known.len() > 1
    }

    /// Whether a packet brings a set that differs from those before it.
    pub(crate) fn packet_changes(&mut self, packet: &[u8]) -> bool {
        let before = self.known.len();
        match self.length_size {
            Some(size) => {
                let mut rest = packet;
                while let Some((unit, after)) = split(rest, size) {
                    self.learn(unit);
                    rest = after;
                }
            }
            None => {
                for unit in after_start_codes(packet) {
                    self.learn(unit);
                }
            }
        }
        before > 0 && self.known.len() > before
    }

    /// Whether another configuration brings a set that differs.
    pub(crate) fn configuration_changes(&mut self, configuration: &[u8]) -> bool {
        let before = self.known.len();
        for set in Self::new(configuration).known {
            self.learn(&set);
        }
        before > 0 && self.known.len() > before
    }

    fn learn(&mut self, unit: &[u8]) {
        let is_set = unit.first().is_some_and(|head| head & 31 == SPS);
        // Padding behind a unit is no part of it.
        let end = unit
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        let unit = &unit[..end];
        // A stream of nothing but new sets must not fill the memory: two say enough.
        if is_set && self.known.len() < 8 && !self.known.iter().any(|known| known == unit) {
            self.known.push(unit.to_vec());
        }
    }
}

/// The unit behind a big-endian length, and what follows it.
fn split(bytes: &[u8], length_size: usize) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(length_size)?;
    let length = head
        .iter()
        .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

/// The units behind 00 00 01 of a stream with start codes.
fn after_start_codes(bytes: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = bytes
        .windows(3)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 1])
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &bytes[start + 3..end.max(start + 3)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = &[0x67, 100, 0, 31, 7];
    const TWO: &[u8] = &[0x67, 100, 0, 31, 9];
    const SLICE: &[u8] = &[0x65, 1, 2, 3];

    fn record(sets: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![1, 100, 0, 31, 0xff, 0xe0 | sets.len() as u8];
        for set in sets {
            bytes.extend_from_slice(&[0, set.len() as u8]);
            bytes.extend_from_slice(set);
        }
        bytes.push(0);
        bytes
    }

    fn with_start_codes(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&[0, 0, 0, 1], *unit].concat())
            .collect()
    }

    fn with_lengths(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&[0, 0, 0, unit.len() as u8], *unit].concat())
            .collect()
    }

    #[test]
    fn the_same_set_again_is_no_change_another_is() {
        let mut sets = ParameterSets::new(&record(&[ONE]));
        assert!(!sets.several());
        assert!(!sets.packet_changes(&with_lengths(&[ONE, SLICE])));
        assert!(!sets.configuration_changes(&record(&[ONE])));
        assert!(sets.packet_changes(&with_lengths(&[TWO, SLICE])));
        let mut sets = ParameterSets::new(&record(&[ONE]));
        assert!(sets.configuration_changes(&record(&[TWO])));
        assert!(ParameterSets::new(&record(&[ONE, TWO])).several());
    }

    #[test]
    fn start_codes_are_read_as_well_with_and_without_a_configuration() {
        for configuration in [vec![], with_start_codes(&[ONE])] {
            let mut sets = ParameterSets::new(&configuration);
            assert!(!sets.packet_changes(&with_start_codes(&[ONE, SLICE])));
            assert!(!sets.packet_changes(&with_start_codes(&[SLICE])));
            assert!(sets.packet_changes(&with_start_codes(&[TWO, SLICE])));
        }
    }

    #[test]
    fn nonsense_is_survived() {
        for bytes in [&[][..], &[1], &[1, 2, 3, 4, 255, 255, 255, 255], &[0, 0, 1]] {
            let mut sets = ParameterSets::new(bytes);
            assert!(!sets.packet_changes(bytes));
            assert!(!sets.packet_changes(&[255; 9]));
        }
    }
}
