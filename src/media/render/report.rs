//! What a caller hears while work runs, and afterwards.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::storyboard::StoryboardInfo;
use crate::media::plan::Plan;
use crate::media::probe::Probe;

/// Something that happened during a render.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// What will be done is decided.
    Planned(Box<Plan>),
    /// Work went on.
    Progress(Progress),
    /// The poster stands under its final name.
    PosterWritten(PosterInfo),
    /// The result is published.
    Done,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Frames encoded or copied so far.
    pub frames: u64,
    /// Frames expected, where the container says so.
    pub total_frames: Option<u64>,
    /// Position in the video, in milliseconds.
    pub out_time_ms: u64,
    /// Length of the video, in milliseconds.
    pub duration_ms: u64,
    /// Frames per second of wall clock.
    pub fps: f64,
}

/// The poster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PosterInfo {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its place in the video, in milliseconds.
    pub time_ms: u64,
    /// Size in bytes.
    pub bytes: u64,
}

/// What was wrong with the input and could be tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Packets the decoders refused or the container marked.
    pub bad_packets: u64,
    /// Frames that failed to decode or had errors concealed.
    pub bad_frames: u64,
    /// Frames left out because their time did not grow.
    pub dropped_frames: u64,
    /// The input breaks off, and what there was of it was taken.
    #[serde(default)]
    pub truncated: bool,
}

impl Damage {
    pub(crate) fn new(video: Counts, sound: Counts) -> Self {
        Self {
            bad_packets: video.bad_packets + sound.bad_packets,
            bad_frames: video.bad_frames + sound.bad_frames,
            dropped_frames: video.dropped,
            truncated: video.truncated,
        }
    }
}

/// Wall-clock milliseconds of each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Opening, probing and planning.
    pub open_ms: u64,
    /// The pass.
    pub process_ms: u64,
    /// Reading the result back.
    pub verify_ms: u64,
    /// Everything.
    pub total_ms: u64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The plan that was followed.
    pub plan: Plan,
    /// What came in.
    pub source: Probe,
    /// What stands before it, where something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Probe>,
    /// What came out, read back from the result.
    pub output: Probe,
    /// Length of the result's video in milliseconds, by its packets.
    pub duration_ms: u64,
    /// Frames of the result.
    pub frames: u64,
    /// Size of the result in bytes.
    pub bytes: u64,
    /// Whether the index stands before the media.
    pub faststart: bool,
    /// The poster, if one was asked for and a frame could be had.
    pub poster: Option<PosterInfo>,
    /// The poster itself, where it was to go here.
    #[serde(skip)]
    pub poster_jpeg: Option<Vec<u8>>,
    /// The storyboard, if one was asked for and a frame could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<StoryboardInfo>,
    /// Its sprite.
    #[serde(skip)]
    pub storyboard_jpeg: Option<Vec<u8>>,
    /// Tolerated damage of the input.
    pub damage: Damage,
    /// Time spent.
    pub timings: Timings,
}

/// Between two progress events: 20 a second at most.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells the caller about progress, not too often.
pub(crate) struct Narrator<'a> {
    on_event: &'a mut dyn FnMut(Event),
    total_frames: Option<u64>,
    duration_ms: u64,
    started: Instant,
    last: Option<Instant>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(probe: &Probe, on_event: &'a mut dyn FnMut(Event)) -> Self {
        Self {
            on_event,
            total_frames: probe.video.as_ref().and_then(|video| video.frames),
            duration_ms: probe.container.duration_ms,
            started: Instant::now(),
            last: None,
        }
    }

    /// The result is longer than what the probe spoke of.
    pub(super) fn lengthen(&mut self, by_ms: u64) {
        self.duration_ms = self.duration_ms.saturating_add(by_ms);
        self.total_frames = None;
    }

    pub(super) fn progress(&mut self, frames: u64, out_time_ms: u64) {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        let seconds = elapsed(self.started).max(1) as f64 / 1000.0;
        (self.on_event)(Event::Progress(Progress {
            frames,
            total_frames: self.total_frames,
            out_time_ms,
            duration_ms: self.duration_ms,
            fps: frames as f64 / seconds,
        }));
    }
}

pub(crate) fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
