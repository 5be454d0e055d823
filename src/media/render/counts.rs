//! What a pass counts of its input.

/// What was wrong with the input, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub packets: u64,
    pub decoded: u64,
    pub encoded: u64,
    pub bad_packets: u64,
    pub bad_frames: u64,
    /// Where the first of either was, in milliseconds.
    pub first_bad_ms: Option<u64>,
    /// Frames whose time did not grow.
    pub dropped: u64,
    /// The file claims more than it holds, and that is allowed.
    pub truncated: bool,
}

impl Counts {
    /// Takes up what was wrong with another input.
    pub(super) fn add(&mut self, part: Self) {
        self.packets += part.packets;
        self.decoded += part.decoded;
        self.bad_packets += part.bad_packets;
        self.bad_frames += part.bad_frames;
        self.dropped += part.dropped;
        self.truncated |= part.truncated;
    }
}
