//! Streams the provider's output into our own store at once: a paid video is never lost again.

use std::io;
use std::time::Duration;

use futures::TryStreamExt as _;
use url::Url;

use super::super::context::Context;
use super::super::failures::unavailable;
use super::super::halt::{Halt, Step};
use super::super::objects::passed_through;
use super::generate;
use crate::job::{Change, Code, Failure, Generated, Job, OrFailure as _, Party, Progress, Stage};
use crate::provider::ProviderError;
use crate::storage::{Destination, StorageError};

pub(super) async fn run(context: &Context<'_>, job: Job) -> Result<Step, Halt> {
    let url = job.provider.output_url.as_deref().unwrap_or_default();
    let url: Url = url.parse().abort(Code::ProviderProtocol)?;
    context.writer.progress(Progress::within(Stage::Fetch, 0.0));
    let object = format!("{}/generated.mp4", job.folder("work"));
    match context
        .interruptible(transfer(context, &url, &object))
        .await?
    {
        Ok(bytes) => Ok(Step::done(Change::Fetched(Generated { object, bytes }))),
        Err(NotFetched::Provider(
            error @ (ProviderError::NotFound { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::Busy { .. }),
        )) => closed(context, &job, error).await,
        Err(
            NotFetched::Provider(ProviderError::TooLarge { limit })
            | NotFetched::Storage(StorageError::TooLarge { limit }),
        ) => {
            let message = format!("The provider's output has more than {limit} bytes.");
            Err(Failure::new(Code::InputTooLarge, message)
                .by(Party::Provider)
                .into())
        }
        Err(NotFetched::Provider(error)) => {
            let failure = Failure::new(Code::DownloadFailed, Code::DownloadFailed.about());
            Err(failure.because(error).into())
        }
        Err(NotFetched::Storage(error)) => Err(unavailable(error).into()),
    }
}

/// The address does not open. What lies there is paid for, and asking for a fresh address is
/// free: that is done, to the deadline, and uses no attempt.
async fn closed(context: &Context<'_>, job: &Job, error: ProviderError) -> Result<Step, Halt> {
    let text = match &error {
        ProviderError::NotFound { .. } => "The provider's output does not open at its address.",
        _ => Code::DownloadFailed.about(),
    };
    let asked = match &error {
        ProviderError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let pause = generate::growing(context, job.provider.closed_addresses).max(asked);
    let at = context.now();
    context.writer.record(&Change::AddressClosed { at }).await?;
    Ok(Step::wait(
        context.after(pause),
        Failure::new(Code::DownloadFailed, text).because(error),
    ))
}

enum NotFetched {
    Provider(ProviderError),
    Storage(StorageError),
}

/// Nothing stands under the object's name unless all of the output came.
async fn transfer(context: &Context<'_>, url: &Url, object: &str) -> Result<u64, NotFetched> {
    let max_bytes = context.settings().limits.max_bytes;
    let begun = context.services.provider.download(url, max_bytes);
    let begun = context.awaited.during(Code::DownloadFailed, begun).await;
    let output = begun.map_err(NotFetched::Provider)?;
    let output = context.awaited.each(Code::DownloadFailed, output);
    let note = format!("{object}{}", crate::storage::UPLOAD_NOTE);
    let to = Destination {
        content_type: Some("video/mp4"),
        journal: Some(&note),
        ..Destination::new(object)
    };
    let stored =
        context
            .services
            .storage
            .put_stream_to(output.map_err(io::Error::other), to, max_bytes);
    stored.await.map_err(|error| match passed_through(error) {
        Ok(error) => NotFetched::Provider(error),
        Err(error) => NotFetched::Storage(error),
    })
}
