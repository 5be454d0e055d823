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
        // The sum of a stage is written at its end: what goes on is not in it yet.
        let goes_on = job.timings.timeline.last();
        let goes_on = goes_on.filter(|last| !job.status.is_ended() && last.waits_for.is_none());
        let mut spans: Vec<(&'static str, Duration)> = Stage::iter()
            .filter_map(|stage| {
                let sum = job.timings.stages_ms.get(stage.as_str());
                let now = goes_on
                    .filter(|last| last.stage == Some(stage))
                    .map(|last| elapsed(last.at, now));
                let sum = sum.map(|ms| Duration::from_millis(*ms));
                let took = sum.into_iter().chain(now).reduce(|sum, more| sum + more)?;
                Some((words::stage(stage), took))
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
    fn what_goes_on_is_work_and_no_wait() {
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        let mut job: Job = serde_json::from_value(serde_json::json!({
            "id": "j", "owner": "u", "kind": "upscale", "params": {"target": "720p"},
            "source": {"video": "sources/u/v.mp4"}, "status": "processing",
            "deadline_at": at(9_000), "created_at": at(0), "updated_at": at(0),
            "timings": {
                "stages_ms": {"submit": 2_000},
                "timeline": [
                    {"at": at(1), "stage": "submit", "attempt": 1},
                    {"at": at(3), "stage": "process", "attempt": 1},
                ],
            },
        }))
        .unwrap();
        let told = |job: &Job| -> Vec<String> {
            let parts = Time::of(job, at(10)).unwrap().parts;
            parts.into_iter().map(|part| part.took).collect()
        };
        assert_eq!(told(&job), ["2.0 s", "7.0 s", "1.0 s"]);
        job.timings.timeline[1].waits_for = Some(crate::job::WaitsFor::Worker);
        assert_eq!(told(&job), ["2.0 s", "8.0 s"]);
    }

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
