//! Why one attempt at a render came to nothing.

use crate::media::error::{MediaCode, MediaError};

/// And whether another may do.
pub(crate) enum Setback {
    Failed(MediaError),
    /// The picture has to be encoded after all, for this reason.
    CannotCopy(&'static str),
    /// This stream of the main input was announced as sound, and nothing came on it.
    NoSound(usize),
    /// The same of the source whose sound was to be put back.
    NoSourceSound,
    /// The picture may be copied, and the sound has to be encoded, for this reason.
    CannotCopySound(&'static str),
    /// A size that is not this one, which the plan was made for, is shown longer.
    AnotherSize((u32, u32)),
}

impl From<MediaError> for Setback {
    fn from(error: MediaError) -> Self {
        Self::Failed(error)
    }
}

impl Setback {
    pub(crate) fn into_error(self) -> MediaError {
        match self {
            Self::Failed(error) => error,
            Self::CannotCopy(reason) | Self::CannotCopySound(reason) => MediaError::new(
                MediaCode::Internal,
                format!("encoding was no way out either: {reason}"),
            ),
            Self::NoSourceSound => MediaError::new(
                MediaCode::DamagedMedia,
                "the source's sound is announced, and nothing comes",
            ),
            Self::NoSound(stream) => MediaError::new(
                MediaCode::DamagedMedia,
                "sound is announced, and nothing comes",
            )
            .on_stream(stream),
            Self::AnotherSize((width, height)) => MediaError::new(
                MediaCode::Internal,
                format!("it was known that {width}×{height} is shown longest"),
            ),
        }
    }
}
