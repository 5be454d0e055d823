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
