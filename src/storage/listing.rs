//! Lists of any length: a page at a time, in the order of names, so that whoever works through
//! one can go on behind what it could not do.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;

use super::directory::Directory;
use super::error::Result;
use super::object::Stored;
use super::store::{Backend, Storage};
use crate::clock::Timestamp;
use crate::staging::is_hidden;

/// Objects of one page of a folder that is worked through as a whole.
const PAGE: usize = 500;

/// Some objects of a folder, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<Stored>,
    /// The name behind which to go on; absent at the end.
    pub next: Option<String>,
    /// Places that could not be read.
    pub faults: u32,
}

impl Page {
    /// Takes an object in, where the page has room for it or for its name before another's.
    fn take(kept: &mut BTreeMap<String, Timestamp>, stored: Stored, limit: usize, more: &mut bool) {
        kept.insert(stored.object, stored.modified);
        if kept.len() > limit {
            kept.pop_last();
            *more = true;
        }
    }

    fn of(kept: BTreeMap<String, Timestamp>, more: bool, faults: u32) -> Self {
        let next = kept.keys().next_back().filter(|_| more).cloned();
        let objects = kept
            .into_iter()
            .map(|(object, modified)| Stored { object, modified });
        Self {
            objects: objects.collect(),
            next,
            faults,
        }
    }
}

/// What became of a folder's objects that were to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub deleted: u32,
    /// What could not be deleted, or looked at: it is there still.
    pub failed: u32,
}

impl Swept {
    pub fn add(&mut self, other: Self) {
        self.deleted = self.deleted.saturating_add(other.deleted);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

impl Storage {
    /// The first `limit` objects under a folder that fit, of those whose names come after `after`.
    /// Memory is bounded by `limit`, however long the list is and whatever of it fits.
    pub async fn page(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
        fits: impl Fn(&Stored) -> bool + Send,
    ) -> Result<Page> {
        let prefix = Self::path(folder)?;
        let after = after.map(str::to_owned);
        match &self.backend {
            Backend::Directory(directory) => {
                Ok(page_of_files(directory, &prefix, after, limit, fits).await)
            }
            Backend::Parts(_) | Backend::None => {
                let mut listed = match after {
                    Some(after) => {
                        let after = object_store::path::Path::from(after);
                        self.store.list_with_offset(Some(&prefix), &after)
                    }
                    None => self.store.list(Some(&prefix)),
                };
                let (mut kept, mut more) = (BTreeMap::new(), false);
                // A bucket lists by name.
                while !more && let Some(meta) = listed.try_next().await? {
                    let micros = meta.last_modified.timestamp_micros();
                    let stored = Stored {
                        object: meta.location.to_string(),
                        modified: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX),
                    };
                    if fits(&stored) {
                        Page::take(&mut kept, stored, limit, &mut more);
                    }
                }
                Ok(Page::of(kept, more, 0))
            }
        }
    }

    /// The name that a file was to get which never became an object: its writer died.
    #[must_use]
    pub fn unfinished<'a>(&self, object: &'a str) -> Option<&'a str> {
        // Elsewhere an object is there as a whole or not at all.
        if !matches!(self.backend, Backend::Directory(_)) {
            return None;
        }
        let name = object.rsplit('/').next()?;
        if is_hidden(name) {
            // `.<name>.<random>.part`
            return name.get(1..)?.rsplitn(3, '.').nth(2);
        }
        // As `object_store` calls them, which wrote small objects until it was done here.
        let (name, number) = name.rsplit_once('#')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(name)
    }

    /// Names of all objects under a folder of a few, by name.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let page = self.page(folder, None, usize::MAX, |_| true).await?;
        Ok(page.objects.into_iter().map(|it| it.object).collect())
    }

    /// Deletes what is to go of everything under a folder. What cannot be deleted keeps nothing
    /// else from going; only a folder that cannot be listed is an error.
    pub async fn sweep(
        &self,
        folder: &str,
        goes: impl Fn(&Stored) -> bool + Send + Sync,
    ) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = self.page(folder, after.as_deref(), PAGE, &goes).await?;
            swept.failed += page.faults;
            for stored in &page.objects {
                swept.add(self.try_discard(&stored.object).await);
            }
            after = page.next;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    /// Deletes an object, and says how that went.
    pub async fn try_discard(&self, object: &str) -> Swept {
        match self.discard(object).await {
            Ok(()) => Swept {
                deleted: 1,
                failed: 0,
            },
            Err(error) => {
                tracing::warn!(object, %error, "an object that is to go could not be deleted");
                Swept {
                    deleted: 0,
                    failed: 1,
                }
            }
        }
    }
}

async fn page_of_files(
    directory: &Directory,
    prefix: &object_store::path::Path,
    after: Option<String>,
    limit: usize,
    fits: impl Fn(&Stored) -> bool + Send,
) -> Page {
    let mut walked = directory.walk(prefix, after);
    let (mut kept, mut more, mut faults) = (BTreeMap::new(), false, 0);
    // A file system lists as it likes: the first names are known when all have been seen.
    while let Some(batch) = walked.recv().await {
        for found in batch {
            match found {
                Ok(stored) if fits(&stored) => Page::take(&mut kept, stored, limit, &mut more),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a part of the objects cannot be listed");
                    faults += 1;
                }
            }
        }
    }
    Page::of(kept, more, faults)
}
