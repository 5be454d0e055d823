//! The slots for uploads, and how one that is refused is let down.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem::Problem;
use crate::http::settings::HttpSettings;
use crate::http::slots::{NoSlot, OwnerSlot, OwnerSlots};
use crate::job::{Code, Owner};

/// Enough for an answer to travel, while the client goes on sending.
const LINGER: Duration = Duration::from_secs(5);
pub(super) const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// Whoever has no token is not worth that much.
pub(super) const LINGER_BYTES_OF_STRANGERS: usize = 1024 * 1024;
/// Refused uploads that are lingered over; further ones are cut off.
const LINGERING: usize = 16;
/// The unit in which bytes under way are counted.
const MIB: u64 = 1024 * 1024;
/// Seconds. Uploads take minutes.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// A body as it comes.
pub(in crate::http) type Chunks = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The slots for uploads. Cheap to clone; all clones share them.
#[derive(Debug, Clone)]
pub(in crate::http) struct Uploads {
    slots: OwnerSlots,
    mib: Arc<Semaphore>,
    lingering: Arc<Semaphore>,
}

/// What one upload takes while it is under way.
#[derive(Debug)]
pub(super) struct Taken {
    _slot: OwnerSlot,
    _mib: OwnedSemaphorePermit,
}

impl Uploads {
    pub(in crate::http) fn new(settings: &HttpSettings) -> Self {
        let mib = usize::try_from(settings.max_upload_total.div_ceil(MIB)).unwrap_or(usize::MAX);
        Self {
            slots: OwnerSlots::new(settings.max_uploads, settings.max_uploads_per_owner),
            mib: Arc::new(Semaphore::new(mib.min(Semaphore::MAX_PERMITS))),
            lingering: Arc::new(Semaphore::new(LINGERING)),
        }
    }

    /// `bytes`: what the upload may come to.
    pub(super) fn take(&self, owner: &Owner, bytes: u64) -> Result<Taken, Problem> {
        let full = |detail: &str| {
            Problem::new(Code::Overloaded)
                .detail(detail)
                .header(header::RETRY_AFTER, RETRY_AFTER)
        };
        let slot = self.slots.take(owner).map_err(|no| match no {
            NoSlot::InAll => full("As many uploads are under way as the service takes."),
            NoSlot::OfOwner => full("As many uploads are under way as one owner may have."),
        })?;
        let mib = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
        let mib = Arc::clone(&self.mib)
            .try_acquire_many_owned(mib)
            .map_err(|_| full("As many bytes are being uploaded as the service takes."))?;
        Ok(Taken {
            _slot: slot,
            _mib: mib,
        })
    }

    /// Takes in, for a moment, what is still being sent. A connection that is closed over unread
    /// bytes is reset, and the refusal lost with it: the client would only see a broken pipe.
    pub(super) fn linger(&self, mut stream: Chunks, most: usize) {
        let Ok(slot) = Arc::clone(&self.lingering).try_acquire_owned() else {
            return;
        };
        let mut bytes = 0;
        let rest = async move {
            while let Some(Ok(chunk)) = stream.next().await {
                bytes += chunk.len();
                if bytes > most {
                    break;
                }
            }
        };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LINGER, rest).await;
            drop(slot);
        });
    }
}
