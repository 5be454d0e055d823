//! A file that is being downloaded.

use std::path::{Path, PathBuf};

use super::error::{ClientError, unwritable};

/// A downloaded file under a passing name: it goes away again unless it is kept.
#[derive(Debug)]
pub(crate) struct Part {
    pub(super) part: PathBuf,
    to: PathBuf,
    pub(crate) bytes: u64,
}

impl Part {
    pub(super) fn beside(to: &Path) -> Self {
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        Self {
            part: part.into(),
            to: to.to_owned(),
            bytes: 0,
        }
    }

    /// Gives the file its name.
    pub(crate) async fn keep(self) -> Result<(), ClientError> {
        tokio::fs::rename(&self.part, &self.to)
            .await
            .map_err(|error| unwritable(&self.to, error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the renaming there is nothing under this name.
        let _ = std::fs::remove_file(&self.part);
    }
}
