//! Files that lie under a hidden name beside their target until they are complete: a rename is
//! atomic within one file system only.

pub mod disk;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use disk::{Disk, SystemDisk};

/// The ending of hidden names.
const PART: &str = ".part";

/// A new file `.<name>.<random>.part` beside `target`: two writers to one place do not mix.
/// Removed when its path is dropped.
pub(crate) fn hidden_beside(target: &Path) -> io::Result<(File, TempPath)> {
    hidden_on(&SystemDisk, target)
}

fn hidden_on(disk: &dyn Disk, target: &Path) -> io::Result<(File, TempPath)> {
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
    builder.prefix(&prefix).suffix(PART);
    builder
        .make_in(folder_of(target), |path| disk.make_file(path))
        .map(tempfile::NamedTempFile::into_parts)
}

/// Whether a file of this name is one in the making.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(PART)
}

/// The folder that a file is in.
pub(crate) fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
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
    disk: Arc<dyn Disk>,
}

impl Hidden {
    /// The tree's own folder is not made: where it is gone, the disk it was on is.
    pub(crate) fn beside(
        target: &Path,
        root: &Path,
        disk: &Arc<dyn Disk>,
    ) -> io::Result<(File, Self)> {
        let mut left = TRIES;
        let (file, path) = loop {
            left -= 1;
            let made = make_below(&**disk, folder_of(target), root)
                .and_then(|()| hidden_on(&**disk, target));
            match made {
                Err(error) if error.kind() == io::ErrorKind::NotFound && left > 0 => {}
                made => break made?,
            }
        };
        let hidden = Self {
            path: Some(path),
            target: target.to_path_buf(),
            root: root.to_path_buf(),
            disk: Arc::clone(disk),
        };
        Ok((file, hidden))
    }

    /// Gives the file its name, for good: when this returns, a power cut takes neither its bytes
    /// nor its name.
    pub(crate) fn publish(mut self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        // A rename may become durable before the bytes do.
        self.disk.sync_file(path)?;
        self.disk.rename(path, &self.target)?;
        // The name it had is free: there is nothing to remove.
        if let Some(path) = self.path.take() {
            let _ = path.keep();
        }
        // Each folder up to the tree's own: one that another writer has just made may not have
        // been synced yet. One without news costs next to nothing.
        for folder in self.target.ancestors().skip(1) {
            self.disk.sync_folder(folder)?;
            if folder == self.root {
                break;
            }
        }
        Ok(())
    }
}

/// Makes the folders between `root`, which must be there, and `folder`.
fn make_below(disk: &dyn Disk, folder: &Path, root: &Path) -> io::Result<()> {
    let Ok(below) = folder.strip_prefix(root) else {
        return Err(io::Error::other("the file lies outside of its tree"));
    };
    let mut made = root.to_path_buf();
    for part in below.components() {
        made.push(part);
        match disk.make_folder(&made) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        drop(path);
        remove_empty(&self.target, &self.root);
    }
}

/// Removes the folders above `target` that have nothing in them, up to `root`.
pub(crate) fn remove_empty(target: &Path, root: &Path) {
    // Folders with anything in them refuse.
    let folders = target.ancestors().skip(1);
    for folder in folders.take_while(|folder| *folder != root) {
        if !folder.starts_with(root) || std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_published_leaves_no_folder() {
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (root.path().join("a/b/c/one"), root.path().join("a/other"));
        let (_, first) = Hidden::beside(&one, root.path(), &disk).unwrap();
        let (_, second) = Hidden::beside(&other, root.path(), &disk).unwrap();
        drop(first);
        assert!(!root.path().join("a/b").exists());
        second.publish().unwrap();
        let (_, third) = Hidden::beside(&one, root.path(), &disk).unwrap();
        drop(third);
        assert!(other.exists() && !root.path().join("a/b").exists());
        let (_, last) = Hidden::beside(&root.path().join("x"), root.path(), &disk).unwrap();
        drop(last);
        assert!(root.path().exists());
    }

    #[test]
    fn a_tree_that_is_gone_is_not_made_anew() {
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let root = tempfile::tempdir().unwrap().path().join("objects");
        let lost = Hidden::beside(&root.join("a/b"), &root, &disk).unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::NotFound);
        assert!(!root.exists());
    }
}
