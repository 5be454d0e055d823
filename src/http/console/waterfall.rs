//! What a job did when, a bar below the other: how long each thing took, and why it was done.
//!
//! Waits are drawn no longer than a quarter of all that was worked, so that an hour at the provider
//! does not hide the seconds that say something; the figures beside them are true.

use std::time::Duration;

use super::words;
use crate::clock::elapsed;
use crate::job::{Code, Job, Stage, TimelineEntry, Timestamp, WaitsFor};

/// Units that the chart is wide.
const WIDTH: f64 = 1_000.0;
/// What can still be seen.
const LEAST: f64 = 5.0;
/// A wait is drawn so long at least before it is drawn shorter than it was.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Bar {
    /// Since the round began.
    pub(super) after: String,
    pub(super) what: String,
    /// Empty where there is nothing to say.
    pub(super) why: String,
    pub(super) took: String,
    /// Of the chart.
    pub(super) colour: usize,
    pub(super) x: String,
    pub(super) width: String,
    /// Drawn shorter than it was.
    pub(super) is_cut: bool,
    pub(super) is_now: bool,
}

/// One thing after the other.
struct Span {
    entry: TimelineEntry,
    took: Duration,
    after: Duration,
}

impl Span {
    fn is_wait(&self) -> bool {
        self.entry.waits_for.is_some()
    }
}

/// Nothing for a job that an earlier release made.
pub(super) fn of(job: &Job, attempts: u32, now: Timestamp) -> Vec<Bar> {
    let spans = spans(job, now);
    let worked: Duration = spans
        .iter()
        .filter(|span| !span.is_wait())
        .map(|span| span.took)
        .sum();
    let longest = (worked / 4).max(WAIT);
    let drawn = |span: &Span| match span.is_wait() {
        true => span.took.min(longest),
        false => span.took,
    };
    let all: f64 = spans.iter().map(|span| drawn(span).as_secs_f64()).sum();
    let share = |span: &Span| {
        let share = drawn(span).as_secs_f64() / all.max(f64::MIN_POSITIVE) * WIDTH;
        share.max(LEAST)
    };
    // What was made visible takes its room from all.
    let sum: f64 = spans.iter().map(share).sum();
    let mut x = 0.0;
    let mut known: Option<Code> = None;
    let mut bars = Vec::new();
    for span in &spans {
        let width = share(span) * WIDTH / sum;
        let code = span.entry.code;
        bars.push(Bar {
            after: format!("+{}", words::span(span.after)),
            what: what(&span.entry, attempts),
            why: why(&span.entry, code.filter(|_| code != known)),
            took: words::span(span.took),
            colour: match span.entry.stage {
                Some(stage) if !span.is_wait() => colour(stage),
                _ => 9,
            },
            x: format!("{x:.1}"),
            width: format!("{width:.1}"),
            is_cut: drawn(span) < span.took,
            is_now: false,
        });
        known = code;
        x += width;
    }
    if let Some(last) = bars.last_mut() {
        last.is_now = !job.status.is_ended();
    }
    bars
}

fn spans(job: &Job, now: Timestamp) -> Vec<Span> {
    let line = &job.timings.timeline;
    let Some(first) = line.first() else {
        return Vec::new();
    };
    let queued = TimelineEntry {
        at: job.created_at,
        stage: None,
        waits_for: Some(WaitsFor::Worker),
        attempt: 1,
        code: None,
        shortened: false,
    };
    // Another round says itself that it waits.
    let queued = (job.round == 1 && first.at > job.created_at).then_some(queued);
    let entries: Vec<&TimelineEntry> = queued.iter().chain(line).collect();
    let begins = entries.first().map_or(now, |entry| entry.at);
    let end = job.completed_at.unwrap_or(now);
    let ends = entries.iter().skip(1).map(|entry| entry.at).chain([end]);
    entries
        .iter()
        .zip(ends)
        // What stands behind the end lasts no more.
        .filter(|(entry, _)| entry.stage.is_some() || entry.waits_for.is_some())
        .map(|(entry, until)| Span {
            entry: **entry,
            took: elapsed(entry.at, until),
            after: elapsed(begins, entry.at),
        })
        .collect()
}

fn what(entry: &TimelineEntry, attempts: u32) -> String {
    let mut what = match (entry.waits_for, entry.stage) {
        (Some(wait), _) => capital(words::waits(wait)),
        (None, Some(stage)) => words::stage(stage).to_owned(),
        (None, None) => String::new(),
    };
    if entry.attempt > 1 {
        what.push_str(&format!(", attempt {} of {attempts}", entry.attempt));
    }
    what
}

fn why(entry: &TimelineEntry, code: Option<Code>) -> String {
    let because = code.map(|code| format!("Because: {}", code.about()));
    let more = entry
        .shortened
        .then(|| "What followed was too much and is left out.".to_owned());
    [because, more]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn colour(stage: Stage) -> usize {
    match stage {
        Stage::Submit => 0,
        Stage::Generate => 1,
        Stage::Fetch => 2,
        Stage::Process => 3,
        Stage::Settle => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(second: i64, stage: Option<Stage>, waits_for: Option<WaitsFor>) -> TimelineEntry {
        TimelineEntry {
            at: at(second),
            stage,
            waits_for,
            attempt: 1,
            code: None,
            shortened: false,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn job(timeline: Vec<TimelineEntry>) -> Job {
        let mut job: Job = serde_json::from_value(serde_json::json!({
            "id": "j", "owner": "u", "kind": "upscale", "params": {"target": "720p"},
            "source": {"video": "sources/u/v.mp4"}, "status": "processing",
            "deadline_at": at(9_000), "created_at": at(0), "updated_at": at(0),
        }))
        .unwrap();
        job.timings.timeline = timeline;
        job
    }

    #[test]
    fn an_hour_of_waiting_hides_no_second_of_work() {
        let mut failed = entry(3_602, Some(Stage::Process), None);
        (failed.attempt, failed.code) = (2, Some(Code::DownloadFailed));
        let line = vec![
            entry(0, Some(Stage::Submit), None),
            entry(2, Some(Stage::Generate), Some(WaitsFor::Provider)),
            failed,
            entry(3_604, None, None),
        ];
        let mut job = job(line);
        job.completed_at = Some(at(3_604));
        let bars = of(&job, 3, at(9_999));
        let told: Vec<_> = bars
            .iter()
            .map(|bar| {
                (
                    bar.what.as_str(),
                    bar.after.as_str(),
                    bar.took.as_str(),
                    bar.is_cut,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("Checking and submitting", "+0 ms", "2.0 s", false),
                ("Waits for the provider", "+2.0 s", "1 h 0 min", true),
                (
                    "Working on the video, attempt 2 of 3",
                    "+1 h 0 min",
                    "2.0 s",
                    false
                ),
            ]
        );
        assert!(bars[2].why.contains(Code::DownloadFailed.about()));
        let width = |at: usize| bars[at].width.parse::<f64>().unwrap();
        assert!(width(1) < width(0) && (width(0) - width(2)).abs() < 1.0);
        let end = bars[2].x.parse::<f64>().unwrap() + width(2);
        assert!((end - WIDTH).abs() < 0.5, "{end}");
    }

    #[test]
    fn what_goes_on_is_the_last_bar_and_older_jobs_have_none() {
        let running = job(vec![entry(5, Some(Stage::Submit), None)]);
        let bars = of(&running, 3, at(8));
        assert_eq!(bars.len(), 2);
        assert_eq!(bars[0].what, "Waits for a worker");
        assert!(!bars[0].is_now && bars[1].is_now && bars[1].took == "3.0 s");
        assert!(of(&job(Vec::new()), 3, at(8)).is_empty());
    }
}
