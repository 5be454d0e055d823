//! What is kept for a while, and since when.

use super::super::{KeptSince, Result};
use super::documents;
use super::owner::load;
use super::paths::{DocumentPath, JOBS};
use super::store::{Committed, Scan, Store, Tries};
use super::values;
use crate::clock::whole_micros;
use crate::job::{JobId, Keeping, Timestamp};

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

pub(super) async fn forget(
    store: &Store,
    id: &JobId,
    what: Keeping,
    round: u32,
    now: Timestamp,
) -> Result<bool> {
    let now = whole_micros(now);
    let mut tries = Tries::default();
    loop {
        let Some(read) = load(store, id).await? else {
            return Ok(false);
        };
        let mut job = read.job.clone();
        if !job.forget(what, round, now) {
            return Ok(false);
        }
        if store.commit(vec![read.to(&job)?]).await? == Committed::Done {
            return Ok(true);
        }
        tries.again().await?;
    }
}
