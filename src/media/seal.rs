//! Holds what is read back of a picture against what was encoded, packet by packet.
//!
//! Decoding tells whether a picture can be decoded, not whether it is the one that was made, and it
//! costs what decoding costs. A sum over the packets tells the second of every packet there is, for
//! next to nothing.

use std::io::BufRead as _;

use super::av::{AvError, Digest};
use super::error::{MediaCode, MediaError};

/// Sums up H.264 as it lies in an MP4: each unit behind its length in four bytes.
pub(crate) struct Seal {
    digest: Digest,
    packets: u64,
}

/// What a [`Seal`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    sum: [u8; 16],
    packets: u64,
}

impl Sealed {
    /// Whether what was read is what was made; what is missing is judged first.
    pub(crate) fn require(self, made: Self) -> Result<(), MediaError> {
        if self.packets != made.packets {
            return Err(MediaError::new(
                MediaCode::FramesMissing,
                format!(
                    "{} of {} encoded frames are there",
                    self.packets, made.packets
                ),
            ));
        }
        if self.sum != made.sum {
            return Err(MediaError::new(
                MediaCode::NotDecodable,
                "the picture that is read back is not the one that was encoded",
            ));
        }
        Ok(())
    }
}

impl Seal {
    pub(crate) fn new() -> Result<Self, AvError> {
        Ok(Self {
            digest: Digest::new()?,
            packets: 0,
        })
    }

    /// Takes a packet as the encoder gives it: units behind start codes.
    pub(crate) fn encoded(&mut self, packet: &[u8]) {
        self.packets += 1;
        for unit in Units(packet) {
            let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
            self.digest.add(&length.to_be_bytes());
            self.digest.add(unit);
        }
    }

    /// Takes a packet as it was read from the file.
    pub(crate) fn stored(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.digest.add(packet);
    }

    pub(crate) fn finish(self) -> Sealed {
        Sealed {
            sum: self.digest.finish(),
            packets: self.packets,
        }
    }
}

/// The units of a packet with start codes: 00 00 01, or 00 00 00 01 before the first ones.
struct Units<'a>(&'a [u8]);

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (_, begins) = start_code(self.0)?;
        let rest = self.0.get(begins..)?;
        let ends = start_code(rest).map_or(rest.len(), |(at, _)| at);
        self.0 = &rest[ends..];
        Some(&rest[..ends])
    }
}

/// Where the first start code lies, its further zero included, and where what follows it begins.
fn start_code(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut rest = bytes;
    loop {
        // The system's own search for one byte: this goes over every byte of a result.
        rest.skip_until(1).ok().filter(|passed| *passed > 0)?;
        let end = bytes.len() - rest.len();
        match bytes[..end] {
            [.., 0, 0, 0, 1] => return Some((end - 4, end)),
            [.., 0, 0, 1] => return Some((end - 3, end)),
            [.., 1] => {}
            // The last byte, and no 1.
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(bytes: &[u8]) -> Vec<&[u8]> {
        Units(bytes).collect()
    }

    #[test]
    fn units_are_what_lies_between_start_codes() {
        let none: [&[u8]; 0] = [];
        assert_eq!(units(&[]), none);
        assert_eq!(units(&[1, 1, 0, 1, 9]), none);
        assert_eq!(units(&[0, 0, 1, 7, 1]), [[7, 1]]);
        assert_eq!(
            units(&[
                0, 0, 0, 1, 0x67, 1, 0, 1, 0, 0, 1, 0x65, 8, 0, 0, 0, 1, 0x41
            ]),
            [&[0x67, 1, 0, 1][..], &[0x65, 8], &[0x41]]
        );
        assert_eq!(units(&[0, 0, 1, 5, 0, 0]), [[5, 0, 0]]);
    }

    #[test]
    fn what_was_encoded_is_what_lies_in_the_file_and_nothing_else_is() {
        let sum = |packets: &[&[u8]]| {
            let mut seal = Seal::new().unwrap();
            packets.iter().for_each(|packet| seal.stored(packet));
            seal.finish()
        };
        let mut seal = Seal::new().unwrap();
        seal.encoded(&[0, 0, 0, 1, 6, 5, 0, 0, 1, 0x65, 1, 2, 3]);
        seal.encoded(&[0, 0, 0, 1, 0x41, 9]);
        let sealed = seal.finish();
        let first: &[u8] = &[0, 0, 0, 2, 6, 5, 0, 0, 0, 4, 0x65, 1, 2, 3];
        let second: &[u8] = &[0, 0, 0, 2, 0x41, 9];
        assert_eq!(sum(&[first, second]), sealed);
        assert_ne!(sum(&[second, first]), sealed);
        assert_ne!(sum(&[first]), sealed);
        assert_ne!(sum(&[&[first, second].concat()]), sealed);
        let mut flipped = first.to_vec();
        flipped[13] ^= 1;
        assert_ne!(sum(&[&flipped, second]), sealed);
    }
}
