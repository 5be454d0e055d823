//! Streams the provider's output into our own store at once: a paid video is never lost again.

use std::io;

use futures::TryStreamExt as _;
use url::Url;

use super::super::context::{Context, Halt, Step};
use super::super::objects::passed_through;
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
        Ok(bytes) => {
            context
                .writer
                .record(&Change::Fetched(Generated { object, bytes }))
                .await?;
            Ok(Step::Next)
        }
        Err(NotFetched::Provider(ProviderError::NotFound { message })) => {
            // The output is gone: only a new prediction brings one.
            context.writer.record(&Change::PredictionLost).await?;
            let failure = Failure::new(Code::DownloadFailed, "The provider's output is gone.");
            Err(failure.because(message).into())
        }
        Err(NotFetched::Provider(ProviderError::TooLarge { limit })) => {
            let message = format!("The provider's output has more than {limit} bytes.");
            Err(Failure::new(Code::InputTooLarge, message)
                .by(Party::Provider)
                .into())
        }
        Err(NotFetched::Provider(error)) => {
            let failure = Failure::new(Code::DownloadFailed, Code::DownloadFailed.about());
            Err(failure.because(error).into())
        }
        Err(NotFetched::Storage(error)) => {
            let failure = Failure::new(Code::StorageUnavailable, Code::StorageUnavailable.about());
            Err(failure.because(error).into())
        }
    }
}

enum NotFetched {
    Provider(ProviderError),
    Storage(StorageError),
}

/// Nothing stands under the object's name unless all of the output came.
async fn transfer(context: &Context<'_>, url: &Url, object: &str) -> Result<u64, NotFetched> {
    let max_bytes = context.settings().limits.max_bytes;
    let output = context
        .services
        .provider
        .download(url, max_bytes)
        .await
        .map_err(NotFetched::Provider)?;
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
