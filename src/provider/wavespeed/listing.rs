//! Asks for the provider's catalogue.

use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::answer;
use super::calls::{WaveSpeed, read_up_to, unavailable};
use super::catalogue::{Catalogue, Comparison, Unreadable, compare, read};
use super::wire::clip;
use crate::provider::ProviderError;
use crate::retry::retry_after;

/// A thousand models with their schemas are some 5 MiB.
const MAX_CATALOGUE_BYTES: usize = 16 * 1024 * 1024;
/// What may be told of a failure.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

impl WaveSpeed {
    /// What the provider says of its models. Repeatable. It is kept, and from then on laid beside
    /// what is about to be paid for.
    pub async fn read_catalogue(&self) -> Result<Arc<Catalogue>, ProviderError> {
        let response = self
            .repeating
            .get(self.endpoint("models"))
            .header(AUTHORIZATION, self.authorization.clone())
            .timeout(self.config.get_timeout)
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        let status = response.status().as_u16();
        let wait = retry_after(response.headers());
        if !response.status().is_success() {
            let body = read_up_to(response, MAX_REFUSAL_BYTES).await;
            let refused = answer::asked(status, wait, &body.unwrap_or_default());
            return Err(refused.err().unwrap_or(ProviderError::Protocol {
                message: format!("HTTP {status}"),
            }));
        }
        let body = read_up_to(response, MAX_CATALOGUE_BYTES).await?;
        // Megabytes of JSON: not on a thread that others wait for.
        let catalogue = tokio::task::spawn_blocking(move || read(&body)).await;
        let catalogue = match catalogue {
            Ok(Ok(catalogue)) => Arc::new(catalogue),
            Ok(Err(Unreadable::Refused { code, message })) => {
                let code = u16::try_from(code).unwrap_or(500);
                let message = clip(&message);
                return Err(answer::failed(code, wait, message.clone(), message));
            }
            Ok(Err(Unreadable::Malformed(why))) => {
                let message = format!("the catalogue cannot be read: {}", clip(&why));
                return Err(ProviderError::Protocol { message });
            }
            Err(error) => {
                let message = format!("the catalogue was not read: {error}");
                return Err(ProviderError::Protocol { message });
            }
        };
        self.catalogue.keep(Arc::clone(&catalogue));
        Ok(catalogue)
    }

    /// The table of this client beside a catalogue.
    #[must_use]
    pub fn compare(&self, catalogue: &Catalogue) -> Comparison {
        compare(&self.config.models, catalogue)
    }
}
