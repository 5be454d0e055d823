//! Which notices this process delivers now.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The notices that this process delivers now.
#[derive(Debug, Default)]
pub(super) struct Delivering(Mutex<HashSet<String>>);

/// Keeps a notice among them.
#[derive(Debug)]
pub(super) struct Entered<'a> {
    all: &'a Delivering,
    id: String,
}

impl Delivering {
    fn all(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.all().contains(id)
    }

    /// `None` where it is among them.
    pub(super) fn enter(&self, id: &str) -> Option<Entered<'_>> {
        self.all().insert(id.to_owned()).then(|| Entered {
            all: self,
            id: id.to_owned(),
        })
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.all.all().remove(&self.id);
    }
}
