//! Who has to be looked at, and what there is.

use gcloud_sdk::google::firestore::v1::value::ValueType;

use super::super::{Due, DueCursor, JobQuery, KeptSince, Result, Tally};
use super::documents;
use super::paths::{DocumentPath, JOBS, OUTBOX};
use super::store::{Found, NAME, Scan, Store};
use super::values;
use crate::job::notice::DeliveryState;
use crate::job::{Code, Job, JobId, Keeping, Kind, Owner, Stage, Status, Timestamp};

pub(super) async fn list(store: &Store, query: &JobQuery) -> Result<Vec<Job>> {
    let after = query.after.as_ref().map(|token| {
        let name = DocumentPath::job(store.root(), &token.id).name();
        (values::moment(token.created_at), name)
    });
    let equal = [
        ("owner", query.owner.as_ref().map(Owner::as_str)),
        ("status", query.status.map(Status::as_str)),
        ("kind", query.kind.map(Kind::as_str)),
        ("provider.model", query.model.as_deref()),
        ("error.code", query.code.map(Code::as_str)),
    ];
    let equal = equal
        .into_iter()
        .filter_map(|(field, value)| Some((field, values::text(value?))));
    let scan = Scan {
        equal: equal.collect(),
        contains: query.tag.as_ref().map(|tag| ("tags", values::text(tag))),
        at_least: query.created_after.map(values::moment),
        below: query.created_before.map(values::moment),
        newest_first: true,
        after,
        ..Scan::over(JOBS, "created_at")
    };
    let limit = query.limit.clamp(1, 100) as usize;
    store.scan(scan, limit, |found| listed(&found)).await
}

/// Nothing where the job cannot be read: a list does without it.
fn listed(found: &Found) -> Option<Job> {
    documents::job(found)
        .inspect_err(|error| {
            tracing::warn!(job = found.id, %error, "a job that cannot be read is not listed");
        })
        .ok()
}

pub(super) async fn beginning(
    store: &Store,
    owner: Option<&Owner>,
    beginning: &str,
    limit: u32,
) -> Result<Vec<Job>> {
    let named = |id: &str| {
        let name = DocumentPath::document(store.root(), JOBS, id).name();
        values::of(ValueType::ReferenceValue(name))
    };
    let owner = owner.map(|owner| ("owner", values::text(owner.as_str())));
    let scan = Scan {
        equal: owner.into_iter().collect(),
        at_least: Some(named(beginning)),
        below: Some(named(&format!("{beginning}{}", JobId::BEHIND))),
        ..Scan::over(JOBS, NAME)
    };
    // Those that cannot be read count: no more are read for them.
    let found = store.scan(scan, limit as usize, |found| Some(listed(&found)));
    Ok(found.await?.into_iter().flatten().collect())
}

pub(super) async fn count(store: &Store, what: Tally, most: u32) -> Result<u32> {
    let processing = ("status", Status::Processing.as_str());
    let (collection, equal) = match what {
        Tally::Queued => (JOBS, vec![("status", Status::Queued.as_str())]),
        Tally::Processing => (JOBS, vec![processing]),
        Tally::Generating => (JOBS, vec![processing, ("stage", Stage::Generate.as_str())]),
        Tally::NoticesPending => (OUTBOX, vec![("state", DeliveryState::Pending.into())]),
        Tally::NoticesUndeliverable => {
            (OUTBOX, vec![("state", DeliveryState::Undeliverable.into())])
        }
    };
    let equal = equal
        .into_iter()
        .map(|(field, value)| (field, values::text(value)));
    store.count(collection, equal.collect(), None, most).await
}

pub(super) async fn jobs_of(
    store: &Store,
    owner: &Owner,
    statuses: &[Status],
    most: u32,
) -> Result<u32> {
    let statuses = statuses.iter().map(|status| values::text(status.as_str()));
    let own = vec![("owner", values::text(owner.as_str()))];
    let any = Some(("status", statuses.collect()));
    store.count(JOBS, own, any, most).await
}

pub(super) async fn due(
    store: &Store,
    before: Timestamp,
    after: Option<&DueCursor>,
    limit: u32,
) -> Result<Vec<Due>> {
    let scan = Scan {
        at_most: Some(values::moment(before)),
        // These two alone: a document that cannot be read is due like any other.
        fields: Some(&["next_visit_at", "wake.seq"]),
        after: after.map(|place| {
            let document = DocumentPath::document(store.root(), JOBS, &place.id);
            (values::moment(place.at), document.name())
        }),
        ..Scan::over(JOBS, "next_visit_at")
    };
    store
        .scan(scan, limit as usize, |found| {
            Some(Due {
                id: documents::job_id(&found)?,
                seq: documents::wake_seq(&found),
                at: documents::due_since(&found, "next_visit_at")?,
            })
        })
        .await
}

pub(super) async fn kept(
    store: &Store,
    what: Keeping,
    before: Timestamp,
    after: Option<&KeptSince>,
    limit: u32,
) -> Result<Vec<KeptSince>> {
    let (order, fields): (_, &[&str]) = match what {
        Keeping::Results => ("kept.results", &["kept.results"]),
        Keeping::Generated => ("kept.generated", &["kept.generated"]),
    };
    let scan = Scan {
        at_most: Some(values::moment(before)),
        fields: Some(fields),
        after: after.map(|after| {
            let name = DocumentPath::job(store.root(), &after.id).name();
            (values::moment(after.since), name)
        }),
        ..Scan::over(JOBS, order)
    };
    store
        .scan(scan, limit as usize, |found| {
            Some(KeptSince {
                since: found.moment(order)?,
                id: documents::job_id(&found)?,
            })
        })
        .await
}

pub(super) async fn did_native_work(store: &Store, process: &str) -> Result<bool> {
    let named = vec![("native.process", values::text(process))];
    Ok(store.count(JOBS, named, None, 1).await? > 0)
}
