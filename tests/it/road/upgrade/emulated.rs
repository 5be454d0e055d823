//! All documents of a project in the emulator, as one file.

use std::collections::BTreeMap;
use std::path::Path;

use filmlab::ledger::firestore::FirestoreConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::support::emulator::{Caller, Emulator};

pub(super) fn config(emulator: &Emulator) -> FirestoreConfig {
    FirestoreConfig {
        emulator: Some(emulator.host.clone()),
        ..FirestoreConfig::new(&emulator.project)
    }
}

/// Fields by path, in Firestore's typed JSON.
pub(super) async fn all(emulator: &Emulator) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut collections = vec!["jobs", "users", "outbox", "idempotency"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    while let Some(collection) = collections.pop() {
        let (status, page) = emulator
            .get(Caller::Owner, &format!("{collection}?pageSize=300"))
            .await;
        assert_eq!(status, 200, "{page}");
        assert!(page["nextPageToken"].is_null(), "one page holds all");
        for document in page["documents"].as_array().into_iter().flatten() {
            let name = document["name"].as_str().unwrap();
            let (_, path) = name.split_once("/documents/").unwrap();
            match collection.as_str() {
                "jobs" => collections.push(format!("{path}/callbacks")),
                "users" => collections.push(format!("{path}/credit_entries")),
                _ => {}
            }
            found.insert(path.to_owned(), document["fields"].clone());
        }
    }
    found
}

pub(super) async fn load(emulator: &Emulator, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let documents: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    for (path, fields) in documents {
        let status = emulator
            .write_typed(Caller::Owner, &escaped(&path), std::iter::empty(), fields)
            .await;
        assert_eq!(status, 200, "{path}");
    }
}

/// Ids of documents may hold a `%`.
fn escaped(path: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b':');
    utf8_percent_encode(path, KEPT).to_string()
}
