//! The SQLite ledger: the contract on a file and in memory, and what is its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use filmlab::job::{Change, Credits, Keeping, Status, Timestamp};
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{Burial, Created, Ledger, LedgerError};
use rusqlite::Connection;
use serde_json::Value;

use super::bench::{Bench, Others, TTL, World, at, new_job, road, settlement};
use super::careful::{Away, Losing};
use super::ledger_contract;

/// A file of its own for each ledger.
pub(crate) struct OnFile;
/// A named database in the memory of this process, which a second connection can reach.
pub(crate) struct InMemory;

ledger_contract!(file, OnFile);
ledger_contract!(memory, InMemory);
ledger_contract!(losing, Losing(OnFile));
ledger_contract!(away, Away(OnFile));

#[async_trait]
impl Bench for OnFile {
    async fn fresh(&self) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("filmlab.db");
        world(path, Some(folder))
    }
}

#[async_trait]
impl Bench for InMemory {
    async fn fresh(&self) -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = NEXT.fetch_add(1, Ordering::Relaxed);
        world(format!("file:/contract-{name}?vfs=memdb").into(), None)
    }
}

fn world(path: PathBuf, folder: Option<tempfile::TempDir>) -> World {
    World {
        ledger: Arc::new(SqliteLedger::open(&path).unwrap()),
        others: others(path, folder),
    }
}

/// Whoever writes to the rows of that file, which goes with its folder.
pub(super) fn others(path: PathBuf, folder: Option<tempfile::TempDir>) -> Box<dyn Others> {
    Box::new(SqliteOthers {
        path,
        _folder: folder,
    })
}

struct SqliteOthers {
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl SqliteOthers {
    fn connect(&self) -> Connection {
        connect(&self.path)
    }
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .unwrap();
    connection
}

#[async_trait]
impl Others for SqliteOthers {
    async fn write(&self, job: &str, fields: Value) {
        let db = self.connect();
        let micros = |field: &Value| {
            field
                .as_str()
                .map(|text| text.parse::<Timestamp>().unwrap().as_microsecond())
        };
        db.execute(
            "UPDATE jobs SET doc = json_patch(doc, ?2) WHERE id = ?1",
            (job, fields.to_string()),
        )
        .unwrap();
        if let Some(status) = fields["status"].as_str() {
            db.execute("UPDATE jobs SET status = ?2 WHERE id = ?1", (job, status))
                .unwrap();
        }
        if let Some(seq) = fields["wake"]["seq"].as_i64() {
            db.execute("UPDATE jobs SET wake_seq = ?2 WHERE id = ?1", (job, seq))
                .unwrap();
        }
        if let Some(at) = fields.get("next_visit_at") {
            db.execute(
                "UPDATE jobs SET next_visit_at = ?2 WHERE id = ?1",
                (job, micros(at)),
            )
            .unwrap();
        }
    }

    async fn write_notice(&self, notice: &str, fields: Value) {
        self.connect()
            .execute(
                "UPDATE outbox SET doc = json_patch(doc, ?2) WHERE id = ?1",
                (notice, fields.to_string()),
            )
            .unwrap();
    }

    async fn increment(&self, owner: &str, credits: i64) {
        self.connect()
            .execute(
                "UPDATE accounts SET credits = credits + ?2 WHERE owner = ?1",
                (owner, credits),
            )
            .unwrap();
    }
}

/// What a crash leaves: the file and its log, without the orderly close that merges them.
#[tokio::test]
async fn what_was_committed_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let crashed = folder.path().join("crashed.db");
    let world = world(path.clone(), None);
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
    let before = world.job("j1").await;
    std::fs::copy(&path, &crashed).unwrap();
    let log = std::fs::copy(
        folder.path().join("filmlab.db-wal"),
        folder.path().join("crashed.db-wal"),
    );
    assert!(log.unwrap() > 0, "everything still lies in the log");

    let world = self::world(crashed, None);
    assert_eq!(world.job("j1").await, before);
    assert_eq!(world.balance().await, (6, 4));
    world
        .settle(&before, &claim, &settlement(&before, None, 0))
        .await;
}

/// Several processes are several connections: none is refused, none loses a write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_ledgers_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let opened = (0..4).map(|n| {
        let path = path.clone();
        tokio::spawn(async move {
            let ledger = tokio::task::spawn_blocking(move || SqliteLedger::open(path).unwrap())
                .await
                .unwrap();
            let id = format!("j{n}").parse().unwrap();
            ledger.create(new_job(&format!("j{n}"))).await.unwrap();
            for k in 0..5 {
                let claimed = ledger
                    .claim(&id, &format!("h{k}"), at(k * 100), TTL)
                    .await
                    .unwrap();
                assert!(matches!(claimed, filmlab::ledger::Claimed::Taken { .. }));
            }
            ledger
        })
    });
    let ledgers: Vec<_> = futures::future::join_all(opened)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ledgers[0].due(at(9_999), None, 10).await.unwrap().len(), 4);
    for ledger in &ledgers {
        for n in 0..4 {
            let job = ledger
                .read(&format!("j{n}").parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(job.revision, 5);
        }
    }
}

#[tokio::test]
async fn a_bounded_ledger_refuses_what_is_too_much() {
    let ledger = SqliteLedger::open_in_memory().unwrap().max_waiting(2);
    ledger.create(new_job("j1")).await.unwrap();
    ledger.create(new_job("j2")).await.unwrap();
    let refused = ledger.create(new_job("j3")).await;
    assert!(
        matches!(refused, Err(LedgerError::Full { waiting: 2 })),
        "{refused:?}"
    );
    let again = ledger.create(new_job("j2")).await.unwrap();
    assert!(
        matches!(again, Created::Existing(_)),
        "repeats are answered all the same"
    );

    let world = World {
        ledger: Arc::new(ledger),
        others: Box::new(SqliteOthers {
            path: PathBuf::new(),
            _folder: None,
        }),
    };
    let (claim, job) = world.claim("j1", "a", at(1)).await;
    world.settle(&job, &claim, &settlement(&job, None, 0)).await;
    assert_eq!(world.create("j3").await.status, Status::Queued);
    // Another round is one more job to do.
    let refused = world.ledger.retry(&job.id, 1, at(20), at(900)).await;
    assert!(
        matches!(refused, Err(LedgerError::Full { waiting: 2 })),
        "{refused:?}"
    );
}

/// A file of before there was a retention: results that are in it are kept since their end.
#[tokio::test]
async fn results_of_before_the_retention_are_found_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let before = world(path.clone(), None);
    for id in ["j1", "j2"] {
        before.create(id).await;
    }
    drop(before);
    let connection = connect(&path);
    connection
        .execute_batch(
            "DROP INDEX jobs_kept_results; DROP INDEX jobs_kept_generated;
             ALTER TABLE jobs DROP COLUMN kept_results;
             ALTER TABLE jobs DROP COLUMN kept_generated;
             UPDATE schema_versions SET version = 1 WHERE part = 'ledger';
             UPDATE jobs SET status = 'completed',
                 doc = json_set(json_remove(doc, '$.kept'), '$.status', 'completed',
                     '$.completed_at', '2026-11-23T12:00:00.123456Z',
                     '$.result', json('{\"video\":\"v\",\"poster\":\"p\",\"metadata\":\"m\",
                         \"bytes\":1,\"duration_ms\":1,\"width\":1,\"height\":1}'))
             WHERE id = 'j1';
             UPDATE jobs SET doc = 'no json', status = 'completed' WHERE id = 'j2';",
        )
        .unwrap();
    drop(connection);
    let ledger = SqliteLedger::open(&path).unwrap();
    let kept = async |before: &str| {
        let before = before.parse().unwrap();
        let kept = ledger.kept(Keeping::Results, before, None, 10).await;
        let ids = kept.unwrap().into_iter().map(|kept| kept.id);
        ids.collect::<Vec<_>>()
    };
    assert!(kept("2026-11-23T11:59:59Z").await.is_empty());
    let id = "j1".parse().unwrap();
    assert_eq!(
        kept("2026-11-23T12:00:00Z").await,
        std::slice::from_ref(&id)
    );
    let noted = ledger.forget(&id, Keeping::Results, 1, at(50)).await;
    assert!(noted.unwrap());
    assert!(kept("2026-11-23T12:00:00Z").await.is_empty());
}

#[tokio::test]
async fn a_document_that_is_no_json_is_buried_and_kept() {
    let world = OnFile.fresh().await;
    let ledger = &world.ledger;
    let id = world.create("j1").await.id;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let other = self::world(path.clone(), None);
    other.create("j1").await;
    for bad in ["", "{\"id\":", "[]", "\"text\""] {
        connect(&path)
            .execute(
                "UPDATE jobs SET doc = ?1, status = 'queued', next_visit_at = 5",
                [bad],
            )
            .unwrap();
        assert!(matches!(
            other.ledger.read(&id).await,
            Err(LedgerError::Malformed { .. })
        ));
        assert_eq!(other.ledger.due(at(1), None, 10).await.unwrap().len(), 1);
        let bury = |second| other.ledger.bury(&id, at(second), TTL);
        assert!(matches!(bury(2).await, Ok(Burial::Noted { .. })));
        assert!(matches!(bury(62).await, Ok(Burial::Done { .. })));
        let text: Vec<u8> = connect(&path)
            .query_row(
                "SELECT doc FROM unreadable WHERE record = 'jobs/j1' AND buried_at NOT NULL",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(text, bad.as_bytes(), "as it stood");
        connect(&path)
            .execute("DELETE FROM unreadable", [])
            .unwrap();
        assert!(other.ledger.due(at(1), None, 10).await.unwrap().is_empty());
        let kept: String = connect(&path)
            .query_row("SELECT doc ->> 'unreadable' FROM jobs", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(kept, bad);
    }
    assert!(ledger.read(&id).await.unwrap().is_some());
}

/// The release before opens the file all the same: what is new is a part of its own.
#[tokio::test]
async fn what_the_release_before_looks_at_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    drop(SqliteLedger::open(&path).unwrap());
    let version: u32 = connect(&path)
        .query_row(
            "SELECT version FROM schema_versions WHERE part = 'ledger'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(version, 2);
}

#[tokio::test]
async fn a_file_from_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    drop(SqliteLedger::open(&path).unwrap());
    connect(&path)
        .execute("UPDATE schema_versions SET version = 99", [])
        .unwrap();
    let refused = SqliteLedger::open(&path).unwrap_err();
    assert!(refused.to_string().contains("99"), "{refused}");
}

#[tokio::test]
async fn errors_say_that_nothing_was_written() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        SqliteLedger::open(folder.path()),
        Err(LedgerError::Unavailable(_))
    ));
    let path = folder.path().join("filmlab.db");
    std::fs::write(
        &path,
        "this is no database, whatever its name says".repeat(40),
    )
    .unwrap();
    assert!(matches!(
        SqliteLedger::open(&path),
        Err(LedgerError::Unavailable(_))
    ));
}

/// A heartbeat is one small append: the log does not grow with the number of jobs.
#[tokio::test]
async fn the_log_is_folded_back_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    let world = world(path, None);
    let (claim, job) = world.claimed("j1").await;
    for _ in 0..1_000 {
        world.record(&job, &claim, &Change::Polled).await;
    }
    let log = std::fs::metadata(folder.path().join("filmlab.db-wal"))
        .unwrap()
        .len();
    assert!(log < 8 << 20, "{log} bytes");
}

#[cfg(unix)]
#[tokio::test]
async fn only_this_user_reads_the_file_and_an_old_one_is_mended() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("filmlab.sqlite");
    let rights = || {
        let mut rights: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                (entry.file_name().into_string().unwrap(), mode)
            })
            .collect();
        rights.sort();
        rights
    };
    let expected = ["", "-shm", "-wal"].map(|ending| (format!("filmlab.sqlite{ending}"), 0o600));
    let first = SqliteLedger::open(&path).unwrap();
    first.mark("w-1", at(9)).await.unwrap();
    assert_eq!(rights(), expected);
    // As releases before made them, with a service that runs.
    for (name, _) in rights() {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join(name), open).unwrap();
    }
    let second = SqliteLedger::open(&path).unwrap();
    second.mark("w-1", at(10)).await.unwrap();
    assert_eq!(rights(), expected);
}

#[tokio::test]
async fn a_file_that_is_gone_takes_no_job() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("filmlab.sqlite");
    let ledger = SqliteLedger::open(&path).unwrap();
    ledger.mark("w-1", at(9)).await.unwrap();
    std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    for call in [ledger.ping().await, ledger.mark("w-1", at(10)).await] {
        let error = call.unwrap_err();
        assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("was removed"), "{error}");
    }
    std::fs::rename(dir.path().join("elsewhere"), &path).unwrap();
    ledger.mark("w-1", at(11)).await.unwrap();
}
