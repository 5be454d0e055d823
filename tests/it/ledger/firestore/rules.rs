//! What an app may see: `firestore.rules`, tried as callers without privileges.

use serde_json::{Value, json};

use super::super::bench::settlement;
use super::world;
use crate::support::emulator::{Caller, Emulator};

/// One job of u1, ended, with an entry, a notice and a callback beside it.
async fn furnished() -> Option<Emulator> {
    let emulator = Emulator::fresh()?;
    let world = world(emulator.clone()).await;
    world.grant("g", 10).await;
    let (claim, job) = world.claimed("j1").await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    for path in ["jobs/j1/callbacks/1-1", "idempotency/x", "settings/x"] {
        let status = emulator.write(Caller::Owner, path, &json!({"x": 1})).await;
        assert_eq!(status, 200);
    }
    Some(emulator)
}

const READABLE: [&str; 3] = ["jobs/j1", "users/u1", "users/u1/credit_entries/g"];
const CLOSED: [&str; 4] = [
    "outbox/j1:1:job.failed",
    "jobs/j1/callbacks/1-1",
    "idempotency/x",
    "settings/x",
];

#[tokio::test]
async fn an_app_reads_what_is_its_users_and_nothing_else() {
    let Some(emulator) = furnished().await else {
        return;
    };
    for path in READABLE {
        for (caller, expected) in [
            (Caller::User("u1"), 200),
            (Caller::User("u2"), 403),
            (Caller::Nobody, 403),
        ] {
            let (status, body) = emulator.get(caller, path).await;
            assert_eq!(status, expected, "{path} by {caller:?}: {body}");
        }
    }
    for path in CLOSED {
        assert!(emulator.stored(path).await.is_some(), "{path} is there");
        for caller in [Caller::User("u1"), Caller::User("u2"), Caller::Nobody] {
            let (status, body) = emulator.get(caller, path).await;
            assert_eq!(status, 403, "{path} by {caller:?}: {body}");
        }
    }
}

#[tokio::test]
async fn an_app_lists_only_by_its_own_user() {
    let Some(emulator) = furnished().await else {
        return;
    };
    let of = |owner: Option<&str>| {
        let mut query = json!({
            "from": [{"collectionId": "jobs"}],
            "orderBy": [{"field": {"fieldPath": "created_at"}, "direction": "DESCENDING"}],
        });
        if let Some(owner) = owner {
            query["where"] = json!({"fieldFilter": {
                "field": {"fieldPath": "owner"}, "op": "EQUAL", "value": {"stringValue": owner},
            }});
        }
        query
    };
    let own = emulator.query(Caller::User("u1"), of(Some("u1"))).await;
    assert_eq!(own, (200, vec!["j1".to_owned()]));
    for (caller, owner) in [
        (Caller::User("u1"), None),
        (Caller::User("u2"), Some("u1")),
        (Caller::Nobody, Some("u1")),
    ] {
        let (status, found) = emulator.query(caller, of(owner)).await;
        assert_eq!((status, found.len()), (403, 0), "{caller:?} for {owner:?}");
    }
}

#[tokio::test]
async fn an_app_writes_nothing() {
    let Some(emulator) = furnished().await else {
        return;
    };
    let tries: [(&str, Value); 7] = [
        ("jobs/j1", json!({"cancel_requested": true})),
        ("jobs/j1", json!({"status": "queued"})),
        ("jobs/new", json!({"owner": "u1", "status": "queued"})),
        ("users/u1", json!({"credits": 1_000_000})),
        (
            "users/u1/credit_entries/mine",
            json!({"kind": "grant", "amount": 5}),
        ),
        ("jobs/j1/callbacks/1-2", json!({"prediction_id": "forged"})),
        ("outbox/mine", json!({"state": "pending"})),
    ];
    for caller in [Caller::User("u1"), Caller::User("u2"), Caller::Nobody] {
        for (path, fields) in &tries {
            let status = emulator.write(caller, path, fields).await;
            assert_eq!(status, 403, "{path} {fields} by {caller:?}");
        }
        for path in READABLE.iter().chain(&CLOSED) {
            let status = emulator.delete(caller, path).await;
            assert_eq!(status, 403, "deleting {path} by {caller:?}");
        }
    }
}
