//! Where a job's time went: a bar of its stages, one behind the other.

use std::time::Duration;

use strum::IntoEnumIterator as _;

use super::words;
use crate::clock::elapsed;
use crate::job::{Job, Stage, Timestamp};

/// Units that the bar is wide.
const WIDTH: f64 = 1_000.0;
/// What can still be seen.
const LEAST: f64 = 4.0;

pub(super) struct Time {
    pub(super) whole: String,
    pub(super) parts: Vec<Part>,
}

/// A stage, over all visits; or what lies between them.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) took: String,
    /// Of the chart.
    pub(super) colour: usize,
    pub(super) x: String,
    pub(super) width: String,
}

impl Time {
    /// Nothing for a job that nobody has worked on.
    pub(super) fn of(job: &Job, now: Timestamp) -> Option<Self> {
        let whole = elapsed(job.created_at, job.completed_at.unwrap_or(now));
        let mut spans: Vec<(&'static str, Duration)> = Stage::iter()
            .filter_map(|stage| {
                let ms = *job.timings.stages_ms.get(stage.as_str())?;
                Some((words::stage(stage), Duration::from_millis(ms)))
            })
            .collect();
        if spans.is_empty() {
            return None;
        }
        let worked: Duration = spans.iter().map(|(_, took)| *took).sum();
        let idle = whole.saturating_sub(worked);
        spans.push(("Between visits, and waiting to begin", idle));
        Some(Self {
            whole: words::span(whole),
            parts: parts(&spans),
        })
    }
}

fn parts(spans: &[(&'static str, Duration)]) -> Vec<Part> {
    let all: f64 = spans.iter().map(|(_, took)| took.as_secs_f64()).sum();
    let share = |took: &Duration| {
        let share = took.as_secs_f64() / all.max(f64::MIN_POSITIVE) * WIDTH;
        share.max(LEAST)
    };
    // What was made visible takes its room from all.
    let drawn: f64 = spans.iter().map(|(_, took)| share(took)).sum();
    let mut x = 0.0;
    let mut parts = Vec::new();
    for (colour, (name, took)) in spans.iter().enumerate() {
        let width = share(took) * WIDTH / drawn;
        parts.push(Part {
            name,
            took: words::span(*took),
            colour: if colour + 1 == spans.len() {
                9
            } else {
                colour.min(4)
            },
            x: format!("{x:.1}"),
            width: format!("{width:.1}"),
        });
        x += width;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar_and_the_shortest_is_seen() {
        let second = Duration::from_secs;
        let parts = parts(&[
            ("a", second(100)),
            ("b", Duration::ZERO),
            ("c", second(300)),
        ]);
        let width = |at: usize| parts[at].width.parse::<f64>().unwrap();
        assert!(width(1) > 3.0 && width(2) > 2.9 * width(0));
        let end = parts[2].x.parse::<f64>().unwrap() + width(2);
        assert!((end - WIDTH).abs() < 0.5, "{end}");
    }
}
