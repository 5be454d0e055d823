//! Jobs in words.

use serde_json::Value;

use crate::cli::submit::follow::times;
use crate::cli::table::{facts, table, text};
use crate::http::JobView;
use crate::job::{Party, Stage, Timestamp};

/// To the second: nobody reads more.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn standing(job: &JobView) -> String {
    match job.stage {
        Some(stage) if !job.status.is_ended() => {
            format!("{} ({})", job.status.as_str(), Stage::as_str(stage))
        }
        _ => job.status.as_str().to_owned(),
    }
}

pub(super) fn list(jobs: &[JobView]) -> String {
    if jobs.is_empty() {
        return "no jobs".into();
    }
    let mut rows = table(&[
        "ID",
        "KIND",
        "OWNER",
        "STATUS",
        "DONE",
        "CREATED",
        "WAITS FOR",
        "ERROR",
    ]);
    for job in jobs {
        let waits = job.waiting.as_ref().map_or("", |wait| wait.what.as_str());
        let error = job.error.as_ref().map_or("", |error| error.code.as_str());
        rows.add_row([
            job.id.to_string(),
            job.params.kind().as_str().to_owned(),
            job.owner.to_string(),
            standing(job),
            format!("{:.0} %", job.progress.percent),
            moment(job.created_at),
            waits.to_owned(),
            error.to_owned(),
        ]);
    }
    text(&rows)
}

pub(super) fn job(job: &JobView) -> String {
    let mut rows = vec![
        ("id", job.id.to_string()),
        ("kind", job.params.kind().as_str().to_owned()),
        ("owner", job.owner.to_string()),
        ("status", standing(job)),
        ("progress", format!("{:.0} %", job.progress.percent)),
        ("round", format!("{}, attempt {}", job.round, job.attempt)),
        ("created", moment(job.created_at)),
        ("deadline", moment(job.deadline_at)),
        ("time", times(job)),
    ];
    rows.extend(job.model.clone().map(|model| ("model", model)));
    rows.extend(job.passed_over.iter().map(|over| {
        let (model, why, reason) = (&over.model, over.why.as_str(), &over.reason);
        ("passed over", format!("{model} ({why}): {reason}"))
    }));
    if !job.tags.is_empty() {
        rows.push(("tags", job.tags.join(", ")));
    }
    if let Some(cost) = job.credits.cost {
        rows.push(("cost", format!("{cost} credits")));
    }
    if job.cancel_requested {
        rows.push(("cancelling", "asked for".into()));
    }
    if let Some(wait) = &job.waiting {
        let since = moment(wait.since);
        rows.push((
            "waits for",
            format!("{}, since {since}", wait.what.as_str()),
        ));
        if let Some(until) = wait.until {
            rows.push(("next look", moment(until)));
        }
        rows.push(("because", wait.reason.clone()));
    }
    if let Some(error) = &job.error {
        let what = if job.status.is_ended() {
            "error"
        } else {
            "last error"
        };
        let party = Party::as_str(error.party);
        rows.push((what, format!("{} ({party}): {}", error.code, error.message)));
    }
    if let Some(result) = &job.result {
        rows.push((
            "result",
            format!(
                "{}, {:.1} s, {}×{}",
                bytesize::ByteSize(result.bytes),
                result.duration_ms as f64 / 1000.0,
                result.width,
                result.height
            ),
        ));
        if let Some(links) = &result.links {
            rows.push(("video", links.video.to_string()));
            rows.push(("poster", links.poster.to_string()));
            rows.push(("metadata", links.metadata.to_string()));
            if let Some(storyboard) = &links.storyboard {
                rows.push(("storyboard", storyboard.to_string()));
            }
            if let Some(vtt) = &links.storyboard_vtt {
                rows.push(("its times", vtt.to_string()));
            }
            rows.push(("open until", moment(links.expires_at)));
        }
    }
    // Links are for copying: they are not broken to a terminal's width.
    plain(rows)
}

fn plain(rows: Vec<(&'static str, String)>) -> String {
    let mut table = facts(rows);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    text(&table)
}

/// A field as a person reads it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn links(links: &Value) -> String {
    let names = ["video", "poster", "metadata", "expires_at"];
    plain(names.map(|name| (name, words(&links[name]))).to_vec())
}

pub(super) fn notifications(list: &Value) -> String {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return "nothing was told yet".into();
    }
    let names = [
        "round",
        "event",
        "channel",
        "state",
        "deliveries",
        "next_at",
        "last_error",
    ];
    let header = names.map(|name| name.to_uppercase().replace('_', " "));
    let mut rows = table(&header.each_ref().map(String::as_str));
    for notice in list {
        rows.add_row(names.map(|name| words(&notice[name])));
    }
    text(&rows)
}
