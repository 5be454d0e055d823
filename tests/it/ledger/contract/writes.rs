use filmlab::job::{Change, CreditState, Credits, EntryKind, Status};
use filmlab::ledger::{Callback, CancelRequest, Commit, HoldOutcome, LedgerError, Settled};
use serde_json::json;

use super::super::bench::{Bench, TTL, at, ending, road, settlement};

pub(crate) async fn an_old_fence_changes_nothing(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let (old, job) = world.claimed("j1").await;
    world.claim("j1", "a", at(100)).await;
    let before = world.job("j1").await;
    let ledger = &world.ledger;
    for change in road() {
        let recorded = ledger
            .record(&job.id, &old, &change, at(101))
            .await
            .unwrap();
        assert_eq!(recorded, Commit::Lost, "{change:?}");
    }
    let renewed = ledger
        .renew(&job.id, &old, None, at(101), TTL)
        .await
        .unwrap();
    assert_eq!(renewed, Commit::Lost);
    let held = ledger
        .hold(&job.id, &old, Credits(1), at(101))
        .await
        .unwrap();
    assert_eq!(held, HoldOutcome::Lost);
    let end = settlement(&job, Some(EntryKind::Deduct), 1);
    let settled = ledger.settle(&job.id, &old, &end, at(101)).await.unwrap();
    assert_eq!(settled, Settled::Lost);
    assert_eq!(world.job("j1").await, before);
    assert_eq!(world.balance().await, (10, 0));
    assert!(ledger.notice("j1:1:job.failed").await.unwrap().is_none());
}

pub(crate) async fn each_write_raises_the_revision_by_one(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let created = world.create("j1").await;
    let (claim, job) = world.claim("j1", "a", at(1)).await;
    assert_eq!(job.revision, created.revision + 1);
    let mut revision = job.revision;
    let HoldOutcome::Done(held) = world
        .ledger
        .hold(&job.id, &claim, Credits(4), at(2))
        .await
        .unwrap()
    else {
        panic!("not held")
    };
    revision += 1;
    assert_eq!(held.revision, revision);
    for change in road() {
        revision += 1;
        let job = world.record(&job, &claim, &change).await;
        assert_eq!(job.revision, revision, "{change:?}");
    }
    let end = settlement(&job, Some(EntryKind::Release), 4);
    assert_eq!(
        world.settle(&job, &claim, &end).await.revision,
        revision + 1
    );
}

pub(crate) async fn an_end_is_only_settled(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let end = Change::Ended(ending(Status::Failed, CreditState::None));
    let refused = world.ledger.record(&job.id, &claim, &end, at(2)).await;
    assert!(
        matches!(refused, Err(LedgerError::Illegal(_))),
        "{refused:?}"
    );
    // A change that does not fit the stage is refused as well, and leaves no trace.
    let misfit = Change::OutputReady { url: "x".into() };
    let refused = world.ledger.record(&job.id, &claim, &misfit, at(2)).await;
    assert!(
        matches!(refused, Err(LedgerError::Illegal(_))),
        "{refused:?}"
    );
    assert_eq!(world.job("j1").await, job);
}

/// Before each owner write somebody else writes: a cancellation, a callback, a field of theirs.
pub(crate) async fn foreign_writes_neither_fail_nor_vanish(bench: &dyn Bench) {
    for foreign_at in 0..=road().len() {
        let world = bench.fresh().await;
        let (claim, mut job) = world.claimed("j1").await;
        let callback = Callback {
            intent: "1-1".into(),
            prediction_id: "p1".into(),
            received_at: at(2),
        };
        for (n, change) in road().iter().enumerate() {
            if n == foreign_at {
                let asked = world.ledger.request_cancel(&job.id, at(2)).await.unwrap();
                assert!(matches!(asked, CancelRequest::Noted(job) if job.cancel_requested));
                assert!(
                    world
                        .ledger
                        .record_callback(&job.id, &callback)
                        .await
                        .unwrap()
                );
                world.others.write("j1", json!({"note": n})).await;
            }
            job = world.record(&job, &claim, change).await;
            assert_eq!(job.cancel_requested, n >= foreign_at, "{change:?}");
        }
        if foreign_at == road().len() {
            world.ledger.request_cancel(&job.id, at(2)).await.unwrap();
            world
                .ledger
                .record_callback(&job.id, &callback)
                .await
                .unwrap();
            world.others.write("j1", json!({"note": foreign_at})).await;
        }
        let job = world.settle(&job, &claim, &settlement(&job, None, 0)).await;
        assert!(job.cancel_requested);
        assert_eq!(job.extra["note"], json!(foreign_at));
        assert_eq!(world.ledger.callbacks(&job.id).await.unwrap(), [callback]);
        let late = world.ledger.request_cancel(&job.id, at(10)).await.unwrap();
        assert!(matches!(late, CancelRequest::Ended(_)), "{late:?}");
    }
    let world = bench.fresh().await;
    let nobody = world
        .ledger
        .request_cancel(&"j1".parse().unwrap(), at(1))
        .await;
    assert_eq!(nobody.unwrap(), CancelRequest::NotFound);
}

pub(crate) async fn a_callback_is_recorded_once(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let id = world.create("j1").await.id;
    let says = |intent: &str, prediction: &str, second| Callback {
        intent: intent.into(),
        prediction_id: prediction.into(),
        received_at: at(second),
    };
    let ledger = &world.ledger;
    assert!(
        ledger
            .record_callback(&id, &says("1-1", "p1", 2))
            .await
            .unwrap()
    );
    assert!(
        !ledger
            .record_callback(&id, &says("1-1", "forged", 3))
            .await
            .unwrap()
    );
    assert!(
        ledger
            .record_callback(&id, &says("1-2", "p2", 4))
            .await
            .unwrap()
    );
    let known = ledger.callbacks(&id).await.unwrap();
    assert_eq!(known, [says("1-1", "p1", 2), says("1-2", "p2", 4)]);
    assert!(
        ledger
            .callbacks(&"j2".parse().unwrap())
            .await
            .unwrap()
            .is_empty()
    );
}
