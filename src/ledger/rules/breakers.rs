//! How the provider does with each model. What a record becomes is said by [`Breaker`] itself.

use serde_json::json;

use super::super::Result;
use super::super::backend::{Backend, Committed, Loaded, Shared, Write};
use super::tries::Tries;
use crate::clock::whole_micros;
use crate::job::breaker::{Breaker, BreakerRules, Clearance, Turned, Verdict};
use crate::job::{JobId, Timestamp};

/// The record, if there is one. One that cannot be read is begun anew: it is a count and no
/// promise.
pub(super) async fn load<B: Backend>(
    backend: &B,
    model: &str,
) -> Result<Option<Loaded<Option<Breaker>, B::Seen>>> {
    let found = backend.shared(&Shared::Breaker(model.to_owned())).await?;
    Ok(found.map(|found| Loaded {
        record: serde_json::from_value(found.record).ok(),
        seen: found.seen,
    }))
}

pub(super) async fn ask<B: Backend>(
    backend: &B,
    model: &str,
    job: &JobId,
    now: Timestamp,
    rules: &BreakerRules,
) -> Result<Clearance> {
    let now = whole_micros(now);
    change(backend, model, now, |breaker| {
        breaker.ask(job.as_str(), now, rules)
    })
    .await
}

pub(super) async fn note<B: Backend>(
    backend: &B,
    model: &str,
    job: &JobId,
    verdict: Verdict,
    now: Timestamp,
    rules: &BreakerRules,
) -> Result<Option<Turned>> {
    let now = whole_micros(now);
    change(backend, model, now, |breaker| {
        breaker.note(job.as_str(), verdict, now, rules)
    })
    .await
}

/// What `edit` says of the record, once what it made of it is written; nothing is where it
/// changed nothing.
async fn change<B: Backend, T: Send>(
    backend: &B,
    model: &str,
    now: Timestamp,
    edit: impl Fn(&mut Breaker) -> T + Send,
) -> Result<T> {
    let mut tries = Tries::default();
    loop {
        let (before, instead_of) = match load(backend, model).await? {
            Some(Loaded { record, seen }) => (record, Some(seen)),
            None => (None, None),
        };
        let before = before.unwrap_or_else(|| Breaker::new(model, now));
        let mut after = before.clone();
        let said = edit(&mut after);
        if after == before {
            return Ok(said);
        }
        let write = Write::Share {
            what: Shared::Breaker(model.to_owned()),
            value: json!(after),
            instead_of,
        };
        if backend.commit(vec![write]).await? == Committed::Done {
            return Ok(said);
        }
        tries.again().await?;
    }
}
