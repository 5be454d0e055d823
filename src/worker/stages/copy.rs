//! Our own copy of what lies behind an address.

use std::io;

use futures::TryStreamExt as _;
use url::Url;

use super::super::context::Context;
use super::super::failures::{fetch_failure, stored_failure, unavailable};
use super::super::halt::Halt;
use super::super::objects::passed_through;
use crate::job::{Code, Job};
use crate::storage::{Destination, StorageError, UPLOAD_NOTE};

/// Streams what lies behind an address into our store.
pub(super) async fn copy(
    context: &Context<'_>,
    job: &Job,
    url: &Url,
    object: &str,
    role: &str,
    max_bytes: u64,
) -> Result<(), Halt> {
    let _place = context.fetching().await?;
    let fetch = context.services.fetcher.fetch(url, max_bytes);
    let fetch = context.awaited.during(Code::SourceUnreachable, fetch);
    let fetched = context.interruptible(fetch).await?;
    let body = fetched.map_err(|error| fetch_failure(error, role))?;
    let note = format!("{}/{role}{UPLOAD_NOTE}", job.folder("work"));
    let to = Destination {
        content_type: Some("application/octet-stream"),
        journal: Some(&note),
        ..Destination::new(object)
    };
    let body = context.awaited.each(Code::SourceUnreachable, body);
    let body = body.map_err(io::Error::other);
    let storage = &context.services.storage;
    let put = storage.put_stream_to(body, to, max_bytes);
    match context.interruptible(put).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(match passed_through(error) {
            Ok(error) => fetch_failure(error, role),
            Err(error @ StorageError::TooLarge { .. }) => stored_failure(error, object),
            Err(error) => unavailable(error),
        }
        .into()),
    }
}
