//! Files that lie under a hidden name beside their target until they are complete: a rename is
//! atomic within one file system only.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// A new file `.<name>.<random>.part` beside `target`: two writers to one place do not mix.
/// Removed when its path is dropped.
pub(crate) fn hidden_beside(target: &Path) -> io::Result<(File, TempPath)> {
    // Whoever finds one after a power cut sees what it was to become. File systems allow names
    // of 255 bytes; a character has up to four.
    let name: String = target
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .take(40)
        .collect();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    #[cfg(unix)]
    {
        // As any file that a program makes; the process's umask narrows it.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    builder
        .tempfile_in(folder)
        .map(tempfile::NamedTempFile::into_parts)
}

/// How often a folder may be removed by somebody else between its making and its first file.
const TRIES: u32 = 5;

/// As [`hidden_beside`], in a tree whose folders come and go with their files.
#[derive(Debug)]
pub(crate) struct Hidden {
    path: Option<TempPath>,
    target: PathBuf,
    /// The folder of the tree, which stays.
    root: PathBuf,
}

impl Hidden {
    pub(crate) fn beside(target: &Path, root: &Path) -> io::Result<(File, Self)> {
        let mut left = TRIES;
        let (file, path) = loop {
            if let Some(folder) = target.parent() {
                std::fs::create_dir_all(folder)?;
            }
            left -= 1;
            match hidden_beside(target) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && left > 0 => {}
                made => break made?,
            }
        };
        let hidden = Self {
            path: Some(path),
            target: target.to_path_buf(),
            root: root.to_path_buf(),
        };
        Ok((file, hidden))
    }

    /// Gives the file its name, for good.
    pub(crate) fn publish(mut self) -> io::Result<()> {
        let Some(path) = self.path.take() else {
            return Ok(());
        };
        // A rename may become durable before the bytes do.
        File::open(&path)?.sync_all()?;
        path.persist(&self.target).map_err(|error| error.error)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        drop(path);
        // Folders with anything in them refuse.
        let folders = self.target.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != self.root) {
            if !folder.starts_with(&self.root) || std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_published_leaves_no_folder() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (root.path().join("a/b/c/one"), root.path().join("a/other"));
        let (_, first) = Hidden::beside(&one, root.path()).unwrap();
        let (_, second) = Hidden::beside(&other, root.path()).unwrap();
        drop(first);
        assert!(!root.path().join("a/b").exists());
        second.publish().unwrap();
        let (_, third) = Hidden::beside(&one, root.path()).unwrap();
        drop(third);
        assert!(other.exists() && !root.path().join("a/b").exists());
        let (_, last) = Hidden::beside(&root.path().join("x"), root.path()).unwrap();
        drop(last);
        assert!(root.path().exists());
    }
}
