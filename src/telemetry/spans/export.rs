//! Spans over OTLP, as protobuf in HTTP requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanLimits,
};
use tokio::runtime::Handle;
use url::Url;

use super::ids::{BelowJobs, Ids};
use crate::secret::Secret;

/// Spans that wait to be sent: some hundred jobs' worth. More are dropped, and nobody waits.
const QUEUE: usize = 4096;
const BATCH: usize = 512;
/// A process that is killed loses what it has not sent.
const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
/// What a receiver may say of a request.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Where spans go.
#[derive(Debug, Clone)]
pub struct Export {
    /// The receiver's address, without `/v1/traces`.
    pub endpoint: Url,
    /// The whole value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// The share of jobs that are traced, from 0 to 1.
    pub share: f64,
    pub service: String,
    pub version: String,
    /// Which process it is.
    pub instance: String,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be exported: {0}")]
pub struct InvalidExport(String);

pub(super) fn provider(export: &Export) -> Result<SdkTracerProvider, InvalidExport> {
    let invalid = |error: &dyn std::fmt::Display| InvalidExport(error.to_string());
    let runtime = Handle::try_current().map_err(|error| invalid(&error))?;
    let client = crate::tls::client()
        .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| invalid(&error))?;
    let endpoint = export.endpoint.as_str().trim_end_matches('/');
    let mut builder = SpanExporter::builder()
        .with_http()
        .with_http_client(Client {
            client,
            runtime,
            fails: AtomicBool::new(false),
        })
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .with_endpoint(format!("{endpoint}/v1/traces"));
    if let Some(value) = &export.authorization {
        let headers = HashMap::from([("authorization".to_owned(), value.expose().to_owned())]);
        builder = builder.with_headers(headers);
    }
    let exporter = builder.build().map_err(|error| invalid(&error))?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(EVERY)
        .build();
    let limits = SpanLimits {
        max_attributes_per_span: 32,
        max_events_per_span: 0,
        ..SpanLimits::default()
    };
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", export.service.clone()),
            KeyValue::new("service.version", export.version.clone()),
            KeyValue::new("service.instance.id", export.instance.clone()),
        ])
        .build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(BelowJobs)
        .with_id_generator(Ids::default())
        .with_span_limits(limits)
        .with_span_processor(
            BatchSpanProcessor::builder(exporter)
                .with_batch_config(batches)
                .build(),
        )
        .build())
}

/// Our HTTP client. The exporter's thread is none of Tokio's, so a request is made in the runtime.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
    /// The last request failed, and the log says so.
    fails: AtomicBool,
}

impl Client {
    /// Says once that spans get lost, and once that they get through again.
    fn tell(&self, fault: Option<String>) {
        let failed = self.fails.swap(fault.is_some(), Ordering::Relaxed);
        match fault {
            Some(fault) if !failed => tracing::warn!(fault, "spans cannot be sent, and get lost"),
            None if failed => tracing::info!("spans can be sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let call = async move {
            let request = request.map(reqwest::Body::from).try_into()?;
            let mut answer = client.execute(request).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.extend(answer.headers().clone());
            }
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > LONGEST_ANSWER {
                    break;
                }
            }
            Ok::<_, HttpError>(response.body(Bytes::from(body))?)
        };
        let answer: Result<Response<Bytes>, HttpError> = self.runtime.spawn(call).await?;
        self.tell(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the receiver answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        answer
    }
}
