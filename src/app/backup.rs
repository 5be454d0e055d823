//! A copy of what a single machine keeps, made while a service runs, and put in place again.
//!
//! The database is copied first, as it is at one moment: an object is in its place before the
//! database names it. What is deleted while the copy is made is counted, since the copied database
//! may still name it.
//!
//! A copy is older than what it is put in place of. What was paid for since is not in it, so that
//! no job of it pays by itself: see [`restore`].

use std::io;
use std::path::{Path, PathBuf};

use super::adapters::{database, objects};
use crate::clock::SharedClock;
use crate::config::{self, Config};
use crate::job::{Code, Failure, Job, JobId, Status};
use crate::ledger::{JobQuery, Ledger, LedgerError, PageToken};
use crate::sqlite;
use crate::staging::disk::{Disk as _, SystemDisk, make_folders};
use crate::staging::folder_of;

const DATABASE: &str = "filmlab.sqlite";
const OBJECTS: &str = "objects";
const KEYS: [&str; 3] = ["secret.key", "secret.key.old", "signing.pem"];

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    pub objects: u64,
    pub bytes: u64,
    /// Objects that went away meanwhile.
    pub gone: u64,
}

/// Whether all of it lies on this machine.
#[must_use]
pub fn is_of_one_machine(config: &Config) -> bool {
    config.ledger == config::Ledger::Sqlite
        && config.queue == config::Queue::Embedded
        && config.storage == config::Storage::Directory
}

/// Copies database, keys and objects to `to`, a folder that must not be there yet. It gets its
/// name when it is complete.
pub async fn backup(config: &Config, to: &Path) -> Result<Copied, Failure> {
    let from = config.data_dir.clone();
    let (db, objects) = (database(config), objects(config));
    let to = to.to_path_buf();
    let copied = to.clone();
    let work = move || {
        if to.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let staged = staged(&to)?;
        let copied = copy(&from, &db, &objects, &staged);
        if copied.is_err() {
            let _ = std::fs::remove_dir_all(&staged);
        }
        let copied = copied?;
        std::fs::rename(&staged, &to)?;
        SystemDisk.sync_folder(folder_of(&to))?;
        Ok(copied)
    };
    let made = tokio::task::spawn_blocking(work).await;
    made.map_err(io::Error::other)
        .flatten()
        .map_err(|error| unwritable(&copied, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::OutputUnwritable,
        format!("{}: {error}", path.display()),
    )
}

/// A folder beside `to` that nobody else reads.
fn staged(to: &Path) -> io::Result<PathBuf> {
    make_folders(folder_of(to))?;
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let staged = PathBuf::from(name);
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&staged)?;
    Ok(staged)
}

fn copy(from: &Path, db: &Path, objects: &Path, to: &Path) -> io::Result<Copied> {
    sqlite::snapshot(db, &to.join(DATABASE)).map_err(io::Error::other)?;
    std::fs::File::open(to.join(DATABASE))?.sync_all()?;
    for key in KEYS {
        let key_file = from.join(key);
        if key_file.exists() {
            file(&key_file, &to.join(key))?;
        }
    }
    let mut copied = Copied::default();
    folder(objects, &to.join(OBJECTS), &mut copied)?;
    SystemDisk.sync_folder(to)?;
    Ok(copied)
}

/// With its rights, and on the disk.
fn file(from: &Path, to: &Path) -> io::Result<u64> {
    let bytes = std::fs::copy(from, to)?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(bytes)
}

fn folder(from: &Path, to: &Path, copied: &mut Copied) -> io::Result<()> {
    std::fs::create_dir(to)?;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let is_folder = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if is_folder {
            folder(&source, &target, copied)?;
            continue;
        }
        match file(&source, &target) {
            Ok(bytes) => {
                copied.objects += 1;
                copied.bytes += bytes;
            }
            // Deleted meanwhile, or given its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _ = std::fs::remove_file(&target);
                copied.gone += 1;
            }
            Err(error) => return Err(error),
        }
    }
    SystemDisk.sync_folder(to)
}

/// What became of a copy's jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    pub copied: Copied,
    /// Jobs that would have paid the provider: they are cancelled, since nobody knows whether they
    /// have paid since the copy was made.
    pub cancelled: Vec<JobId>,
}

/// Puts a copy in place, where no service has kept anything yet. Every job of it that has no
/// prediction is asked to end: a submission after the copy was made is in no record. Jobs with a
/// prediction go on; the provider is asked for it, and nothing is bought.
pub async fn restore(
    config: &Config,
    from: &Path,
    clock: &SharedClock,
) -> Result<Restored, Failure> {
    let target = config.data_dir.clone();
    let source = from.to_path_buf();
    let work = move || {
        let source_db = source.join(DATABASE);
        if !source_db.is_file() {
            let message = format!("{} is not there", source_db.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        make_folders(&target)?;
        for name in [DATABASE, OBJECTS, KEYS[0]] {
            if target.join(name).exists() {
                let message = format!("{} is there already", target.join(name).display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
        }
        for key in KEYS {
            if source.join(key).exists() {
                file(&source.join(key), &target.join(key))?;
            }
        }
        let mut copied = Copied::default();
        folder(&source.join(OBJECTS), &target.join(OBJECTS), &mut copied)?;
        // The database last, under its name when it is whole: without it nothing is in place.
        let part = target.join("filmlab.sqlite.part");
        file(&source_db, &part)?;
        Ok((copied, part))
    };
    let copied = tokio::task::spawn_blocking(work).await;
    let copied = copied.map_err(io::Error::other).flatten();
    let (copied, part) = copied.map_err(|error| unwritable(&config.data_dir, &error))?;
    // Before it has its name, and so before any service reads it.
    let ledger =
        crate::ledger::sqlite::SqliteLedger::open(part.clone()).map_err(|error| said(&error))?;
    let cancelled = held_back(&ledger, clock)
        .await
        .map_err(|error| said(&error))?;
    drop(ledger);
    let db = database(config);
    let placed = tokio::task::spawn_blocking(move || {
        // What was written since lies in the log beside it.
        sqlite::fold(&part).map_err(io::Error::other)?;
        std::fs::rename(&part, &db)?;
        SystemDisk.sync_folder(folder_of(&db))
    });
    let placed = placed.await.map_err(io::Error::other).flatten();
    placed.map_err(|error| unwritable(&config.data_dir, &error))?;
    Ok(Restored { copied, cancelled })
}

fn said(error: &LedgerError) -> Failure {
    Failure::new(Code::LedgerUnavailable, error.to_string())
}

/// Asks all jobs to end that may pay.
async fn held_back(ledger: &dyn Ledger, clock: &SharedClock) -> Result<Vec<JobId>, LedgerError> {
    let mut asked = Vec::new();
    for status in [Status::Queued, Status::Processing] {
        let mut query = JobQuery {
            status: Some(status),
            limit: 100,
            ..JobQuery::default()
        };
        loop {
            let page = ledger.list(&query).await?;
            for job in page.iter().filter(|job| may_pay(job)) {
                ledger.request_cancel(&job.id, clock.now()).await?;
                asked.push(job.id.clone());
            }
            let Some(last) = page.last().filter(|_| page.len() >= 100) else {
                break;
            };
            query.after = Some(PageToken {
                created_at: last.created_at,
                id: last.id.clone(),
            });
        }
    }
    Ok(asked)
}

fn may_pay(job: &Job) -> bool {
    job.provider.prediction_id.is_none() && job.generated.is_none()
}
