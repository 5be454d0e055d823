//! Why a file is not taken, and what is said of one that does not open.

use std::io;

use super::info::Probe;
use super::layout::Layout;
use super::sniff;
use crate::media::av::{OpenError, StreamInfo};
use crate::media::error::{MediaCode, MediaError};
use crate::media::input::Input;
use crate::media::limits::{Guard, Limits};

/// Dolby Vision without a base layer that others can show: shown by its numbers, white
/// is green and faces are purple.
pub(super) fn refuse_foreign_dynamic_range(video: &StreamInfo) -> Result<(), MediaError> {
    match video.dolby_vision {
        // Up to profile 7 the compatibility is not always written, and 5 has none.
        Some((profile, compatible)) if profile == 5 || (profile > 7 && compatible == 0) => {
            Err(MediaError::new(
                MediaCode::HdrNotSupported,
                format!(
                    "this is Dolby Vision of profile {profile}, which has no picture that others \
                     than its own players can show"
                ),
            )
            .on_stream(video.index))
        }
        _ => Ok(()),
    }
}

/// Size of the input, refusing empty and oversized ones.
pub(crate) fn checked_length(input: &dyn Input, most: u64) -> Result<u64, MediaError> {
    let bytes = input
        .len()
        .map_err(|error| unreadable(&input.describe(), &error))?;
    if bytes == 0 {
        return Err(MediaError::new(MediaCode::EmptyFile, "the file is empty"));
    }
    if bytes > most {
        return Err(MediaError::new(
            MediaCode::InputTooLarge,
            format!("the file has {bytes} bytes, {most} are allowed"),
        ));
    }
    Ok(bytes)
}

pub(crate) fn unreadable(name: &str, error: &io::Error) -> MediaError {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    MediaError::new(MediaCode::InputUnreadable, format!("{name} {what}"))
}

/// Translates a failure to open or read a container.
pub(crate) fn open_error(error: OpenError, name: &str, guard: &Guard) -> MediaError {
    if let Err(stopped) = guard.check() {
        return stopped;
    }
    match error {
        OpenError::Io(error) => unreadable(name, &error),
        OpenError::Unknown => MediaError::new(
            MediaCode::UnsupportedFormat,
            format!(
                "the file is not in a video format we know; {}",
                sniff::TAKEN
            ),
        ),
        OpenError::Refused(name) => MediaError::new(
            MediaCode::UnsupportedFormat,
            format!("{} is not supported; {}", sniff::name(&name), sniff::TAKEN),
        ),
        OpenError::TooManyStreams => {
            MediaError::new(MediaCode::TooManyStreams, "the file has too many streams")
        }
        OpenError::Libav(error) if error.is_interrupted() => {
            MediaError::new(MediaCode::Cancelled, "the work was stopped")
        }
        OpenError::Libav(error) if error.is_memory() => memory_limit(),
        // What libav had to say about it is for the log.
        OpenError::Libav(_) => MediaError::new(
            MediaCode::DamagedMedia,
            "the file is damaged: its headers cannot be read",
        ),
    }
}

impl MediaError {
    /// Of a file that does not open, says so where that is because its index is gone.
    pub(super) fn unless_cut(self, layout: Option<&Layout>) -> Self {
        if self.code != MediaCode::DamagedMedia || !layout.is_some_and(|found| found.index_missing)
        {
            return self;
        }
        Self {
            code: MediaCode::Truncated,
            message: "its index is missing: the recording was not finished, or the file breaks \
                      off"
            .to_owned(),
            ..self
        }
    }

    pub(super) fn about(mut self, what: &str) -> Self {
        self.message.insert_str(0, what);
        self
    }
}

/// libav says the same of a machine that has none left, which as good as never comes to that.
pub(crate) fn memory_limit() -> MediaError {
    MediaError::new(
        MediaCode::MemoryLimit,
        "the file asks for more memory than one piece of it may take",
    )
}

pub(super) fn check_limits(
    probe: &Probe,
    video: &StreamInfo,
    limits: &Limits,
) -> Result<(), MediaError> {
    let refuse = |code, message: String| Err(MediaError::new(code, message).on_stream(video.index));
    if video.width == 0 || video.height == 0 {
        let spent = probe.container.bytes > limits.probe_size
            || probe.container.duration_ms > limits.analyze_duration_ms;
        let code = if spent {
            MediaCode::ProbeLimit
        } else {
            MediaCode::DamagedMedia
        };
        return refuse(
            code,
            "the size of the picture could not be found".to_owned(),
        );
    }
    let (width, height) = probe.video.as_ref().map_or((0, 0), |v| {
        (v.display_width.max(v.width), v.display_height.max(v.height))
    });
    let pixels = u64::from(video.width) * u64::from(video.height);
    if pixels > limits.max_pixels || u64::from(width) * u64::from(height) > limits.max_pixels * 16 {
        return refuse(
            MediaCode::TooManyPixels,
            format!(
                "{}×{} is more than {} pixels",
                video.width, video.height, limits.max_pixels
            ),
        );
    }
    let duration_ms = probe
        .container
        .duration_ms
        .max(probe.video.as_ref().map_or(0, |video| video.duration_ms));
    if duration_ms > limits.max_duration_ms {
        return refuse(
            MediaCode::TooLong,
            format!(
                "{duration_ms} ms long, {} ms are allowed",
                limits.max_duration_ms
            ),
        );
    }
    if video.frames > limits.max_frames {
        return refuse(
            MediaCode::TooManyFrames,
            format!("{} frames, {} are allowed", video.frames, limits.max_frames),
        );
    }
    Ok(())
}
