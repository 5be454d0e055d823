//! A key in Cloud KMS: it signs there, and never leaves.

use std::fmt;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest_middleware::ClientWithMiddleware;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use url::Url;

use crate::google::{GoogleAccess, body_start, said};
use crate::media::{Chain, Signer, es256_of_der};
use crate::retry::{RetryLimits, RetryPassing};

const GOOGLE: &str = "https://cloudkms.googleapis.com";

/// For one try.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A result waits for it, and its job comes back later anyway. To sign twice does no harm.
const TRIES: RetryLimits = RetryLimits {
    retries: 2,
    least_wait: Duration::from_millis(500),
    longest_wait: Duration::from_secs(2),
    total: Duration::from_secs(30),
};

pub(super) struct KmsSigner {
    chain: Chain,
    url: String,
    client: ClientWithMiddleware,
    runtime: Handle,
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

impl fmt::Debug for KmsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsSigner")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl KmsSigner {
    /// With that version of a key, as it is named there. It is asked on that runtime, by threads that
    /// may block.
    pub(super) fn new(
        version: &str,
        endpoint: Option<&Url>,
        chain: Chain,
        access: &GoogleAccess,
        runtime: Handle,
    ) -> Result<Self, String> {
        let base = endpoint.map_or(GOOGLE, Url::as_str).trim_end_matches('/');
        let retry = RetryPassing::everything(TRIES);
        let client = access.client(TIMEOUT, Some(retry));
        Ok(Self {
            chain,
            url: format!("{base}/v1/{version}:asymmetricSign"),
            client: client.map_err(|error| error.to_string())?,
            runtime,
        })
    }

    async fn ask(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let digest = STANDARD.encode(Sha256::digest(message));
        let asked = self
            .client
            .post(&self.url)
            .json(&json!({"digest": {"sha256": digest}}))
            .send()
            .await;
        let answer = asked.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = body_start(answer).await;
        if !status.is_success() {
            let (code, message) = said(&body);
            return Err(format!("{status} {code} {message}"));
        }
        let signed: Signed = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let der = STANDARD.decode(signed.signature).ok();
        let signature = der.and_then(|der| es256_of_der(&der));
        let signature = signature.ok_or("the answer is no signature with P-256")?;
        // Nobody would find out before the result is with its reader.
        if !self.chain.verifies(message, &signature) {
            return Err("the key does not belong to the first certificate".to_owned());
        }
        Ok(signature)
    }
}

impl Signer for KmsSigner {
    fn chain(&self) -> &[Vec<u8>] {
        self.chain.certificates()
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let signed = self.runtime.block_on(self.ask(bytes));
        signed.map_err(|why| io::Error::other(format!("Cloud KMS does not sign: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::Value;

    use super::*;
    use crate::google::Identity;

    const VERSION: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

    /// A stand-in whose answers are `status` and a signature of the digest 0, 0, … with `key`, or what
    /// it makes of the request.
    async fn stand_in(
        answer: impl Fn(u32, Value) -> (StatusCode, Value) + Clone + Send + Sync + 'static,
    ) -> Url {
        let asked = Arc::new(AtomicU32::new(0));
        let path = format!("/v1/{VERSION}:asymmetricSign");
        let work = move |headers: HeaderMap, Json(body): Json<Value>| async move {
            assert_eq!(headers["authorization"], "Bearer a-token");
            let (status, body) = answer(asked.fetch_add(1, Ordering::SeqCst), body);
            (status, Json(body))
        };
        let routes = Router::new().route(&path, post(work));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url.parse().unwrap()
    }

    async fn sign(url: Url, certificate: &rcgen::Certificate) -> Result<Vec<u8>, String> {
        let chain = Chain::from_pem(certificate.pem().as_bytes()).unwrap();
        let access = GoogleAccess::new(&Identity::Token("a-token".into())).await;
        let runtime = Handle::current();
        let signer = KmsSigner::new(VERSION, Some(&url), chain, &access.unwrap(), runtime);
        let signer = signer.unwrap();
        let work = move || signer.sign(b"message").map_err(|error| error.to_string());
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_of_kms_signs_and_what_keeps_it_from_that_is_told() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let certificate = params.self_signed(&pair).unwrap();
        let other = params
            .self_signed(&rcgen::KeyPair::generate().unwrap())
            .unwrap();
        let der = pair.serialize_der();
        let good = move |number: u32, body: Value| {
            if number == 0 {
                return (StatusCode::SERVICE_UNAVAILABLE, json!({}));
            }
            let digest = STANDARD.encode(Sha256::digest(b"message"));
            assert_eq!(body, json!({"digest": {"sha256": digest}}));
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
            let signature = key.sign(&SystemRandom::new(), b"message").unwrap();
            (
                StatusCode::OK,
                json!({"signature": STANDARD.encode(signature.as_ref())}),
            )
        };
        let signature = sign(stand_in(good.clone()).await, &certificate)
            .await
            .unwrap();
        assert_eq!(signature.len(), 64);
        let told = sign(stand_in(good).await, &other).await.unwrap_err();
        assert!(told.contains("does not belong"), "{told}");
        let refused = |_, _| {
            let error = json!({"error": {"status": "PERMISSION_DENIED", "message": "no"}});
            (StatusCode::FORBIDDEN, error)
        };
        let told = sign(stand_in(refused).await, &certificate)
            .await
            .unwrap_err();
        assert!(told.contains("PERMISSION_DENIED"), "{told}");
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", gone.local_addr().unwrap());
        drop(gone);
        let told = sign(nobody.parse().unwrap(), &certificate)
            .await
            .unwrap_err();
        assert!(told.contains("Cloud KMS does not sign"), "{told}");
        let nonsense = |_, _| (StatusCode::OK, json!({"signature": "AAAA"}));
        let told = sign(stand_in(nonsense).await, &certificate)
            .await
            .unwrap_err();
        assert!(told.contains("no signature"), "{told}");
    }
}
