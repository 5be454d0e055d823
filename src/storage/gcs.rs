//! Objects in a Google Cloud Storage bucket, and links that Google signs for.
//!
//! Everything goes over the XML API. An upload costs one request, or two and one a 5 MiB part; a
//! link costs nothing with a key file, and one call of IAM's `signBlob` without. The account
//! needs `roles/storage.objectUser` on the bucket and, to sign without a key,
//! `roles/iam.serviceAccountTokenCreator` on itself. The bucket should have a lifecycle rule that
//! aborts multipart uploads after a day: a process that dies leaves its parts behind.

mod links;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, header};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::gcp::{
    GcpCredential, GcpSigningCredential, GoogleCloudStorage, GoogleCloudStorageBuilder,
    ServiceAccountKey,
};
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, RetryConfig};
use url::Url;

pub use links::{GcsLinks, IAM_LONGEST, KEY_LONGEST};

use super::store::Storage;
use crate::google::GoogleAccess;
use crate::retry::RetryLimits;

/// Body included: the longest a source may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Longest silence between two reads.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The host that `object_store` calls to have links signed.
const IAM_HOST: &str = "iamcredentials.googleapis.com";

/// Which bucket, and how to reach it.
#[derive(Debug, Clone)]
pub struct GcsConfig {
    pub bucket: String,
    /// Another server than Google's own, for stand-ins.
    pub endpoint: Option<Url>,
    /// The same for IAM's `signBlob`.
    pub iam_endpoint: Option<Url>,
    /// Whose signature links carry without a key file; absent: the account's own.
    pub signer: Option<String>,
    pub retry: RetryLimits,
}

impl GcsConfig {
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            iam_endpoint: None,
            signer: None,
            retry: RetryLimits::default(),
        }
    }
}

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the bucket cannot be used: {0}")]
pub struct InvalidGcsSettings(String);

/// Opens the bucket; asks nobody anything yet.
pub fn open(config: &GcsConfig, access: &GoogleAccess) -> Result<Storage, InvalidGcsSettings> {
    let store = Arc::new(store(config, access)?);
    let links = GcsLinks::new(Arc::clone(&store), access.key().is_some());
    Ok(Storage::new(Arc::clone(&store) as _, Arc::new(links), true).with_parts(store))
}

fn store(
    config: &GcsConfig,
    access: &GoogleAccess,
) -> Result<GoogleCloudStorage, InvalidGcsSettings> {
    let invalid = |error: object_store::Error| InvalidGcsSettings(error.to_string());
    // A key that signs nothing is found now, not with the first link.
    if let Some(key) = access.key() {
        ServiceAccountKey::from_pem(key.pem.as_bytes()).map_err(invalid)?;
    }
    let plain = |url: &Option<Url>| url.as_ref().is_some_and(|url| url.scheme() == "http");
    let options = ClientOptions::new()
        .with_allow_http(plain(&config.endpoint) || plain(&config.iam_endpoint))
        .with_timeout(REQUEST_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_user_agent(HeaderValue::from_static(concat!(
            "filmlab/",
            env!("CARGO_PKG_VERSION")
        )));
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: config.retry.least_wait,
            max_backoff: config.retry.longest_wait,
            base: 2.0,
        },
        max_retries: config.retry.retries as usize,
        retry_timeout: config.retry.total,
    };
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&config.bucket)
        .with_client_options(options)
        .with_retry(retry)
        .with_credentials(Arc::new(Tokens(access.clone())))
        .with_signing_credentials(Arc::new(Signatures {
            access: access.clone(),
            signer: config.signer.clone(),
        }))
        .with_http_connector(IamCalls(config.iam_endpoint.clone()));
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_base_url(endpoint.as_str().trim_end_matches('/'));
    }
    builder.build().map_err(invalid)
}

fn no_credentials(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "GCS",
        source: Box::new(error),
    }
}

/// Our tokens, as `object_store` asks for them.
#[derive(Debug)]
struct Tokens(GoogleAccess);

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let bearer = self.0.token().await.map_err(no_credentials)?;
        Ok(Arc::new(GcpCredential { bearer }))
    }
}

#[derive(Debug)]
struct Signatures {
    access: GoogleAccess,
    signer: Option<String>,
}

#[async_trait]
impl CredentialProvider for Signatures {
    type Credential = GcpSigningCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpSigningCredential>> {
        let credential = match (self.access.key(), &self.signer) {
            (Some(key), _) => GcpSigningCredential {
                email: key.email.clone(),
                private_key: Some(ServiceAccountKey::from_pem(key.pem.as_bytes())?),
            },
            (None, Some(signer)) => GcpSigningCredential {
                email: signer.clone(),
                private_key: None,
            },
            (None, None) => GcpSigningCredential {
                email: self.access.email().await.map_err(no_credentials)?,
                private_key: None,
            },
        };
        Ok(Arc::new(credential))
    }
}

/// Mends calls of IAM: `object_store` does not say that their body is JSON, and knows no setting
/// for another address.
#[derive(Debug)]
struct IamCalls(Option<Url>);

#[derive(Debug)]
struct WithIam(HttpClient, Option<Url>);

impl HttpConnector for IamCalls {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(WithIam(client, self.0.clone())))
    }
}

#[async_trait]
impl HttpService for WithIam {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.uri().host() == Some(IAM_HOST) {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
            if let Some(to) = &self.1 {
                let path = request
                    .uri()
                    .path_and_query()
                    .map_or("/", |path| path.as_str());
                let to = format!("{}{path}", to.as_str().trim_end_matches('/'));
                if let Ok(uri) = to.parse() {
                    *request.uri_mut() = uri;
                }
            }
        }
        self.0.execute(request).await
    }
}
