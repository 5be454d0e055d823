//! Notices that wait for their delivery.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::{DueNotice, DuePlace, MOST_NOTICES, Result};
use super::documents::{self, Difference};
use super::paths::{DocumentPath, OUTBOX};
use super::store::{Committed, Found, NAME, Scan, Store, Tries};
use super::values;
use super::writes::{self, Only};
use crate::clock::whole_micros;
use crate::job::{JobId, Notification, Timestamp, notification::DeliveryState};

pub(super) async fn load(store: &Store, id: &str) -> Result<Option<Notification>> {
    let found = store.get(&DocumentPath::notice(store.root(), id)).await?;
    found.as_ref().map(documents::notice).transpose()
}

pub(super) fn create(store: &Store, notice: &Notification) -> Result<Write> {
    let place = DocumentPath::notice(store.root(), &notice.id);
    Ok(writes::create(&place, documents::of_notice(notice)?))
}

pub(super) async fn due(
    store: &Store,
    before: Timestamp,
    after: Option<&DuePlace>,
    limit: u32,
) -> Result<Vec<DueNotice>> {
    let scan = Scan {
        at_most: Some(values::moment(before)),
        // This one alone, as for jobs.
        fields: Some(&["next_at"]),
        after: after.map(|place| {
            let document = DocumentPath::notice(store.root(), &place.id);
            (values::moment(place.at), document.name())
        }),
        ..Scan::over(OUTBOX, "next_at")
    };
    store
        .scan(scan, limit as usize, |found| {
            let at = documents::due_since(&found, "next_at")?;
            Some(DueNotice { id: found.id, at })
        })
        .await
}

/// The documents of a job's notices, readable or not, each as `read` wants it.
pub(super) async fn documents_of<T>(
    store: &Store,
    job: &JobId,
    read: impl FnMut(Found) -> Option<T> + Send,
) -> Result<Vec<T>> {
    let scan = Scan {
        equal: vec![("job", values::text(job.as_str()))],
        ..Scan::over(OUTBOX, NAME)
    };
    store.scan(scan, usize::MAX, read).await
}

pub(super) async fn of_job(store: &Store, job: &JobId) -> Result<Vec<Notification>> {
    let mut notices: Vec<Notification> = Vec::new();
    let collect = |found: Found| {
        match documents::notice(&found) {
            Ok(notice) => notices.push(notice),
            Err(error) => tracing::warn!(notification = found.id, %error, "a notice is not listed"),
        }
        // Names are not in the order of rounds; memory stays bounded all the same.
        if notices.len() >= 2 * MOST_NOTICES {
            keep_newest(&mut notices);
        }
        None::<()>
    };
    documents_of(store, job, collect).await?;
    keep_newest(&mut notices);
    Ok(notices)
}

/// Sorts by round, and leaves out the oldest ones of too many.
fn keep_newest(notices: &mut Vec<Notification>) {
    notices.sort_by_key(Notification::round);
    let old = notices.len().saturating_sub(MOST_NOTICES);
    notices.drain(..old);
}

pub(super) async fn replan(
    store: &Store,
    id: &str,
    seen: u32,
    at: Option<Timestamp>,
) -> Result<Option<Notification>> {
    let place = DocumentPath::notice(store.root(), id);
    let mut tries = Tries::default();
    loop {
        let Some(found) = store.get(&place).await? else {
            return Ok(None);
        };
        let mut notice = documents::notice(&found)?;
        if !notice.replan(seen, at.map(whole_micros)) {
            return Ok(None);
        }
        let mut change = Difference::default();
        change.set(&["wake"], values::integer(notice.wake.into()));
        if let Some(at) = at {
            change.set(&["next_at"], values::moment(at));
        }
        let write = change.into_write(&place, Only::If(found.version));
        if store.commit(vec![write]).await? == Committed::Done {
            return Ok(Some(notice));
        }
        tries.again().await?;
    }
}

pub(super) async fn replay(
    store: &Store,
    id: &str,
    now: Timestamp,
) -> Result<Option<Notification>> {
    let place = DocumentPath::notice(store.root(), id);
    let mut tries = Tries::default();
    loop {
        let Some(found) = store.get(&place).await? else {
            return Ok(None);
        };
        let mut notice = documents::notice(&found)?;
        notice.replay(whole_micros(now));
        let mut change = Difference::default();
        change.set(&["state"], values::text(<&'static str>::from(notice.state)));
        change.set(&["next_at"], values::moment(whole_micros(now)));
        change.set(&["replays"], values::integer(notice.replays.into()));
        change.set(
            &["replayed_after"],
            values::integer(notice.replayed_after.into()),
        );
        let write = change.into_write(&place, Only::If(found.version));
        if store.commit(vec![write]).await? == Committed::Done {
            return Ok(Some(notice));
        }
        tries.again().await?;
    }
}

pub(super) async fn record_delivery(
    store: &Store,
    id: &str,
    state: DeliveryState,
    next_at: Option<Timestamp>,
    error: Option<&str>,
) -> Result<()> {
    let place = DocumentPath::notice(store.root(), id);
    let next_at = next_at
        .filter(|_| state == DeliveryState::Pending)
        .map(whole_micros);
    let mut tries = Tries::default();
    loop {
        let Some(found) = store.get(&place).await? else {
            return Ok(());
        };
        let notice = documents::notice(&found)?;
        if notice.state == DeliveryState::Delivered {
            return Ok(());
        }
        let mut change = Difference::default();
        change.set(&["state"], values::text(<&'static str>::from(state)));
        let deliveries = notice.deliveries.saturating_add(1);
        change.set(&["deliveries"], values::integer(deliveries.into()));
        match next_at {
            Some(at) => change.set(&["next_at"], values::moment(at)),
            None => change.remove(&["next_at"]),
        }
        match error {
            Some(error) => change.set(&["last_error"], values::text(error)),
            None => change.remove(&["last_error"]),
        }
        let write = change.into_write(&place, Only::If(found.version));
        if store.commit(vec![write]).await? == Committed::Done {
            return Ok(());
        }
        tries.again().await?;
    }
}
