//! `filmlab credits`, beside whatever else has the ledger open.

use filmlab::ledger::Ledger as _;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::queue::embedded::EmbeddedQueue;
use serde_json::{Value, json};

use super::Workdir;

#[test]
fn credits_are_given_shown_and_listed() {
    let place = Workdir::new();
    let none = place.run(["credits", "show", "alice"]);
    none.failed(65, "not_found");
    let shown = place
        .run(["credits", "grant", "alice", "40", "--id", "may"])
        .succeeded();
    assert!(
        shown.out.contains("credits") && shown.out.contains("40"),
        "{shown:?}"
    );
    // The same grant again is none.
    let again = place
        .run(["credits", "grant", "alice", "40", "--id", "may"])
        .succeeded();
    assert!(again.err.contains("was made before"), "{again:?}");
    place.run(["credits", "grant", "alice", "2"]).succeeded();
    let shown = place
        .run(["credits", "show", "alice", "--json"])
        .succeeded();
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(
        shown,
        json!({"owner": "alice", "credits": 42, "credits_held": 0})
    );

    let listed = place.run(["credits", "entries", "alice"]).succeeded();
    assert_eq!(listed.out.lines().count(), 3, "{listed:?}");
    let listed = place
        .run(["credits", "entries", "alice", "--json", "--limit", "1"])
        .succeeded();
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
    assert_eq!(listed["entries"][0]["amount"], 2);
}

#[test]
fn what_cannot_be_a_grant_is_refused_with_the_settings_faults() {
    let place = Workdir::new();
    std::fs::write(place.path("filmlab.toml"), "[server]\nport = 1\n").unwrap();
    let ran = place.run(["credits", "grant", "alice", "0", "--id", "a b"]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    for fault in ["'0'", "'a b'"] {
        assert!(ran.err.contains(fault), "{fault}: {ran:?}");
    }
    let ran = place.run(["credits", "show", "no/owner"]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    let ran = place.run(["credits", "show", "alice"]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert!(ran.err.contains("server.port"), "{ran:?}");
    assert_eq!(place.entries(), ["filmlab.toml"]);
}

/// Who is the last to close a database removes its log. A command is not the last beside a
/// service, whose two connections say so by a lock that belongs to the whole process.
#[cfg(unix)]
#[tokio::test]
async fn a_command_beside_a_service_leaves_its_log_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Workdir::new();
    let file = place.path("var/filmlab/filmlab.sqlite");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let ledger = SqliteLedger::open(&file).unwrap();
    let queue = EmbeddedQueue::open(&file).unwrap();
    let log = || std::fs::metadata(place.path("var/filmlab/filmlab.sqlite-wal")).unwrap();
    let before = log().ino();
    place.run(["credits", "grant", "alice", "40"]).succeeded();
    assert_eq!(log().ino(), before);
    let account = ledger.account(&"alice".parse().unwrap()).await.unwrap();
    assert_eq!(account.unwrap().credits, 40);
    drop(queue);
}
