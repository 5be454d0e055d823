//! `[cloud]`, `[storage]`, `[ledger]` and `[queue]`: where things are kept.

use std::collections::HashMap;
use std::path::PathBuf;

use url::Url;

use super::reader::Reader;
use super::server::{Server, TasksAuth};

/// What is common to all of Google Cloud.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    pub project: Option<String>,
    /// A service account's key. Absent: the metadata server, as on Cloud Run.
    pub credentials: Option<PathBuf>,
    /// Another metadata server than Google's own, for stand-ins.
    pub metadata: Option<Url>,
    /// Another Secret Manager than Google's own, for stand-ins.
    pub secrets: Option<Url>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In `data.dir`.
    Directory,
    Gcs(Box<Bucket>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    /// Another server than Google's own, for stand-ins.
    pub endpoint: Option<Url>,
    pub iam_endpoint: Option<Url>,
    /// Whose signature links carry without a key file; absent: the account's own.
    pub signer: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ledger {
    /// In `data.dir`.
    Sqlite,
    Firestore(Database),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub project: String,
    pub name: String,
    /// An emulator's `host:port`.
    pub emulator: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queue {
    /// In `data.dir`.
    Embedded,
    CloudTasks(TaskQueue),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQueue {
    /// `projects/P/locations/L/queues/Q`.
    pub name: String,
    /// Another server than Google's own, for stand-ins.
    pub endpoint: Option<Url>,
}

pub(super) fn cloud(r: &mut Reader, env: &HashMap<String, String>) -> Cloud {
    // The names that Google's own tools read serve as well.
    let official = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let cloud = Cloud {
        project: r
            .get("cloud.project")
            .or_else(|| official("GOOGLE_CLOUD_PROJECT")),
        credentials: r
            .get("cloud.credentials")
            .or_else(|| official("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from)),
        metadata: r.parse("cloud.metadata_url"),
        secrets: r.parse("cloud.secrets_url"),
    };
    if let Some(file) = &cloud.credentials
        && !file.is_file()
    {
        r.fault(
            "cloud.credentials",
            format!("{} is not a file", file.display()),
        );
    }
    cloud
}

/// One of two words.
fn is_second(r: &mut Reader, key: &str, first: &str, second: &str) -> bool {
    let word = r.get_or(key, first.to_owned());
    if word != first && word != second {
        r.fault(key, format!("“{word}” is not one of {first}, {second}"));
    }
    word == second
}

fn required(r: &mut Reader, key: &str, because: &str) -> String {
    let given: Option<String> = r.get(key);
    if given.as_ref().is_none_or(String::is_empty) {
        r.fault(key, format!("is required by {because}"));
    }
    given.unwrap_or_default()
}

/// The section's own project, else the cloud's.
fn project(r: &mut Reader, section: &str, cloud: &Cloud, because: &str) -> String {
    let own: Option<String> = r.get(&format!("{section}.project"));
    own.or_else(|| cloud.project.clone()).unwrap_or_else(|| {
        r.fault("cloud.project", format!("is required by {because}"));
        String::new()
    })
}

pub(super) fn storage(r: &mut Reader) -> Storage {
    if !is_second(r, "storage.backend", "directory", "gcs") {
        return Storage::Directory;
    }
    Storage::Gcs(Box::new(Bucket {
        name: required(r, "storage.bucket", "storage.backend = \"gcs\""),
        endpoint: r.parse("storage.endpoint"),
        iam_endpoint: r.parse("storage.iam_endpoint"),
        signer: r.get("storage.signer"),
    }))
}

pub(super) fn ledger(r: &mut Reader, cloud: &Cloud) -> Ledger {
    if !is_second(r, "ledger.backend", "sqlite", "firestore") {
        return Ledger::Sqlite;
    }
    Ledger::Firestore(Database {
        project: project(r, "ledger", cloud, "ledger.backend = \"firestore\""),
        name: r.get_or("ledger.database", "(default)".to_owned()),
        emulator: r.get("ledger.emulator"),
    })
}

pub(super) fn queue(r: &mut Reader, cloud: &Cloud, server: &Server) -> Queue {
    const BECAUSE: &str = "queue.backend = \"cloud_tasks\"";
    if !is_second(r, "queue.backend", "embedded", "cloud_tasks") {
        return Queue::Embedded;
    }
    let project = project(r, "queue", cloud, BECAUSE);
    let location = required(r, "queue.location", BECAUSE);
    let name = required(r, "queue.name", BECAUSE);
    if server.public_url.is_none() {
        let message = format!("is required by {BECAUSE}: tasks are sent there");
        r.fault("server.public_url", message);
    }
    if server.tasks_auth == TasksAuth::Closed {
        let message = format!("must not be closed with {BECAUSE}: tasks come in there");
        r.fault("server.tasks_auth", message);
    }
    Queue::CloudTasks(TaskQueue {
        name: format!("projects/{project}/locations/{location}/queues/{name}"),
        endpoint: r.parse("queue.endpoint"),
    })
}
