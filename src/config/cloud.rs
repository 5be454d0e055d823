//! `[cloud]`, `[storage]`, `[ledger]` and `[queue]`: where things are kept.

use std::collections::HashMap;
use std::path::PathBuf;

use url::Url;

use super::reader::Reader;
use super::server::{PUBLIC_URL, Server, TASKS_AUTH, TasksAuth};
use super::table::{Formed, Keyed as _, Open, Setting, settings};
use crate::fields::{DiskPath, Form, OneOf, Parsed, Text};

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

const ANY_SERVER: Parsed<Url> = Parsed::new("address");
const GOOGLES: &str = "Google's";
const STAND_IN: &str = "another server, for stand-ins";

settings! { CLOUD of "cloud" {
    PROJECT: Open<Text> = "project", Text("text"), "`GOOGLE_CLOUD_PROJECT`",
        "project in Google Cloud";
    CREDENTIALS: Open<DiskPath> = "credentials", DiskPath("a file"),
        "`GOOGLE_APPLICATION_CREDENTIALS`, otherwise the metadata server",
        "key file of a service account";
    SECRETS_URL: Open<Parsed<Url>> = "secrets_url", ANY_SERVER, GOOGLES,
        "another server of secrets, for stand-ins";
    METADATA_URL: Open<Parsed<Url>> = "metadata_url", ANY_SERVER, GOOGLES,
        "another metadata server, for stand-ins";
}}

settings! { STORAGE of "storage" {
    STORAGE_BACKEND: Setting<OneOf> = "backend", OneOf(&["directory", "gcs"]), "directory",
        "a folder under `data.dir`, or a bucket of Google Cloud Storage";
    BUCKET: Open<Text> = "bucket", Text("text"), "none",
        "the bucket's name; required with `gcs`";
    SIGNER: Open<Text> = "signer", Text("text"), "the service's own account",
        "the account that signs links, if there is no key file";
    STORAGE_ENDPOINT: Open<Parsed<Url>> = "endpoint", ANY_SERVER, GOOGLES, STAND_IN;
    IAM_ENDPOINT: Open<Parsed<Url>> = "iam_endpoint", ANY_SERVER, GOOGLES, STAND_IN;
}}

settings! { LEDGER of "ledger" {
    LEDGER_BACKEND: Setting<OneOf> = "backend", OneOf(&["sqlite", "firestore"]), "sqlite",
        "a file under `data.dir`, or Firestore";
    LEDGER_PROJECT: Open<Text> = "project", Text("text"), "`cloud.project`",
        "project of the Firestore database";
    DATABASE: Open<Text> = "database", Text("text"), "`(default)`",
        "name of the Firestore database";
    EMULATOR: Open<Text> = "emulator", Text("`host:port`"), "none", "an emulator of Firestore";
}}

settings! { QUEUE of "queue" {
    QUEUE_BACKEND: Setting<OneOf> = "backend", OneOf(&["embedded", "cloud_tasks"]), "embedded",
        "a file under `data.dir`, or Cloud Tasks";
    QUEUE_PROJECT: Open<Text> = "project", Text("text"), "`cloud.project`",
        "project of the queue";
    LOCATION: Open<Text> = "location", Text("text"), "none",
        "its location, for example `europe-west1`; required with Cloud Tasks";
    QUEUE_NAME: Open<Text> = "name", Text("text"), "none",
        "its name; required with Cloud Tasks";
    QUEUE_ENDPOINT: Open<Parsed<Url>> = "endpoint", ANY_SERVER, GOOGLES, STAND_IN;
}}

pub(super) fn cloud(r: &mut Reader, env: &HashMap<String, String>) -> Cloud {
    // The names that Google's own tools read serve as well.
    let official = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let cloud = Cloud {
        project: r
            .given(&PROJECT)
            .or_else(|| official("GOOGLE_CLOUD_PROJECT")),
        credentials: r
            .given(&CREDENTIALS)
            .or_else(|| official("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from)),
        metadata: r.given(&METADATA_URL),
        secrets: r.given(&SECRETS_URL),
    };
    if let Some(file) = &cloud.credentials
        && !file.is_file()
    {
        r.fault(
            &CREDENTIALS.key(),
            format!("{} is not a file", file.display()),
        );
    }
    cloud
}

/// Whether the queue is one that sends its tasks to us.
pub(super) fn sends_tasks(r: &mut Reader) -> bool {
    r.value(&QUEUE_BACKEND) == "cloud_tasks"
}

fn required<S>(r: &mut Reader, setting: &S, because: &str) -> String
where
    S: Formed<Form: Form<Value = String>>,
{
    let given = r.given(setting);
    if given.as_ref().is_none_or(String::is_empty) {
        r.fault(&setting.key(), format!("is required by {because}"));
    }
    given.unwrap_or_default()
}

/// The section's own project, else the cloud's.
fn project(r: &mut Reader, own: &Open<Text>, cloud: &Cloud, because: &str) -> String {
    let own = r.given(own);
    own.or_else(|| cloud.project.clone()).unwrap_or_else(|| {
        r.fault(&PROJECT.key(), format!("is required by {because}"));
        String::new()
    })
}

pub(super) fn storage(r: &mut Reader) -> Storage {
    if r.value(&STORAGE_BACKEND) != "gcs" {
        return Storage::Directory;
    }
    Storage::Gcs(Box::new(Bucket {
        name: required(r, &BUCKET, "storage.backend = \"gcs\""),
        endpoint: r.given(&STORAGE_ENDPOINT),
        iam_endpoint: r.given(&IAM_ENDPOINT),
        signer: r.given(&SIGNER),
    }))
}

pub(super) fn ledger(r: &mut Reader, cloud: &Cloud) -> Ledger {
    if r.value(&LEDGER_BACKEND) != "firestore" {
        return Ledger::Sqlite;
    }
    Ledger::Firestore(Database {
        project: project(r, &LEDGER_PROJECT, cloud, "ledger.backend = \"firestore\""),
        name: r.given(&DATABASE).unwrap_or_else(|| "(default)".to_owned()),
        emulator: r.given(&EMULATOR),
    })
}

/// `sends`: what [`sends_tasks`] said.
pub(super) fn queue(r: &mut Reader, cloud: &Cloud, server: &Server, sends: bool) -> Queue {
    const BECAUSE: &str = "queue.backend = \"cloud_tasks\"";
    if !sends {
        return Queue::Embedded;
    }
    let project = project(r, &QUEUE_PROJECT, cloud, BECAUSE);
    let location = required(r, &LOCATION, BECAUSE);
    let name = required(r, &QUEUE_NAME, BECAUSE);
    if server.public_url.is_none() {
        let message = format!("is required by {BECAUSE}: tasks are sent there");
        r.fault(&PUBLIC_URL.key(), message);
    }
    if server.tasks_auth == TasksAuth::Closed {
        let message = format!("must not be closed with {BECAUSE}: tasks come in there");
        r.fault(&TASKS_AUTH.key(), message);
    }
    Queue::CloudTasks(TaskQueue {
        name: format!("projects/{project}/locations/{location}/queues/{name}"),
        endpoint: r.given(&QUEUE_ENDPOINT),
    })
}
