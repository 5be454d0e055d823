use std::sync::Arc;

use filmlab::job::{
    Change, CreditState, Credits, Generated, Job, JobId, Keeping, Kept, Stage, Status,
};
use filmlab::ledger::{
    Callback, Deleted, Ledger, LedgerError, MOST_CALLBACKS, Result, Retried, Settlement,
};
use serde_json::json;

use super::super::bench::{Bench, OWNER, World, at, ending, new_job, road, settlement};
use super::super::faults::{Fault, LosesAnswer};

/// Fails once the provider's output lies in our store.
async fn failed(world: &World, id: &str) -> Job {
    let (claim, job) = world.claimed(id).await;
    for change in road().into_iter().take(5) {
        world.record(&job, &claim, &change).await;
    }
    world.settle(&job, &claim, &settlement(&job, None, 0)).await
}

async fn completed(world: &World, id: &str) -> Job {
    let (claim, job) = world.claimed(id).await;
    for change in road() {
        world.record(&job, &claim, &change).await;
    }
    let end = Settlement {
        ending: ending(Status::Completed, CreditState::None),
        ..settlement(&job, None, 0)
    };
    world.settle(&job, &claim, &end).await
}

async fn retry(world: &World, job: &Job) -> Retried {
    let retried = world
        .ledger
        .retry(&job.id, job.round, at(20), at(900))
        .await;
    retried.unwrap()
}

pub(crate) async fn a_failed_job_gets_another_round(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.create("j1").await;
    world
        .ledger
        .request_cancel(&"j1".parse().unwrap(), at(1))
        .await
        .unwrap();
    world
        .others
        .write("j1", json!({"campaign": "spring"}))
        .await;
    let (claim, job) = world.claim("j1", "a", at(1)).await;
    for change in road().into_iter().take(5) {
        world.record(&job, &claim, &change).await;
    }
    let ended = world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    assert_eq!(ended.kept.generated, Some(at(9)));

    let Retried::Done(job) = retry(&world, &ended).await else {
        panic!("not begun");
    };
    assert_eq!(*job, world.job("j1").await);
    assert_eq!((job.round, job.attempt, job.status), (2, 1, Status::Queued));
    assert_eq!(
        (job.stage, job.generated.clone()),
        (Some(Stage::Process), ended.generated.clone())
    );
    assert_eq!(
        (job.wake.seq, job.wake.at, job.next_visit_at),
        (ended.wake.seq + 1, Some(at(20)), Some(at(20)))
    );
    assert_eq!((job.deadline_at, job.updated_at), (at(900), at(20)));
    assert_eq!((job.error.clone(), job.completed_at), (None, None));
    assert_eq!(
        (job.cancel_requested, job.kept.clone()),
        (false, Kept::default())
    );
    assert_eq!(job.extra["campaign"], "spring");
    assert_eq!(job.created_at, ended.created_at);
    let due = world.ledger.due(at(20), None, 10).await.unwrap();
    assert_eq!((due.len(), due[0].seq), (1, job.wake.seq));

    // The old claim is worth nothing, and the new one has a fence above it.
    let again = Change::Polled;
    let lost = world.ledger.record(&job.id, &claim, &again, at(21)).await;
    assert_eq!(lost.unwrap(), filmlab::ledger::Commit::Lost);
    let (newer, job) = world.claim("j1", "b", at(21)).await;
    assert!(newer.fence > claim.fence);
    assert_eq!((job.attempt, job.stage), (1, Some(Stage::Process)));
    assert!(!job.cancel_requested);
}

pub(crate) async fn only_an_ended_job_is_retried(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let running = world.claimed("j1").await.1;
    assert!(matches!(
        retry(&world, &running).await,
        Retried::NotEnded(_)
    ));
    assert_eq!(world.job("j1").await, running);
    let done = completed(&world, "j2").await;
    assert!(matches!(retry(&world, &done).await, Retried::Completed(_)));
    assert_eq!(world.job("j2").await, done);
    let nobody: JobId = "nobody".parse().unwrap();
    let nobody = world.ledger.retry(&nobody, 1, at(20), at(900)).await;
    assert_eq!(nobody.unwrap(), Retried::NotFound);
}

pub(crate) async fn eight_retries_begin_one_round(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let job = failed(&world, "j1").await;
    let tries = (0..8).map(|_| {
        let (ledger, id) = (Arc::clone(&world.ledger), job.id.clone());
        tokio::spawn(async move { ledger.retry(&id, 1, at(20), at(900)).await.unwrap() })
    });
    let mut done = 0;
    for retried in futures::future::join_all(tries).await {
        match retried.unwrap() {
            Retried::Done(job) => {
                done += 1;
                assert_eq!(job.round, 2);
            }
            Retried::Begun(job) => assert_eq!(job.round, 2),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, world.job("j1").await.round), (1, 2));
}

pub(crate) async fn an_unknown_retry_is_asked_again(bench: &dyn Bench) {
    for fault in [Fault::CommitsThenErrs, Fault::ErrsInstead] {
        let world = bench.fresh().await;
        let job = failed(&world, "j1").await;
        let ledger = LosesAnswer::new(Arc::clone(&world.ledger), fault, 1);
        let retry = || ledger.retry(&job.id, 1, at(20), at(900));
        let first: Result<Retried> = retry().await;
        assert!(matches!(first, Err(LedgerError::Unknown(_))), "{first:?}");
        let (Retried::Done(job) | Retried::Begun(job)) = retry().await.unwrap() else {
            panic!("{fault:?}");
        };
        assert_eq!((job.round, job.status), (2, Status::Queued), "{fault:?}");
    }
}

pub(crate) async fn a_deleted_job_leaves_its_entries_alone(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let mut new = new_job("j1");
    new.idempotency = Some(filmlab::job::Idempotency {
        key: "k".into(),
        request_sha256: "x".into(),
    });
    world.ledger.create(new.clone()).await.unwrap();
    world.create("j10").await;
    let (claim, job) = world.claim("j1", "a", at(1)).await;
    let ledger = &world.ledger;
    ledger
        .hold(&job.id, &claim, Credits(4), at(2))
        .await
        .unwrap();
    let callback = Callback {
        intent: "1-1".into(),
        prediction_id: "p1".into(),
        received_at: at(3),
    };
    ledger.record_callback(&job.id, &callback).await.unwrap();
    let release = settlement(&job, Some(filmlab::job::EntryKind::Release), 4);
    world.settle(&job, &claim, &release).await;

    assert_eq!(ledger.delete(&job.id, 1).await.unwrap(), Deleted::Done);
    assert_eq!(ledger.delete(&job.id, 1).await.unwrap(), Deleted::NotFound);
    assert_eq!(ledger.read(&job.id).await.unwrap(), None);
    assert_eq!(ledger.callbacks(&job.id).await.unwrap(), []);
    assert_eq!(ledger.notices(&job.id).await.unwrap(), []);
    assert!(
        ledger
            .due_notices(at(99), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let entries = ledger.entries(&OWNER.parse().unwrap(), 10).await.unwrap();
    assert_eq!(entries.len(), 3, "grant, hold, release: {entries:?}");
    assert_eq!(world.balance().await, (10, 0));
    assert_eq!(
        world.job("j10").await.status,
        Status::Queued,
        "another one stays"
    );
    // The key stands for nothing any more.
    let mut anew = new;
    anew.id = "j2".parse().unwrap();
    let created = ledger.create(anew).await.unwrap();
    assert!(
        matches!(created, filmlab::ledger::Created::New(_)),
        "{created:?}"
    );
}

/// Rounds have no end. What is read of them is bounded and new; what is deleted is all.
pub(crate) async fn however_many_callbacks_the_newest_are_read_and_all_deleted(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let job = failed(&world, "j1").await;
    let ledger = &world.ledger;
    // More than one commit takes.
    let many = MOST_CALLBACKS as i64 + 420;
    for n in 0..many {
        let callback = Callback {
            // In another order than the times.
            intent: format!("{}-1", many - n),
            prediction_id: format!("p{n}"),
            received_at: at(n),
        };
        assert!(ledger.record_callback(&job.id, &callback).await.unwrap());
    }
    let read = ledger.callbacks(&job.id).await.unwrap();
    assert_eq!(read.len(), MOST_CALLBACKS);
    assert_eq!(read.last().unwrap().received_at, at(many - 1));
    assert!(read.is_sorted_by_key(|callback| callback.received_at));

    assert_eq!(ledger.delete(&job.id, 1).await.unwrap(), Deleted::Done);
    assert_eq!(ledger.callbacks(&job.id).await.unwrap(), []);
    assert_eq!(ledger.notices(&job.id).await.unwrap(), []);
}

pub(crate) async fn only_an_ended_job_is_deleted(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ended = failed(&world, "j1").await;
    let Retried::Done(running) = retry(&world, &ended).await else {
        panic!("not begun");
    };
    for round in [1, 2] {
        let deleted = world.ledger.delete(&ended.id, round).await.unwrap();
        assert_eq!(deleted, Deleted::NotEnded(running.clone()));
    }
    let (claim, job) = world.claim("j1", "b", at(21)).await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    let of_the_first = world.ledger.delete(&ended.id, 1).await.unwrap();
    assert!(matches!(of_the_first, Deleted::NotEnded(_)));
    assert_eq!(
        world.ledger.delete(&ended.id, 2).await.unwrap(),
        Deleted::Done
    );
}

pub(crate) async fn kept_files_are_named_and_forgotten(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let done = completed(&world, "j1").await;
    let ended = failed(&world, "j2").await;
    failed(&world, "j3").await;
    let kept = async |what, before, limit| {
        let kept = world.ledger.kept(what, at(before), None, limit).await;
        kept.unwrap()
            .into_iter()
            .map(|kept| kept.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(Keeping::Results, 8, 10).await, Vec::<String>::new());
    assert_eq!(kept(Keeping::Results, 9, 10).await, ["j1"]);
    assert_eq!(kept(Keeping::Generated, 9, 10).await, ["j2", "j3"]);
    assert_eq!(kept(Keeping::Generated, 9, 1).await, ["j2"]);

    let first = world.ledger.kept(Keeping::Generated, at(9), None, 1).await;
    let first = first.unwrap().remove(0);
    assert_eq!(first.since, at(9));
    let rest = world
        .ledger
        .kept(Keeping::Generated, at(9), Some(&first), 10)
        .await
        .unwrap();
    assert_eq!((rest.len(), rest[0].id.as_str()), (1, "j3"));

    let forget = |job: &Job, what, round| {
        let (ledger, id) = (Arc::clone(&world.ledger), job.id.clone());
        async move { ledger.forget(&id, what, round, at(50)).await.unwrap() }
    };
    assert!(!forget(&done, Keeping::Results, 2).await, "another round");
    assert!(forget(&done, Keeping::Results, 1).await);
    assert!(!forget(&done, Keeping::Results, 1).await, "once");
    let job = world.job("j1").await;
    assert_eq!(
        (job.status, job.result, job.result_expired_at),
        (Status::Completed, None, Some(at(50)))
    );
    assert!(kept(Keeping::Results, 99, 10).await.is_empty());

    assert!(forget(&ended, Keeping::Generated, 1).await);
    assert_eq!(world.job("j2").await.generated, None::<Generated>);
    assert_eq!(kept(Keeping::Generated, 99, 10).await, ["j3"]);
    // Another round takes its files out of the sweep's sight.
    let third = world.job("j3").await;
    retry(&world, &third).await;
    assert!(kept(Keeping::Generated, 99, 10).await.is_empty());
    assert!(!forget(&third, Keeping::Generated, 1).await);
    // One that lost them asks the provider.
    let Retried::Done(job) = retry(&world, &world.job("j2").await).await else {
        panic!("not begun");
    };
    assert_eq!(job.stage, Some(Stage::Generate));
}

/// What is written to see whether anything can be.
pub(crate) async fn marks_are_made_and_removed(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ledger = &world.ledger;
    for name in ["w-1", "w-2", "w-1"] {
        ledger.mark(name, at(9)).await.unwrap();
    }
    assert_eq!(ledger.marks().await.unwrap().len(), 2);
    ledger.unmark("w-2").await.unwrap();
    ledger.unmark("w-2").await.unwrap();
    assert_eq!(ledger.marks().await.unwrap(), ["w-1"]);
    ledger.unmark_old(at(10)).await.unwrap();
    assert!(ledger.marks().await.unwrap().is_empty());
    ledger.unmark_old(at(10)).await.unwrap();
    ledger.mark("w-1", at(20)).await.unwrap();
}
