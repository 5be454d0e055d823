//! Documents as other programs write them.

use std::collections::BTreeSet;

use filmlab::job::{Change, Credits, EntryKind, Event, Idempotency, Stage};
use filmlab::ledger::{Created, HoldOutcome, LedgerError};
use serde_json::{Value, json};

use super::super::bench::{at, intent, new_job, road, settlement};
use super::schema::documented;
use super::world;
use crate::support::emulator::{self, Caller, Emulator};

/// What the page says a creator must write, as its types say.
fn minimal() -> Value {
    json!({
        "owner": "u1",
        "kind": "upscale",
        "params": {"target": "1080p"},
        "source": {"video": "gs://bucket/sources/u1/clip.mp4"},
        "status": "queued",
        "next_visit_at": at(0),
        "created_at": at(0),
        "deadline_at": at(7200),
    })
}

#[tokio::test]
async fn a_job_of_the_api_service_needs_what_is_documented_and_no_more() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    // A part of what may be left out is only needed with it.
    let all = documented("jobs/{job}", 4);
    let optional: Vec<String> = all
        .iter()
        .filter(|(_, creator)| *creator != "must")
        .map(|(field, _)| format!("{field}."))
        .collect();
    let must: BTreeSet<String> = all
        .into_iter()
        .filter(|(field, creator)| {
            creator == "must" && !optional.iter().any(|part| field.starts_with(part))
        })
        .map(|(field, _)| field.split('.').next().unwrap().to_owned())
        .collect();
    let minimal = minimal();
    let written: BTreeSet<String> = minimal.as_object().unwrap().keys().cloned().collect();
    assert_eq!(written, must);

    emulator.write(Caller::Owner, "jobs/api", &minimal).await;
    let due = world.ledger.due(at(0), None, 10).await.unwrap();
    assert_eq!((due[0].id.as_str(), due[0].seq), ("api", 0));
    let job = world.job("api").await;
    assert_eq!(
        (job.id.as_str(), job.output.profile.as_str()),
        ("api", "web")
    );
    assert_eq!((job.attempt, job.round, job.updated_at), (1, 1, at(0)));
    assert!(!job.cancel_requested && job.extra.is_empty(), "{job:?}");
    assert_eq!(
        world.ledger.rewake(&job.id, 0, at(1)).await.unwrap(),
        Some(1)
    );
    let (claim, job) = world.claim("api", "a", at(1)).await;
    for change in road() {
        world.record(&job, &claim, &change).await;
    }
    let job = world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    assert_eq!(world.job("api").await, job);

    for field in &must {
        let mut short = minimal.clone();
        short.as_object_mut().unwrap().remove(field);
        let path = format!("jobs/no-{}", field.replace('_', "-"));
        emulator.write(Caller::Owner, &path, &short).await;
        let id = path[5..].parse().unwrap();
        let read = world.ledger.read(&id).await;
        if field == "next_visit_at" {
            let due = world.ledger.due(at(1), None, 100).await.unwrap();
            assert!(due.iter().all(|due| due.id != id), "it is found by nobody");
        } else {
            assert!(
                matches!(read, Err(LedgerError::Malformed { .. })),
                "{field}: {read:?}"
            );
        }
    }
}

/// Other languages write every number as a double and absent fields as nulls.
#[tokio::test]
async fn nulls_and_doubles_of_other_languages_are_understood() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    let mut written = minimal();
    for (field, value) in [
        ("kind", json!("extend")),
        (
            "params",
            json!({"prompt": "x", "seconds": 5.0, "resolution": "720p", "seed": null}),
        ),
        ("round", json!(1.0)),
        ("credits", json!({"cost": 3.0, "state": "none"})),
        ("wake", json!({"seq": 1.0, "at": at(0)})),
        (
            "source",
            json!({"video": "sources/u1/v.mp4", "image": null}),
        ),
    ] {
        written[field] = value;
    }
    let mut typed = emulator::typed(&written)["mapValue"]["fields"].take();
    for absent in [
        "stage",
        "lease",
        "provider",
        "progress",
        "error",
        "completed_at",
        "notify",
    ] {
        typed[absent] = json!({"nullValue": null});
    }
    let mask: Vec<String> = typed.as_object().unwrap().keys().cloned().collect();
    let status = emulator
        .write_typed(Caller::Owner, "jobs/api", mask.iter(), typed)
        .await;
    assert_eq!(status, 200);
    let (claim, job) = world.claim("api", "a", at(1)).await;
    assert_eq!((job.credits.cost, job.wake.seq), (Some(Credits(3)), 1));
    for change in road() {
        world.record(&job, &claim, &change).await;
    }
    let users = json!({"credits": 10.0});
    emulator.write(Caller::Owner, "users/u1", &users).await;
    let held = world
        .ledger
        .hold(&job.id, &claim, Credits(3), at(2))
        .await
        .unwrap();
    assert!(matches!(held, HoldOutcome::Done(_)), "{held:?}");
    assert_eq!(world.balance().await, (7, 3));
}

/// "Another round of an ended job", word for word, by another program.
#[tokio::test]
async fn another_round_pays_holds_and_tells_anew() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    world.grant("g", 10).await;
    world.create("j1").await;
    for round in 1..=2u32 {
        let (claim, job) = world.claim("j1", "a", at(1)).await;
        assert_eq!(
            (job.round, job.attempt, job.stage),
            (round, 1, Some(Stage::Submit))
        );
        world
            .ledger
            .hold(&job.id, &claim, Credits(4), at(2))
            .await
            .unwrap();
        let id = format!("{round}-{}", claim.fence);
        let first = Change::Intended(intent(&id));
        let submitted = Change::Submitted {
            intent: id,
            prediction_id: format!("p{round}"),
            at: at(2),
        };
        world.record(&job, &claim, &first).await;
        let job = world.record(&job, &claim, &submitted).await;
        world.ledger.request_cancel(&job.id, at(3)).await.unwrap();
        let end = settlement(&job, Some(EntryKind::Release), 4);
        let job = world.settle(&job, &claim, &end).await;
        assert_eq!(world.balance().await, (10, 0));
        let again = json!({
            "round": round + 1, "attempt": 1, "attempt_failed": false, "status": "queued",
            "wake": {"seq": job.wake.seq + 1, "at": at(0)}, "next_visit_at": at(0),
            "deadline_at": at(7200), "cancel_requested": false, "credits": {"state": "none"},
            "updated_at": at(0), "stage": null, "progress": null, "provider": null,
            "generated": null, "result": null, "error": null, "completed_at": null,
        });
        world.others.write("j1", again).await;
    }
    let notices = world.ledger.due_notices(at(99), None, 10).await.unwrap();
    let ids: Vec<_> = notices.iter().map(|notice| notice.id.as_str()).collect();
    assert_eq!(ids, ["j1:1:job.failed", "j1:2:job.failed"]);
    for id in ids {
        let notice = world.ledger.notice(id).await.unwrap().unwrap();
        assert_eq!(notice.event, Event::Failed);
    }
    assert_eq!(world.job("j1").await.intents.len(), 2);
}

/// A key whose job was deleted stands for nothing.
#[tokio::test]
async fn the_key_of_a_deleted_job_is_free() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let world = world(emulator.clone()).await;
    let asked = |id: &str| {
        let mut new = new_job(id);
        new.idempotency = Some(Idempotency {
            key: "k".into(),
            request_sha256: "x".into(),
        });
        world.ledger.create(new)
    };
    asked("j1").await.unwrap();
    assert_eq!(emulator.delete(Caller::Owner, "jobs/j1").await, 200);
    assert!(matches!(asked("j2").await, Ok(Created::New(_))));
    assert!(matches!(asked("j3").await, Ok(Created::Existing(job)) if job.id.as_str() == "j2"));
}
