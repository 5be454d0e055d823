//! Notices that wait for their delivery.

use gcloud_sdk::google::firestore::v1::Write;

use super::super::Result;
use super::documents::{self, Difference};
use super::places::{OUTBOX, Place};
use super::store::{Committed, Scan, Store, Tries};
use super::values;
use super::writes::{self, Only};
use crate::clock::whole_micros;
use crate::job::{Notification, Timestamp, notification::DeliveryState};

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
        under: None,
        collection: OUTBOX,
        equal: Vec::new(),
        at_most: Some(values::moment(before)),
        order: "next_at",
        newest_first: false,
        fields: None,
        after: None,
    };
    store
        .scan(scan, limit as usize, |found| {
            match documents::notice(&found) {
                Ok(notice) => Some(notice),
                // One bad notice must not keep the others from being delivered.
                Err(error) => {
                    tracing::error!(notification = found.id, %error, "a notice cannot be read");
                    None
                }
            }
        })
        .await
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
