//! One trace a job: over its visits, a killed process, the provider's calls, passes and the notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use filmlab::job::{JobId, Status};
use filmlab::sandbox::{Fault, FaultRule, SandboxConfig};
use filmlab::telemetry::spans::JobTrace;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::lab::Lab;
use super::quarantine::Kept;
use crate::support::quarantine::kill;
use crate::support::require;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const PROMPT: &str = "a-prompt-of-somebody";
const AUTHORIZATION: &str = "Bearer key-of-the-collector";

/// Takes spans as a collector does, and notices as an app does.
#[derive(Debug, Clone, Default)]
struct Receiver {
    spans: Arc<Mutex<Vec<Span>>>,
    processes: Arc<Mutex<BTreeSet<String>>>,
    bodies: Arc<Mutex<Vec<u8>>>,
    notices: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let router = Router::new()
            .route("/v1/traces", post(take))
            .route("/hook", post(told))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    if headers
        .get("authorization")
        .is_none_or(|value| value != AUTHORIZATION)
    {
        return StatusCode::UNAUTHORIZED;
    }
    receiver.bodies.lock().unwrap().extend_from_slice(&body);
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let instance = attributes
            .iter()
            .find(|one| one.key == "service.instance.id");
        receiver
            .processes
            .lock()
            .unwrap()
            .insert(format!("{:?}", instance.unwrap().value));
        for scope in resource.scope_spans {
            receiver.spans.lock().unwrap().extend(scope.spans);
        }
    }
    StatusCode::OK
}

async fn told(State(receiver): State<Receiver>, headers: HeaderMap) {
    receiver.notices.lock().unwrap().push(headers);
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Attribute::StringValue(text) => text.clone(),
        Attribute::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// What the page shows of a span.
fn shown(span: &Span) -> String {
    let outcome = attribute(span, "outcome").or_else(|| attribute(span, "status"));
    match outcome {
        Some(outcome) => format!("{} ({outcome})", span.name),
        None => span.name.clone(),
    }
}

/// The tree below `parent`, by time; what came several times in a row is told once.
fn tree(spans: &[Span], parent: &[u8], margin: &str, page: &mut String) {
    let mut children: Vec<&Span> = spans
        .iter()
        .filter(|span| span.parent_span_id == parent)
        .collect();
    children.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
    let below = |span: &Span, margin: &str| {
        let mut inner = String::new();
        tree(spans, &span.span_id, margin, &mut inner);
        inner
    };
    let mut told: Vec<&Span> = Vec::new();
    for child in children {
        let same =
            |last: &&Span| shown(last) == shown(child) && below(last, "") == below(child, "");
        if !told.last().is_some_and(same) {
            told.push(child);
        }
    }
    for (at, child) in told.iter().enumerate() {
        let is_last = at + 1 == told.len();
        let (branch, next) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        writeln!(page, "{margin}{branch}{}", shown(child)).unwrap();
        page.push_str(&below(child, &format!("{margin}{next}")));
    }
}

/// Which spans stand below which, whatever the number and order.
fn edges(spans: &[Span]) -> BTreeSet<(String, String)> {
    let names: BTreeMap<&[u8], &str> = spans
        .iter()
        .map(|span| (span.span_id.as_slice(), span.name.as_str()))
        .collect();
    spans
        .iter()
        .filter_map(|span| {
            let parent = names.get(span.parent_span_id.as_slice())?;
            Some(((*parent).to_owned(), span.name.clone()))
        })
        .collect()
}

/// The same of the page's picture.
fn edges_of_picture(picture: &str) -> BTreeSet<(String, String)> {
    let mut above: Vec<String> = Vec::new();
    let mut edges = BTreeSet::new();
    for line in picture.lines() {
        let text = line.trim_start_matches(['│', '├', '└', '─', ' ']);
        let depth = (line.chars().count() - text.chars().count()) / 3;
        let name = text.split(" (").next().unwrap().to_owned();
        above.truncate(depth);
        if let Some(parent) = above.last() {
            edges.insert((parent.clone(), name.clone()));
        }
        above.push(name);
    }
    edges
}

fn page() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/traces.md")
}

/// All spans of the job are one tree, over both processes, and nothing of the caller's is in it.
fn one_tree(receiver: &Receiver, id: &str) {
    let spans = receiver.spans();
    let trace = JobTrace::of(&id.parse::<JobId>().unwrap(), 1, None);
    for span in &spans {
        assert_eq!(hex::encode(&span.trace_id), TRACE, "{span:?}");
        assert!(
            span.end_time_unix_nano >= span.start_time_unix_nano,
            "{span:?}"
        );
    }
    assert_eq!(receiver.processes.lock().unwrap().len(), 2);
    // One span at the top, which is the job, below the caller's own.
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    assert_eq!(ids.len(), spans.len(), "an id comes twice");
    let tops: Vec<&Span> = spans
        .iter()
        .filter(|span| !ids.contains(span.parent_span_id.as_slice()))
        .collect();
    let [top] = tops[..] else {
        panic!("{tops:#?}");
    };
    assert_eq!(
        (top.name.as_str(), top.span_id.as_slice()),
        ("job", &trace.job[..])
    );
    assert_eq!(hex::encode(&top.parent_span_id), CALLER);
    assert_eq!(attribute(top, "status").as_deref(), Some("completed"));
    let named = |name: &str| {
        spans
            .iter()
            .filter(|span| span.name == name)
            .collect::<Vec<_>>()
    };
    let lost: Vec<_> = named("visit")
        .into_iter()
        .filter(|span| attribute(span, "outcome").as_deref() == Some("lost"))
        .collect();
    assert_eq!(lost.len(), 1, "{lost:#?}");
    assert!(
        spans
            .iter()
            .any(|span| span.parent_span_id == lost[0].span_id),
        "what the killed visit did stands below it"
    );
    for name in [
        "stage process",
        "media render",
        "provider prediction",
        "provider download",
    ] {
        assert!(!named(name).is_empty(), "{name} is missing");
    }
    // The notice says which span it is.
    let notices = named("notice");
    let headers = receiver.notices.lock().unwrap()[0].clone();
    let span = hex::encode(&notices[0].span_id);
    assert_eq!(headers["traceparent"], format!("00-{TRACE}-{span}-01"));
    // Nothing of the caller's is in it.
    let sent = receiver.bodies.lock().unwrap().clone();
    for secret in [PROMPT, "tiny", "127.0.0.1", "sandbox", "local", "sources/"] {
        let found = sent
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} was sent");
    }
    picture_of(&spans, top);
}

/// The page's picture is that tree; `FILMLAB_BLESS=1` makes it anew.
fn picture_of(spans: &[Span], top: &Span) {
    let mut picture = format!("{}\n", shown(top));
    tree(spans, &top.span_id, "", &mut picture);
    let text = std::fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once("<!-- tree -->\n```text\n").unwrap();
    let (there, after) = rest.split_once("```\n").unwrap();
    if require::variable("FILMLAB_BLESS").is_empty() {
        assert_eq!(
            edges_of_picture(there),
            edges(spans),
            "with FILMLAB_BLESS=1 it is made anew:\n{picture}"
        );
    } else {
        let renewed = format!("{before}<!-- tree -->\n```text\n{picture}```\n{after}");
        std::fs::write(page(), renewed).unwrap();
    }
}

#[tokio::test]
async fn a_job_is_one_trace_over_a_killed_process() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let Some(character) = require::fixture("character.png") else {
        return;
    };
    let receiver = Receiver::default();
    let collector = receiver.start().await;
    for (name, value) in [
        ("TELEMETRY__ENDPOINT", collector.as_str()),
        ("TELEMETRY__AUTHORIZATION", AUTHORIZATION),
        ("SERVER__ALLOW_LOOPBACK", "true"),
        ("WORKER__LEASE", "6s"),
        ("WORKER__HEARTBEAT", "1s"),
        ("WORKER__SWEEP_EVERY", "1s"),
    ] {
        lab.set(name, value);
    }
    // The process is killed while it waits for the answer to what it paid for.
    lab.sandbox
        .add_fault(FaultRule::once(Fault::AnswerLate { ms: 30_000 }));
    let mut service = Kept::start(&lab).await;
    service.grant().await;
    let video = service.remote().upload(&lab.clip).await;
    let image = service.remote().upload(&character).await;
    let body = json!({
        "kind": "character_replace", "source": {"video": video, "image": image},
        "params": {"prompt": PROMPT}, "notify": {"webhook": format!("{collector}/hook")},
    });
    let created: Value = lab
        .http
        .post(format!("{}/v1/jobs", service.remote().base()))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let id = created["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{created}"))
        .to_owned();
    let began = Instant::now();
    while lab.sandbox.submissions().is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nothing is submitted"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What the visit has done so far is sent within a second.
    let is_sent = |name: &str| receiver.spans().iter().any(|span| span.name == name);
    while !is_sent("provider upload") {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    let jobs = service.ended(std::slice::from_ref(&id)).await;
    assert_eq!(jobs[0].status, Status::Completed, "{jobs:#?}");
    assert_eq!(lab.sandbox.submissions().len(), 1);
    while receiver.notices.lock().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(90), "nobody is told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The end of the process sends what is left, and is not held up.
    let stopped = Instant::now();
    kill(service.child.id(), Signal::TERM);
    // Not blocked on: the receiver runs on this thread.
    while service.child.try_wait().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stopped.elapsed() < Duration::from_secs(10));

    one_tree(&receiver, &id);
}

/// A receiver that takes no connection, or keeps one without an answer, holds up no job and no end.
#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nothing() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    lab.set(
        "TELEMETRY__ENDPOINT",
        &format!("http://{}", silent.local_addr().unwrap()),
    );
    let Some(character) = require::fixture("character.png") else {
        return;
    };
    let mut service = Kept::start(&lab).await;
    service.grant().await;
    let video = service.remote().upload(&lab.clip).await;
    let image = service.remote().upload(&character).await;
    let id = service.remote().create(&video, &image).await;
    let jobs = service.ended(std::slice::from_ref(&id)).await;
    assert_eq!(jobs[0].status, Status::Completed, "{jobs:#?}");
    let stopped = Instant::now();
    kill(service.child.id(), Signal::TERM);
    // Not blocked on: the receiver runs on this thread.
    while service.child.try_wait().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stopped.elapsed() < Duration::from_secs(10));
}
