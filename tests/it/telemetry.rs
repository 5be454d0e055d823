//! Log lines as Google Cloud reads them.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use axum::http::Request;
use filmlab::http::TasksAuth;
use filmlab::telemetry::{LogFormat, ServiceName, subscriber};
use serde_json::Value;
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;

use crate::http::App;

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Every line must be an object.
    pub(crate) fn parsed(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .inspect(|line: &Value| assert!(line.is_object()))
            .collect()
    }

    /// To be made the default of this thread.
    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        LazyLock::force(&WITNESS);
        let writer = self.clone();
        subscriber("debug", &format(), false, move || writer.clone())
    }
}

fn format() -> LogFormat {
    LogFormat::Cloud(ServiceName {
        project: Some("demo".into()),
        service: "filmlab".into(),
        version: "filmlab-00007".into(),
    })
}

/// While there is but one subscriber, `tracing` asks the current thread's whether a line is
/// wanted, for all threads: a test elsewhere that reaches the line first would answer no for us.
static WITNESS: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| subscriber("debug", &format(), false, std::io::sink).into());

#[test]
fn every_line_is_one_object_with_the_keys_cloud_logging_knows() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.subscriber(), || {
        let visit = tracing::info_span!("visit", job = "j1", seq = 7_u64);
        let _visit = visit.enter();
        let stage = tracing::info_span!("stage", stage = "process", attempt = 2_u32);
        let _stage = stage.enter();
        tracing::info!(
            bytes = 12_u64,
            share = 0.5,
            done = true,
            "two\nlines \"quoted\" ü"
        );
        tracing::warn!(severity = "EMERGENCY", time = "never", "a field is no key");
        tracing::error!(reason = "x".repeat(100_000), "it broke");
        tracing::debug!("small");
        tracing::trace!("not shown");
    });
    let lines = lines.parsed();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        let at: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        assert!(at.duration_until(jiff::Timestamp::now()).as_secs() < 60);
        assert_eq!((&line["job"], &line["seq"]), (&"j1".into(), &7.into()));
        let labels = &line["logging.googleapis.com/labels"];
        assert_eq!(
            *labels,
            serde_json::json!({"job": "j1", "seq": "7", "stage": "process", "attempt": "2"})
        );
        let place = &line["logging.googleapis.com/sourceLocation"];
        assert!(
            place["file"].as_str().unwrap().ends_with("telemetry.rs"),
            "{place}"
        );
        assert_eq!(line.get("logging.googleapis.com/trace"), None);
    }
    let severities: Vec<&Value> = lines.iter().map(|line| &line["severity"]).collect();
    assert_eq!(severities, ["INFO", "WARNING", "ERROR", "DEBUG"]);
    assert_eq!(lines[0]["message"], "two\nlines \"quoted\" ü");
    assert_eq!(
        (&lines[0]["bytes"], &lines[0]["share"], &lines[0]["done"]),
        (&12.into(), &0.5.into(), &true.into())
    );
    assert_eq!(lines[1]["message"], "a field is no key");
    assert_eq!(lines[0].get("@type"), None);

    let error = &lines[2];
    assert!(
        error["@type"]
            .as_str()
            .unwrap()
            .ends_with("ReportedErrorEvent")
    );
    assert_eq!(error["serviceContext"]["service"], "filmlab");
    assert_eq!(error["serviceContext"]["version"], "filmlab-00007");
    let place = &error["context"]["reportLocation"];
    assert!(place["lineNumber"].as_u64().unwrap() > 0, "{place}");
    assert!(error.to_string().len() < 20_000, "a long field is cut");
}

#[tokio::test]
async fn a_request_s_lines_name_its_trace() {
    let lines = Lines::default();
    let app = App::with(|settings| settings.tasks_auth = TasksAuth::Token("t".into()));
    let request = Request::post("/tasks/jobs/j1?secret=1")
        .header("authorization", "Bearer t")
        .header("content-type", "application/json")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .body(Body::from(r#"{"seq":3,"why":"wake"}"#));
    let send = async { app.send(request.unwrap()).await };
    let answer = send.with_subscriber(lines.subscriber()).await;
    assert_eq!(answer.status, 200);
    let lines: Vec<Value> = lines
        .parsed()
        .into_iter()
        .filter(|line| line["target"].as_str().unwrap().starts_with("filmlab"))
        .collect();
    assert!(lines.len() >= 2, "{lines:?}");
    for line in &lines {
        assert_eq!(
            line["logging.googleapis.com/trace"],
            "projects/demo/traces/4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(line["logging.googleapis.com/spanId"], "00f067aa0ba902b7");
        assert_eq!(line["logging.googleapis.com/trace_sampled"], true);
        assert!(!line.to_string().contains("secret"));
    }
    let task = lines
        .iter()
        .find(|line| line["message"] == "a task has come")
        .unwrap();
    assert_eq!(task["logging.googleapis.com/labels"]["job"], "j1");
    let last = lines
        .iter()
        .find(|line| line.get("httpRequest").is_some())
        .unwrap();
    let request = &last["httpRequest"];
    assert_eq!(
        (&request["requestMethod"], &request["status"]),
        (&"POST".into(), &200.into())
    );
    assert_eq!(request["requestUrl"], "/tasks/jobs/{id}");
    assert!(request["latency"].as_str().unwrap().ends_with('s'));
}

#[tokio::test]
async fn spans_without_fields_and_lines_without_spans_are_fine() {
    let lines = Lines::default();
    async {
        tracing::info!("alone");
        async { tracing::info!("inside") }
            .instrument(tracing::info_span!("bare"))
            .await;
    }
    .with_subscriber(lines.subscriber())
    .await;
    let lines = lines.parsed();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].get("logging.googleapis.com/labels"), None);
}
