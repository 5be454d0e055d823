use filmlab::job::Notice;
use filmlab::job::notice::DeliveryState;
use filmlab::ledger::{Burial, LedgerError, Tally};
use serde_json::json;

use super::super::bench::{Bench, TTL, World, at, settlement};

const ID: &str = "j1:1:job.failed";

async fn settled(world: &World, id: &str) {
    let (claim, job) = world.claimed(id).await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
}

async fn due(world: &World, before: i64) -> Vec<String> {
    let due = world
        .ledger
        .due_notices(at(before), None, 10)
        .await
        .unwrap();
    due.into_iter().map(|notice| notice.id).collect()
}

pub(crate) async fn a_notice_is_due_until_delivered(bench: &dyn Bench) {
    let world = bench.fresh().await;
    settled(&world, "j1").await;
    let ledger = &world.ledger;
    assert_eq!(
        (due(&world, 8).await.len(), due(&world, 9).await),
        (0, vec![ID.to_owned()])
    );
    ledger
        .record_delivery(ID, DeliveryState::Pending, Some(at(20)), Some("503"))
        .await
        .unwrap();
    assert_eq!(
        (due(&world, 19).await.len(), due(&world, 20).await.len()),
        (0, 1)
    );
    let notice = ledger.notice(ID).await.unwrap().unwrap();
    assert_eq!(
        (notice.deliveries, notice.last_error.as_deref()),
        (1, Some("503"))
    );
    assert_eq!(
        (notice.state, notice.next_at),
        (DeliveryState::Pending, Some(at(20)))
    );
    ledger
        .record_delivery(ID, DeliveryState::Delivered, None, None)
        .await
        .unwrap();
    assert!(due(&world, 1_000).await.is_empty());
    let notice = ledger.notice(ID).await.unwrap().unwrap();
    assert_eq!(
        (notice.state, notice.deliveries),
        (DeliveryState::Delivered, 2)
    );
    assert_eq!((notice.next_at, notice.last_error), (None, None));
    ledger
        .record_delivery("nobody", DeliveryState::Delivered, None, None)
        .await
        .unwrap();
    assert!(ledger.notice("nobody").await.unwrap().is_none());
}

pub(crate) async fn delivered_is_final(bench: &dyn Bench) {
    let world = bench.fresh().await;
    settled(&world, "j1").await;
    world
        .ledger
        .record_delivery(ID, DeliveryState::Delivered, None, None)
        .await
        .unwrap();
    world
        .ledger
        .record_delivery(ID, DeliveryState::Pending, Some(at(20)), Some("slow twin"))
        .await
        .unwrap();
    let notice = world.ledger.notice(ID).await.unwrap().unwrap();
    assert_eq!(
        (notice.state, notice.last_error),
        (DeliveryState::Delivered, None)
    );
    assert!(due(&world, 1_000).await.is_empty());
}

pub(crate) async fn an_undeliverable_notice_can_be_replayed(bench: &dyn Bench) {
    let world = bench.fresh().await;
    settled(&world, "j1").await;
    let record = async |state, next_at| {
        world
            .ledger
            .record_delivery(ID, state, next_at, Some("410"))
            .await
            .unwrap();
    };
    record(DeliveryState::Undeliverable, Some(at(20))).await;
    assert!(due(&world, 1_000).await.is_empty());
    record(DeliveryState::Pending, Some(at(30))).await;
    assert_eq!(due(&world, 30).await, [ID]);
}

pub(crate) async fn notices_come_oldest_first(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for id in ["j1", "j2", "j3"] {
        settled(&world, id).await;
    }
    world
        .ledger
        .record_delivery(ID, DeliveryState::Pending, Some(at(20)), None)
        .await
        .unwrap();
    let order = ["j2:1:job.failed", "j3:1:job.failed", ID];
    assert_eq!(due(&world, 99).await, order);
    let first = world.ledger.due_notices(at(99), None, 1).await.unwrap();
    assert_eq!(first[0].id, order[0]);
}

pub(crate) async fn a_replay_begins_anew_under_the_same_id(bench: &dyn Bench) {
    let world = bench.fresh().await;
    settled(&world, "j1").await;
    let ledger = &world.ledger;
    for state in [DeliveryState::Delivered, DeliveryState::Undeliverable] {
        ledger.record_delivery(ID, state, None, None).await.unwrap();
        let before = ledger.notice(ID).await.unwrap().unwrap();
        assert!(due(&world, 1_000).await.is_empty());
        let replayed = ledger.replay(ID, at(50)).await.unwrap().unwrap();
        assert_eq!(ledger.notice(ID).await.unwrap().as_ref(), Some(&replayed));
        assert_eq!(
            (replayed.id.as_str(), &replayed.payload),
            (ID, &before.payload)
        );
        assert_eq!(
            (replayed.state, replayed.next_at),
            (DeliveryState::Pending, Some(at(50)))
        );
        assert_eq!(
            (replayed.deliveries, replayed.tries()),
            (before.deliveries, 0)
        );
        assert!(replayed.next_task() > before.next_task(), "a fresh name");
        assert_eq!(due(&world, 50).await, [ID]);
    }
    assert_eq!(ledger.replay("nobody", at(50)).await.unwrap(), None);
}

pub(crate) async fn a_jobs_notices_come_by_round(bench: &dyn Bench) {
    let world = bench.fresh().await;
    // Names that begin alike belong to others.
    for id in ["j1", "j10", "j1-a"] {
        settled(&world, id).await;
    }
    let id = "j1".parse().unwrap();
    for round in 1..=10 {
        world
            .ledger
            .retry(&id, round, at(20), at(900))
            .await
            .unwrap();
        let (claim, job) = world.claim("j1", "a", at(21)).await;
        world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    }
    let notices = world.ledger.notices(&id).await.unwrap();
    let rounds: Vec<_> = notices.iter().filter_map(Notice::round).collect();
    assert_eq!(rounds, (1..=11).collect::<Vec<_>>());
    assert!(notices.iter().all(|notice| notice.job == id));
}

/// A task's name is used up once it was brought: a try that is planned anew has another.
pub(crate) async fn a_notice_is_planned_anew_under_a_fresh_number(bench: &dyn Bench) {
    let world = bench.fresh().await;
    settled(&world, "j1").await;
    let ledger = &world.ledger;
    let replan = |seen, second: Option<i64>| ledger.replan_notice(ID, seen, second.map(at));
    let notice = ledger.notice(ID).await.unwrap().unwrap();
    assert_eq!((notice.next_task(), notice.next_at), (1, Some(at(9))));
    assert_eq!(replan(1, Some(8)).await.unwrap(), None, "not due by then");
    assert_eq!(
        replan(2, Some(50)).await.unwrap(),
        None,
        "not the one there is"
    );
    // Too early: the time stays.
    let again = replan(1, None).await.unwrap().unwrap();
    assert_eq!((again.next_task(), again.next_at), (2, Some(at(9))));
    assert_eq!(replan(1, None).await.unwrap(), None, "somebody was first");
    // Overdue: at once, and behind those that have waited.
    let again = replan(2, Some(50)).await.unwrap().unwrap();
    assert_eq!((again.next_task(), again.next_at), (3, Some(at(50))));
    assert_eq!(ledger.notice(ID).await.unwrap(), Some(again));
    assert_eq!(
        (due(&world, 49).await.len(), due(&world, 50).await.len()),
        (0, 1)
    );
    // The number only grows, whatever happens.
    ledger
        .record_delivery(ID, DeliveryState::Pending, Some(at(60)), Some("503"))
        .await
        .unwrap();
    let notice = ledger.notice(ID).await.unwrap().unwrap();
    assert_eq!((notice.next_task(), notice.tries()), (4, 1));
    let replayed = ledger.replay(ID, at(70)).await.unwrap().unwrap();
    assert_eq!(replayed.next_task(), 5);
    ledger
        .record_delivery(ID, DeliveryState::Delivered, None, None)
        .await
        .unwrap();
    assert_eq!(replan(6, None).await.unwrap(), None, "it is over");
    let nobody = ledger.replan_notice("nobody", 1, None).await;
    assert_eq!(nobody.unwrap(), None);
}

pub(crate) async fn a_notice_that_cannot_be_read_is_given_up_in_time(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for id in ["j1", "j2", "j3"] {
        settled(&world, id).await;
    }
    let ledger = &world.ledger;
    let newer = "j2:1:job.failed";
    world.others.write_notice(ID, json!({"owner": 7})).await;
    let pigeon = json!({"type": "pigeon"});
    world
        .others
        .write_notice(newer, json!({"channel": pigeon}))
        .await;
    assert_eq!(due(&world, 99).await.len(), 3, "all are named");
    let read = ledger.notice(ID).await;
    assert!(
        matches!(read, Err(LedgerError::Malformed { .. })),
        "{read:?}"
    );
    let read = ledger.notice(newer).await;
    assert!(matches!(read, Err(LedgerError::Newer { .. })), "{read:?}");

    let bury = |id, second| ledger.bury_notice(id, at(second), TTL);
    let noted = Burial::Noted { since: at(99) };
    assert_eq!(bury(ID, 99).await.unwrap(), noted);
    assert_eq!(bury(ID, 120).await.unwrap(), noted);
    let done = Burial::Done { released: None };
    assert_eq!(bury(ID, 160).await.unwrap(), done);
    for nothing in [ID, "j3:1:job.failed", "nobody"] {
        assert_eq!(bury(nothing, 999).await.unwrap(), Burial::NothingToDo);
    }
    let left = bury(newer, 999).await;
    assert!(matches!(left, Err(LedgerError::Newer { .. })), "{left:?}");
    assert_eq!(due(&world, 99).await, [newer, "j3:1:job.failed"]);
    let given_up = ledger.count(Tally::NoticesUndeliverable, 9).await.unwrap();
    assert_eq!(given_up, 1);
}
