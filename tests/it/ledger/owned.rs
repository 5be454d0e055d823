//! What is kept of one owner: listed as a whole, removed as a whole, and nobody else's with it.

use std::sync::Arc;

use filmlab::job::{
    CreditEntry, CreditState, Credits, EntryKind, Idempotency, JobId, Owner, Status,
};
use filmlab::ledger::owned::{OwnerRecords, Part, RawRecord};
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{Callback, Deleted, HoldOutcome};
use serde_json::json;
use strum::IntoEnumIterator as _;

use super::bench::{TTL, World, at, grant, new_job, settlement};
use super::sqlite::others;

/// In no other word that is stored.
pub(super) const GONE: &str = "someone-who-goes";
pub(super) const STAYS: &str = "somebody-who-stays";

/// A job that ended with all that goes with it, and one that cannot be read.
async fn filled(world: &World, owner: &Owner, letter: &str) {
    let ledger = &world.ledger;
    ledger.grant(owner, &grant("grant:x", 50)).await.unwrap();
    let mut new = new_job(&format!("{letter}1"));
    new.owner = owner.clone();
    new.idempotency = Some(Idempotency {
        key: format!("key-of-{owner}"),
        request_sha256: "x".into(),
    });
    ledger.create(new.clone()).await.unwrap();
    let (claim, job) = world.claim(new.id.as_str(), "a", at(1)).await;
    let held = ledger.hold(&job.id, &claim, Credits(4), at(2)).await;
    assert!(matches!(held.unwrap(), HoldOutcome::Done(_)));
    let callback = Callback {
        intent: "1-1".into(),
        prediction_id: "p1".into(),
        received_at: at(3),
    };
    assert!(ledger.record_callback(&job.id, &callback).await.unwrap());
    let mut end = settlement(&job, Some(EntryKind::Capture), 4);
    end.ending.status = Status::Failed;
    end.ending.credits = CreditState::Captured;
    world.settle(&job, &claim, &end).await;

    new.id = format!("{letter}2").parse().unwrap();
    new.idempotency = None;
    ledger.create(new.clone()).await.unwrap();
    world
        .others
        .write(new.id.as_str(), json!({"params": 7}))
        .await;
    ledger.bury(&new.id, at(0), TTL).await.unwrap();
}

async fn all(records: &dyn OwnerRecords, owner: &Owner, part: Part, limit: u32) -> Vec<RawRecord> {
    let mut found: Vec<RawRecord> = Vec::new();
    loop {
        let last = found.last().map(|record| record.name.clone());
        let page = records.of_owner(owner, part, last.as_deref(), limit).await;
        let page = page.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// Removes the one owner and leaves the other. Whoever calls looks for what is left of the name.
pub(super) async fn one_goes_and_one_stays(world: &World, records: &dyn OwnerRecords) {
    let (gone, stays): (Owner, Owner) = (GONE.parse().unwrap(), STAYS.parse().unwrap());
    filled(world, &gone, "g").await;
    filled(world, &stays, "s").await;
    let id = |id: &str| id.parse::<JobId>().unwrap();

    let ids = records.job_ids(&gone, None, 9).await.unwrap();
    assert_eq!(ids, [id("g1"), id("g2")]);
    let first = records.job_ids(&gone, None, 1).await.unwrap();
    let second = records.job_ids(&gone, first.last(), 9).await.unwrap();
    assert_eq!((first, second), (vec![id("g1")], vec![id("g2")]));
    let names = |found: &[RawRecord]| {
        let names = found.iter().map(|record| record.name.clone());
        names.collect::<Vec<_>>()
    };
    let whole = records.of_job(&id("g1")).await.unwrap();
    assert_eq!(
        names(&whole),
        ["jobs/g1", "jobs/g1/callbacks/1-1", "outbox/g1:1:job.failed"]
    );
    assert_eq!(whole[0].content["owner"], GONE);
    let damaged = names(&records.of_job(&id("g2")).await.unwrap());
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    assert!(damaged[1].starts_with("unreadable/jobs"), "{damaged:?}");
    let counts = [
        (Part::Notices, 1),
        (Part::Keys, 1),
        (Part::Entries, 3),
        (Part::Counters, 1),
    ];
    for (part, count) in counts {
        let found = all(records, &gone, part, 9).await;
        assert_eq!(found.len(), count, "{part:?}: {found:?}");
        // A page at a time it is the same.
        assert_eq!(all(records, &gone, part, 1).await, found, "{part:?}");
    }
    let account = all(records, &gone, Part::Account, 9).await;
    assert_eq!(account[0].name, format!("users/{GONE}"));
    assert_eq!(account[0].content["credits"], 46);

    // A job that can be read is deleted as all jobs are.
    assert!(!records.remove_damaged(&id("g1")).await.unwrap());
    let deleted = world.ledger.delete(&id("g1"), 1).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    assert!(records.remove_damaged(&id("g2")).await.unwrap());
    assert!(
        !records
            .remove_damaged(&id("g2"))
            .await
            .is_ok_and(|done| done)
    );
    for part in Part::iter() {
        loop {
            let removed = records.remove(&gone, part).await.unwrap();
            assert_eq!(removed.left, Vec::<String>::new());
            if removed.records == 0 {
                break;
            }
        }
        assert_eq!(all(records, &gone, part, 9).await, Vec::new());
    }
    assert_eq!(records.job_ids(&gone, None, 9).await.unwrap(), []);
    records.scrub().await.unwrap();
    // The sums stay, under nobody's name.
    let sums = [
        ("accounts", 1),
        ("capture", 4),
        ("entries", 3),
        ("grant", 50),
        ("hold", 4),
    ];
    let sums = sums.map(|(name, sum)| (name.to_owned(), sum));
    assert_eq!(records.books().await.unwrap(), sums.into());

    let ids = records.job_ids(&stays, None, 9).await.unwrap();
    assert_eq!(ids, [id("s1"), id("s2")]);
    for (part, count) in counts {
        assert_eq!(all(records, &stays, part, 9).await.len(), count, "{part:?}");
    }
    let account = world.ledger.account(&stays).await.unwrap().unwrap();
    assert_eq!((account.credits, account.credits_held), (46, 0));
    // The name is free for somebody new.
    let entry = CreditEntry {
        at: at(99),
        ..grant("grant:x", 5)
    };
    assert!(world.ledger.grant(&gone, &entry).await.unwrap());
    assert!(records.remove(&gone, Part::Entries).await.unwrap().records > 0);
    assert!(records.remove(&gone, Part::Account).await.unwrap().records > 0);
    records.scrub().await.unwrap();
}

#[tokio::test]
async fn an_owner_goes_from_a_file_to_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let ledger = Arc::new(SqliteLedger::open(&path).unwrap());
    let world = World {
        ledger: Arc::clone(&ledger) as _,
        others: others(path, None),
    };
    one_goes_and_one_stays(&world, ledger.as_ref()).await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = |name: &str| {
            bytes
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        };
        assert!(!holds(GONE), "{}", path.display());
        let is_database = path.extension().is_some_and(|ending| ending == "db");
        assert_eq!(holds(STAYS), is_database, "{}", path.display());
    }
}
