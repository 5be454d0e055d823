//! Objects that tests lay down.

use std::path::Path;

use filmlab::storage::{Destination, Result, Storage};
use tokio_util::io::ReaderStream;

/// A file as an object.
pub(crate) trait PutFile {
    /// Gives its size.
    async fn put_file(&self, file: &Path, object: &str, content_type: &str) -> Result<u64>;
}

impl PutFile for Storage {
    async fn put_file(&self, file: &Path, object: &str, content_type: &str) -> Result<u64> {
        let file = tokio::fs::File::open(file).await?;
        let to = Destination {
            content_type: Some(content_type),
            ..Destination::new(object)
        };
        // Few enough reads for a large file.
        let stream = ReaderStream::with_capacity(file, 256 * 1024);
        self.put_stream_to(stream, to, u64::MAX).await
    }
}
