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

/// The fields that jobs are listed by, the newest first: what `firestore.indexes.json` has an index
/// for. A test holds the two together.
pub const LISTED_BY: [&[&str]; 7] = [
    &["owner"],
    &["status"],
    &["kind"],
    &[LIST],
    &["provider.model"],
    &["error.code"],
    &["owner", LIST],
];
/// Not a word but a list of them.
const LIST: &str = "tags";

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
    let own = async {
        Calls::new(
            &GoogleAccess::new(&owner).await?,
            calls.longest,
            &calls.stop,
        )
    };
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
    for fields in LISTED_BY {
        let query = query(fields);
        let named = fields.join(" and ");
        let asked = calls
            .json(Method::POST, &format!("{address}:runQuery"), &query)
            .await;
        findings.push(match asked {
            // FAILED_PRECONDITION.
            Err(refusal) if refusal.says("requires an index") => Finding::service(
                "index",
                format!("jobs by {named}: {refusal}"),
                "make it; one that was made a moment ago takes some minutes",
            )
            .command(index(database, fields)),
            outcome => found("index", &format!("jobs by {named} are found"), outcome),
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

/// The newest job with a value of these fields that none has.
fn query(fields: &[&str]) -> Value {
    let filters = fields.iter().map(|field| {
        let op = if *field == LIST {
            "ARRAY_CONTAINS"
        } else {
            "EQUAL"
        };
        json!({"fieldFilter": {
            "field": {"fieldPath": field}, "op": op, "value": {"stringValue": "doctor"},
        }})
    });
    let filters: Vec<_> = filters.collect();
    json!({"structuredQuery": {
        "from": [{"collectionId": "jobs"}],
        "where": {"compositeFilter": {"op": "AND", "filters": filters}},
        "orderBy": [{"field": {"fieldPath": "created_at"}, "direction": "DESCENDING"}],
        "limit": 1,
    }})
}

fn index(database: &Database, fields: &[&str]) -> String {
    let fields = fields.iter().map(|field| {
        let how = if *field == LIST {
            "array-config=contains"
        } else {
            "order=ascending"
        };
        format!("--field-config=field-path={field},{how}")
    });
    let fields: Vec<_> = fields.collect();
    let (which, project) = (
        format!("--database={}", database.name),
        format!("--project={}", database.project),
    );
    let mut words = vec![
        "gcloud",
        "firestore",
        "indexes",
        "composite",
        "create",
        &which,
        "--collection-group=jobs",
        "--query-scope=collection",
    ];
    words.extend(fields.iter().map(String::as_str));
    words.extend([
        "--field-config=field-path=created_at,order=descending",
        &project,
    ]);
    line(&words)
}
