//! A document is written, read and deleted, and jobs are asked for by each index.

use http::Method;
use serde_json::{Value, json};

use super::calls::{Calls, base};
use super::missing::{Account, failed};
use super::roles::{Role, line};
use crate::app::doctor::finding::Finding;
use crate::clock::whole_micros;
use crate::config::{Config, Database, Ledger};
use crate::google::{GoogleAccess, Identity};
use crate::job::Timestamp;

const FIRESTORE: &str = "https://firestore.googleapis.com";
const API: &str = "firestore.googleapis.com";

/// The fields that jobs are listed by, each with the newest first: what `firestore.indexes.json`
/// has an index for. A test holds the two together.
pub const LISTED_BY: [&str; 3] = ["owner", "status", "kind"];

pub(super) async fn documents(
    config: &Config,
    calls: &Calls,
    account: &Account,
    now: Timestamp,
) -> Vec<Finding> {
    let Ledger::Firestore(database) = &config.ledger else {
        return Vec::new();
    };
    let root = format!("projects/{}/databases/{}", database.project, database.name);
    let Some(host) = &database.emulator else {
        let address = format!("{}/v1/{root}/documents", base(None, FIRESTORE));
        return tried(database, calls, account, &address, now).await;
    };
    // What an emulator takes for the project's owner.
    let owner = Identity::Token("owner".to_owned());
    let address = format!("http://{host}/v1/{root}/documents");
    let own = async { Calls::new(&GoogleAccess::new(&owner).await?, calls.longest) };
    match own.await {
        Ok(calls) => tried(database, &calls, account, &address, now).await,
        Err(error) => vec![Finding::service("documents", error, "see ledger.emulator")],
    }
}

async fn tried(
    database: &Database,
    calls: &Calls,
    account: &Account,
    address: &str,
    now: Timestamp,
) -> Vec<Finding> {
    let role = Role::Documents {
        project: database.project.clone(),
        database: database.name.clone(),
    };
    let found = |name, what: &str, outcome: Result<Vec<u8>, _>| match outcome {
        Ok(_) => Finding::ok(name, what),
        Err(refusal) => failed(name, &refusal, &role, account, API),
    };
    // A mark, as readiness leaves them: the service's own cleaning removes it after a day.
    let mark = format!("doctor-{}", ulid::Ulid::new().to_string().to_lowercase());
    let place = format!("{address}/marks/{mark}");
    let at = whole_micros(now).to_string();
    let fields = json!({"fields": {"at": {"timestampValue": at}}});
    let written = calls.json(Method::PATCH, &place, &fields).await;
    let is_there = written.is_ok();
    let mut findings = vec![found("document write", "a document was written", written)];
    findings.push(match calls.plain(Method::GET, &place, "").await {
        Err(refusal) if refusal.is_absent() && !is_there => {
            Finding::ok("document read", "may be read")
        }
        outcome => found("document read", "it was read", outcome),
    });
    for field in LISTED_BY {
        let query = query(field);
        let asked = calls
            .json(Method::POST, &format!("{address}:runQuery"), &query)
            .await;
        findings.push(match asked {
            // FAILED_PRECONDITION.
            Err(refusal) if refusal.says("requires an index") => Finding::service(
                "index",
                format!("jobs by {field}: {refusal}"),
                "make it; one that was made a moment ago takes some minutes",
            )
            .command(index(database, field)),
            outcome => found("index", &format!("jobs by {field} are found"), outcome),
        });
    }
    let deleted = calls.plain(Method::DELETE, &place, "").await;
    findings.push(found(
        "document delete",
        "the document was deleted",
        deleted,
    ));
    findings
}

/// The newest job with a value of `field` that none has.
fn query(field: &str) -> Value {
    json!({"structuredQuery": {
        "from": [{"collectionId": "jobs"}],
        "where": {"fieldFilter": {
            "field": {"fieldPath": field}, "op": "EQUAL", "value": {"stringValue": "doctor"},
        }},
        "orderBy": [{"field": {"fieldPath": "created_at"}, "direction": "DESCENDING"}],
        "limit": 1,
    }})
}

fn index(database: &Database, field: &str) -> String {
    line(&[
        "gcloud",
        "firestore",
        "indexes",
        "composite",
        "create",
        &format!("--database={}", database.name),
        "--collection-group=jobs",
        "--query-scope=collection",
        &format!("--field-config=field-path={field},order=ascending"),
        "--field-config=field-path=created_at,order=descending",
        &format!("--project={}", database.project),
    ])
}
