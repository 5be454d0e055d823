//! Who waits for a place.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The jobs and notices that wait for a place here: nobody has to wake them meanwhile.
#[derive(Debug, Default)]
pub(in crate::worker) struct Lines(Mutex<HashMap<String, usize>>);

/// One that waits, until this is dropped.
pub(in crate::worker) struct Waits<'a> {
    lines: &'a Lines,
    id: &'a str,
}

impl Lines {
    pub(in crate::worker) fn enter<'a>(&'a self, id: &'a str) -> Waits<'a> {
        *self.lock().entry(id.to_owned()).or_default() += 1;
        Waits { lines: self, id }
    }

    pub(in crate::worker) fn holds(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        if let Some(waiting) = lines.get_mut(self.id) {
            *waiting -= 1;
            if *waiting == 0 {
                lines.remove(self.id);
            }
        }
    }
}
