//! Is the file whole?

use crate::media::error::{MediaCode, MediaError};
use crate::media::limits::Limits;
use crate::media::probe::Ending;

/// What a file claims against what it holds.
pub(crate) struct Truncation {
    pub claimed_ms: u64,
    pub reached_ms: u64,
    /// 0 where the container does not say.
    pub claimed_frames: u64,
    pub frames: u64,
    /// The longest time a frame is shown.
    pub longest_ms: u64,
    /// What the container's structure says.
    pub ending: Ending,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Truncation {
    /// As [`Truncation::check`]; says whether it is cut where that is allowed.
    pub(crate) fn judge(&self, limits: &Limits) -> Result<bool, MediaError> {
        match self.check() {
            Err(_) if limits.allow_truncated => Ok(true),
            checked => checked.map(|()| false),
        }
    }

    /// Frames decide where they are counted; elsewhere time does, generously:
    /// containers round, and a last frame may stand as long as any before it.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        let cut = if let Ending::Cut { bytes } = self.ending {
            return Err(MediaError::new(
                MediaCode::Truncated,
                format!(
                    "the file breaks off: it should have {bytes} bytes and has {}",
                    self.bytes
                ),
            ));
        } else if self.claimed_frames > 0 {
            // One may be an empty entry: AVI writes them for delayed frames.
            let spare = (self.claimed_frames / 50).max(1);
            self.frames == 0 || self.claimed_frames > self.frames + spare
        } else if self.ending == Ending::Whole {
            // All bytes are there: what the header says of time was wrong.
            false
        } else {
            let tolerance = 1000
                .max(self.claimed_ms / 50)
                .max(self.longest_ms.saturating_mul(2));
            self.claimed_ms.saturating_sub(self.reached_ms) > tolerance
        };
        if !cut {
            return Ok(());
        }
        Err(MediaError::new(
            MediaCode::Truncated,
            format!(
                "the file claims {} ms and {} frames, but holds {} ms and {}",
                self.claimed_ms, self.claimed_frames, self.reached_ms, self.frames
            ),
        ))
    }
}

/// Of a video that is decoded whole: whether as good as every frame that is shown was decoded.
/// One in a hundred may be what an encoder holds back.
pub(crate) fn require_frames(decoded: u64, shown: u64) -> Result<(), MediaError> {
    if decoded + 1 + shown / 100 >= shown {
        return Ok(());
    }
    Err(MediaError::new(
        MediaCode::FramesMissing,
        format!("{decoded} of {shown} frames decode"),
    ))
}
