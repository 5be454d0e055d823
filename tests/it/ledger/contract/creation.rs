use filmlab::job::{Change, Idempotency, Status};
use filmlab::ledger::Created;
use serde_json::json;

use super::super::bench::{Bench, at, new_job};

pub(crate) async fn a_new_job_is_due_at_once(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let made = world.ledger.create(new_job("j1")).await.unwrap();
    let Created::New(made) = made else {
        panic!("{made:?}")
    };
    assert_eq!(world.job("j1").await, *made);
    assert_eq!((made.status, made.wake.seq), (Status::Queued, 1));
    let due = world.ledger.due(at(0), None, 10).await.unwrap();
    assert_eq!((due.len(), due[0].id.as_str(), due[0].seq), (1, "j1", 1));
    assert!(
        world
            .ledger
            .read(&"j2".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn the_same_key_finds_the_same_job(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let asked = |id: &str, owner: &str, digest: &str| {
        let mut new = new_job(id);
        new.owner = owner.parse().unwrap();
        new.idempotency = Some(Idempotency {
            key: "k".into(),
            request_sha256: digest.into(),
        });
        world.ledger.create(new)
    };
    assert!(matches!(asked("j1", "u1", "x").await, Ok(Created::New(_))));
    match asked("j2", "u1", "x").await {
        Ok(Created::Existing(job)) => assert_eq!(job.id.as_str(), "j1"),
        other => panic!("{other:?}"),
    }
    assert_eq!(asked("j3", "u1", "y").await.unwrap(), Created::KeyReused);
    // Keys of different callers have nothing to do with each other.
    assert!(matches!(asked("j4", "u2", "y").await, Ok(Created::New(_))));
    for id in ["j2", "j3"] {
        assert!(
            world
                .ledger
                .read(&id.parse().unwrap())
                .await
                .unwrap()
                .is_none()
        );
    }

    let (first, second) = tokio::join!(asked("j5", "u3", "x"), asked("j6", "u3", "x"));
    let made = [first.unwrap(), second.unwrap()];
    let new = made.iter().filter(|made| matches!(made, Created::New(_)));
    assert_eq!(new.count(), 1, "{made:?}");
}

pub(crate) async fn the_same_id_is_the_same_request_or_taken(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let job = world
        .record(&job, &claim, &Change::Priced(filmlab::job::Credits(3)))
        .await;

    let mut later = new_job("j1");
    later.created_at = at(50);
    match world.ledger.create(later).await {
        Ok(Created::Existing(there)) => assert_eq!(*there, job),
        other => panic!("{other:?}"),
    }
    let mut other = new_job("j1");
    other.owner = "u2".parse().unwrap();
    assert_eq!(world.ledger.create(other).await.unwrap(), Created::IdTaken);
    assert_eq!(world.job("j1").await, job);
}

pub(crate) async fn moments_survive_to_the_microsecond(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let mut new = new_job("j1");
    new.created_at = at(0) + std::time::Duration::from_nanos(789);
    world.ledger.create(new).await.unwrap();
    let job = world.job("j1").await;
    assert_eq!((job.created_at, job.deadline_at), (at(0), at(7200)));
    assert_eq!(job.next_visit_at, Some(at(0)));
    // The stamp given back is the one to compare with.
    assert_eq!(world.claim("j1", "a", at(3)).await.1, world.job("j1").await);
}

pub(crate) async fn fields_nobody_knows_survive(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.create("j1").await;
    world
        .others
        .write("j1", json!({"campaign": {"name": "spring"}}))
        .await;
    let (claim, job) = world.claim("j1", "a", at(1)).await;
    world.others.write("j1", json!({"labels": ["x", 1]})).await;
    world.record(&job, &claim, &Change::Polled).await;
    let job = world.job("j1").await;
    assert_eq!(job.extra["campaign"], json!({"name": "spring"}));
    assert_eq!(job.extra["labels"], json!(["x", 1]));
}
