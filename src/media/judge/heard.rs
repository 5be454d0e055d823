//! Is anything to be heard?

use crate::media::av::{Frame, peak};

/// −80 dB of full scale. Digital silence through a lossy codec stays far below,
/// the noise of the quietest room and microphone is far above.
const AUDIBLE: f32 = 1e-4;

/// Whether a decoded frame of sound is more than digital silence; formats that
/// cannot be looked into count as heard.
pub(crate) fn is_heard(frame: &Frame) -> bool {
    peak(frame).is_none_or(|peak| peak >= AUDIBLE)
}
