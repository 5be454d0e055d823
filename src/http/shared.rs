//! What one process keeps between requests: slots, memory, and answers that are good for a while.

use super::bodies::Bodies;
use super::jobs::link_cache::LinkCache;
use super::jobs::uploads::Uploads;
use super::readiness::Readiness;
use super::session::SignedOut;
use super::settings::HttpSettings;

/// Cheap to clone; all clones share it.
#[derive(Debug, Clone)]
pub struct Shared {
    pub(super) bodies: Bodies,
    pub(super) uploads: Uploads,
    pub(super) links: LinkCache,
    pub(super) readiness: Readiness,
    pub(super) signed_out: SignedOut,
}

impl Shared {
    #[must_use]
    pub fn new(settings: &HttpSettings) -> Self {
        Self {
            bodies: Bodies::new(settings.body_time),
            uploads: Uploads::new(settings),
            links: LinkCache::default(),
            readiness: Readiness::new(),
            signed_out: SignedOut::default(),
        }
    }
}
