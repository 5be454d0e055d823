//! Documents that cannot be read: watched for a while, then ended, with what is written over kept.
//!
//! `unreadable/{collection}:{id}` says since when, and which state of the document was seen:
//! anybody's write to it begins the time anew.

use std::time::Duration;

use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{MapValue, Write};
use gcloud_sdk::prost_types;
use strum::IntoEnumIterator as _;

use super::super::{Burial, LedgerError, Result, reading};
use super::accounts;
use super::documents::{self, Difference};
use super::paths::{DocumentPath, JOBS, OUTBOX, UNREADABLE};
use super::store::{Committed, Found, Store, Tries};
use super::values::{self, Fields};
use super::writes::{Only, Version, delete, update};
use crate::clock::{elapsed, whole_micros};
use crate::job::notification::DeliveryState;
use crate::job::{Code, CreditEntry, CreditState, JobError, JobId, Owner, Status, Timestamp};

pub(super) async fn bury(
    store: &Store,
    id: &JobId,
    now: Timestamp,
    patience: Duration,
) -> Result<Burial> {
    let now = whole_micros(now);
    let place = DocumentPath::job(store.root(), id);
    let mut tries = Tries::default();
    loop {
        let Some(found) = store.get(&place).await? else {
            return Ok(Burial::NothingToDo);
        };
        match documents::job(&found) {
            Ok(_) => return Ok(Burial::NothingToDo),
            Err(LedgerError::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
        let status = text(&found, "status");
        if Status::iter().any(|known| known.is_ended() && status.as_deref() == Some(known.as_str()))
        {
            return Ok(Burial::NothingToDo);
        }
        let note = Note::of(store, JOBS, &found).await?;
        if let Some(since) = note.since.filter(|since| elapsed(*since, now) >= patience) {
            let release = held(store, id, &found, now).await?;
            let end = job_end(&found, release.as_ref().map(|(_, entry)| entry), now)?;
            let mut writes = vec![note.kept(&found, &JOB_END, since, now)];
            writes.push(end.into_write(&place, Only::If(found.version)));
            if let Some((owner, entry)) = &release {
                writes.extend(accounts::moves(store, owner, entry, None)?);
            }
            if store.commit(writes).await? == Committed::Done {
                let released = release.map(|(_, entry)| entry.amount);
                return Ok(Burial::Done { released });
            }
        } else if let Some(since) = note.noted(store, &found, now).await? {
            return Ok(Burial::Noted { since });
        }
        tries.again().await?;
    }
}

pub(super) async fn bury_notice(
    store: &Store,
    id: &str,
    now: Timestamp,
    patience: Duration,
) -> Result<Burial> {
    let now = whole_micros(now);
    let place = DocumentPath::notice(store.root(), id);
    let mut tries = Tries::default();
    loop {
        let Some(found) = store.get(&place).await? else {
            return Ok(Burial::NothingToDo);
        };
        match documents::notice(&found) {
            Ok(_) => return Ok(Burial::NothingToDo),
            Err(LedgerError::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
        if text(&found, "state").is_some_and(|state| reading::is_final(&state)) {
            return Ok(Burial::NothingToDo);
        }
        let note = Note::of(store, OUTBOX, &found).await?;
        if let Some(since) = note.since.filter(|since| elapsed(*since, now) >= patience) {
            let mut end = Difference::default();
            let state: &str = DeliveryState::Undeliverable.into();
            end.set(&["state"], values::text(state));
            end.remove(&["next_at"]);
            let writes = vec![
                note.kept(&found, &NOTICE_END, since, now),
                end.into_write(&place, Only::If(found.version)),
            ];
            if store.commit(writes).await? == Committed::Done {
                return Ok(Burial::Done { released: None });
            }
        } else if let Some(since) = note.noted(store, &found, now).await? {
            return Ok(Burial::Noted { since });
        }
        tries.again().await?;
    }
}

/// The write that removes what was noted of a document.
pub(super) fn removal(store: &Store, collection: &str, id: &str) -> Write {
    let place = DocumentPath::document(store.root(), UNREADABLE, &name(collection, id));
    delete(&place, Only::Always)
}

fn name(collection: &str, id: &str) -> String {
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

/// What is noted of a document.
struct Note {
    place: DocumentPath,
    there: Option<Found>,
    /// Since when it has been as it is now, if that is noted.
    since: Option<Timestamp>,
}

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

    /// Notes the state of the document, unless it is noted; `None` where somebody else did
    /// something to the note just now.
    async fn noted(
        &self,
        store: &Store,
        found: &Found,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        if self.since.is_some() {
            return Ok(self.since);
        }
        let fields = Fields::from([
            ("since".to_owned(), values::moment(now)),
            ("seen".to_owned(), seen(found)),
        ]);
        let mask = ["since", "seen"].map(str::to_owned).to_vec();
        let write = update(&self.place, fields, mask, self.only());
        let written = store.commit(vec![write]).await? == Committed::Done;
        Ok(written.then_some(now))
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

/// What the job's entries still hold, and on whose account: the owner that the document names.
async fn held(
    store: &Store,
    id: &JobId,
    found: &Found,
    now: Timestamp,
) -> Result<Option<(Owner, CreditEntry)>> {
    let Some(owner) = text(found, "owner").and_then(|owner| owner.parse::<Owner>().ok()) else {
        return Ok(None);
    };
    let entries = accounts::of_job(store, &owner, id).await?;
    let release = CreditEntry::release_of(&entries, now);
    // Nothing can be given back to an account that is gone.
    let there = release.is_some() && accounts::load(store, &owner).await?.is_some();
    Ok(release.filter(|_| there).map(|entry| (owner, entry)))
}

/// The end of a failed job, written over an unreadable one.
fn job_end(found: &Found, release: Option<&CreditEntry>, now: Timestamp) -> Result<Difference> {
    let error = JobError {
        code: Code::InvalidJob,
        message: Code::InvalidJob.about().to_owned(),
        party: Code::InvalidJob.party(),
        stage: None,
        attempt: 1,
        at: now,
    };
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
    if release.is_some() && is_map("credits") {
        let state: &str = CreditState::Released.into();
        end.set(&["credits", "state"], values::text(state));
    }
    Ok(end)
}
