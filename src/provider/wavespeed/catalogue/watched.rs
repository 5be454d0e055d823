//! The catalogue that was read last, and what it is used for.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use strum::{EnumIter, EnumString, IntoStaticStr};

use super::live::Catalogue;
use crate::clock::{SharedClock, elapsed};
use crate::job::Timestamp;

/// An older one says nothing about what the provider takes today.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// What to do with what the catalogue says.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, EnumString, EnumIter, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CatalogueUse {
    /// It is not read.
    Off,
    /// Write to the log where it differs.
    #[default]
    Warn,
    /// And refuse a request that it refuses, before it is paid for.
    Enforce,
}

/// Kept in memory, with the moment it was read at.
#[derive(Debug)]
pub(in super::super) struct Watched {
    last: RwLock<Option<(Timestamp, Arc<Catalogue>)>>,
    clock: SharedClock,
}

impl Watched {
    pub(in super::super) fn new(clock: SharedClock) -> Self {
        Self {
            last: RwLock::new(None),
            clock,
        }
    }

    pub(in super::super) fn keep(&self, catalogue: Arc<Catalogue>) {
        let read = (self.clock.now(), catalogue);
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(read);
    }

    /// The one that was read last, unless that is too long ago.
    fn good(&self) -> Option<Arc<Catalogue>> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        let (at, catalogue) = last.as_ref()?;
        (elapsed(*at, self.clock.now()) <= GOOD_FOR).then(|| Arc::clone(catalogue))
    }

    /// What is refused of a request by the catalogue as it is known here; waits for nothing.
    pub(in super::super) fn refuses(&self, model: &str, body: &Value) -> Vec<String> {
        self.good()
            .map(|catalogue| catalogue.refuses(model, body))
            .unwrap_or_default()
    }
}
