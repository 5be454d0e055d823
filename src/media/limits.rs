//! What one piece of media work may cost, and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::{MediaCode, MediaError};

/// Bounds for one operation. Each exceeded bound has its own [`MediaCode`].
///
/// Headers lie: frames and duration are counted again while decoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one input.
    pub max_bytes: u64,
    /// Streams of one container, all kinds together.
    pub max_streams: u32,
    /// Bytes libav may read to find the streams' parameters.
    pub probe_size: u64,
    /// Milliseconds of media libav may analyse to find the streams' parameters.
    pub analyze_duration_ms: u64,
    /// Width × height of one frame.
    pub max_pixels: u64,
    /// Frames within a second. What is faster than a profile wants is thinned out.
    pub max_fps: f64,
    /// Length of the video in milliseconds.
    pub max_duration_ms: u64,
    /// Decoded frames.
    pub max_frames: u64,
    /// Where the frame rate is made constant: frames made, for each that the source would have
    /// by its own timing. Silence made beyond the picture's end, for as much sound.
    pub max_duplication: u32,
    /// Bytes of one output.
    pub max_output_bytes: u64,
    /// Wall-clock budget of the operation in milliseconds; `None` has no end.
    pub deadline_ms: Option<u64>,
    /// Share of damaged packets and frames above which the input is refused.
    pub max_damage: f64,
    /// Whether a file that breaks off is taken as far as it goes. The report
    /// says so then; otherwise it is refused as `truncated`.
    pub allow_truncated: bool,
    /// Codec threads; 0 = one per core. A render has its own.
    #[serde(skip)]
    pub threads: usize,
}

impl Limits {
    /// Those of who says nothing else.
    pub const USUAL: Self = Self {
        max_bytes: 8 << 30,
        max_streams: 32,
        // libav's own defaults (5 MB, 5 s) miss late audio in some transport streams.
        probe_size: 16 << 20,
        analyze_duration_ms: 10_000,
        // 8K UHD and a little for padding.
        max_pixels: 8192 * 4608,
        max_fps: 1000.0,
        max_duration_ms: 30 * 60 * 1000,
        max_frames: 240_000,
        // Pauses of screen recordings stay far below; a forged gap is hundreds of times longer
        // than what stands around it.
        max_duplication: 16,
        max_output_bytes: 16 << 30,
        deadline_ms: None,
        max_damage: 0.1,
        allow_truncated: false,
        threads: 0,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Why work was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum CancelReason {
    /// A user or operator asked for it.
    Requested = 1,
    /// Another worker owns the job now.
    LeaseLost = 2,
    /// The process is going down.
    Shutdown = 3,
    /// The caller's own deadline passed.
    Deadline = 4,
}

/// A handle that stops media work from another thread.
///
/// Clones share one state; the first reason given is kept.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// A handle nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the work to stop. Only the first call counts.
    pub fn cancel(&self, reason: CancelReason) {
        let _ = self
            .0
            .compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether anyone asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// The first reason given.
    #[must_use]
    pub fn reason(&self) -> Option<CancelReason> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(CancelReason::Requested),
            2 => Some(CancelReason::LeaseLost),
            3 => Some(CancelReason::Shutdown),
            4 => Some(CancelReason::Deadline),
            _ => None,
        }
    }
}

/// Cancellation and deadline of one running operation; looked at by libav's
/// interrupt callback and at every packet and frame.
#[derive(Debug)]
pub(crate) struct Guard {
    cancel: Cancel,
    deadline: Option<Instant>,
}

impl Guard {
    pub(crate) fn new(cancel: &Cancel, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            cancel: cancel.clone(),
            deadline: limits
                .deadline_ms
                .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
        })
    }

    pub(crate) fn tripped(&self) -> bool {
        self.cancel.is_cancelled() || self.deadline.is_some_and(|at| Instant::now() >= at)
    }

    pub(crate) fn check(&self) -> Result<(), MediaError> {
        if let Some(reason) = self.cancel.reason() {
            let code = match reason {
                CancelReason::Deadline => MediaCode::DeadlineExceeded,
                _ => MediaCode::Cancelled,
            };
            return Err(MediaError::new(
                code,
                format!("the work was stopped: {reason}"),
            ));
        }
        if self.deadline.is_some_and(|at| Instant::now() >= at) {
            return Err(MediaError::new(
                MediaCode::DeadlineExceeded,
                "the work took longer than it may",
            ));
        }
        Ok(())
    }
}
