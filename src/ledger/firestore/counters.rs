//! Sums of what ended: a document for each day and owner, and for everybody [`SHARDS`] a day.

use gcloud_sdk::google::firestore::v1::Write;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use jiff::civil::Date;
use serde_json::Value;

use super::super::{Counts, Result};
use super::difference::joined;
use super::paths::{COUNTERS, DocumentPath};
use super::store::{Found, NAME, Scan, Store};
use super::values;
use super::writes::{Only, increment};
use crate::job::{Count, JobId, Owner};

/// A document takes about one write a second for long. More of them are more reads of each chart:
/// 14 days of five are 70 documents.
const SHARDS: u32 = 5;
const MODELS: &str = "models";

/// The writes that add it, wherever the sums stand. A document that is not there begins with it.
pub(super) fn raise(
    store: &Store,
    job: &JobId,
    owner: Option<&Owner>,
    count: &Count,
) -> Vec<Write> {
    let root = store.root();
    let mut sums = Vec::new();
    for (model, of_model) in &count.models {
        for (name, number) in of_model {
            let path = [MODELS.to_owned(), model.clone(), name.clone()];
            sums.push((joined(&path), i64::try_from(*number).unwrap_or(i64::MAX)));
        }
    }
    let by: Vec<(&str, i64)> = sums.iter().map(|(path, n)| (path.as_str(), *n)).collect();
    let (day, shard) = (count.day, shard(job));
    let mut places = vec![DocumentPath::counter(root, None, &format!("{day}:{shard}"))];
    if owner.is_some() {
        places.push(DocumentPath::counter(root, owner, &day.to_string()));
    }
    let raise = |place: &DocumentPath| increment(place, &by, Only::Always);
    places.iter().map(raise).collect()
}

fn shard(job: &JobId) -> u32 {
    let mix = |sum: u32, byte: u8| sum.wrapping_mul(31).wrapping_add(byte.into());
    job.as_str().bytes().fold(0, mix) % SHARDS
}

pub(super) async fn read(
    store: &Store,
    owner: Option<&Owner>,
    from: Date,
    to: Date,
) -> Result<Counts> {
    let root = store.root();
    let user = owner.map(|owner| DocumentPath::user(root, owner));
    let all = || Scan {
        under: user.as_ref(),
        ..Scan::over(COUNTERS, NAME)
    };
    let place = |id: String| {
        let name = DocumentPath::counter(root, owner, &id).name();
        Some(values::of(ValueType::ReferenceValue(name)))
    };
    let span = Scan {
        at_least: place(from.to_string()),
        // Behind all that begins with the day.
        at_most: place(format!("{to};")),
        ..all()
    };
    let (first, found) = tokio::try_join!(
        store.scan(all(), 1, |found| day(&found)),
        store.scan(span, usize::MAX, Some),
    )?;
    let mut counts = Counts {
        since: first.first().copied(),
        ..Counts::default()
    };
    for document in &found {
        if let Some(day) = day(document) {
            add(&mut counts, day, document);
        }
    }
    Ok(counts)
}

fn day(found: &Found) -> Option<Date> {
    found.id.split(':').next()?.parse().ok()
}

fn add(counts: &mut Counts, day: Date, found: &Found) {
    let mut fields = values::object(&found.fields);
    let Some(Value::Object(models)) = fields.remove(MODELS) else {
        return;
    };
    for (model, sums) in models {
        for (name, sum) in sums.as_object().into_iter().flatten() {
            if let Some(sum) = sum.as_u64() {
                counts.add(day, &model, name.clone(), sum);
            }
        }
    }
}
