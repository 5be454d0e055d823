//! What the provider's callbacks said.

use super::super::{Callback, MOST_CALLBACKS, Result};
use super::paths::{CALLBACKS, DocumentPath};
use super::store::{Found, Scan, Store};
use super::values::{self, Fields};
use crate::job::JobId;

pub(super) fn fields(callback: &Callback) -> Fields {
    Fields::from([
        ("intent".into(), values::text(&callback.intent)),
        (
            "prediction_id".into(),
            values::text(&callback.prediction_id),
        ),
        ("received_at".into(), values::moment(callback.received_at)),
    ])
}

pub(super) async fn of_job(store: &Store, id: &JobId) -> Result<Vec<Callback>> {
    let scan = Scan {
        under: Some(&DocumentPath::job(store.root(), id)),
        newest_first: true,
        ..Scan::over(CALLBACKS, "received_at")
    };
    let mut found = store
        .scan(scan, MOST_CALLBACKS, |found| callback(&found))
        .await?;
    found.reverse();
    Ok(found)
}

fn callback(found: &Found) -> Option<Callback> {
    let fields = serde_json::Value::Object(values::object(&found.fields));
    let read = serde_json::from_value::<Callback>(fields);
    if let Err(error) = &read {
        tracing::error!(intent = found.id, %error, "a callback cannot be read");
    }
    read.ok()
}
