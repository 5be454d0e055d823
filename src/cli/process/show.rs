//! What `process` tells a person: a bar while it works, two lines at the end.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::check::Task;
use crate::cli::figures::{frames, name, seconds, size};
use crate::media::{AudioPlan, Progress, Report, VideoPlan};

/// On a terminal a bar on standard error; elsewhere nothing.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(input: &Path) -> Self {
        // indicatif draws nothing where standard error is no terminal.
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{prefix} {spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_prefix(name(input));
        Self(bar)
    }

    pub(super) fn show(&self, progress: &Progress) {
        let fps = format!("{:.0} fps", progress.fps);
        if progress.duration_ms == 0 {
            self.0
                .set_message(format!("{}, {fps}", frames(progress.frames)));
            self.0.tick();
            return;
        }
        self.0.set_message(fps);
        if self.0.length().is_none() {
            let style =
                ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3}%  {msg}  ETA {eta}");
            if let Ok(style) = style {
                self.0.set_style(style.progress_chars("=> "));
            }
            self.0.set_length(progress.duration_ms);
        }
        // Sound may run on past the pictures, or headers lie.
        self.0
            .set_position(progress.out_time_ms.min(progress.duration_ms));
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// The result on one line, what was done and how long it took on the next.
pub(super) fn summary(task: &Task, report: &Report) -> String {
    let (width, height) = report
        .output
        .video
        .as_ref()
        .map_or((0, 0), |video| (video.width, video.height));
    let mut first = format!(
        "{}: {width}×{height}, {}, {}, {}",
        task.output.display(),
        seconds(report.duration_ms),
        frames(report.frames),
        size(report.bytes),
    );
    if let (Some(path), Some(poster)) = (&task.poster, &report.poster) {
        first += &format!(
            "; poster {} from {}",
            path.display(),
            seconds(poster.time_ms)
        );
    }
    if let Some(path) = &task.report {
        first += &format!("; report {}", path.display());
    }
    let mut lines = vec![first];
    let took = seconds(report.timings.total_ms);
    lines.push(format!(
        "picture {}; sound {}; took {took}",
        picture(&report.plan.video),
        sound(&report.plan.audio)
    ));
    if task.poster.is_some() && report.poster.is_none() {
        lines.push("note: no frame could be had for a poster".to_owned());
    }
    let damage = report.damage;
    if damage.bad_packets + damage.bad_frames > 0 {
        lines.push(format!(
            "note: the input is damaged: {} bad packets, {} bad frames",
            damage.bad_packets, damage.bad_frames
        ));
    }
    lines.join("\n")
}

fn picture(plan: &VideoPlan) -> String {
    match plan {
        VideoPlan::Copy { reason } => format!("copied ({reason})"),
        VideoPlan::Encode {
            crf,
            preset,
            reason,
            ..
        } => {
            format!("encoded at crf {crf}, {preset} ({reason})")
        }
    }
}

fn sound(plan: &AudioPlan) -> String {
    match plan {
        AudioPlan::Copy { reason, .. } => format!("copied ({reason})"),
        AudioPlan::Encode {
            bit_rate, reason, ..
        } => {
            format!("encoded at {} kbit/s ({reason})", bit_rate / 1000)
        }
        AudioPlan::None { reason } => format!("none ({reason})"),
    }
}
