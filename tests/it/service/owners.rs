//! All that is kept of one owner, handed over and removed beside a running service.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use filmlab::job::{CreditEntry, Credits, EntryKind, Owner, Status};
use filmlab::ledger::owned::OwnerRecords as _;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::sandbox::{Fault, FaultRule, Faults, SandboxConfig};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::lab::{Lab, Running};
use crate::ledger::bench::at;

const GONE: &str = "someone-who-goes";
const STAYS: &str = "somebody-who-stays";

fn token(owner: &str) -> String {
    format!("a-token-of-somebody-{}", owner.len())
}

/// Speaks for that owner from here on.
fn speak_as(lab: &mut Lab, owner: &str) {
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token(owner))).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let client = reqwest::Client::builder().default_headers(headers);
    lab.http = client.build().unwrap();
}

fn ran(lab: &Lab, args: &[&str], typed: &str) -> (Option<i32>, String) {
    let mut child = lab
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let told = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8(told).unwrap())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.clone());
        if path.is_dir() {
            files(&path, found);
        }
    }
}

/// Where below a folder a word stands, in names and in files.
fn holding(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(folder, &mut found);
    found.retain(|path| {
        let name = path
            .strip_prefix(folder)
            .unwrap()
            .to_string_lossy()
            .contains(word);
        let bytes = if path.is_file() {
            std::fs::read(path).unwrap()
        } else {
            Vec::new()
        };
        name || bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    });
    found
}

async fn grant(service: &Running, owner: &str) {
    let entry = CreditEntry {
        id: "grant:first".into(),
        kind: EntryKind::Grant,
        amount: Credits(500),
        job: None,
        at: at(0),
    };
    let owner: Owner = owner.parse().unwrap();
    service.ledger.grant(&owner, &entry).await.unwrap();
}

/// Settings by which an owner is known.
fn row(owner: &str) -> String {
    let token = token(owner);
    format!("[[server.api_tokens]]\ntoken = \"{token}\"\nowner = \"{owner}\"\n")
}

// The sandbox answers while a command of the program is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn one_owner_is_handed_over_and_removed_and_the_other_stays() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    lab.file(&format!("{}{}", row(GONE), row(STAYS)));
    let service = lab.start().await;
    let mut done = Vec::new();
    for owner in [GONE, STAYS] {
        grant(&service, owner).await;
        speak_as(&mut lab, owner);
        done.push(lab.create(&service).await);
    }
    let mut results = Vec::new();
    for id in &done {
        let job = lab.ended(&service, id).await;
        assert_eq!(job.status, Status::Completed, "{job:#?}");
        results.push(job.result.unwrap().video);
    }
    // One more waits for the provider.
    let busy = Fault::TooManyRequests {
        retry_after: Some(60),
    };
    lab.sandbox.add_fault(FaultRule::always(busy));
    speak_as(&mut lab, GONE);
    let waiting = lab.create(&service).await;
    lab.until(&service, &waiting, |job| job.error.is_some())
        .await;
    // And one of them cannot be read any more.
    let damaged = lab.create(&service).await;
    // After a 429 the others wait for a place.
    lab.until(&service, &damaged, |job| {
        job.lease.holder.is_none() && job.waiting.is_some()
    })
    .await;
    let database = lab.data().join("filmlab.sqlite");
    let doc = format!("{{\"owner\": \"{GONE}\", \"params\": 7}}");
    let others = rusqlite::Connection::open(&database).unwrap();
    others
        .execute("UPDATE jobs SET doc = ?2 WHERE id = ?1", [&damaged, &doc])
        .unwrap();
    drop(others);

    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("all");
    let folder = to.display().to_string();
    // One that broke off is gone on with.
    let part = place.path().join("all.part");
    std::fs::create_dir(&part).unwrap();
    std::fs::write(part.join("jobs.jsonl"), "half").unwrap();
    let (status, told) = ran(&lab, &["owner", "export", GONE, &folder], "");
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains(": 3 jobs, "), "{told}");
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(to.join(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let jobs = lines("jobs.jsonl");
    for id in [&done[0], &waiting, &damaged] {
        let name = json!(format!("jobs/{id}"));
        assert!(jobs.iter().any(|record| record["name"] == name), "{id}");
    }
    assert_eq!(lines("account.jsonl")[0]["name"], format!("users/{GONE}"));
    assert!(lines("entries.jsonl").len() >= 3);
    let copied = std::fs::read(to.join("objects").join(&results[0])).unwrap();
    assert_eq!(copied, std::fs::read(lab.object(&results[0])).unwrap());
    assert!(!holding(&to.join("objects/sources"), GONE).is_empty());
    assert_eq!(holding(&to, STAYS), Vec::<PathBuf>::new());
    let about: Value =
        serde_json::from_slice(&std::fs::read(to.join("owner.json")).unwrap()).unwrap();
    assert_eq!(about["holds"]["missing"], json!([]));
    let (status, told) = ran(&lab, &["owner", "export", GONE, &folder], "");
    assert_eq!(status, Some(70), "{told}");

    // Whoever types another name removes nothing.
    let (status, told) = ran(&lab, &["owner", "delete", GONE], &format!("{STAYS}\n"));
    assert_eq!(status, Some(64), "{told}");
    assert!(told.contains("3 jobs, 1 of them under way"), "{told}");
    assert!(lab.object(&results[0]).is_file());
    let (status, told) = ran(&lab, &["owner", "delete", GONE], &format!("{GONE}\n"));
    assert_eq!(status, Some(0), "{told}");

    assert_eq!(holding(&lab.data(), GONE), Vec::<PathBuf>::new());
    for id in [&done[0], &waiting, &damaged] {
        assert_eq!(holding(&lab.data(), id), Vec::<PathBuf>::new(), "{id}");
    }
    // The other has everything, and goes on.
    assert!(lab.object(&results[1]).is_file());
    assert_eq!(
        lab.ended(&service, &done[1]).await.status,
        Status::Completed
    );
    lab.sandbox.set_faults(Faults::default());
    speak_as(&mut lab, STAYS);
    let again = lab.create(&service).await;
    assert_eq!(lab.ended(&service, &again).await.status, Status::Completed);
    let books = SqliteLedger::open(&database)
        .unwrap()
        .books()
        .await
        .unwrap();
    assert_eq!((books["accounts"], books["grant"]), (1, 500), "{books:?}");
    let (status, told) = ran(&lab, &["owner", "delete", GONE, "--yes"], "");
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("nothing is kept"), "{told}");
    service.stop().await;
}
