//! Notices that wait for their delivery.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::Result;
use super::documents::{self, Difference};
use super::places::{OUTBOX, Place};
use super::store::{Committed, Found, NAME, Scan, Store, Tries};
use super::values;
use super::writes::{self, Only};
use crate::clock::whole_micros;
use crate::job::{JobId, Notification, Timestamp, notification::DeliveryState};

pub(super) async fn load(store: &Store, id: &str) -> Result<Option<Notification>> {
    let found = store.get(&Place::notice(store.root(), id)).await?;
    found.as_ref().map(documents::notice).transpose()
}

pub(super) fn create(store: &Store, notice: &Notification) -> Result<Write> {
    let place = Place::notice(store.root(), &notice.id);
    Ok(writes::create(&place, documents::of_notice(notice)?))
}

pub(super) async fn due(store: &Store, before: Timestamp, limit: u32) -> Result<Vec<Notification>> {
    let scan = Scan {
        at_most: Some(values::moment(before)),
        ..Scan::over(OUTBOX, "next_at")
    };
    store
        .scan(scan, limit as usize, |found| readable(&found))
        .await
}

/// One bad notice must not keep the others from being delivered.
fn readable(found: &Found) -> Option<Notification> {
    documents::notice(found)
        .inspect_err(
            |error| tracing::error!(notification = found.id, %error, "a notice cannot be read"),
        )
        .ok()
}

/// The documents of a job's notices, readable or not.
pub(super) async fn documents_of(store: &Store, job: &JobId) -> Result<Vec<Found>> {
    let scan = Scan {
        equal: vec![("job", values::text(job.as_str()))],
        ..Scan::over(OUTBOX, NAME)
    };
    store.scan(scan, MOST_NOTICES, Some).await
}

/// One a round; nobody retries a job so often.
const MOST_NOTICES: usize = 400;

pub(super) async fn of_job(store: &Store, job: &JobId) -> Result<Vec<Notification>> {
    let found = documents_of(store, job).await?;
    let mut notices: Vec<_> = found.iter().filter_map(readable).collect();
    notices.sort_by_key(Notification::round);
    Ok(notices)
}

pub(super) async fn replay(
    store: &Store,
    id: &str,
    now: Timestamp,
) -> Result<Option<Notification>> {
    let place = Place::notice(store.root(), id);
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
    let place = Place::notice(store.root(), id);
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
