//! Documents that cannot be read: watched for a while, then ended, with what is written over kept.
//!
//! `unreadable/{collection}:{id}` says since when, and which state of the document was seen:
//! anybody's write to it begins the time anew.

use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{MapValue, Write};
use gcloud_sdk::prost_types;
use strum::IntoEnumIterator as _;

use super::super::backend::{Damaged, Record};
use super::super::{LedgerError, Result, reading};
use super::difference::Difference;
use super::documents;
use super::paths::{DocumentPath, JOBS, OUTBOX, UNREADABLE};
use super::seen::{Note, Seen};
use super::store::{Found, Store};
use super::values::{self, Fields};
use super::writes::{Only, Version, delete, update};
use crate::job::notice::DeliveryState;
use crate::job::{CreditState, JobError, JobId, Status, Timestamp};

/// A damaged job as it stands, with what is noted of it.
pub(super) async fn damaged_job(store: &Store, id: &JobId) -> Result<Option<Damaged<Seen>>> {
    let place = DocumentPath::job(store.root(), id);
    let Some(found) = store.get(&place).await? else {
        return Ok(None);
    };
    match documents::job(&found) {
        Ok(_) => return Ok(None),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let status = text(&found, "status");
    let note = Note::of(store, JOBS, &found).await?;
    Ok(Some(Damaged {
        record: Record::Job(id.clone()),
        owner: text(&found, "owner").and_then(|owner| owner.parse().ok()),
        is_over: Status::iter()
            .any(|known| known.is_ended() && status.as_deref() == Some(known.as_str())),
        since: note.since,
        seen: Seen::Damaged(found, note),
    }))
}

pub(super) async fn damaged_notice(store: &Store, id: &str) -> Result<Option<Damaged<Seen>>> {
    let place = DocumentPath::notice(store.root(), id);
    let Some(found) = store.get(&place).await? else {
        return Ok(None);
    };
    match documents::notice(&found) {
        Ok(_) => return Ok(None),
        Err(LedgerError::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let note = Note::of(store, OUTBOX, &found).await?;
    Ok(Some(Damaged {
        record: Record::Notice(id.to_owned()),
        owner: None,
        is_over: text(&found, "state").is_some_and(|state| reading::is_final(&state)),
        since: note.since,
        seen: Seen::Damaged(found, note),
    }))
}

fn place(store: &Store, record: &Record) -> DocumentPath {
    match record {
        Record::Job(id) => DocumentPath::job(store.root(), id),
        Record::Notice(id) => DocumentPath::notice(store.root(), id),
    }
}

/// The writes that end a record as it was found, and keep what that is written over.
pub(super) fn burial(
    store: &Store,
    record: &Record,
    (found, note): (&Found, &Note),
    (since, now): (Timestamp, Timestamp),
    error: &JobError,
    released: bool,
) -> Result<[Write; 2]> {
    let (end, over): (_, &[&str]) = match record {
        Record::Job(_) => (job_end(found, error, released, now)?, &JOB_END),
        Record::Notice(_) => (notice_end(), &NOTICE_END),
    };
    Ok([
        note.kept(found, over, since, now),
        end.into_write(&place(store, record), Only::If(found.version)),
    ])
}

fn notice_end() -> Difference {
    let mut end = Difference::default();
    let state: &str = DeliveryState::Undeliverable.into();
    end.set(&["state"], values::text(state));
    end.remove(&["next_at"]);
    end
}

/// The write that removes what was noted of a document.
pub(super) fn removal(store: &Store, collection: &str, id: &str) -> Write {
    let place = DocumentPath::document(store.root(), UNREADABLE, &name(collection, id));
    delete(&place, Only::Always)
}

pub(super) fn name(collection: &str, id: &str) -> String {
    format!("{collection}:{id}")
}

fn text(found: &Found, field: &str) -> Option<String> {
    let value = found.fields.get(field).map(values::json)?;
    value.as_str().map(str::to_owned)
}

/// What a burial writes over, by collection.
const JOB_END: [&str; 7] = [
    "status",
    "error",
    "completed_at",
    "updated_at",
    "next_visit_at",
    "lease",
    "credits",
];
const NOTICE_END: [&str; 2] = ["state", "next_at"];

impl Note {
    async fn of(store: &Store, collection: &str, found: &Found) -> Result<Self> {
        let place = DocumentPath::document(store.root(), UNREADABLE, &name(collection, &found.id));
        let there = store.get(&place).await?;
        let since = there
            .as_ref()
            .filter(|note| note.fields.get("seen") == Some(&seen(found)))
            .and_then(|note| documents::due_since(note, "since"));
        Ok(Self {
            place,
            there,
            since,
        })
    }

    fn only(&self) -> Only {
        self.there
            .as_ref()
            .map_or(Only::IfAbsent, |note| Only::If(note.version))
    }

    /// The write that notes the state of the document.
    pub(super) fn watch(&self, found: &Found, now: Timestamp) -> Write {
        let fields = Fields::from([
            ("since".to_owned(), values::moment(now)),
            ("seen".to_owned(), seen(found)),
        ]);
        let mask = ["since", "seen"].map(str::to_owned).to_vec();
        update(&self.place, fields, mask, self.only())
    }

    /// Keeps what the end is written over.
    fn kept(&self, found: &Found, over: &[&str], since: Timestamp, now: Timestamp) -> Write {
        let was = over
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), found.fields.get(*name)?.clone())));
        let was = MapValue {
            fields: was.collect(),
        };
        let fields = Fields::from([
            ("since".to_owned(), values::moment(since)),
            ("seen".to_owned(), seen(found)),
            ("buried_at".to_owned(), values::moment(now)),
            ("was".to_owned(), values::of(ValueType::MapValue(was))),
        ]);
        let mask = fields.keys().cloned().collect();
        update(&self.place, fields, mask, self.only())
    }
}

/// The state of a document, as a value: the moment of its last write, to the nanosecond.
fn seen(found: &Found) -> gcloud_sdk::google::firestore::v1::Value {
    let Version(prost_types::Timestamp { seconds, nanos }) = found.version;
    values::text(format!("{seconds}.{nanos:09}"))
}

/// The end of a failed job, written over an unreadable one.
fn job_end(found: &Found, error: &JobError, released: bool, now: Timestamp) -> Result<Difference> {
    let error =
        serde_json::to_value(error).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
    let mut fields = values::fields(
        [("error".to_owned(), error)].into_iter().collect(),
        &["error.at"],
    );
    let mut end = Difference::default();
    if let Some(error) = fields.remove("error") {
        end.set(&["error"], error);
    }
    end.set(&["status"], values::text(Status::Failed.as_str()));
    end.set(&["completed_at"], values::moment(now));
    end.set(&["updated_at"], values::moment(now));
    end.remove(&["next_visit_at"]);
    let is_map = |name: &str| {
        let value = found.fields.get(name).and_then(|it| it.value_type.as_ref());
        matches!(value, Some(ValueType::MapValue(_)))
    };
    if is_map("lease") {
        end.remove(&["lease", "holder"]);
        end.remove(&["lease", "expires_at"]);
    }
    // Mended by hand, the job must not move them a second time.
    if released && is_map("credits") {
        let state: &str = CreditState::Released.into();
        end.set(&["credits", "state"], values::text(state));
    }
    Ok(end)
}
