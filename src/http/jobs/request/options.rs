//! What the smaller requests may say; their bodies may be left out.

use std::time::Duration;

use serde_json::{Value, json};

use super::rules::UNKNOWN;
use crate::fields::{Bounds, Described, Fault, Field, Json, Object, Whole, object_schema};

pub(super) type Seconds = Whole<u64>;

/// A job shorter than this could not even be polled; one longer than a day outlives its uploads
/// at the provider.
const DEADLINE_S: Bounds<u64> = Bounds::Within(10, 86_400);

pub(super) fn deadline() -> Field<Seconds> {
    Field::optional(
        "deadline_s",
        Whole(DEADLINE_S),
        "Seconds from now after which the job fails if it has not ended. Default: \
         `server.default_deadline`, two hours.",
    )
}

pub(super) fn links_fields(longest: Duration) -> Field<Seconds> {
    Field::optional(
        "ttl_s",
        Whole(Bounds::Within(1, longest.as_secs())),
        "Seconds that they open; `links.ttl` by default.",
    )
}

pub(super) fn replay_fields() -> Field<Whole<u32>> {
    Field::optional(
        "round",
        Whole(Bounds::Within(1, u32::MAX)),
        "Which round's; the last one's by default.",
    )
}

pub(super) fn schema(field: &dyn Described) -> Value {
    let mut schema = object_schema(&[field]);
    schema["type"] = json!(["object", "null"]);
    schema
}

/// The one field of a body.
fn read<F>(body: &Value, field: &Field<F>) -> Result<Option<F::Value>, Vec<Fault>>
where
    F: Json + Sync,
{
    let mut faults = Vec::new();
    if body.is_null() {
        return Ok(None);
    }
    let value = Object::read(body, "", &mut faults).and_then(|body| {
        body.only(&[field], UNKNOWN, &mut faults);
        body.field(field, &mut faults)
    });
    match faults.is_empty() {
        true => Ok(value),
        false => Err(faults),
    }
}

/// What another round is asked for with: its deadline.
pub(in crate::http::jobs) fn read_retry(body: &Value) -> Result<Option<Duration>, Vec<Fault>> {
    Ok(read(body, &deadline())?.map(Duration::from_secs))
}

/// What links are asked for with: how long they open, at most `longest`.
pub(in crate::http::jobs) fn read_links(
    body: &Value,
    longest: Duration,
) -> Result<Option<Duration>, Vec<Fault>> {
    Ok(read(body, &links_fields(longest))?.map(Duration::from_secs))
}

/// What a notice is asked for with: its round.
pub(in crate::http::jobs) fn read_replay(body: &Value) -> Result<Option<u32>, Vec<Fault>> {
    read(body, &replay_fields())
}
