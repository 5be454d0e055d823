//! A bucket server that speaks the part of the GCS XML API that `object_store` uses, with faults
//! on demand. It checks tokens, and signed links with [`super::v4::verify`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::google::serve;
use super::v4::verify;

/// What goes wrong with the next request of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers 503 and does nothing.
    Unavailable,
    /// Does it, and breaks the answer off.
    AnswerLost,
    /// Does it, and answers 503.
    DoneButUnavailable,
}

/// The operations, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Op {
    Put,
    Get,
    Head,
    Delete,
    List,
    Create,
    Part,
    Complete,
    Abort,
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) headers: BTreeMap<String, String>,
    generation: u64,
}

impl Object {
    fn etag(&self) -> String {
        format!("\"{}\"", self.generation)
    }
}

#[derive(Debug, Default)]
struct Upload {
    name: String,
    headers: BTreeMap<String, String>,
    parts: BTreeMap<u32, Bytes>,
}

/// One bucket, named `bucket`.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeGcs {
    inner: Arc<Mutex<Inner>>,
    /// Told after every change.
    news: Arc<tokio::sync::Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    uploads: HashMap<String, Upload>,
    counts: BTreeMap<Op, usize>,
    /// Bytes of each object that were sent.
    sent: BTreeMap<String, u64>,
    faults: Vec<(Op, Fault)>,
    made: u64,
    /// Operations that get no answer for now, and how many wait for one.
    held: Vec<Op>,
    waiting: usize,
    /// Objects that a retention policy holds: they cannot be deleted.
    kept: Vec<String>,
    /// PKCS #1 of the key that links are signed with.
    link_key: Option<Vec<u8>>,
}

pub(crate) const BUCKET: &str = "bucket";
/// Smaller than the real one's 1000, so that tests turn pages.
const LIST_PAGE: usize = 200;
/// Real GCS takes no smaller part, but the last.
const LEAST_PART: usize = 5 * 1024 * 1024;

impl FakeGcs {
    pub(crate) async fn start(&self) -> url::Url {
        serve(Router::new().fallback(answer).with_state(self.clone())).await
    }

    /// Lets signed links in whose signature fits this key.
    pub(crate) fn trust_links(&self, public: Vec<u8>) {
        self.lock().link_key = Some(public);
    }

    pub(crate) fn fail_next(&self, op: Op, fault: Fault) {
        self.lock().faults.push((op, fault));
    }

    /// Has objects whose name holds `part` refuse deletion, as one under a retention policy does.
    pub(crate) fn keep(&self, part: &str) {
        self.lock().kept.push(part.to_owned());
    }

    /// Takes everything out without a request.
    pub(crate) fn forget_all(&self) {
        self.lock().objects.clear();
    }

    /// Puts an object there without a request.
    pub(crate) fn place(&self, name: &str) {
        let bytes = Bytes::from_static(b"x");
        self.lock().store(name, bytes, BTreeMap::new());
    }

    /// Leaves requests of an operation unanswered until told otherwise.
    pub(crate) fn hold(&self, op: Op, hold: bool) {
        let mut inner = self.lock();
        inner.held.retain(|held| *held != op);
        if hold {
            inner.held.push(op);
        }
        drop(inner);
        self.news.notify_waiters();
    }

    /// Waits for a request that is held back.
    pub(crate) async fn until_held(&self) {
        self.until(|gcs| gcs.lock().waiting > 0).await;
    }

    /// Waits until nobody waits for an answer that is held back.
    pub(crate) async fn until_none_held(&self) {
        self.until(|gcs| gcs.lock().waiting == 0).await;
    }

    /// Waits for a state of the bucket; panics after half a minute.
    pub(crate) async fn until(&self, fits: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let news = self.news.notified();
                if fits(self) {
                    return;
                }
                news.await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), wait).await;
        assert!(waited.is_ok(), "it did not come to that");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    async fn let_through(&self, op: Op) {
        let mut waits = None;
        loop {
            let news = self.news.notified();
            {
                let mut inner = self.lock();
                if !inner.held.contains(&op) {
                    return;
                }
                inner.waiting += usize::from(waits.is_none());
            }
            if waits.is_some() {
                news.await;
            } else {
                waits = Some(Waits(self));
                self.news.notify_waiters();
            }
        }
    }

    pub(crate) fn object(&self, name: &str) -> Option<Object> {
        self.lock().objects.get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub(crate) fn open_uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    /// Bytes of an object that were read.
    pub(crate) fn sent(&self, name: &str) -> u64 {
        self.lock().sent.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn count(&self, op: Op) -> usize {
        self.lock().counts.get(&op).copied().unwrap_or(0)
    }
}

/// A request without an answer, until it has one or its caller goes away.
struct Waits<'a>(&'a FakeGcs);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
        self.0.news.notify_waiters();
    }
}

struct Asked {
    method: Method,
    name: String,
    query: HashMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn op(&self) -> Op {
        let has = |name: &str| self.query.contains_key(name);
        match self.method {
            Method::POST if has("uploads") => Op::Create,
            Method::POST => Op::Complete,
            Method::PUT if has("uploadId") => Op::Part,
            Method::PUT => Op::Put,
            Method::DELETE if has("uploadId") => Op::Abort,
            Method::DELETE => Op::Delete,
            Method::HEAD => Op::Head,
            _ if self.name.is_empty() => Op::List,
            _ => Op::Get,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn kept(&self) -> BTreeMap<String, String> {
        ["content-type", "cache-control", "content-disposition"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.header(name)?.to_owned())))
            .collect()
    }
}

async fn answer(State(gcs): State<FakeGcs>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 30).await.unwrap();
    let path = percent_decode_str(parts.uri.path()).decode_utf8().unwrap();
    let (bucket, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    if bucket != BUCKET {
        return plain(
            StatusCode::NOT_FOUND,
            "<Error><Code>NoSuchBucket</Code></Error>",
        );
    }
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked {
        method: parts.method,
        name: name.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
        body,
    };
    let op = asked.op();
    gcs.let_through(op).await;
    let response = answer_now(&gcs, op, &asked, &parts.uri);
    gcs.news.notify_waiters();
    response
}

fn answer_now(gcs: &FakeGcs, op: Op, asked: &Asked, uri: &http::Uri) -> Response<Body> {
    let mut inner = gcs.lock();
    *inner.counts.entry(op).or_default() += 1;
    if asked.query.contains_key("X-Goog-Signature") {
        // The host that was signed for is Google's, wherever the stand-in listens.
        let url = format!("https://storage.googleapis.com{uri}");
        let key = inner.link_key.clone().unwrap_or_default();
        let now = jiff::Timestamp::now();
        if let Err(error) = verify(&url.parse().unwrap(), "GET", &key, now) {
            return plain(StatusCode::FORBIDDEN, &error);
        }
    } else if asked
        .header("authorization")
        .is_none_or(|value| !value.starts_with("Bearer "))
    {
        return plain(
            StatusCode::UNAUTHORIZED,
            "<Error><Code>AuthenticationRequired</Code></Error>",
        );
    }
    let fault = inner
        .faults
        .iter()
        .position(|(at, _)| *at == op)
        .map(|found| inner.faults.remove(found).1);
    if fault == Some(Fault::Unavailable) {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "");
    }
    let response = inner.act(op, asked);
    match fault {
        Some(Fault::DoneButUnavailable) => plain(StatusCode::SERVICE_UNAVAILABLE, ""),
        Some(Fault::AnswerLost) => {
            let broken = futures::stream::iter([
                Ok(Bytes::from_static(b"<Comp")),
                Err(std::io::Error::other("broken off")),
            ]);
            Response::new(Body::from_stream(broken))
        }
        _ => response,
    }
}

fn plain(status: StatusCode, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    response
}

impl Inner {
    fn act(&mut self, op: Op, asked: &Asked) -> Response<Body> {
        let upload = asked.query.get("uploadId").cloned().unwrap_or_default();
        match op {
            Op::Create => {
                self.made += 1;
                let id = format!("upload-{}", self.made);
                let begun = Upload {
                    name: asked.name.clone(),
                    headers: asked.kept(),
                    parts: BTreeMap::new(),
                };
                self.uploads.insert(id.clone(), begun);
                plain(
                    StatusCode::OK,
                    &format!(
                        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                    ),
                )
            }
            Op::Part => {
                let Some(upload) = self.uploads.get_mut(&upload) else {
                    return plain(
                        StatusCode::NOT_FOUND,
                        "<Error><Code>NoSuchUpload</Code></Error>",
                    );
                };
                let number: u32 = asked.query["partNumber"].parse().unwrap();
                upload.parts.insert(number, asked.body.clone());
                with(
                    plain(StatusCode::OK, ""),
                    "etag",
                    &format!("\"part-{number}\""),
                )
            }
            Op::Complete => self.complete(&upload, &String::from_utf8_lossy(&asked.body)),
            Op::Abort => match self.uploads.remove(&upload) {
                Some(_) => plain(StatusCode::NO_CONTENT, ""),
                None => plain(
                    StatusCode::NOT_FOUND,
                    "<Error><Code>NoSuchUpload</Code></Error>",
                ),
            },
            Op::Put => self.put(asked),
            Op::Delete if self.kept.iter().any(|part| asked.name.contains(part)) => plain(
                StatusCode::FORBIDDEN,
                "<Error><Code>RetentionPolicyNotMet</Code></Error>",
            ),
            Op::Delete => match self.objects.remove(&asked.name) {
                Some(_) => plain(StatusCode::NO_CONTENT, ""),
                None => plain(
                    StatusCode::NOT_FOUND,
                    "<Error><Code>NoSuchKey</Code></Error>",
                ),
            },
            Op::List => self.list(asked),
            Op::Get | Op::Head => self.get(op, asked),
        }
    }

    fn store(&mut self, name: &str, bytes: Bytes, headers: BTreeMap<String, String>) -> Object {
        self.made += 1;
        let object = Object {
            bytes,
            headers,
            generation: self.made,
        };
        self.objects.insert(name.to_owned(), object.clone());
        object
    }

    fn put(&mut self, asked: &Asked) -> Response<Body> {
        let current = self
            .objects
            .get(&asked.name)
            .map_or(0, |object| object.generation);
        if let Some(wanted) = asked.header("x-goog-if-generation-match")
            && wanted != current.to_string()
        {
            return plain(
                StatusCode::PRECONDITION_FAILED,
                "<Error><Code>PreconditionFailed</Code></Error>",
            );
        }
        let object = self.store(&asked.name, asked.body.clone(), asked.kept());
        described(plain(StatusCode::OK, ""), &object)
    }

    fn complete(&mut self, id: &str, body: &str) -> Response<Body> {
        let Some(upload) = self.uploads.get(id) else {
            return plain(
                StatusCode::NOT_FOUND,
                "<Error><Code>NoSuchUpload</Code></Error>",
            );
        };
        let numbers: Vec<u32> = body
            .split("<PartNumber>")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().parse().unwrap())
            .collect();
        let mut bytes = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            let Some(part) = upload.parts.get(number) else {
                return plain(
                    StatusCode::BAD_REQUEST,
                    "<Error><Code>InvalidPart</Code></Error>",
                );
            };
            if part.len() < LEAST_PART && at + 1 < numbers.len() {
                return plain(
                    StatusCode::BAD_REQUEST,
                    "<Error><Code>EntityTooSmall</Code></Error>",
                );
            }
            bytes.extend_from_slice(part);
        }
        let Some(upload) = self.uploads.remove(id) else {
            return plain(StatusCode::NOT_FOUND, "");
        };
        let object = self.store(&upload.name, bytes.into(), upload.headers);
        let text = format!(
            "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
            object.etag()
        );
        with(
            plain(StatusCode::OK, &text),
            "x-goog-generation",
            &object.generation.to_string(),
        )
    }

    /// A page of a list, by name, as the real one answers.
    fn list(&self, asked: &Asked) -> Response<Body> {
        let given = |name: &str| asked.query.get(name).cloned();
        let prefix = given("prefix").unwrap_or_default();
        let after = given("continuation-token").or(given("start-after"));
        let mut found: Vec<_> = self
            .objects
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
            .take(LIST_PAGE + 1)
            .collect();
        let more = found.len() > LIST_PAGE;
        found.truncate(LIST_PAGE);
        let escaped = |name: &str| name.replace('&', "&amp;").replace('<', "&lt;");
        let next = found.last().filter(|_| more).map(|(name, _)| {
            format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                escaped(name)
            )
        });
        let contents: String = found
            .iter()
            .map(|(name, object)| {
                let name = escaped(name);
                format!(
                    "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>{}</ETag></Contents>",
                    object.bytes.len(),
                    object.etag(),
                )
            })
            .collect();
        let next = next.unwrap_or_default();
        plain(
            StatusCode::OK,
            &format!("<ListBucketResult>{contents}{next}</ListBucketResult>"),
        )
    }

    fn get(&mut self, op: Op, asked: &Asked) -> Response<Body> {
        let Some(object) = self.objects.get(&asked.name) else {
            return plain(
                StatusCode::NOT_FOUND,
                "<Error><Code>NoSuchKey</Code></Error>",
            );
        };
        if asked
            .header("if-match")
            .is_some_and(|tag| tag != object.etag())
        {
            return plain(StatusCode::PRECONDITION_FAILED, "");
        }
        let size = object.bytes.len();
        let (mut bytes, mut response) = (object.bytes.clone(), plain(StatusCode::OK, ""));
        if let Some(range) = asked
            .header("range")
            .and_then(|text| text.strip_prefix("bytes="))
        {
            let (from, to) = range.split_once('-').unwrap();
            let (start, end) = match (from.parse::<usize>(), to.parse::<usize>()) {
                (Ok(start), Ok(end)) => (start, (end + 1).min(size)),
                (Ok(start), Err(_)) => (start, size),
                (Err(_), Ok(last)) => (size.saturating_sub(last), size),
                _ => return plain(StatusCode::BAD_REQUEST, ""),
            };
            if start >= size {
                let refused = plain(StatusCode::RANGE_NOT_SATISFIABLE, "");
                return with(refused, "content-range", &format!("bytes */{size}"));
            }
            bytes = bytes.slice(start..end);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response = with(
                response,
                "content-range",
                &format!("bytes {start}-{}/{size}", end - 1),
            );
        }
        for (name, value) in &object.headers {
            response = with(response, name, value);
        }
        if let Some(disposition) = asked.query.get("response-content-disposition") {
            response = with(response, "content-disposition", disposition);
        }
        response = with(response, "content-length", &bytes.len().to_string());
        response = described(response, object);
        if op == Op::Get {
            *self.sent.entry(asked.name.clone()).or_default() += bytes.len() as u64;
            *response.body_mut() = Body::from(bytes);
        }
        response
    }
}

/// `object_store` refuses answers without these.
fn described(response: Response<Body>, object: &Object) -> Response<Body> {
    let response = with(response, "etag", &object.etag());
    let response = with(response, "last-modified", "Fri, 02 Jan 2026 03:04:05 GMT");
    with(
        response,
        "x-goog-generation",
        &object.generation.to_string(),
    )
}

fn with(mut response: Response<Body>, name: &str, value: &str) -> Response<Body> {
    let name: http::HeaderName = name.parse().unwrap();
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}
