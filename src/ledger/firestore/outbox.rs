//! Notices that wait for their delivery.

use super::super::rules::outbox::keep_newest;
use super::super::{DueCursor, DueNotice, MOST_NOTICES, Result};
use super::documents;
use super::paths::{DocumentPath, OUTBOX};
use super::store::{Found, NAME, Scan, Store};
use super::values;
use crate::job::{JobId, Notice, Timestamp};

pub(super) async fn due(
    store: &Store,
    before: Timestamp,
    after: Option<&DueCursor>,
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

pub(super) async fn of_job(store: &Store, job: &JobId) -> Result<Vec<Notice>> {
    let mut notices: Vec<Notice> = Vec::new();
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
    Ok(notices)
}
