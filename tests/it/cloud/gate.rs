//! A door in front of the Firestore emulator that counts what is billed: documents read, and
//! writes. It counts from outside, by what goes over the wire, so it believes nothing that the
//! service says of itself.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use filmlab::http::{ConnectionLimits, serve};
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, CommitRequest, GetDocumentRequest, RunAggregationQueryRequest,
    RunQueryRequest, RunQueryResponse, Write, run_aggregation_query_request, run_query_request,
    write::Operation,
};
use gcloud_sdk::prost::Message;
use http_body::{Body as HttpBody, Frame};
use tokio_util::sync::CancellationToken;

/// One operation: what was done, and to which document or collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operated {
    Read(String),
    Write(String),
    Delete(String),
}

#[derive(Clone)]
pub(super) struct Gate {
    /// `host:port`, for whoever wants the emulator.
    pub(super) host: String,
    emulator: String,
    log: Arc<Mutex<Vec<Operated>>>,
    client: reqwest::Client,
}

impl Gate {
    pub(super) async fn before(emulator: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            host: listener.local_addr().unwrap().to_string(),
            emulator: emulator.to_owned(),
            log: Arc::default(),
            client: reqwest::Client::builder()
                .http2_prior_knowledge()
                .build()
                .unwrap(),
        };
        let router = Router::new().fallback(pass).with_state(gate.clone());
        let stop = CancellationToken::new();
        tokio::spawn(serve(
            listener,
            router,
            ConnectionLimits::new(100, None),
            stop,
        ));
        gate
    }

    /// What went through since this was asked for the last time. What a process does to see
    /// whether it is ready is left out, and so are renewals of a lease: they are as many as the
    /// machine is slow.
    pub(super) fn take(&self) -> Vec<Operated> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    fn note(&self, path: &str, asked: &[u8], answered: &[u8]) {
        let mut seen = match path.rsplit('/').next().unwrap() {
            "GetDocument" => {
                vec![Operated::Read(short(
                    &GetDocumentRequest::decode(asked).unwrap().name,
                ))]
            }
            "BatchGetDocuments" => {
                let asked = BatchGetDocumentsRequest::decode(asked).unwrap();
                asked
                    .documents
                    .iter()
                    .map(|name| Operated::Read(short(name)))
                    .collect()
            }
            "RunQuery" => {
                let asked = RunQueryRequest::decode(asked).unwrap();
                let Some(run_query_request::QueryType::StructuredQuery(query)) = asked.query_type
                else {
                    panic!("a query of another kind");
                };
                let documents = messages(answered)
                    .filter(|answer| {
                        RunQueryResponse::decode(*answer)
                            .unwrap()
                            .document
                            .is_some()
                    })
                    .count();
                let collection = format!("{}: query", query.from[0].collection_id);
                // One that finds nothing is billed like one that finds one.
                vec![Operated::Read(collection); documents.max(1)]
            }
            "RunAggregationQuery" => {
                let asked = RunAggregationQueryRequest::decode(asked).unwrap();
                let Some(run_aggregation_query_request::QueryType::StructuredAggregationQuery(_)) =
                    asked.query_type
                else {
                    panic!("a count of another kind");
                };
                vec![Operated::Read("count".into())]
            }
            "Commit" => {
                let asked = CommitRequest::decode(asked).unwrap();
                if let [write] = &*asked.writes
                    && is_renewal(write)
                {
                    return;
                }
                let operated = |operation: Option<Operation>| match operation.unwrap() {
                    Operation::Update(document) => Operated::Write(short(&document.name)),
                    Operation::Delete(name) => Operated::Delete(short(&name)),
                    Operation::Transform(transform) => Operated::Write(short(&transform.document)),
                };
                let writes = asked.writes.into_iter();
                writes.map(|write| operated(write.operation)).collect()
            }
            other => panic!("{other} is not counted"),
        };
        seen.retain(|one| {
            let (Operated::Read(name) | Operated::Write(name) | Operated::Delete(name)) = one;
            name != "-ping-/-ping-" && (!name.starts_with("marks/") || name.contains("/signature-"))
        });
        self.log.lock().unwrap().append(&mut seen);
    }
}

/// Whether it keeps a lease and shows progress, and does nothing else.
fn is_renewal(write: &Write) -> bool {
    let Some(mask) = &write.update_mask else {
        return false;
    };
    let kept = [
        "lease.expires_at",
        "next_visit_at",
        "revision",
        "updated_at",
    ];
    let mut fields = mask.field_paths.iter();
    fields.all(|path| kept.contains(&path.as_str()) || path.starts_with("progress"))
        && mask
            .field_paths
            .iter()
            .any(|path| path == "lease.expires_at")
}

/// A document's name behind `…/documents/`.
fn short(name: &str) -> String {
    name.split_once("/documents/").unwrap().1.to_owned()
}

/// The messages of a gRPC body: a byte of flags, four of length, and so many.
fn messages(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (head, rest) = body.split_at_checked(5)?;
        assert_eq!(head[0], 0, "a compressed message");
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let (message, rest) = rest.split_at(length as usize);
        body = rest;
        Some(message)
    })
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (asked, _) = whole(body).await;
    let path = parts.uri.path().to_owned();
    let sent = gate
        .client
        .post(format!("http://{}{path}", gate.emulator))
        .headers(parts.headers)
        .body(asked.clone())
        .send()
        .await
        .unwrap();
    let (head, body) = http::Response::<reqwest::Body>::from(sent).into_parts();
    let (answered, trailers) = whole(body).await;
    gate.note(&path, messages(&asked).next().unwrap(), &answered);
    let body = Whole {
        data: Some(answered),
        trailers,
    };
    Response::from_parts(head, Body::new(body))
}

/// All of a body, its trailers too: gRPC says there how it ended.
async fn whole<B>(body: B) -> (Bytes, Option<http::HeaderMap>)
where
    B: HttpBody<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let mut body = pin!(body);
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        match frame.unwrap().into_data() {
            Ok(part) => data.extend_from_slice(&part),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    (data.into(), trailers)
}

struct Whole {
    data: Option<Bytes>,
    trailers: Option<http::HeaderMap>,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(
            self.trailers
                .take()
                .map(|trailers| Ok(Frame::trailers(trailers))),
        )
    }
}
