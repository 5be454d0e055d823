//! How many frames a video has, where its container does not say.

use super::av::Packet;
use super::error::MediaError;
use super::error::memory;
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::probe::open;

/// Counts the packets of the video without decoding any; one packet is one frame.
///
/// Stops at the first byte that cannot be read, as players do: what came before counts.
///
/// # Errors
/// Those of [`super::probe()`].
pub fn count_frames(
    input: &dyn Input,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<u64, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        let mut opened = open(input, limits, &guard)?;
        let video = opened.video.index;
        opened.demuxer.keep_only(&[video]);
        let mut packet = Packet::new().map_err(memory)?;
        let mut frames = 0;
        while matches!(opened.demuxer.read(&mut packet), Ok(true)) {
            guard.check()?;
            frames += u64::from(packet.stream() == video);
        }
        guard.check()?;
        Ok(frames)
    })
}
