//! Marks: small objects of the service's own that show whether anything can be written.

use super::error::Result;
use super::object::Stored;
use super::store::Storage;
use crate::clock::Timestamp;

/// Where objects of the service's own go, which belong to no job.
const MARKS: &str = "service/marks";

impl Storage {
    /// Writes a mark of this name, as any object is written: whether anything can be.
    pub async fn mark(&self, name: &str) -> Result<()> {
        let mark = bytes::Bytes::from_static(b"filmlab was here\n");
        self.put_bytes(mark, &format!("{MARKS}/{name}")).await
    }

    /// Removes marks made at `before` or earlier: whoever made them died.
    pub async fn unmark_old(&self, before: Timestamp) -> Result<()> {
        let old = |stored: &Stored| stored.modified <= before;
        self.sweep(MARKS, old).await.map(drop)
    }
}
