use std::sync::Arc;

use filmlab::job::notice::DeliveryState;
use filmlab::job::{Change, Channel, CreditEntry, CreditState, Credits, EntryKind, Event, Status};
use filmlab::ledger::{HoldOutcome, Settled, Settlement};

use super::super::bench::{Bench, OWNER, at, ending, road, settlement};

pub(crate) async fn eight_tries_settle_once(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let (claim, job) = world.claimed("j1").await;
    world
        .ledger
        .hold(&job.id, &claim, Credits(4), at(2))
        .await
        .unwrap();
    for change in road() {
        world.record(&job, &claim, &change).await;
    }
    let end = Settlement {
        ending: ending(Status::Completed, CreditState::Captured),
        entry: Some(CreditEntry::for_job(
            &job.id,
            1,
            EntryKind::Capture,
            Credits(4),
            at(9),
        )),
        channel: Channel::Log,
    };
    let tries = (0..8).map(|_| {
        let (ledger, id, claim, end) = (
            Arc::clone(&world.ledger),
            job.id.clone(),
            claim.clone(),
            end.clone(),
        );
        tokio::spawn(async move { ledger.settle(&id, &claim, &end, at(9)).await.unwrap() })
    });
    let mut done = Vec::new();
    for settled in futures::future::join_all(tries).await {
        match settled.unwrap() {
            Settled::Done { job, notice } => done.push((job, notice)),
            Settled::Lost => {}
            Settled::NoAccount => panic!("the account is there"),
        }
    }
    assert_eq!(done.len(), 1);
    let (settled, notice) = done.remove(0);
    assert_eq!(world.job("j1").await, *settled);
    assert_eq!(
        (settled.status, settled.completed_at),
        (Status::Completed, Some(at(9)))
    );
    assert_eq!(settled.result.as_ref().unwrap().video, "results/v.mp4");
    assert_eq!(settled.credits.state, CreditState::Captured);
    assert_eq!(world.balance().await, (6, 0));
    let entries = world
        .ledger
        .entries(&OWNER.parse().unwrap(), 10)
        .await
        .unwrap();
    assert_eq!(entries.len(), 3, "grant, hold, capture: {entries:?}");

    assert_eq!(
        (notice.id.as_str(), notice.event),
        ("j1:1:job.completed", Event::Completed)
    );
    assert_eq!(
        (notice.state, notice.next_at),
        (DeliveryState::Pending, Some(at(9)))
    );
    let kept = world.ledger.notice(&notice.id).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&*notice));
    assert_eq!(notice.payload["data"]["credits"]["state"], "captured");
}

pub(crate) async fn each_entry_moves_what_it_says(bench: &dyn Bench) {
    let cases = [
        (
            true,
            Some(EntryKind::Capture),
            (6, 0),
            CreditState::Captured,
        ),
        (
            true,
            Some(EntryKind::Release),
            (10, 0),
            CreditState::Released,
        ),
        (
            false,
            Some(EntryKind::Deduct),
            (6, 0),
            CreditState::Captured,
        ),
        (false, None, (10, 0), CreditState::None),
    ];
    for (hold, kind, balance, state) in cases {
        let world = bench.fresh().await;
        world.grant("g", 10).await;
        let (claim, job) = world.claimed("j1").await;
        if hold {
            world
                .ledger
                .hold(&job.id, &claim, Credits(4), at(2))
                .await
                .unwrap();
        }
        let job = world.settle(&job, &claim, &settlement(&job, kind, 4)).await;
        assert_eq!(
            (job.status, job.credits.state),
            (Status::Failed, state),
            "{kind:?}"
        );
        assert_eq!((job.next_visit_at, job.lease.holder), (None, None));
        assert_eq!(world.balance().await, balance, "{kind:?}");
    }
    // Taken at the end, whatever the balance is by then.
    let world = bench.fresh().await;
    world.grant("g", 1).await;
    let (claim, job) = world.claimed("j1").await;
    world
        .settle(&job, &claim, &settlement(&job, Some(EntryKind::Deduct), 4))
        .await;
    assert_eq!(world.balance().await, (-3, 0));
}

pub(crate) async fn an_entry_that_is_there_is_not_moved_again(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    let (claim, job) = world.claimed("j1").await;
    let end = settlement(&job, Some(EntryKind::Deduct), 4);
    // Somebody wrote the entry by hand, as a grant of that name.
    let mut there = end.entry.clone().unwrap();
    there.kind = EntryKind::Grant;
    there.amount = Credits(0);
    assert!(
        world
            .ledger
            .grant(&OWNER.parse().unwrap(), &there)
            .await
            .unwrap()
    );
    let job = world.settle(&job, &claim, &end).await;
    assert_eq!(job.status, Status::Failed);
    assert_eq!(world.balance().await, (10, 0));
}

pub(crate) async fn without_an_account_nothing_is_written(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let end = settlement(&job, Some(EntryKind::Deduct), 4);
    let settled = world
        .ledger
        .settle(&job.id, &claim, &end, at(9))
        .await
        .unwrap();
    assert_eq!(settled, Settled::NoAccount);
    assert_eq!(world.job("j1").await, job);
    assert!(
        world
            .ledger
            .notice("j1:1:job.failed")
            .await
            .unwrap()
            .is_none()
    );
    assert!(world.ledger.account(&job.owner).await.unwrap().is_none());
    // Where no credits move, no account is needed.
    let end = settlement(&job, None, 0);
    assert_eq!(
        world.settle(&job, &claim, &end).await.status,
        Status::Failed
    );
}

pub(crate) async fn each_round_holds_and_tells_anew(bench: &dyn Bench) {
    let world = bench.fresh().await;
    world.grant("g", 10).await;
    world.create("j1").await;
    for round in 1..=3u32 {
        let now = at(i64::from(round) * 100);
        let (claim, job) = world.claim("j1", "a", now).await;
        assert_eq!((job.round, job.attempt), (round, 1));
        let held = world
            .ledger
            .hold(&job.id, &claim, Credits(4), now)
            .await
            .unwrap();
        assert!(matches!(held, HoldOutcome::Done(_)), "{held:?}");
        assert_eq!(world.balance().await, (6, 4));
        let timed = Change::Timed {
            stage: filmlab::job::Stage::Submit,
            ms: 1,
        };
        let job = world.record(&job, &claim, &timed).await;
        let job = world
            .settle(&job, &claim, &settlement(&job, Some(EntryKind::Release), 4))
            .await;
        assert_eq!(world.balance().await, (10, 0));
        world.next_round(&job, now).await;
    }
    let due = world.ledger.due_notices(at(9), None, 10).await.unwrap();
    let ids: Vec<_> = due.iter().map(|notice| notice.id.as_str()).collect();
    assert_eq!(
        ids,
        ["j1:1:job.failed", "j1:2:job.failed", "j1:3:job.failed"]
    );
}
