//! Streams the provider's output into our own store at once: a paid video is never lost again.

use url::Url;

use super::super::context::{Context, Halt, Step};
use crate::job::{Change, Code, Failure, Generated, Job, OrFailure as _, Progress, Stage};
use crate::provider::ProviderError;

/// The generated file within a visit's folder.
pub(super) const GENERATED_FILE: &str = "generated.mp4";

pub(super) async fn run(context: &Context<'_>, job: Job) -> Result<Step, Halt> {
    let url = job.provider.output_url.as_deref().unwrap_or_default();
    let url: Url = url.parse().abort(Code::ProviderProtocol)?;
    context.writer.progress(Progress::within(Stage::Fetch, 0.0));
    let file = context.folder().join(GENERATED_FILE);
    let max_bytes = context.settings().limits.max_bytes;
    let download = context.services.provider.download(&url, &file, max_bytes);
    match context.interruptible(download).await? {
        Ok(_) => {}
        Err(ProviderError::NotFound { message }) => {
            // The output is gone: only a new prediction brings one.
            context.writer.record(&Change::PredictionLost).await?;
            return Err(
                Failure::new(Code::DownloadFailed, "The provider's output is gone.")
                    .because(message)
                    .into(),
            );
        }
        Err(ProviderError::TooLarge { limit }) => {
            let message = format!("The provider's output has more than {limit} bytes.");
            return Err(Failure::new(Code::InputTooLarge, message)
                .by(crate::job::Party::Provider)
                .into());
        }
        Err(ProviderError::File(error)) => {
            return Err(
                Failure::new(Code::OutputUnwritable, Code::OutputUnwritable.about())
                    .because(error)
                    .into(),
            );
        }
        Err(error) => {
            return Err(
                Failure::new(Code::DownloadFailed, Code::DownloadFailed.about())
                    .because(error)
                    .into(),
            );
        }
    }
    let object = format!("{}/generated.mp4", job.folder("work"));
    let put = context
        .services
        .storage
        .put_file(&file, &object, "video/mp4");
    let bytes = context
        .interruptible(put)
        .await?
        .retry(Code::StorageUnavailable)?;
    context
        .writer
        .record(&Change::Fetched(Generated { object, bytes }))
        .await?;
    Ok(Step::Next)
}
