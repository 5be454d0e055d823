//! `docs/firestore-schema.md` against what is really stored, and documents of other programs.

mod complete;

use std::collections::{BTreeMap, BTreeSet};

use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    Change, Channel, CreditEntry, CreditState, Credits, EntryKind, Idempotency, Keeping, Progress,
    Stage, Status, WaitsFor,
};
use filmlab::ledger::{Callback, HoldOutcome, Settled, Settlement};
use serde_json::{Value, json};

use super::super::bench::{TTL, World, at, ending, new_job, road, settlement};
use super::world;
use crate::support::emulator::{Caller, Emulator};

const DOCUMENT: &str = include_str!("../../../../docs/firestore-schema.md");

/// Field → type, and field → the column of that name, of the tables under a heading.
pub(super) fn documented(heading: &str, column: usize) -> BTreeMap<String, String> {
    let heading = format!("# `{heading}`\n");
    let (_, section) = DOCUMENT
        .split_once(&heading)
        .expect("there is such a heading");
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        (
            cells[1].trim_matches('`').to_owned(),
            cells[column].to_owned(),
        )
    })
    .collect()
}

fn types(heading: &str) -> BTreeMap<String, String> {
    documented(heading, 2)
}

/// The path of each value in Firestore's typed JSON, and its type.
fn stored_types(prefix: &str, fields: &Value, found: &mut BTreeMap<String, String>) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        let is_free = ["timings.stages_ms.", "models.", "models.*."].contains(&prefix);
        let name = if is_free { "*" } else { name };
        stored_type(&format!("{prefix}{name}"), value, found);
    }
}

fn stored_type(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        // What is delivered is not looked into.
        "mapValue" if !["payload", "was"].contains(&path) => {
            stored_types(&format!("{path}."), &value["fields"], found);
        }
        "arrayValue" => {
            for item in value["values"].as_array().into_iter().flatten() {
                stored_type(&format!("{path}[]"), item, found);
            }
        }
        _ => {}
    }
    let kind = kind.trim_end_matches("Value").to_owned();
    let before = found.insert(path.to_owned(), kind.clone());
    assert!(
        before.is_none_or(|before| before == kind),
        "{path} is of two types"
    );
}

fn json_paths(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if prefix == "timings.stages_ms" {
                    "*"
                } else {
                    name
                };
                let path = [prefix, name].join(if prefix.is_empty() { "" } else { "." });
                found.insert(path.clone());
                json_paths(&path, value, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                found.insert(format!("{prefix}[]"));
                json_paths(&format!("{prefix}[]"), item, found);
            }
        }
        _ => {}
    }
}

/// `complete::job` names every field of the domain: a new one does not compile until it is here.
#[test]
fn every_field_of_a_job_is_documented_and_none_is_invented() {
    let mut ours = BTreeSet::new();
    json_paths(
        "",
        &serde_json::to_value(complete::job()).unwrap(),
        &mut ours,
    );
    ours.retain(|path| !path.starts_with("params."));
    let theirs: BTreeSet<_> = types("jobs/{job}").into_keys().collect();
    assert_eq!(ours, theirs);

    let mut params = BTreeSet::new();
    for one in complete::params() {
        let value = serde_json::to_value(one).unwrap();
        json_paths("params", &value["params"], &mut params);
    }
    assert_eq!(params, types("params").into_keys().collect());
}

/// A job with everything goes its whole road; the emulator's documents say what was stored.
#[tokio::test]
async fn what_is_stored_is_of_the_documented_type() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    world.grant("g", 50).await;
    let mut job = BTreeMap::new();
    walk(&emulator, &world, &mut job).await;
    let mut expected = types("jobs/{job}");
    expected.extend(types("params"));
    assert_eq!(job, expected);

    for (heading, path) in [
        ("jobs/{job}/callbacks/{intent}", "jobs/j0/callbacks/1-1"),
        ("users/{user}", "users/u1"),
        (
            "users/{user}/credit_entries/{entry}",
            "users/u1/credit_entries/j0:1:hold",
        ),
    ] {
        let mut stored = BTreeMap::new();
        stored_types("", &emulator.stored(path).await.expect(path), &mut stored);
        assert_eq!(stored, types(heading), "{heading}");
    }

    let day = filmlab::job::counts::day_of(at(9));
    let theirs = emulator.stored(&format!("users/u1/counters/{day}")).await;
    let mut all = Vec::new();
    for shard in 0..5 {
        all.extend(emulator.stored(&format!("counters/{day}:{shard}")).await);
    }
    assert!(!all.is_empty());
    all.push(theirs.expect("counters of the owner"));
    for counter in all {
        let mut stored = BTreeMap::new();
        stored_types("", &counter, &mut stored);
        assert_eq!(stored, types("counters/{counter}"));
    }

    let id = "j0:1:job.completed";
    let mut notice = BTreeMap::new();
    let path = format!("outbox/{id}");
    let ledger = &world.ledger;
    stored_types("", &emulator.stored(&path).await.unwrap(), &mut notice);
    ledger
        .record_delivery(id, DeliveryState::Pending, Some(at(60)), Some("503"))
        .await
        .unwrap();
    stored_types("", &emulator.stored(&path).await.unwrap(), &mut notice);
    let push = emulator.stored("outbox/j1:1:job.failed").await.unwrap();
    stored_types("", &push, &mut notice);
    assert_eq!(notice, types("outbox/{notice}"));

    let id = "j2".parse().unwrap();
    world.others.write("j2", json!({"params": 7})).await;
    for second in [0, 60] {
        ledger.bury(&id, at(second), TTL).await.unwrap();
    }
    let mut kept = BTreeMap::new();
    let stored = emulator.stored("unreadable/jobs:j2").await.unwrap();
    stored_types("", &stored, &mut kept);
    assert_eq!(kept, types("unreadable/{record}"));
    let was = &stored["was"]["mapValue"]["fields"];
    assert_eq!(was["status"]["stringValue"], "queued");

    let query = json!({"from": [{"collectionId": "idempotency"}]});
    let (_, names) = emulator.query(Caller::Owner, query).await;
    let mut record = BTreeMap::new();
    let stored = emulator.stored(&format!("idempotency/{}", names[0])).await;
    stored_types("", &stored.unwrap(), &mut record);
    assert_eq!(record, types("idempotency/{hash}"));
    // The documented name: sha256("2:u1:k").
    assert_eq!(
        names[0],
        "fb8b01d6a1ef43f9582bebcf3d92ce23bfd4136eb847532f2fd16109cdcd31ba"
    );
}

#[allow(clippy::too_many_lines, reason = "one road, with every field on it")]
async fn walk(emulator: &Emulator, world: &World, seen: &mut BTreeMap<String, String>) {
    let look = async |seen: &mut BTreeMap<String, String>, id: &str| {
        let stored = emulator.stored(&format!("jobs/{id}")).await.unwrap();
        stored_types("", &stored, seen);
    };
    let full = complete::job();
    for (n, params) in complete::params().into_iter().enumerate() {
        let mut new = new_job(&format!("j{n}"));
        new.params = params;
        new.source = full.source.clone();
        new.output = full.output.clone();
        new.notify = full.notify.clone();
        new.tags = full.tags.clone();
        new.max_price = full.max_price;
        new.provenance.clone_from(&full.provenance);
        new.traceparent.clone_from(&full.traceparent);
        new.idempotency = (n == 0).then(|| Idempotency {
            key: "k".into(),
            request_sha256: "x".into(),
        });
        world.ledger.create(new).await.unwrap();
        look(seen, &format!("j{n}")).await;
    }
    let ledger = &world.ledger;
    let (claim, job) = world.claim("j0", "a", at(1)).await;
    let held = ledger
        .hold(&job.id, &claim, Credits(4), at(2))
        .await
        .unwrap();
    assert!(matches!(held, HoldOutcome::Done(_)));
    let inputs = full.provider.inputs.clone().unwrap();
    let unknown = Change::IntentUnknown {
        intent: "1-1".into(),
        until: at(50),
    };
    let wait = Change::Waited {
        until: at(5),
        reason: full.error.clone(),
        what: WaitsFor::Account,
    };
    let road = road();
    let before = [
        Change::InputsReady(Box::new(inputs)),
        Change::PassedOver(full.passed_over[0].clone()),
        road[0].clone(),
        unknown,
        wait,
    ];
    // Native work is noted while it runs, and no longer.
    let noted = [
        Change::Crashed { next_visit: None },
        Change::NativeBegun(full.native.clone().unwrap()),
    ];
    for change in &noted {
        world.record(&job, &claim, change).await;
    }
    look(seen, "j0").await;
    for change in &before {
        world.record(&job, &claim, change).await;
    }
    look(seen, "j0").await;
    let (claim, job) = world.claim("j0", "a", at(6)).await;
    // A provider that does not know it, and an address that is closed.
    let trouble = [
        road[1].clone(),
        Change::Heard {
            intent: "1-1".into(),
        },
        Change::Unanswered {
            missing_since: Some(at(6)),
        },
        road[3].clone(),
        Change::AddressClosed { at: at(6) },
    ];
    for change in trouble.iter().chain(&road[2..]) {
        world.record(&job, &claim, change).await;
        look(seen, "j0").await;
    }
    let progress = Progress::within(Stage::Settle, 0.5).with_eta(Some(3));
    ledger
        .renew(&job.id, &claim, Some(&progress), at(7), TTL)
        .await
        .unwrap();
    look(seen, "j0").await;
    let callback = Callback {
        intent: "1-1".into(),
        prediction_id: "p1".into(),
        received_at: at(3),
    };
    assert!(ledger.record_callback(&job.id, &callback).await.unwrap());
    let end = Settlement {
        ending: ending(Status::Completed, CreditState::Captured),
        entry: Some(CreditEntry::for_job(
            &job.id,
            1,
            EntryKind::Capture,
            Credits(4),
            at(9),
        )),
        channel: Channel::Webhook {
            url: "https://hooks.example/x".parse().unwrap(),
        },
    };
    let settled = ledger.settle(&job.id, &claim, &end, at(9)).await.unwrap();
    assert!(matches!(settled, Settled::Done { .. }));
    look(seen, "j0").await;
    let swept = ledger.forget(&job.id, Keeping::Results, 1, at(99)).await;
    assert!(swept.unwrap());
    look(seen, "j0").await;
    // What a failed round leaves.
    let (claim, job) = world.claim("j1", "a", at(1)).await;
    for change in road.iter().take(5) {
        world.record(&job, &claim, change).await;
    }
    // More than is kept of what a round does.
    for number in 0..50 {
        let waits = [Some(WaitsFor::MediaPlace), None][number as usize % 2];
        let change = Change::Awaits(waits);
        let noted = ledger
            .record(&job.id, &claim, &change, at(10 + number * 10))
            .await;
        noted.unwrap();
    }
    look(seen, "j1").await;
    let end = Settlement {
        channel: Channel::Fcm {
            token: "device-1".into(),
        },
        ..settlement(&job, None, 0)
    };
    world.settle(&job, &claim, &end).await;
    look(seen, "j1").await;
}

/// The emulator needs no indexes, Firestore does: each filter of a list has one.
#[test]
fn the_indexes_serve_the_lists() {
    let file = include_str!("../../../../firestore.indexes.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let indexes = file["indexes"].as_array().unwrap();
    for filter in ["owner", "status", "kind"] {
        let fields = json!([
            {"fieldPath": filter, "order": "ASCENDING"},
            {"fieldPath": "created_at", "order": "DESCENDING"},
        ]);
        let serves =
            |index: &&Value| index["collectionGroup"] == "jobs" && index["fields"] == fields;
        assert!(indexes.iter().any(|index| serves(&index)), "{filter}");
    }
    let tag = json!({"fieldPath": "tags", "arrayConfig": "CONTAINS"});
    let newest = json!({"fieldPath": "created_at", "order": "DESCENDING"});
    let owner = json!({"fieldPath": "owner", "order": "ASCENDING"});
    for fields in [json!([tag, newest]), json!([owner, tag, newest])] {
        assert!(
            indexes.iter().any(|index| index["fields"] == fields),
            "{fields}"
        );
    }
    let exempt = file["fieldOverrides"].as_array().unwrap();
    // It grows in time order with each write, and Firestore takes 500 such a second.
    let updated_at =
        |field: &Value| field["collectionGroup"] == "jobs" && field["fieldPath"] == "updated_at";
    assert!(exempt.iter().any(updated_at));
    for field in exempt {
        assert_eq!(field["indexes"], json!([]));
        let name = field["fieldPath"].as_str().unwrap();
        assert!(
            ![
                "owner",
                "status",
                "kind",
                "created_at",
                "next_visit_at",
                "next_at",
                "kept",
                "job",
                "tags",
            ]
            .contains(&name)
        );
    }
}
