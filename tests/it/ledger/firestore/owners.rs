//! An owner's documents, all of them.

use std::sync::Arc;

use filmlab::ledger::owned::{OwnerRecords as _, Part};
use serde_json::{Value, json};

use super::super::bench::World;
use super::super::owned::{GONE, STAYS, one_goes_and_one_stays};
use super::connect;
use crate::support::emulator::{Caller, Emulator};

#[tokio::test]
async fn an_owner_goes_from_every_collection() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let ledger = Arc::new(connect(&emulator).await);
    let world = World {
        ledger: Arc::clone(&ledger) as _,
        others: Box::new(emulator.clone()),
    };
    one_goes_and_one_stays(&world, ledger.as_ref()).await;
    let mut seen = 0;
    for collection in [
        "jobs",
        "callbacks",
        "users",
        "credit_entries",
        "outbox",
        "idempotency",
        "unreadable",
        "guards",
        "breakers",
        "marks",
        "books",
    ] {
        let documents = emulator.documents(collection).await;
        seen += documents.len();
        for document in &documents {
            assert!(!document.to_string().contains(GONE), "{document}");
        }
    }
    // The other's: two jobs, a callback, user, three entries, notice, key, note; and the sums.
    assert_eq!(seen, 11);
    let users = emulator.documents("users").await;
    assert!(users[0].to_string().contains(STAYS), "{users:?}");

    // What another service keeps of a user is not filmlab's to remove.
    let fields = json!({"credits": 5, "credits_held": 0, "email": "x@example.com"});
    let status = emulator.write(Caller::Owner, "users/shared", &fields).await;
    assert_eq!(status, 200);
    let owner = "shared".parse().unwrap();
    let removed = ledger.remove(&owner, Part::Account).await.unwrap();
    assert_eq!(
        (removed.records, removed.left),
        (1, vec!["users/shared".to_owned()])
    );
    let left: Value = emulator.stored("users/shared").await.unwrap();
    assert_eq!(left, json!({"email": {"stringValue": "x@example.com"}}));
    let removed = ledger.remove(&owner, Part::Account).await.unwrap();
    assert_eq!((removed.records, removed.left.len()), (0, 1));
}
