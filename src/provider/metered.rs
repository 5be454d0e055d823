//! Counts what is asked of a provider, and what comes of it.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use url::Url;

use super::{
    Download, Model, PredictionInfo, Price, Provider, ProviderError, Submission, SubmitError,
    UploadBody,
};
use crate::job::Kind;
use crate::telemetry::metrics::provider_called;
use crate::telemetry::spans;

/// A provider whose calls are counted.
#[derive(Debug)]
pub struct Metered<P>(pub P);

/// Counts a call; also one of an adapter's own, which the port does not have.
pub fn counted<T>(
    call: &'static str,
    result: Result<T, ProviderError>,
) -> Result<T, ProviderError> {
    provider_called(call, result.as_ref().err().map_or("ok", failure));
    result
}

/// Counts and traces a call.
async fn asked<T>(
    call: &'static str,
    answer: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let span = spans::provider_call(call);
    let result = counted(call, answer.await);
    span.record("outcome", result.as_ref().err().map_or("ok", failure));
    result
}

fn failure(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Rejected { .. } => "rejected",
        ProviderError::Unauthorized { .. } => "unauthorized",
        ProviderError::NotFound { .. } => "not_found",
        ProviderError::Busy { .. } => "busy",
        ProviderError::Unavailable { .. } => "unavailable",
        ProviderError::Protocol { .. } => "protocol",
        ProviderError::Incomplete { .. } => "incomplete",
        ProviderError::TooLarge { .. } => "too_large",
        ProviderError::File(_) => "file",
    }
}

#[async_trait]
impl<P: Provider> Provider for Metered<P> {
    fn model(&self, kind: Kind) -> &Model {
        self.0.model(kind)
    }

    fn fallbacks(&self, kind: Kind) -> &[Model] {
        self.0.fallbacks(kind)
    }

    async fn upload(
        &self,
        body: &dyn UploadBody,
        content_type: &str,
    ) -> Result<Url, ProviderError> {
        asked("upload", self.0.upload(body, content_type)).await
    }

    fn uploads_kept_for(&self) -> Duration {
        self.0.uploads_kept_for()
    }

    async fn submit(&self, submission: &Submission) -> Result<String, SubmitError> {
        let span = spans::provider_call("submit");
        let result = self.0.submit(submission).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(SubmitError::Rejected { .. }) => "rejected",
            Err(SubmitError::ContentRefused { .. }) => "content_refused",
            Err(SubmitError::Unauthorized { .. }) => "unauthorized",
            Err(SubmitError::NoFunds { .. }) => "no_funds",
            Err(SubmitError::UnknownModel { .. }) => "unknown_model",
            Err(SubmitError::ModelChanged { .. }) => "model_changed",
            Err(SubmitError::Busy { .. }) => "busy",
            Err(SubmitError::NotSent { .. }) => "not_sent",
            Err(SubmitError::Redirected { .. }) => "redirected",
            Err(SubmitError::Ambiguous { .. }) => "ambiguous",
        };
        span.record("outcome", outcome);
        provider_called("submit", outcome);
        result
    }

    fn submit_timeout(&self) -> Duration {
        self.0.submit_timeout()
    }

    async fn prediction(&self, id: &str) -> Result<PredictionInfo, ProviderError> {
        asked("prediction", self.0.prediction(id)).await
    }

    /// Counts one that begins, and once more one that breaks off.
    async fn download(&self, output: &Url, max_bytes: u64) -> Result<Download, ProviderError> {
        let body = asked("download", self.0.download(output, max_bytes)).await?;
        let body = body.inspect_err(|error| provider_called("download", failure(error)));
        Ok(body.boxed())
    }

    async fn delete(&self, prediction_ids: &[String]) -> Result<(), ProviderError> {
        asked("delete", self.0.delete(prediction_ids)).await
    }

    async fn price(&self, submission: &Submission) -> Result<Price, ProviderError> {
        asked("price", self.0.price(submission)).await
    }

    async fn balance(&self) -> Result<f64, ProviderError> {
        asked("balance", self.0.balance()).await
    }
}
