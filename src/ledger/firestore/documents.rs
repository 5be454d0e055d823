//! Jobs, notices and entries in and out of their documents.
//!
//! `docs/firestore-schema.md` is the contract; a test holds it against the tables here.

use std::fmt::Display;

use gcloud_sdk::google::firestore::v1::Write;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::super::{LedgerError, Result, reading};
use super::difference::{Difference, map};
use super::paths::DocumentPath;
use super::store::Found;
use super::values::{self, Fields};
use super::writes::Only;
use crate::job::{Account, CreditEntry, Job, JobId, Notice, Timestamp};

/// What the creator of a job writes, and nobody after.
const GIVEN: [&str; 12] = [
    "id",
    "owner",
    "kind",
    "params",
    "source",
    "output",
    "notify",
    "tags",
    "deadline_at",
    "max_price",
    "traceparent",
    "created_at",
];

/// What the holder of the lease writes.
const OWNED: [&str; 27] = [
    "schema_version",
    "status",
    "stage",
    "progress",
    "attempt",
    "attempt_failed",
    "crashes",
    "native",
    "round",
    "revision",
    "lease",
    "wake",
    "next_visit_at",
    "provider",
    "intents",
    "passed_over",
    "generated",
    "result",
    "result_expired_at",
    "kept",
    "error",
    "waiting",
    "credits",
    "timings",
    "heard",
    "updated_at",
    "completed_at",
];

/// What changes of a notice on its way.
const DELIVERED: [&str; 7] = [
    "state",
    "deliveries",
    "replays",
    "replayed_after",
    "wake",
    "next_at",
    "last_error",
];

/// Written by anybody, never by the holder of the lease.
pub(super) const CANCEL: &str = "cancel_requested";

const JOB_MOMENTS: [&str; 20] = [
    "created_at",
    "deadline_at",
    "updated_at",
    "completed_at",
    "next_visit_at",
    "lease.expires_at",
    "wake.at",
    "provider.submitted_at",
    "provider.missing_since",
    "provider.closed_since",
    "provider.inputs.expires_at",
    "intents.at",
    "intents.unknown_until",
    "passed_over.at",
    "error.at",
    "waiting.since",
    "result_expired_at",
    "kept.results",
    "kept.generated",
    "timings.timeline.at",
];
const NOTICE_MOMENTS: [&str; 2] = ["next_at", "created_at"];
const ENTRY_MOMENTS: [&str; 1] = ["at"];

/// The whole document of a new job.
pub(super) fn of_job(job: &Job) -> Result<Fields> {
    typed(job, job.id.as_str(), &JOB_MOMENTS)
}

/// The job that a document holds, with defaults for what its creator need not write.
pub(super) fn job(found: &Found) -> Result<Job> {
    let mut object = values::object(&found.fields);
    for name in GIVEN.iter().chain(&OWNED).chain(&[CANCEL]) {
        if let Some(value) = object.remove(*name)
            && !value.is_null()
        {
            object.insert((*name).to_owned(), values::lenient(value));
        }
    }
    // The default of a moment that only we write is the creation.
    if !object.contains_key("updated_at")
        && let Some(created_at) = object.get("created_at").cloned()
    {
        object.insert("updated_at".into(), created_at);
    }
    let job: Job = named(object, found)?;
    match reading::newer(&found.id, job.schema_version) {
        Some(newer) => Err(newer),
        None => Ok(job),
    }
}

pub(super) fn of_notice(notice: &Notice) -> Result<Fields> {
    typed(notice, &notice.id, &NOTICE_MOMENTS)
}

pub(super) fn notice(found: &Found) -> Result<Notice> {
    let notice: Notice = named(values::object(&found.fields), found)?;
    match reading::newer(&found.id, notice.schema_version) {
        Some(newer) => Err(newer),
        None => Ok(notice),
    }
}

/// An entry's document without its id, which is the document's own.
pub(super) fn of_entry(entry: &CreditEntry) -> Result<Fields> {
    let mut fields = typed(entry, &entry.id, &ENTRY_MOMENTS)?;
    fields.remove("id");
    Ok(fields)
}

pub(super) fn entry(found: &Found) -> Result<CreditEntry> {
    let Json::Object(object) = values::lenient(Json::Object(values::object(&found.fields))) else {
        return Err(malformed(&found.id, "no fields"));
    };
    named(object, found)
}

/// A user without credit fields has none: other programs keep more than credits there.
pub(super) fn account(found: &Found) -> Result<Account> {
    let number = |field: &str| match found.fields.get(field) {
        None => Ok(0),
        Some(value) => values::whole(value)
            .ok_or_else(|| malformed(&found.id, format!("{field} is no whole number"))),
    };
    Ok(Account {
        credits: number("credits")?,
        credits_held: number("credits_held")?,
    })
}

/// The write that turns what was found into `after`: owner fields that differ and no others, so
/// that what somebody else wrote survives, be it inside one of our maps. `before` is the job as
/// it was read from there. With it, the fields as they are once it is done.
pub(super) fn change(
    place: &DocumentPath,
    found: &Found,
    before: &Job,
    after: &Job,
) -> Result<(Write, Fields)> {
    let difference = difference(found, before, after)?;
    let fields = difference.applied_to(&found.fields);
    Ok((
        difference.into_write(place, Only::If(found.version)),
        fields,
    ))
}

/// The same for a notice.
pub(super) fn change_notice(
    place: &DocumentPath,
    found: &Found,
    before: &Notice,
    after: &Notice,
) -> Result<Write> {
    let (before, after) = (of_notice(before)?, of_notice(after)?);
    let mut difference = Difference::default();
    for name in DELIVERED {
        let states = (found.fields.get(name), before.get(name), after.get(name));
        difference.note(&[name], states);
    }
    Ok(difference.into_write(place, Only::If(found.version)))
}

fn difference(found: &Found, before: &Job, after: &Job) -> Result<Difference> {
    let (before, after) = (of_job(before)?, of_job(after)?);
    let mut difference = Difference::default();
    for name in OWNED {
        let states = (found.fields.get(name), before.get(name), after.get(name));
        difference.note(&[name], states);
    }
    Ok(difference)
}

/// The same for another round: its deadline too, and the request to cancel the last one goes.
pub(super) fn new_round(
    place: &DocumentPath,
    found: &Found,
    before: &Job,
    after: &Job,
) -> Result<Write> {
    let mut difference = difference(found, before, after)?;
    difference.set(&["deadline_at"], values::moment(after.deadline_at));
    if before.cancel_requested {
        difference.set(&[CANCEL], values::truth(false));
    }
    Ok(difference.into_write(place, Only::If(found.version)))
}

/// A domain value as fields.
pub(super) fn typed<T: Serialize>(value: &T, id: &str, moments: &[&str]) -> Result<Fields> {
    match serde_json::to_value(value) {
        Ok(Json::Object(object)) => Ok(values::fields(object, moments)),
        Ok(_) => Err(malformed(id, "no fields")),
        Err(error) => Err(malformed(id, error)),
    }
}

/// Reads the object, made of what was found, as the record of that name.
fn named<T: DeserializeOwned>(mut object: Map<String, Json>, found: &Found) -> Result<T> {
    let refused = |reason: &dyn Display| {
        let document = values::lenient(Json::Object(values::object(&found.fields)));
        Err(reading::refused(&found.id, Some(&document), reason))
    };
    match object.get("id") {
        None => {
            object.insert("id".into(), found.id.as_str().into());
        }
        Some(says) if *says == found.id => {}
        Some(says) => return refused(&format!("it says its id is {says}")),
    }
    serde_json::from_value(Json::Object(object)).or_else(|error| refused(&error))
}

pub(super) fn malformed(id: &str, reason: impl Display) -> LedgerError {
    LedgerError::Malformed {
        id: id.to_owned(),
        reason: reason.to_string(),
    }
}

/// Since when a document is due, by the field that says so.
pub(super) fn due_since(found: &Found, field: &str) -> Option<Timestamp> {
    values::json(found.fields.get(field)?)
        .as_str()?
        .parse()
        .ok()
}

/// The number of the wake-up, from a document that may be unreadable otherwise.
pub(super) fn wake_seq(found: &Found) -> u64 {
    let seq = found.fields.get("wake").and_then(map);
    seq.and_then(|wake| wake.get("seq"))
        .and_then(values::whole)
        .and_then(|seq| u64::try_from(seq).ok())
        .unwrap_or_default()
}

/// The id as a job's, if it can be one.
pub(super) fn job_id(found: &Found) -> Option<JobId> {
    let parsed = found.id.parse();
    if let Err(error) = &parsed {
        tracing::error!(job = found.id, %error, "a job is due under an unusable id");
    }
    parsed.ok()
}
