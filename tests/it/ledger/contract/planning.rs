use std::sync::Arc;

use filmlab::job::notice::DeliveryState;
use filmlab::job::{
    Change, Code, CreditState, Credits, EntryKind, JobId, Kind, Params, SCHEMA_VERSION, Status,
    WaitsFor,
};
use filmlab::ledger::{
    Burial, Commit, Created, DueCursor, HoldOutcome, JobQuery, LedgerError, PageToken, Tally,
};
use serde_json::{Value, json};

use super::super::bench::{
    Bench, OWNER, TTL, World, at, new_job, provider_failed, road, settlement,
};

async fn due(world: &World, before: i64, limit: u32) -> Vec<(String, u64)> {
    let due = world.ledger.due(at(before), None, limit).await.unwrap();
    due.into_iter()
        .map(|due| (due.id.to_string(), due.seq))
        .collect()
}

pub(crate) async fn due_jobs_come_oldest_first(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for (id, second) in [("j2", 20), ("j3", 30), ("j1", 10)] {
        let mut new = new_job(id);
        new.created_at = at(second);
        world.ledger.create(new).await.unwrap();
    }
    assert_eq!(due(&world, 9, 10).await, []);
    assert_eq!(
        due(&world, 20, 10).await,
        [("j1".into(), 1), ("j2".into(), 1)]
    );
    assert_eq!(
        due(&world, 99, 2).await,
        [("j1".into(), 1), ("j2".into(), 1)]
    );

    // A job that is held is due when its lease runs out; one that waits, when it said.
    let (claim, job) = world.claim("j1", "a", at(100)).await;
    assert_eq!(
        due(&world, 159, 10).await,
        [("j2".into(), 1), ("j3".into(), 1)]
    );
    assert_eq!(due(&world, 160, 10).await.len(), 3);
    let wait = Change::Waited {
        until: at(25),
        reason: None,
        what: WaitsFor::Account,
    };
    world.record(&job, &claim, &wait).await;
    let order = [("j2".into(), 1), ("j1".into(), 2), ("j3".into(), 1)];
    assert_eq!(due(&world, 99, 10).await, order);
}

pub(crate) async fn a_rewake_needs_the_number_seen(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let created = world.create("j1").await;
    let rewake = |seen, now| world.ledger.rewake(&created.id, seen, at(now));
    assert_eq!(rewake(1, -1).await.unwrap(), None, "not due yet");
    assert_eq!(rewake(1, 50).await.unwrap(), Some(2));
    assert_eq!(
        rewake(1, 50).await.unwrap(),
        None,
        "somebody else was first"
    );
    let job = world.job("j1").await;
    assert_eq!(
        (job.wake.seq, job.wake.at, job.next_visit_at),
        (2, Some(at(50)), Some(at(50)))
    );
    assert_eq!(job.revision, created.revision, "not an owner's write");

    // The sweep over a dead lease leaves the lease: the next claim has to see the death.
    world.claim("j1", "a", at(51)).await;
    assert_eq!(rewake(2, 110).await.unwrap(), None, "the lease still runs");
    assert_eq!(rewake(2, 111).await.unwrap(), Some(3));
    assert_eq!(world.claim("j1", "b", at(112)).await.1.attempt, 2);
    let nobody = world.ledger.rewake(&"j9".parse().unwrap(), 1, at(1)).await;
    assert_eq!(nobody.unwrap(), None);
}

pub(crate) async fn an_early_visit_is_replanned_once(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let wait = Change::Waited {
        until: at(500),
        reason: None,
        what: WaitsFor::Account,
    };
    let waiting = world.record(&job, &claim, &wait).await;
    let seen = waiting.wake.seq;
    let replan = || world.ledger.replan(&job.id, seen);
    assert_eq!(replan().await.unwrap(), Some(seen + 1));
    assert_eq!(replan().await.unwrap(), None, "somebody was first");
    let after = world.job("j1").await;
    assert_eq!((after.wake.seq, after.wake.at), (seen + 1, Some(at(500))));
    assert_eq!(
        (after.next_visit_at, after.revision),
        (Some(at(500)), waiting.revision)
    );
    let nobody = world.ledger.replan(&"j9".parse().unwrap(), 1).await;
    assert_eq!(nobody.unwrap(), None);
}

pub(crate) async fn ids_are_found_by_how_they_begin(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for (id, owner) in [
        ("film-10", "u1"),
        ("film-2", "u2"),
        ("film-1", "u1"),
        ("film_1", "u1"),
        ("Film-1", "u1"),
        ("fil", "u1"),
        ("filz", "u2"),
    ] {
        let mut new = new_job(id);
        new.owner = owner.parse().unwrap();
        world.ledger.create(new).await.unwrap();
    }
    let find = async |owner: Option<&str>, beginning: &str, limit| {
        let owner = owner.map(|owner| owner.parse().unwrap());
        let found = world.ledger.beginning(owner.as_ref(), beginning, limit);
        let found = found.await.unwrap();
        found
            .iter()
            .map(|job| job.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        find(None, "film-", 9).await,
        ["film-1", "film-10", "film-2"]
    );
    assert_eq!(find(None, "film-", 2).await, ["film-1", "film-10"]);
    assert_eq!(find(Some("u1"), "film-", 1).await, ["film-1"]);
    assert_eq!(find(Some("u2"), "fil", 9).await, ["film-2", "filz"]);
    assert_eq!(find(None, "film-10", 9).await, ["film-10"]);
    assert_eq!(find(None, "film-11", 9).await, [""; 0]);
    assert_eq!(find(Some("u3"), "film-", 9).await, [""; 0]);
}

pub(crate) async fn lists_span_times(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for n in 0..6 {
        let mut new = new_job(&format!("j{n}"));
        new.created_at = at(n * 10);
        if n == 3 {
            new.owner = "u2".parse().unwrap();
        }
        world.ledger.create(new).await.unwrap();
    }
    let list = async |from: Option<i64>, to: Option<i64>, edit: fn(&mut JobQuery)| {
        let mut query = JobQuery {
            created_after: from.map(at),
            created_before: to.map(at),
            limit: 100,
            ..JobQuery::default()
        };
        edit(&mut query);
        let page = world.ledger.list(&query).await.unwrap();
        let ids: Vec<_> = page.iter().map(|job| job.id.to_string()).collect();
        ids.join(" ")
    };
    assert_eq!(list(Some(20), None, |_| {}).await, "j5 j4 j3 j2");
    assert_eq!(list(None, Some(20), |_| {}).await, "j1 j0");
    assert_eq!(list(Some(20), Some(40), |_| {}).await, "j3 j2");
    let owned = |query: &mut JobQuery| {
        query.owner = "u1".parse().ok();
        query.kind = Some(Kind::Upscale);
        query.status = Some(Status::Queued);
    };
    assert_eq!(list(Some(10), Some(50), owned).await, "j4 j2 j1");
    // From page to page.
    let after = |query: &mut JobQuery| {
        query.after = Some(PageToken {
            created_at: at(40),
            id: "j4".parse().unwrap(),
        });
    };
    assert_eq!(list(Some(20), Some(50), after).await, "j3 j2");
}

pub(crate) async fn ended_jobs_are_due_nowhere(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let (claim, job) = world.claimed("j1").await;
    let job = world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    assert_eq!(due(&world, 1_000_000, 10).await, []);
    assert_eq!(
        world
            .ledger
            .rewake(&job.id, job.wake.seq, at(1_000_000))
            .await
            .unwrap(),
        None
    );
}

/// Jobs made in the same microsecond, and new ones while somebody turns the pages.
pub(crate) async fn pages_are_stable(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for n in 0..9 {
        let mut new = new_job(&format!("j{n}"));
        new.created_at = at(n / 5);
        world.ledger.create(new).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query = JobQuery {
            limit: 2,
            after: after.clone(),
            ..JobQuery::default()
        };
        let page = world.ledger.list(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(seen.len() < 9, "there are no more than nine: {seen:?}");
        after = Some(PageToken {
            created_at: last.created_at,
            id: last.id.clone(),
        });
        seen.extend(page.iter().map(|job| job.id.to_string()));
        let mut new = new_job(&format!("late{}", seen.len()));
        new.created_at = at(50);
        world.ledger.create(new).await.unwrap();
    }
    assert_eq!(seen, ["j8", "j7", "j6", "j5", "j4", "j3", "j2", "j1", "j0"]);
}

pub(crate) async fn filters_hold(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let extend = json!({"prompt": "x", "seconds": 5});
    for (n, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let mut new = new_job(id);
        new.created_at = at(n as i64);
        if n % 2 == 1 {
            new.owner = "u2".parse().unwrap();
        }
        if n >= 2 {
            new.params = Params::parse(Kind::Extend, &extend).unwrap();
        }
        assert!(matches!(
            world.ledger.create(new).await,
            Ok(Created::New(_))
        ));
    }
    let (claim, job) = world.claim("b", "w", at(10)).await;
    let list = async |edit: fn(&mut JobQuery)| {
        let mut query = JobQuery {
            limit: 100,
            ..JobQuery::default()
        };
        edit(&mut query);
        let page = world.ledger.list(&query).await.unwrap();
        page.iter().map(|job| job.id.as_str()).collect::<String>()
    };
    assert_eq!(list(|_| {}).await, "dcba");
    assert_eq!(list(|query| query.owner = "u2".parse().ok()).await, "db");
    assert_eq!(list(|query| query.kind = Some(Kind::Upscale)).await, "ba");
    assert_eq!(
        list(|query| query.status = Some(Status::Queued)).await,
        "dca"
    );
    let all = list(|query| {
        query.owner = "u2".parse().ok();
        query.kind = Some(Kind::Upscale);
        query.status = Some(Status::Processing);
    });
    assert_eq!(all.await, "b");
    assert_eq!(list(|query| query.limit = 3).await, "dcb");

    for change in road().into_iter().take(2) {
        world.record(&job, &claim, &change).await;
    }
    let mut end = settlement(&job, None, 0);
    end.ending.error = Some(provider_failed());
    world.settle(&job, &claim, &end).await;
    assert_eq!(list(|query| query.model = Some("m".into())).await, "b");
    assert_eq!(list(|query| query.model = Some("m2".into())).await, "");
    let failed = |query: &mut JobQuery| query.code = Some(Code::ProviderFailed);
    assert_eq!(list(failed).await, "b");
    assert_eq!(list(|query| query.code = Some(Code::Internal)).await, "");
    let all = list(|query| {
        query.owner = "u2".parse().ok();
        query.status = Some(Status::Failed);
        query.model = Some("m".into());
        query.code = Some(Code::ProviderFailed);
    });
    assert_eq!(all.await, "b");
}

pub(crate) async fn a_malformed_job_is_named_and_buried(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ledger = &world.ledger;
    for id in ["bad", "good"] {
        world.create(id).await;
    }
    world
        .others
        .write(
            "bad",
            json!({"params": Value::Null, "source": 7, "mine": "x"}),
        )
        .await;
    let bad: JobId = "bad".parse().unwrap();
    for answer in [
        ledger.read(&bad).await.map(drop),
        ledger.claim(&bad, "a", at(1), TTL).await.map(drop),
        ledger.request_cancel(&bad, at(1)).await.map(drop),
    ] {
        match answer {
            Err(LedgerError::Malformed { id, .. }) => assert_eq!(id, "bad"),
            other => panic!("{other:?}"),
        }
    }
    let query = JobQuery {
        limit: 2,
        ..JobQuery::default()
    };
    assert_eq!(
        ledger.list(&query).await.unwrap().len(),
        1,
        "one bad job hides no other"
    );
    assert_eq!(
        due(&world, 1, 10).await,
        [("bad".into(), 1), ("good".into(), 1)]
    );

    // Watched first, and ended only if it is still as it was a while later.
    let bury = |id: &str, second| {
        let (ledger, id) = (Arc::clone(ledger), id.parse::<JobId>().unwrap());
        async move { ledger.bury(&id, at(second), TTL).await.unwrap() }
    };
    let noted = |second| Burial::Noted { since: at(second) };
    assert_eq!(bury("bad", 2).await, noted(2));
    assert_eq!(bury("bad", 61).await, noted(2), "not a lease later");
    world.others.write("bad", json!({"mine": "y"})).await;
    assert_eq!(bury("bad", 70).await, noted(70), "it has changed");
    assert_eq!(bury("bad", 130).await, Burial::Done { released: None });
    for nothing in ["bad", "good", "nobody"] {
        assert_eq!(bury(nothing, 999).await, Burial::NothingToDo, "{nothing}");
    }
    assert_eq!(due(&world, 1_000, 10).await, [("good".into(), 1)]);

    // Mended by hand, the document shows how it ended.
    let source = json!({"video": "sources/u1/v.mp4"});
    let params = serde_json::to_value(world.job("good").await).unwrap()["params"].clone();
    world
        .others
        .write("bad", json!({"params": params, "source": source}))
        .await;
    let job = world.job("bad").await;
    assert_eq!(
        (job.status, job.completed_at),
        (Status::Failed, Some(at(130)))
    );
    assert_eq!(job.error.unwrap().code, Code::InvalidJob);
    assert_eq!(job.extra["mine"], "y");
}

/// What an entry of the job holds is given back with its end, and only then.
pub(crate) async fn a_buried_job_gives_back_what_it_held(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ledger = &world.ledger;
    world.grant("g", 10).await;
    for id in ["j1", "j2"] {
        let (claim, job) = world.claimed(id).await;
        let held = ledger.hold(&job.id, &claim, Credits(3), at(2)).await;
        assert!(matches!(held, Ok(HoldOutcome::Done(_))), "{held:?}");
    }
    assert_eq!(world.balance().await, (4, 6));
    let params = serde_json::to_value(world.job("j1").await).unwrap()["params"].clone();
    let id: JobId = "j1".parse().unwrap();
    world.others.write("j1", json!({"params": 7})).await;
    let released = Burial::Done {
        released: Some(Credits(3)),
    };
    for (second, burial) in [
        (100, Burial::Noted { since: at(100) }),
        (200, released),
        (300, Burial::NothingToDo),
    ] {
        assert_eq!(ledger.bury(&id, at(second), TTL).await.unwrap(), burial);
    }
    assert_eq!(world.balance().await, (7, 3), "of the other job nothing");
    let owner = OWNER.parse().unwrap();
    let entries = ledger.entries(&owner, 9).await.unwrap();
    let last = &entries[0];
    assert_eq!(
        (last.id.as_str(), last.kind, last.at),
        ("j1:1:release", EntryKind::Release, at(200))
    );
    // Mended by hand, the job says so too.
    world.others.write("j1", json!({"params": params})).await;
    assert_eq!(world.job("j1").await.credits.state, CreditState::Released);
}

/// A newer release shares the ledger while it is rolled out: what it wrote is not ours to end.
pub(crate) async fn what_a_newer_release_wrote_is_left_alone(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ledger = &world.ledger;
    let (claim, before) = world.claimed("j1").await;
    let error = json!({"code": "media_dreamt", "message": "x", "party": "caller", "attempt": 1,
        "at": at(1)});
    for (field, newer, older) in [
        (
            "schema_version",
            json!(SCHEMA_VERSION + 1),
            json!(SCHEMA_VERSION),
        ),
        ("stage", json!("colour"), json!(before.stage)),
        ("error", error, Value::Null),
        ("kind", json!("dream"), json!(before.params.kind())),
    ] {
        world.others.write("j1", json!({field: newer})).await;
        for answer in [
            ledger.read(&before.id).await.map(drop),
            ledger.claim(&before.id, "b", at(100), TTL).await.map(drop),
            ledger.rewake(&before.id, 1, at(100)).await.map(drop),
            ledger.bury(&before.id, at(100), TTL).await.map(drop),
            ledger.bury(&before.id, at(999), TTL).await.map(drop),
            ledger.request_cancel(&before.id, at(1)).await.map(drop),
        ] {
            assert!(
                matches!(&answer, Err(LedgerError::Newer { id, .. }) if id == "j1"),
                "{field}: {answer:?}"
            );
        }
        // It was claimed since, or it would not be of a newer release.
        let lost = ledger
            .record(&before.id, &claim, &Change::Polled, at(2))
            .await;
        assert_eq!(lost.unwrap(), Commit::Lost, "{field}");
        assert_eq!(due(&world, 100, 10).await, [("j1".into(), 1)]);
        world.others.write("j1", json!({field: older})).await;
        assert_eq!(
            world.job("j1").await,
            before,
            "{field}: nothing was touched"
        );
    }
}

/// The list goes on behind a place, so that what stays due hides nothing.
pub(crate) async fn what_is_due_is_listed_in_parts(bench: &dyn Bench) {
    let world = bench.fresh().await;
    for n in 0..5 {
        let mut new = new_job(&format!("j{n}"));
        new.created_at = at(n / 2);
        world.ledger.create(new).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.ledger.due(at(99), after.as_ref(), 2).await.unwrap();
        seen.extend(page.iter().map(|due| (due.id.to_string(), due.at)));
        after = page.last().map(DueCursor::from);
        if page.len() < 2 {
            break;
        }
    }
    let all = [("j0", 0), ("j1", 0), ("j2", 1), ("j3", 1), ("j4", 2)];
    assert_eq!(seen, all.map(|(id, second)| (id.to_owned(), at(second))));
}

pub(crate) async fn counts_are_bounded(bench: &dyn Bench) {
    let world = bench.fresh().await;
    let ledger = &world.ledger;
    let tallies = [
        Tally::Queued,
        Tally::Processing,
        Tally::Generating,
        Tally::NoticesPending,
        Tally::NoticesUndeliverable,
    ];
    let counts = async || {
        let mut counts = Vec::new();
        for what in tallies {
            counts.push(ledger.count(what, 100).await.unwrap());
        }
        counts
    };
    assert_eq!(counts().await, [0, 0, 0, 0, 0]);
    for id in ["j1", "j2", "j3", "j4"] {
        world.create(id).await;
    }
    assert_eq!(counts().await, [4, 0, 0, 0, 0]);
    let mut claimed = Vec::new();
    for id in ["j1", "j2", "j3"] {
        claimed.push(world.claim(id, "a", at(1)).await);
    }
    assert_eq!(counts().await, [1, 3, 0, 0, 0]);
    // The first two changes of a road: the intent, the prediction.
    for (claim, job) in &claimed[..2] {
        for change in &road()[..2] {
            world.record(job, claim, change).await;
        }
    }
    assert_eq!(counts().await, [1, 3, 2, 0, 0]);
    assert_eq!(ledger.count(Tally::Generating, 1).await.unwrap(), 1);
    // Its output is there, so its prediction is over.
    let (claim, job) = &claimed[0];
    world.record(job, claim, &road()[2]).await;
    world.record(job, claim, &road()[3]).await;
    assert_eq!(counts().await, [1, 3, 1, 0, 0]);
    // It ends while its prediction runs: nobody waits for that one any more.
    let (claim, job) = &claimed[1];
    world.settle(job, claim, &settlement(job, None, 0)).await;
    assert_eq!(counts().await, [1, 2, 0, 1, 0]);
    let notice = &ledger.due_notices(at(99), None, 9).await.unwrap()[0];
    ledger
        .record_delivery(&notice.id, DeliveryState::Undeliverable, None, None)
        .await
        .unwrap();
    assert_eq!(counts().await, [1, 2, 0, 0, 1]);
    // One that cannot be read has no stage, and disturbs nobody.
    world.others.write("j3", json!({"stage": 7})).await;
    assert_eq!(ledger.count(Tally::Generating, 9).await.unwrap(), 0);
}
