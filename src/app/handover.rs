//! Hands over all that is kept of an owner, as a folder of JSON and files.
//!
//! The folder has another name until it is complete. One that broke off is gone on with: records
//! are written anew, and files that are there as a whole are not fetched again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt as _;
use serde::Serialize;
use serde_json::json;
use strum::IntoEnumIterator as _;
use tokio::fs;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::adapters;
use super::owned::{Jobs, PAGE, Records, said, storage};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::job::{Code, Failure, Owner, inputs};
use crate::ledger::owned::{OwnerRecords, Part};
use crate::storage::Storage;
use crate::worker::folders;

/// What was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HandedOver {
    pub jobs: u64,
    /// Records, those of jobs included.
    pub records: u64,
    pub objects: u64,
    pub bytes: u64,
    /// What could not be read, each with the reason.
    pub missing: Vec<String>,
}

/// Writes everything of `owner` into the folder `to`, which must not be there yet.
pub async fn hand_over(
    config: &Config,
    owner: &Owner,
    to: &Path,
    clock: &SharedClock,
) -> Result<HandedOver, Failure> {
    let unwritable = |error: io::Error| {
        let message = format!("{}: {error}", to.display());
        Failure::new(Code::OutputUnwritable, message)
    };
    if fs::try_exists(to).await.map_err(unwritable)? {
        return Err(unwritable(io::ErrorKind::AlreadyExists.into()));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let writer = Writer {
        records: adapters::owner_records(config).await?,
        storage: storage(config, clock).await?,
        owner: owner.clone(),
        to: PathBuf::from(part),
        done: HandedOver::default(),
    };
    let part = writer.to.clone();
    let done = writer.run(clock).await.map_err(|error| match error {
        Broken::Record(failure) => failure,
        Broken::File(error) => unwritable(error),
    })?;
    fs::rename(&part, to).await.map_err(unwritable)?;
    Ok(done)
}

/// Why it breaks off.
enum Broken {
    Record(Failure),
    File(io::Error),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Record(failure)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

struct Writer {
    records: Arc<dyn OwnerRecords>,
    storage: Storage,
    owner: Owner,
    to: PathBuf,
    done: HandedOver,
}

impl Writer {
    async fn run(mut self, clock: &SharedClock) -> Result<HandedOver, Broken> {
        let mut made = fs::DirBuilder::new();
        // Nobody else is to read it.
        #[cfg(unix)]
        made.mode(0o700);
        made.recursive(true).create(&self.to).await?;
        let mut lines = self.lines("jobs").await?;
        let mut jobs = Jobs::of(&self.records, &self.owner);
        while let Some(id) = jobs.next().await? {
            let records = self.records.of_job(&id).await.map_err(said)?;
            self.done.jobs += 1;
            for record in records {
                self.line(&mut lines, &record).await?;
            }
            for folder in folders(&id) {
                self.objects(&folder).await?;
            }
        }
        lines.flush().await?;
        for part in Part::iter() {
            self.part(part).await?;
        }
        self.objects(&inputs::folder_of(&self.owner)).await?;
        let about = json!({
            "owner": self.owner,
            "made_at": clock.now(),
            "filmlab": env!("FILMLAB_VERSION"),
            "holds": self.done,
        });
        fs::write(self.to.join("owner.json"), format!("{about:#}\n")).await?;
        Ok(self.done)
    }

    /// A file of one JSON record a line.
    async fn lines(&self, name: &str) -> io::Result<BufWriter<fs::File>> {
        let file = fs::File::create(self.to.join(format!("{name}.jsonl"))).await?;
        Ok(BufWriter::new(file))
    }

    async fn line(
        &mut self,
        lines: &mut BufWriter<fs::File>,
        record: &impl Serialize,
    ) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        lines.write_all(&line).await?;
        self.done.records += 1;
        Ok(())
    }

    async fn part(&mut self, part: Part) -> Result<(), Broken> {
        let mut lines = self.lines(part.into()).await?;
        let mut records = Records::of(&self.records, &self.owner, part);
        loop {
            let page = records.page().await?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                self.line(&mut lines, record).await?;
            }
        }
        lines.flush().await?;
        Ok(())
    }

    async fn objects(&mut self, folder: &str) -> Result<(), Broken> {
        let mut after = None;
        loop {
            let page = self.storage.page(folder, after.as_deref(), PAGE, |_| true);
            let page = match page.await {
                Ok(page) => page,
                Err(error) => {
                    self.done.missing.push(format!("{folder}: {error}"));
                    return Ok(());
                }
            };
            if page.faults > 0 {
                let told = format!("{folder}: {} places could not be listed", page.faults);
                self.done.missing.push(told);
            }
            for stored in &page.objects {
                if let Err(why) = self.object(&stored.object).await {
                    self.done.missing.push(format!("{}: {why}", stored.object));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// One that cannot be copied keeps nothing else back.
    async fn object(&mut self, object: &str) -> Result<(), String> {
        // Whoever put it there chose the name.
        if object
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            return Err("is no name for a file".into());
        }
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let bytes = self
            .storage
            .head(object)
            .await
            .map_err(|error| said(&error))?
            .bytes;
        let target = self.to.join("objects").join(object);
        let there = fs::metadata(&target).await;
        if there.is_ok_and(|there| there.is_file() && there.len() == bytes) {
            self.counted(bytes);
            return Ok(());
        }
        let part = self.to.join(".object.part");
        let mut file = fs::File::create(&part)
            .await
            .map_err(|error| said(&error))?;
        if bytes > 0 {
            let range = self.storage.read_range(object, 0..bytes);
            let mut read = std::pin::pin!(range.await.map_err(|error| said(&error))?);
            while let Some(some) = read.try_next().await.map_err(|error| said(&error))? {
                file.write_all(&some).await.map_err(|error| said(&error))?;
            }
        }
        file.sync_all().await.map_err(|error| said(&error))?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)
                .await
                .map_err(|error| said(&error))?;
        }
        fs::rename(&part, &target)
            .await
            .map_err(|error| said(&error))?;
        self.counted(bytes);
        Ok(())
    }

    fn counted(&mut self, bytes: u64) {
        self.done.objects += 1;
        self.done.bytes += bytes;
    }
}
