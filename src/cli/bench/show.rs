//! What a person sees: a bar while it works, a table, and one line of advice.

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Row;
use super::measure::{Figures, Measured, Spent};
use crate::cli::figures::size;
use crate::cli::table;

/// On a terminal a bar on standard error; elsewhere nothing.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(passes: u64) -> Self {
        let bar = ProgressBar::new(passes);
        let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} passes  {msg}  ETA {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        Self(bar)
    }

    pub(super) fn begin(&self, row: &Row) {
        let preset = row.profile.video.preset.as_str();
        self.0
            .set_message(format!("{}, {}, {preset}", row.name, row.profile.name));
    }

    pub(super) fn one_more(&self) {
        self.0.inc(1);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

pub(super) fn table(measured: &Measured) -> String {
    let mut shown = table::table(&[
        "CLIP",
        "PROFILE",
        "PRESET",
        "WALL",
        "CPU",
        "× REAL TIME",
        "OPEN",
        "PASS",
        "VERIFY",
        "PEAK",
        "BYTES",
        "SSIM",
    ]);
    for row in &measured.rows {
        let missing = || "–".to_owned();
        let preset = if row.encoded {
            row.preset.as_str()
        } else {
            "copied"
        };
        shown.add_row([
            row.clip.clone(),
            row.profile.clone(),
            preset.to_owned(),
            seconds(row.wall_ms),
            seconds(row.cpu_ms),
            format!("{:.2}", row.realtime),
            stage(row.stages.open),
            stage(row.stages.pass),
            stage(row.stages.verify),
            row.peak_memory_bytes.map_or_else(missing, size),
            size(row.bytes),
            row.ssim.map_or_else(missing, |ssim| format!("{ssim:.4}")),
        ]);
    }
    let at_once = match measured.jobs {
        1 => String::new(),
        jobs => format!("{jobs} at once in one process. "),
    };
    format!("{}\n\n{at_once}{}", table::text(&shown), measured.advice)
}

fn seconds(ms: f64) -> String {
    format!("{:.2} s", ms / 1000.0)
}

/// Wall clock, and the processor's time where it is known.
fn stage(spent: Spent) -> String {
    match spent.cpu_ms {
        Some(cpu) => format!("{:.0}/{cpu:.0} ms", spent.wall_ms),
        None => format!("{:.0} ms", spent.wall_ms),
    }
}

/// What to make of it: how many clips this machine keeps up with, and what another preset would
/// save. Rows are compared with the first of the same clip and profile.
pub(super) fn advice(rows: &[Figures], cores: usize) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let cores = match cores {
        1 => "1 core keeps".to_owned(),
        cores => format!("{cores} cores keep"),
    };
    let mut advice = format!(
        "{cores} up with {:.1} clips a minute of the kind of {} ({}, {}).",
        first.clips_per_minute, first.clip, first.profile, first.preset
    );
    let others = rows.iter().filter(|row| {
        (&row.clip, &row.profile, row.encoded) == (&first.clip, &first.profile, true)
            && row.preset != first.preset
            && first.encoded
    });
    // What saves most of the processor's time is worth most to whoever pays for it.
    if let Some(other) = others.min_by(|a, b| a.cpu_ms.total_cmp(&b.cpu_ms)) {
        let change = |now: f64, before: f64| (now / before.max(1e-6) - 1.0) * 100.0;
        let cpu = change(other.cpu_ms, first.cpu_ms);
        let bytes = change(other.bytes as f64, first.bytes as f64);
        let (verb, amount) = if cpu <= 0.0 {
            ("saves", -cpu)
        } else {
            ("costs", cpu)
        };
        let (more, by) = if bytes >= 0.0 {
            ("more", bytes)
        } else {
            ("fewer", -bytes)
        };
        advice += &format!(
            " `{}` {verb} {amount:.0} % of the processor's time, with {by:.0} % {more} bytes",
            other.preset
        );
        if let (Some(one), Some(other)) = (first.ssim, other.ssim) {
            advice += &format!(" and an SSIM of {other:.4} for {one:.4}");
        }
        advice.push('.');
    }
    advice
}
