//! The provider's port: what is asked of WaveSpeed, and by which call.

use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use url::Url;

use super::calls::{WaveSpeed, read_bounded, said};
use super::catalogue::CatalogueUse;
use super::download::download;
use super::upload::upload;
use super::{answer, wire};
use crate::job::Kind;
use crate::outgoing;
use crate::provider::{
    Download, Model, PredictionInfo, Price, Provider, ProviderError, Submission, SubmitError,
    UploadBody,
};
use crate::retry::retry_after;

/// No limit is documented; the history's pages hold as many.
const MAX_DELETED_AT_ONCE: usize = 100;
/// Uploads and outputs alike are kept for 7 days (WaveSpeed's documentation on predictions).
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

fn in_no_table(model: &str) -> String {
    format!("{model} is in no table here")
}

impl WaveSpeed {
    /// Whether the provider's own catalogue describes such a request, as far as it is known here.
    fn check_catalogue(&self, model: &str, body: &Value) -> Result<(), SubmitError> {
        if self.config.catalogue == CatalogueUse::Off {
            return Ok(());
        }
        let refused = self.catalogue.refuses(model, body).join("; ");
        if refused.is_empty() {
            return Ok(());
        }
        if self.config.catalogue == CatalogueUse::Enforce {
            return Err(SubmitError::ModelChanged { message: refused });
        }
        tracing::warn!(
            model,
            refused,
            "the provider's catalogue describes another request than the one that is sent"
        );
        Ok(())
    }
}

#[async_trait]
impl Provider for WaveSpeed {
    fn model(&self, kind: Kind) -> &Model {
        self.config.models.model(kind)
    }

    fn fallbacks(&self, kind: Kind) -> &[Model] {
        self.config.models.fallbacks(kind)
    }

    async fn upload(
        &self,
        body: &dyn UploadBody,
        content_type: &str,
    ) -> Result<Url, ProviderError> {
        upload(self, body, content_type).await
    }

    fn uploads_kept_for(&self) -> Duration {
        KEPT_FOR
    }

    async fn submit(&self, submission: &Submission) -> Result<String, SubmitError> {
        let Some(body) = self.config.models.body(submission) else {
            let message = in_no_table(&submission.model);
            return Err(SubmitError::UnknownModel { message });
        };
        self.check_catalogue(&submission.model, &body)?;
        let mut url = self.endpoint(&submission.model);
        if let Some(callback) = &submission.callback {
            url.query_pairs_mut()
                .append_pair("webhook", callback.as_str());
        }
        let sent = self
            .once
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .timeout(self.config.submit_timeout)
            .json(&body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            // A connection that was never made (refused, no such host, no TLS) carried nothing.
            Err(error) if error.is_connect() || error.is_builder() => {
                return Err(SubmitError::NotSent {
                    message: said(&error),
                });
            }
            Err(error) => {
                return Err(SubmitError::Ambiguous {
                    message: said(&error),
                    words: None,
                });
            }
        };
        let status = response.status();
        let wait = retry_after(response.headers());
        match read_bounded(response).await {
            Ok(body) => answer::submitted(status.as_u16(), wait, &body),
            // A refusal is told by its status; an acceptance without its id is a doubt.
            Err(_) if !status.is_success() => answer::submitted(status.as_u16(), wait, &[]),
            Err(error) => Err(SubmitError::Ambiguous {
                message: error.to_string(),
                words: Some(String::new()),
            }),
        }
    }

    fn submit_timeout(&self) -> Duration {
        self.config.submit_timeout
    }

    async fn prediction(&self, id: &str) -> Result<PredictionInfo, ProviderError> {
        if !wire::is_prediction_id(id) {
            return Err(ProviderError::NotFound {
                message: "not the id of a prediction".into(),
            });
        }
        let answer = self
            .ask(self.endpoint(&format!("predictions/{id}/result")))
            .await?;
        if !answer.data.is_object() {
            return Err(ProviderError::Protocol {
                message: "the answer holds no prediction".into(),
            });
        }
        // Anything but the prediction asked for must not move this job.
        if answer.data["id"].as_str().is_some_and(|other| other != id) {
            return Err(ProviderError::Protocol {
                message: "the answer is about another prediction".into(),
            });
        }
        Ok(wire::prediction(&answer))
    }

    async fn download(&self, output: &Url, max_bytes: u64) -> Result<Download, ProviderError> {
        download(self, output, max_bytes).await
    }

    async fn delete(&self, prediction_ids: &[String]) -> Result<(), ProviderError> {
        // What cannot be an id names nothing that could be deleted.
        let ids: Vec<_> = prediction_ids
            .iter()
            .filter(|id| wire::is_prediction_id(id))
            .collect();
        for ids in ids.chunks(MAX_DELETED_AT_ONCE) {
            match self
                .ask_by_post("predictions/delete", &json!({"ids": ids}))
                .await
            {
                // Deleted already, by us or by the provider's own clock.
                Ok(_) | Err(ProviderError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn price(&self, submission: &Submission) -> Result<Price, ProviderError> {
        let Some(mut inputs) = self.config.models.body(submission) else {
            let message = in_no_table(&submission.model);
            return Err(ProviderError::NotFound { message });
        };
        let media = [Some(&submission.video), submission.image.as_ref()];
        // WaveSpeed reads addresses from outside: where that cannot work, it is not told them.
        let is_floor = media
            .into_iter()
            .flatten()
            .any(|url| outgoing::check_url(url, self.config.allow_loopback).is_err());
        if let (true, Some(inputs)) = (is_floor, inputs.as_object_mut()) {
            inputs.remove("video");
            inputs.remove("image");
        }
        let body = json!({"model_id": submission.model, "inputs": inputs});
        let answer = self.ask_by_post("model/price", &body).await?;
        wire::price(&answer, is_floor).ok_or_else(|| ProviderError::Protocol {
            message: "the answer holds no price".into(),
        })
    }

    async fn balance(&self) -> Result<f64, ProviderError> {
        let answer = self.ask(self.endpoint("balance")).await?;
        wire::amount(&answer.data["balance"]).ok_or_else(|| ProviderError::Protocol {
            message: "the answer holds no balance".into(),
        })
    }
}
