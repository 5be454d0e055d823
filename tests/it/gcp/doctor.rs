//! `filmlab doctor --cloud`: everything is tried, each missing role is named with the command that
//! grants it, and nothing stays behind.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use filmlab::app::doctor::cloud::database::LISTED_BY;
use filmlab::app::doctor::cloud::{CALL, examine_cloud, needed};
use filmlab::app::doctor::{Finding, Standing};
use filmlab::clock::{Clock as _, SystemClock};
use filmlab::config::{Config, Sources};
use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::support::cloud_tasks::FakeCloudTasks;
use crate::support::emulator::{Caller, Emulator};
use crate::support::gcs::{BUCKET, FakeGcs};
use crate::support::google::{FakeGoogle, SERVICE_ACCOUNT, serve};

/// What one call is answered instead.
#[derive(Debug, Clone)]
struct Instead {
    method: &'static str,
    path: &'static str,
    /// A part of the request's body.
    body: &'static str,
    /// None: no answer at all.
    answer: Option<(u16, String)>,
}

/// Stands before the stand-ins, and refuses one call in Google's own words.
#[derive(Debug, Clone, Default)]
struct Gate {
    instead: Arc<Mutex<Option<Instead>>>,
    client: reqwest::Client,
}

impl Gate {
    async fn before(&self, to: Url) -> Url {
        let state = (self.clone(), to);
        serve(Router::new().fallback(pass).with_state(state)).await
    }
}

async fn pass(State((gate, to)): State<(Gate, Url)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let instead = gate.instead.lock().unwrap().clone().filter(|instead| {
        parts.method.as_str() == instead.method
            && parts.uri.to_string().contains(instead.path)
            && String::from_utf8_lossy(&body).contains(instead.body)
    });
    match instead.map(|instead| instead.answer) {
        Some(Some((status, text))) => {
            return (StatusCode::from_u16(status).unwrap(), text).into_response();
        }
        Some(None) => std::future::pending().await,
        None => {}
    }
    let url = format!("{}{}", to.as_str().trim_end_matches('/'), parts.uri);
    let mut asked = gate.client.request(parts.method, url);
    for name in ["authorization", "content-type", "metadata-flavor"] {
        if let Some(value) = parts.headers.get(name) {
            asked = asked.header(name, value);
        }
    }
    let answer = asked.body(body).send().await.unwrap();
    let status = answer.status();
    // Google's clients look at what kind of answer it is, and at marks of objects.
    let mut headers = http::HeaderMap::new();
    for name in ["content-type", "etag", "last-modified"] {
        if let Some(value) = answer.headers().get(name) {
            headers.insert(name, value.clone());
        }
    }
    (status, headers, Body::from(answer.bytes().await.unwrap())).into_response()
}

/// Secrets and messages: what has no stand-in of its own.
async fn others() -> Url {
    let secret = || async { Json(json!({"payload": {"data": "c2VjcmV0LXZhbHVl"}})) };
    let message = |Json(body): Json<Value>| async move {
        assert_eq!(body["validate_only"], true, "nothing is sent");
        let said = "The registration token is not a valid FCM registration token";
        let error = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": said}});
        (StatusCode::BAD_REQUEST, Json(error))
    };
    let router = Router::new()
        .route(
            "/v1/projects/demo/secrets/{name}/versions/{version}",
            get(secret),
        )
        .route("/v1/projects/demo/messages:send", post(message));
    serve(router).await
}

struct Stand {
    gate: Gate,
    gcs: FakeGcs,
    tasks: FakeCloudTasks,
    emulator: Emulator,
    config: Config,
    _dir: tempfile::TempDir,
}

const SECRETS: [&str; 2] = ["filmlab-provider-key", "filmlab-link-key"];

impl Stand {
    async fn new() -> Option<Self> {
        let emulator = Emulator::fresh()?;
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::default();
        let (google, gcs) = (FakeGoogle::default(), FakeGcs::default());
        let tasks = FakeCloudTasks::new(Arc::new(SystemClock));
        let google = gate.before(google.start().await).await;
        let others = gate.before(others().await).await;
        let firestore = format!("http://{}", emulator.host).parse().unwrap();
        let firestore = gate.before(firestore).await;
        let text = format!(
            r#"
            [cloud]
            project = "demo"
            metadata_url = "{google}"
            secrets_url = "{others}"
            [storage]
            backend = "gcs"
            bucket = "{BUCKET}"
            endpoint = "{}"
            iam_endpoint = "{google}"
            [queue]
            backend = "cloud_tasks"
            location = "here"
            name = "jobs"
            endpoint = "{}"
            [ledger]
            backend = "firestore"
            project = "{}"
            emulator = "{}"
            [server]
            public_url = "https://lab.example/"
            service_account = "tasks@demo.iam.gserviceaccount.com"
            [notify]
            fcm_project = "demo"
            fcm_endpoint = "{others}"
            [links]
            key = "0123456789abcdef"
            "#,
            gate.before(gcs.start().await).await,
            gate.before(tasks.start().await).await,
            emulator.project,
            firestore.authority(),
        );
        Some(Self {
            gate,
            gcs,
            tasks,
            emulator,
            config: load(dir.path(), &text),
            _dir: dir,
        })
    }

    async fn look(&self, instead: Option<Instead>, call: Duration) -> Vec<Finding> {
        *self.gate.instead.lock().unwrap() = instead;
        let secrets = SECRETS.map(str::to_owned);
        let stop = CancellationToken::new();
        examine_cloud(&self.config, &secrets, SystemClock.now(), call, &stop).await
    }

    /// What was written and is still there.
    async fn left(&self) -> Vec<String> {
        let mut left = self.gcs.names();
        left.extend(self.tasks.waiting().into_keys());
        let (_, marks) = self.emulator.get(Caller::Owner, "marks").await;
        for mark in marks["documents"].as_array().into_iter().flatten() {
            left.push(mark["name"].as_str().unwrap().to_owned());
        }
        left
    }
}

fn load(dir: &Path, text: &str) -> Config {
    let file = dir.join("filmlab.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap()
}

fn failed(findings: &[Finding]) -> Vec<&Finding> {
    let failed = |finding: &&Finding| finding.standing != Standing::Ok;
    findings.iter().filter(failed).collect()
}

/// As most APIs refuse.
fn denied(message: &str) -> Option<(u16, String)> {
    let error = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": message}});
    Some((403, error.to_string()))
}

/// As IAM names a missing permission.
fn lacks(permission: &str) -> Option<(u16, String)> {
    denied(&format!(
        "Permission '{permission}' denied on resource (or it may not exist)."
    ))
}

/// As Cloud Storage refuses.
fn xml(permission: &str) -> Option<(u16, String)> {
    let text = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access \
         denied.</Message><Details>{SERVICE_ACCOUNT} does not have {permission} access to the \
         Google Cloud Storage object. Permission '{permission}' denied on resource (or it may not \
         exist).</Details></Error>"
    );
    Some((403, text))
}

/// As Cloud Tasks refuses.
fn principal(permission: &str) -> Option<(u16, String)> {
    denied(&format!(
        "The principal (user or service account) lacks IAM permission \"{permission}\" for the \
         resource \"projects/demo/locations/here/queues/jobs\" (or the resource may not exist)."
    ))
}

/// Method, part of the path, part of the body, answer; what fails; what the command holds.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    Option<(u16, String)>,
    &'static str,
    &'static str,
);

#[expect(clippy::too_many_lines, reason = "a row for each permission")]
fn cases() -> Vec<Case> {
    const BUCKET_ROLE: &str = "gcloud storage buckets add-iam-policy-binding gs://bucket \
        --member=serviceAccount:worker@demo.iam.gserviceaccount.com --role=roles/storage.objectUser";
    let no_index = json!({"error": {
        "code": 400, "status": "FAILED_PRECONDITION",
        "message": "The query requires an index. You can create it here: https://console",
    }});
    let off = "Cloud Tasks API has not been used in project 1 before or it is disabled. Enable it \
        by visiting https://console.developers.google.com/apis/api/cloudtasks.googleapis.com";
    vec![
        (
            "PUT",
            "/work/doctor/",
            "",
            xml("storage.objects.create"),
            "bucket write",
            BUCKET_ROLE,
        ),
        (
            "GET",
            "/work/doctor/",
            "",
            xml("storage.objects.get"),
            "bucket read",
            BUCKET_ROLE,
        ),
        (
            "GET",
            "list-type",
            "",
            xml("storage.objects.list"),
            "bucket list",
            BUCKET_ROLE,
        ),
        (
            "DELETE",
            "/work/doctor/",
            "",
            xml("storage.objects.delete"),
            "bucket delete",
            BUCKET_ROLE,
        ),
        (
            "POST",
            ":signBlob",
            "",
            lacks("iam.serviceAccounts.signBlob"),
            "link signatures",
            "gcloud iam service-accounts add-iam-policy-binding \
             worker@demo.iam.gserviceaccount.com \
             --member=serviceAccount:worker@demo.iam.gserviceaccount.com \
             --role=roles/iam.serviceAccountTokenCreator --project=demo",
        ),
        (
            "POST",
            "/tasks",
            "",
            principal("cloudtasks.tasks.create"),
            "queue tasks",
            "gcloud tasks queues add-iam-policy-binding jobs --location=here \
             --member=serviceAccount:worker@demo.iam.gserviceaccount.com \
             --role=roles/cloudtasks.enqueuer --project=demo",
        ),
        (
            "POST",
            "/tasks",
            "",
            principal("iam.serviceAccounts.actAs"),
            "queue tasks",
            "gcloud iam service-accounts add-iam-policy-binding \
             tasks@demo.iam.gserviceaccount.com \
             --member=serviceAccount:worker@demo.iam.gserviceaccount.com \
             --role=roles/iam.serviceAccountUser --project=demo",
        ),
        (
            "POST",
            "/tasks",
            "",
            denied(off),
            "queue tasks",
            "gcloud services enable cloudtasks.googleapis.com --project=demo",
        ),
        (
            "PATCH",
            "/marks/",
            "",
            denied("Missing or insufficient permissions."),
            "document write",
            "--role=roles/datastore.user '--condition=expression=resource.name==\"projects/",
        ),
        (
            "GET",
            "/marks/",
            "",
            denied("Missing or insufficient permissions."),
            "document read",
            "--role=roles/datastore.user",
        ),
        (
            "DELETE",
            "/marks/",
            "",
            denied("Missing or insufficient permissions."),
            "document delete",
            "--role=roles/datastore.user",
        ),
        (
            "POST",
            ":runQuery",
            "\"status\"",
            Some((400, no_index.to_string())),
            "index",
            "gcloud firestore indexes composite create '--database=(default)' \
             --collection-group=jobs --query-scope=collection \
             --field-config=field-path=status,order=ascending \
             --field-config=field-path=created_at,order=descending",
        ),
        (
            "GET",
            "/secrets/filmlab-link-key/",
            "",
            lacks("secretmanager.versions.access"),
            "secret",
            "gcloud secrets add-iam-policy-binding filmlab-link-key \
             --member=serviceAccount:worker@demo.iam.gserviceaccount.com \
             --role=roles/secretmanager.secretAccessor --project=demo",
        ),
        (
            "POST",
            "/messages:send",
            "",
            lacks("cloudmessaging.messages.create"),
            "cloud notices",
            "gcloud projects add-iam-policy-binding demo \
             --member=serviceAccount:worker@demo.iam.gserviceaccount.com \
             --role=roles/firebasecloudmessaging.admin --condition=None --project=demo",
        ),
    ]
}

#[tokio::test]
async fn each_missing_role_is_named_and_nothing_stays_behind() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let findings = stand.look(None, CALL).await;
    assert!(failed(&findings).is_empty(), "{findings:#?}");
    for name in [
        "cloud token",
        "bucket write",
        "bucket read",
        "bucket list",
        "bucket delete",
        "link signatures",
        "queue tasks",
        "document write",
        "document read",
        "document delete",
        "index",
        "secret",
        "cloud notices",
    ] {
        assert!(
            findings.iter().any(|finding| finding.name == name),
            "{name}"
        );
    }
    let indexes = findings.iter().filter(|one| one.name == "index").count();
    assert_eq!(indexes, LISTED_BY.len());
    assert_eq!(stand.left().await, [""; 0]);
    assert_eq!(stand.tasks.creations(), 1);
    let shown = serde_json::to_string(&findings).unwrap();
    assert!(
        !shown.contains("secret-value") && !shown.contains("c2VjcmV0"),
        "{shown}"
    );

    for (method, path, body, answer, name, command) in cases() {
        let instead = Instead {
            method,
            path,
            body,
            answer,
        };
        let findings = stand.look(Some(instead.clone()), CALL).await;
        let [finding] = failed(&findings)[..] else {
            panic!("{instead:?}: {:#?}", failed(&findings));
        };
        assert_eq!(finding.name, name, "{finding:?}");
        let told = finding.command.as_deref().unwrap_or_default();
        assert!(told.contains(command), "{told}\nlacks\n{command}");
        // What could not be deleted is the one thing that stays.
        let left = stand.left().await;
        assert_eq!(
            left.len(),
            usize::from(method == "DELETE"),
            "{instead:?}: {left:?}"
        );
        *stand.gate.instead.lock().unwrap() = None;
        stand.gcs.forget_all();
        stand.emulator.clear().await;
    }
}

#[tokio::test]
async fn a_task_that_may_not_be_deleted_does_no_harm() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let instead = Instead {
        method: "DELETE",
        path: "/tasks/",
        body: "",
        answer: principal("cloudtasks.tasks.delete"),
    };
    let findings = stand.look(Some(instead), CALL).await;
    assert!(failed(&findings).is_empty(), "{findings:#?}");
    let tasks = stand.tasks.waiting();
    let [task] = &tasks.values().collect::<Vec<_>>()[..] else {
        panic!("{tasks:?}");
    };
    let request = &task.wire["httpRequest"];
    assert_eq!(request["url"], "https://lab.example/livez");
    assert_eq!(request["httpMethod"], "GET");
}

/// A call that gets no answer ends by itself, and the rest is tried all the same.
#[tokio::test]
async fn silence_and_what_is_not_there_are_told_from_a_missing_role() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let silent = Instead {
        method: "GET",
        path: "/work/doctor/",
        body: "",
        answer: None,
    };
    let started = Instant::now();
    // Long enough for the calls that are answered, on a machine that has much to do.
    let findings = stand.look(Some(silent), Duration::from_secs(3)).await;
    assert!(started.elapsed() < CALL, "{:?}", started.elapsed());
    let [finding] = failed(&findings)[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!((finding.name, &finding.command), ("bucket read", &None));
    assert_eq!(stand.left().await, [""; 0]);

    let absent = Instead {
        method: "POST",
        path: "/tasks",
        body: "",
        answer: Some((
            404,
            r#"{"error":{"code":404,"status":"NOT_FOUND","message":"Queue does not exist."}}"#
                .to_owned(),
        )),
    };
    let findings = stand.look(Some(absent), CALL).await;
    let [finding] = failed(&findings)[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!((finding.name, &finding.command), ("queue tasks", &None));
    assert!(
        finding.message.contains("Queue does not exist"),
        "{finding:?}"
    );

    // Without a token nothing is tried.
    let token = Instead {
        method: "GET",
        path: "/service-accounts/default/token",
        body: "",
        answer: Some((404, String::new())),
    };
    let findings = stand.look(Some(token), Duration::from_millis(800)).await;
    let [finding] = &findings[..] else {
        panic!("{findings:#?}");
    };
    assert_eq!(
        (finding.name, finding.standing),
        ("cloud token", Standing::Fail)
    );
}

/// The script and this look know the same roles, each on the same thing, word for word.
#[test]
fn the_roles_are_those_that_the_script_grants() {
    const ASK: &str = "
import json, support, stand_in
cloud = stand_in.Cloud()
ran = support.run(cloud, 'apply', settings=support.with_settings(FCM_PROJECT='my-project'))
assert ran.status == 0, ran.said
print(json.dumps([args for args in support.made(cloud.calls) if 'add-iam-policy-binding' in args]))
";
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/deploy/test");
    let ran = Command::new("python3")
        .args(["-B", "-c", ASK])
        .current_dir(tests)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let granted: Vec<Vec<String>> = serde_json::from_slice(&ran.stdout).unwrap();
    let email = "filmlab-worker@my-project.iam.gserviceaccount.com";
    let mut granted: Vec<Vec<String>> = granted
        .into_iter()
        .filter(|words| words.contains(&format!("--member=serviceAccount:{email}")))
        // The collector's, which runs beside the worker.
        .filter(|words| !words.contains(&"--role=roles/monitoring.metricWriter".to_owned()))
        .map(|words| words.into_iter().filter(|word| word != "--quiet").collect())
        .collect();
    let secrets: Vec<String> = granted
        .iter()
        .filter(|words| words[1] == "secrets")
        .map(|words| words[3].clone())
        .collect();
    assert!(secrets.len() >= 2, "{granted:?}");
    let dir = tempfile::tempdir().unwrap();
    let config = load(
        dir.path(),
        r#"
        [cloud]
        project = "my-project"
        [storage]
        backend = "gcs"
        bucket = "my-project-filmlab"
        [queue]
        backend = "cloud_tasks"
        location = "europe-west1"
        name = "filmlab"
        [ledger]
        backend = "firestore"
        [server]
        public_url = "https://lab.example/"
        service_account = "filmlab-tasks@my-project.iam.gserviceaccount.com"
        [notify]
        fcm_project = "my-project"
        [links]
        key = "0123456789abcdef"
        "#,
    );
    let mut known: Vec<Vec<String>> = needed(&config, email, &secrets)
        .iter()
        .map(filmlab::app::doctor::cloud::roles::Granted::words)
        .collect();
    granted.sort();
    known.sort();
    assert_eq!(known, granted);
}

/// Each index of `firestore.indexes.json` is asked for, and no other.
#[test]
fn the_indexes_are_those_of_the_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("firestore.indexes.json");
    let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let wanted: Vec<Value> = LISTED_BY
        .iter()
        .map(|listed_by| {
            let mut fields: Vec<_> = listed_by
                .iter()
                .map(|field| match *field {
                    "tags" => json!({"fieldPath": field, "arrayConfig": "CONTAINS"}),
                    _ => json!({"fieldPath": field, "order": "ASCENDING"}),
                })
                .collect();
            fields.push(json!({"fieldPath": "created_at", "order": "DESCENDING"}));
            json!({"collectionGroup": "jobs", "queryScope": "COLLECTION", "fields": fields})
        })
        .collect();
    assert_eq!(file["indexes"], json!(wanted));
}

/// As at Ctrl-C: a read that hangs is broken off, and what was written goes.
#[tokio::test]
async fn stopped_in_the_middle_it_leaves_nothing() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    for (method, path) in [
        ("GET", "/work/doctor/"),
        ("GET", "list-type"),
        ("POST", ":signBlob"),
    ] {
        *stand.gate.instead.lock().unwrap() = Some(Instead {
            method,
            path,
            body: "",
            answer: None,
        });
        let stop = CancellationToken::new();
        let secrets = SECRETS.map(str::to_owned);
        let call = Duration::from_secs(2);
        let look = examine_cloud(&stand.config, &secrets, SystemClock.now(), call, &stop);
        let signal = async {
            while stand.gcs.names().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.cancel();
            Instant::now()
        };
        let (findings, stopped) = tokio::join!(look, signal);
        // A call that may write is waited for, another one not.
        let most = if method == "GET" { call / 2 } else { call * 2 };
        assert!(stopped.elapsed() < most, "{path}: {:?}", stopped.elapsed());
        let told = failed(&findings);
        assert!(
            told.iter()
                .any(|finding| finding.message.contains("stopped")),
            "{told:#?}"
        );
        assert_eq!(stand.left().await, Vec::<String>::new(), "{path}");
    }
}
