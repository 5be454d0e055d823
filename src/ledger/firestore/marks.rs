//! Marks: documents that are written to see whether anything can be, or that something happened
//! lately.

use super::super::Result;
use super::paths::{DocumentPath, MARKS};
use super::store::{Scan, Store};
use super::values::{self, Fields};
use super::writes::{Only, delete, update};
use crate::clock::whole_micros;
use crate::job::Timestamp;

/// Marks that are listed.
const MOST: usize = 500;
/// Marks removed at once: those of processes that died within a day are fewer.
const OLD: usize = 200;

pub(super) async fn mark(store: &Store, name: &str, now: Timestamp) -> Result<()> {
    let place = DocumentPath::mark(store.root(), name);
    let fields = Fields::from([("at".to_owned(), values::moment(whole_micros(now)))]);
    // Nobody else writes it: a conflict cannot be, and would be no sign that nothing can be
    // written.
    let write = update(&place, fields, vec!["at".to_owned()], Only::Always);
    store.commit(vec![write]).await.map(drop)
}

pub(super) async fn unmark(store: &Store, name: &str) -> Result<()> {
    let place = DocumentPath::mark(store.root(), name);
    let commit = store.commit(vec![delete(&place, Only::Always)]).await;
    commit.map(drop)
}

/// The newest ones.
pub(super) async fn marks(store: &Store) -> Result<Vec<String>> {
    let scan = Scan {
        newest_first: true,
        ..Scan::over(MARKS, "at")
    };
    store.scan(scan, MOST, |found| Some(found.id)).await
}

pub(super) async fn unmark_old(store: &Store, before: Timestamp) -> Result<()> {
    let scan = Scan {
        at_most: Some(values::moment(before)),
        ..Scan::over(MARKS, "at")
    };
    let old = store.scan(scan, OLD, |found| Some(found.id)).await?;
    let deletes: Vec<_> = old
        .iter()
        .map(|name| delete(&DocumentPath::mark(store.root(), name), Only::Always))
        .collect();
    if deletes.is_empty() {
        return Ok(());
    }
    store.commit(deletes).await.map(drop)
}
