//! The rules over the plainest backend there can be: maps in memory, each record with a version.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    Account, CreditEntry, CreditState, Job, JobId, Keeping, Notice, Owner, SCHEMA_VERSION, Stage,
    Status, Timestamp,
};
use filmlab::ledger::backend::{
    Backend, Balance, Committed, Damaged, KeyRecord, Loaded, Record, Shared, Write,
};
use filmlab::ledger::limits::{OwnerLimit, OwnerLimits};
use filmlab::ledger::{
    Callback, Counts, Due, DueCursor, DueNotice, JobQuery, KeptSince, LedgerError, Result, Tally,
    reading,
};
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bench::{Bench, Others, World};
use super::ledger_contract;

pub(crate) struct Maps;
ledger_contract!(maps, Maps);

#[async_trait]
impl Bench for Maps {
    async fn fresh(&self) -> World {
        let memory = Memory::default();
        World {
            ledger: Arc::new(memory.clone()),
            others: Box::new(memory),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    version: u64,
    jobs: BTreeMap<String, Row>,
    notices: BTreeMap<String, Row>,
    accounts: BTreeMap<String, (Account, u64)>,
    entries: Vec<(Owner, CreditEntry)>,
    keys: BTreeMap<(String, String), (KeyRecord, u64)>,
    callbacks: Vec<(JobId, Callback)>,
    /// Since when a record has been damaged, and in which version.
    watched: BTreeMap<String, (Timestamp, u64)>,
    marks: BTreeMap<String, Timestamp>,
    shared: BTreeMap<String, (Value, u64)>,
    limits: OwnerLimits,
    counts: BTreeMap<Option<Owner>, Counts>,
}

#[derive(Debug, Clone)]
struct Row {
    doc: Value,
    version: u64,
}

impl Row {
    fn moment(&self, path: &str) -> Option<Timestamp> {
        self.doc.pointer(path)?.as_str()?.parse().ok()
    }

    fn word(&self, field: &str) -> &str {
        self.doc[field].as_str().unwrap_or_default()
    }
    fn read<T: DeserializeOwned>(&self, id: &str) -> Result<T> {
        let refused = |why: &dyn Display| reading::refused(id, Some(&self.doc), why);
        if self.doc["schema_version"].as_u64() > Some(SCHEMA_VERSION.into()) {
            return Err(refused(&"newer"));
        }
        serde_json::from_value(self.doc.clone()).map_err(|error| refused(&error))
    }
}

/// Null removes a field.
fn patch(doc: &mut Value, fields: &Value) {
    let doc = doc.as_object_mut().unwrap();
    doc.extend(fields.as_object().unwrap().clone());
    doc.retain(|name, value| !value.is_null() || fields.get(name).is_none());
}

fn key_of(record: &Record) -> (bool, String) {
    match record {
        Record::Job(id) => (true, id.to_string()),
        Record::Notice(id) => (false, id.clone()),
    }
}

#[rustfmt::skip]
impl State {
    fn next(&mut self) -> u64 { self.version += 1; self.version }
    fn rows(&mut self, of_jobs: bool) -> &mut BTreeMap<String, Row> { if of_jobs { &mut self.jobs } else { &mut self.notices } }
    /// Puts a document in place of the one that was `seen`, or where none may be.
    fn put(&mut self, of_jobs: bool, id: &str, doc: Value, seen: Option<u64>) -> bool {
        let version = self.next();
        let there = self.rows(of_jobs).get(id).map(|row| row.version);
        self.rows(of_jobs).insert(id.to_owned(), Row { doc, version });
        there == seen
    }
    /// What somebody changes of a document.
    fn change(&mut self, of_jobs: bool, id: &str, seen: u64, fields: &Value) -> bool {
        let Some(row) = self.rows(of_jobs).get(id) else { return false };
        let mut doc = row.doc.clone();
        patch(&mut doc, fields);
        self.put(of_jobs, id, doc, Some(seen))
    }
    /// Whether everything was as the write asks for; if not, this state is thrown away.
    fn apply(&mut self, write: Write<u64>) -> bool {
        match write {
            Write::CreateJob(job) => self.put(true, job.id.as_str(), json!(job), None),
            Write::ChangeJob { before, after } => self.put(true, after.id.as_str(), json!(after), Some(before.seen)),
            Write::NewRound { before, mut after } => {
                after.cancel_requested = false;
                self.put(true, after.id.as_str(), json!(after), Some(before.seen))
            }
            Write::AskToCancel { job, seen, .. } => self.change(true, job.as_str(), seen, &json!({"cancel_requested": true})),
            Write::Remember { owner, key, job, instead_of, .. } => {
                let record = KeyRecord { request_sha256: key.request_sha256, job: Some(job) };
                let version = self.next();
                self.keys.insert((owner.to_string(), key.key), (record, version)).map(|(_, seen)| seen) == instead_of
            }
            Write::CreateCallback { job, callback } => {
                let is_free = !self.callbacks.iter().any(|(id, it)| *id == job && it.intent == callback.intent);
                self.callbacks.push((job, callback));
                is_free
            }
            Write::CreateNotice(notice) => self.put(false, &notice.id, json!(notice), None),
            Write::ChangeNotice { before, after } => self.put(false, &after.id, json!(after), Some(before.seen)),
            Write::Move { owner, entry, on } => self.move_credits(owner, entry, &on),
            Write::Share { what, value, instead_of } => {
                let version = self.next();
                self.shared.insert(format!("{what:?}"), (value, version)).map(|(_, seen)| seen) == instead_of
            }
            Write::Count { owner, count, .. } => {
                for of in BTreeSet::from([None, owner]) {
                    let counts = self.counts.entry(of).or_default();
                    counts.since = Some(counts.since.unwrap_or(count.day).min(count.day));
                    for (model, sums) in &count.models {
                        let there = counts.days.entry((count.day, model.clone())).or_default();
                        sums.iter().for_each(|(name, n)| *there.entry(name.clone()).or_default() += n);
                    }
                }
                true
            }
            Write::Watch { damaged, now } => {
                let (of_jobs, id) = key_of(&damaged.record);
                let there = self.rows(of_jobs).get(&id).map(|row| row.version);
                self.watched.insert(id, (now, damaged.seen));
                there == Some(damaged.seen)
            }
            Write::Bury { damaged, now, error, released, .. } => {
                let (of_jobs, id) = key_of(&damaged.record);
                let end = if of_jobs {
                    json!({"status": Status::Failed, "error": error, "completed_at": now, "updated_at": now, "next_visit_at": null})
                } else {
                    json!({"state": DeliveryState::Undeliverable, "next_at": null})
                };
                let done = self.change(of_jobs, &id, damaged.seen, &end);
                if let Some(row) = self.jobs.get_mut(&id).filter(|_| released) {
                    row.doc["credits"]["state"] = json!(CreditState::Released);
                }
                done
            }
        }
    }
    fn move_credits(&mut self, owner: Owner, entry: CreditEntry, on: &Balance<u64>) -> bool {
        let version = self.next();
        let there = self.accounts.get(owner.as_str()).map(|(_, seen)| *seen);
        let fits = match on {
            Balance::Any => true,
            Balance::There => there.is_some(),
            Balance::As(seen) => there == Some(*seen),
        };
        let is_new = !self.entries.iter().any(|(of, it)| *of == owner && it.id == entry.id);
        let (credits, held) = entry.kind.moves(entry.amount);
        let (account, seen) = self.accounts.entry(owner.to_string()).or_default();
        account.credits += credits;
        account.credits_held += held;
        *seen = version;
        self.entries.push((owner, entry));
        fits && is_new
    }
}

#[rustfmt::skip]
impl Memory {
    pub(super) fn limited(limits: OwnerLimits) -> Self {
        Self(Arc::new(Mutex::new(State { limits, ..State::default() })))
    }
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.lock().unwrap())
    }
    fn record<T: DeserializeOwned>(row: Option<&Row>, id: &str) -> Result<Option<Loaded<Box<T>, u64>>> {
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Loaded { record: Box::new(row.read(id)?), seen: row.version }))
    }
    fn written(&self, of_jobs: bool, id: &str, fields: &Value) {
        let mut state = self.0.lock().unwrap();
        let seen = state.rows(of_jobs)[id].version;
        assert!(state.change(of_jobs, id, seen, fields));
    }
    /// Rows that have a moment under `path`, in order of that and of their ids.
    fn by_moment<T>(
        rows: &BTreeMap<String, Row>, path: &str, (before, after): (Timestamp, Option<(Timestamp, &str)>),
        limit: u32, make: impl Fn(&str, &Row, Timestamp) -> T,
    ) -> Vec<T> {
        let all = rows.iter().filter_map(|(id, row)| Some((row.moment(path)?, id.as_str(), row)));
        let mut found: Vec<_> = all
            .filter(|(at, id, _)| *at <= before && after.is_none_or(|after| (*at, *id) > after))
            .collect();
        found.sort_by_key(|(at, id, _)| (*at, *id));
        let first = found.into_iter().take(limit as usize);
        first.map(|(at, id, row)| make(id, row, at)).collect()
    }
}
#[async_trait]
#[rustfmt::skip]
impl Backend for Memory {
    type Seen = u64;
    fn limit_of(&self, owner: &Owner) -> OwnerLimit { self.look(|state| state.limits.of(owner)) }

    async fn job(&self, id: &JobId) -> Result<Option<Loaded<Box<Job>, u64>>> {
        self.look(|state| Self::record(state.jobs.get(id.as_str()), id.as_str()))
    }
    async fn notice(&self, id: &str) -> Result<Option<Loaded<Box<Notice>, u64>>> {
        self.look(|state| Self::record(state.notices.get(id), id))
    }
    async fn account_of(&self, owner: &Owner) -> Result<Option<Loaded<Account, u64>>> {
        let found = self.look(|state| state.accounts.get(owner.as_str()).copied());
        Ok(found.map(|(record, seen)| Loaded { record, seen }))
    }
    async fn key(&self, owner: &Owner, key: &str) -> Result<Option<Loaded<KeyRecord, u64>>> {
        let found = self.look(|state| state.keys.get(&(owner.to_string(), key.to_owned())).cloned());
        Ok(found.map(|(record, seen)| Loaded { record, seen }))
    }
    async fn shared(&self, what: &Shared) -> Result<Option<Loaded<Value, u64>>> {
        let found = self.look(|state| state.shared.get(&format!("{what:?}")).cloned());
        Ok(found.map(|(record, seen)| Loaded { record, seen }))
    }
    async fn has_callback(&self, job: &JobId, intent: &str) -> Result<bool> {
        Ok(self.look(|state| state.callbacks.iter().any(|(id, it)| id == job && it.intent == intent)))
    }
    async fn entry_written(&self, owner: &Owner, entry: &str) -> Result<Option<Timestamp>> {
        Ok(self.look(|state| state.entries.iter().find(|(of, it)| of == owner && it.id == entry).map(|(_, it)| it.at)))
    }
    async fn damaged(&self, record: &Record) -> Result<Option<Damaged<u64>>> {
        let (of_jobs, id) = key_of(record);
        let mut state = self.0.lock().unwrap();
        let Some(row) = state.rows(of_jobs).get(&id).cloned() else { return Ok(None) };
        match if of_jobs { row.read::<Job>(&id).map(drop) } else { row.read::<Notice>(&id).map(drop) } {
            Ok(()) => return Ok(None),
            Err(LedgerError::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
        let over = if of_jobs {
            serde_json::from_value::<Status>(row.doc["status"].clone()).is_ok_and(Status::is_ended)
        } else {
            reading::is_final(row.word("state"))
        };
        Ok(Some(Damaged {
            record: record.clone(),
            owner: row.word("owner").parse().ok(),
            is_over: over,
            since: state.watched.get(&id).filter(|(_, seen)| *seen == row.version).map(|(since, _)| *since),
            seen: row.version,
        }))
    }
    async fn commit(&self, writes: Vec<Write<u64>>) -> Result<Committed> {
        let mut state = self.0.lock().unwrap();
        let mut next = state.clone();
        if !writes.into_iter().all(|write| next.apply(write)) {
            return Ok(Committed::Conflict);
        }
        *state = next;
        Ok(Committed::Done)
    }
    async fn remove(&self, job: Loaded<Box<Job>, u64>) -> Result<Committed> {
        let mut state = self.0.lock().unwrap();
        let id = job.record.id;
        if state.jobs.get(id.as_str()).is_none_or(|row| row.version != job.seen) {
            return Ok(Committed::Conflict);
        }
        state.jobs.remove(id.as_str());
        state.callbacks.retain(|(of, _)| *of != id);
        state.keys.retain(|_, (record, _)| record.job.as_ref() != Some(&id));
        state.notices.retain(|_, row| row.word("job") != id.as_str());
        Ok(Committed::Done)
    }
    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let mut jobs: Vec<Job> = self.look(|state| state.jobs.iter().filter_map(|(id, row)| row.read(id).ok()).collect());
        jobs.retain(|job| {
            query.admits(job)
                && query.after.as_ref().is_none_or(|after| (job.created_at, &job.id) < (after.created_at, &after.id))
        });
        jobs.sort_by_key(|job| Reverse((job.created_at, job.id.clone())));
        Ok(jobs.into_iter().take(query.limit.clamp(1, 100) as usize).collect())
    }
    async fn jobs_beginning(&self, owner: Option<&Owner>, beginning: &str, limit: u32) -> Result<Vec<Job>> {
        let mut jobs: Vec<Job> = self.look(|state| state.jobs.iter().filter_map(|(id, row)| row.read(id).ok()).collect());
        jobs.retain(|job| job.id.as_str().starts_with(beginning) && owner.is_none_or(|owner| job.owner == *owner));
        jobs.sort_by_key(|job| job.id.clone());
        Ok(jobs.into_iter().take(limit as usize).collect())
    }
    async fn tally(&self, what: Tally, most: u32) -> Result<u32> {
        let (of_jobs, field, word) = match what {
            Tally::Queued => (true, "status", Status::Queued.as_str()),
            Tally::Processing | Tally::Generating => (true, "status", Status::Processing.as_str()),
            Tally::NoticesPending => (false, "state", DeliveryState::Pending.into()),
            Tally::NoticesUndeliverable => (false, "state", DeliveryState::Undeliverable.into()),
        };
        let fits = |row: &&Row| row.word(field) == word
            && (what != Tally::Generating || row.word("stage") == Stage::Generate.as_str());
        let counted = self.0.lock().unwrap().rows(of_jobs).values().filter(fits).count();
        Ok(most.min(counted as u32))
    }
    async fn counts_of(&self, owner: Option<&Owner>, from: Date, to: Date) -> Result<Counts> {
        let mut counts = self.look(|state| state.counts.get(&owner.cloned()).cloned().unwrap_or_default());
        counts.days.retain(|(day, _), _| (from..=to).contains(day));
        Ok(counts)
    }
    async fn jobs_due(&self, before: Timestamp, after: Option<&DueCursor>, limit: u32) -> Result<Vec<Due>> {
        let after = after.map(|place| (place.at, place.id.as_str()));
        Ok(self.look(|state| Self::by_moment(&state.jobs, "/next_visit_at", (before, after), limit, |id, row, at| {
            Due { id: id.parse().unwrap(), seq: row.doc["wake"]["seq"].as_u64().unwrap_or_default(), at }
        })))
    }
    async fn notices_due(&self, before: Timestamp, after: Option<&DueCursor>, limit: u32) -> Result<Vec<DueNotice>> {
        let after = after.map(|place| (place.at, place.id.as_str()));
        Ok(self.look(|state| Self::by_moment(&state.notices, "/next_at", (before, after), limit, |id, _, at| {
            DueNotice { id: id.to_owned(), at }
        })))
    }
    async fn jobs_kept(&self, what: Keeping, before: Timestamp, after: Option<&KeptSince>, limit: u32) -> Result<Vec<KeptSince>> {
        let path = match what { Keeping::Results => "/kept/results", Keeping::Generated => "/kept/generated" };
        let after = after.map(|place| (place.since, place.id.as_str()));
        Ok(self.look(|state| Self::by_moment(&state.jobs, path, (before, after), limit, |id, _, since| {
            KeptSince { since, id: id.parse().unwrap() }
        })))
    }
    async fn notices_of(&self, job: &JobId) -> Result<Vec<Notice>> {
        let of = |row: &&Row| row.word("job") == job.as_str();
        Ok(self.look(|state| state.notices.values().filter(of).filter_map(|row| row.read("").ok()).collect()))
    }
    async fn callbacks_of(&self, job: &JobId) -> Result<Vec<Callback>> {
        let all = self.look(|state| state.callbacks.clone()).into_iter();
        let mut all: Vec<_> = all.filter(|(of, _)| of == job).map(|(_, callback)| callback).collect();
        all.sort_by_key(|it| (it.received_at, it.intent.clone()));
        Ok(all.split_off(all.len().saturating_sub(filmlab::ledger::MOST_CALLBACKS)))
    }
    async fn entries_on(&self, owner: &Owner, limit: u32) -> Result<Vec<CreditEntry>> {
        let mut all: Vec<_> = self.look(|state| state.entries.iter().rev().filter(|(of, _)| of == owner).map(|(_, it)| it.clone()).collect());
        all.sort_by_key(|entry| Reverse(entry.at));
        Ok(all.into_iter().take(limit as usize).collect())
    }
    async fn entries_of(&self, owner: &Owner, job: &JobId) -> Result<Vec<CreditEntry>> {
        let of = |(whose, it): &&(Owner, CreditEntry)| whose == owner && it.job.as_ref() == Some(job);
        Ok(self.look(|state| state.entries.iter().filter(of).map(|(_, it)| it.clone()).collect()))
    }
    async fn entries_since(&self, owner: &Owner, since: Timestamp, limit: u32) -> Result<Vec<CreditEntry>> {
        let all = self.entries_on(owner, u32::MAX).await?.into_iter().rev();
        Ok(all.filter(|entry| entry.at >= since).take(limit as usize).collect())
    }
    async fn jobs_of(&self, owner: &Owner, statuses: &[Status], most: u32) -> Result<u32> {
        let fits = |row: &&Row| row.word("owner") == owner.as_str() && statuses.iter().any(|status| row.word("status") == status.as_str());
        Ok(most.min(self.look(|state| state.jobs.values().filter(fits).count()) as u32))
    }
    async fn did_native_work(&self, process: &str, _: Timestamp) -> Result<bool> {
        Ok(self.look(|state| state.jobs.values().any(|row| row.doc["native"]["process"] == process)))
    }
    async fn write_mark(&self, name: &str, now: Timestamp) -> Result<()> { let _ = self.0.lock().unwrap().marks.insert(name.to_owned(), now); Ok(()) }
    async fn remove_mark(&self, name: &str) -> Result<()> { let _ = self.0.lock().unwrap().marks.remove(name); Ok(()) }
    async fn mark_names(&self) -> Result<Vec<String>> { Ok(self.look(|state| state.marks.keys().cloned().collect())) }
    async fn remove_marks(&self, before: Timestamp) -> Result<()> { self.0.lock().unwrap().marks.retain(|_, at| *at > before); Ok(()) }
    async fn answers(&self) -> Result<()> { Ok(()) }
}
#[async_trait]
#[rustfmt::skip]
impl Others for Memory {
    async fn write(&self, job: &str, fields: Value) { self.written(true, job, &fields); }
    async fn write_notice(&self, notice: &str, fields: Value) { self.written(false, notice, &fields); }
    async fn increment(&self, owner: &str, credits: i64) {
        let mut state = self.0.lock().unwrap();
        let version = state.next();
        let (account, seen) = state.accounts.get_mut(owner).unwrap();
        account.credits += credits;
        *seen = version;
    }
}
