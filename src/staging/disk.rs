//! The calls by which files of ours come to stand on a disk.
//!
//! Two of them are easily forgotten and nothing shows it but a power cut: a file's bytes are on
//! the disk only once the file was synced, and its name only once its folder was. So everything
//! that is to outlast one goes through here, where a test can lose what was not synced.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;

/// Blocking, like the calls it stands for.
pub trait Disk: Debug + Send + Sync {
    /// Makes one folder; that it is there already is an error, as from the system.
    ///
    /// # Errors
    /// The system's.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that is not there yet, for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn make_file(&self, path: &Path) -> io::Result<File>;

    /// Has the file's bytes on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Moves a file to another name of the same file system, over what lies there.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Has the names in a folder on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The system's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn make_file(&self, path: &Path) -> io::Result<File> {
        // As any file that a program makes; the process's umask narrows it.
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Only Unix opens folders.
        if cfg!(unix) {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    }
}

/// Makes a folder with all above it, their names on the disk.
pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    std::fs::create_dir_all(path)?;
    for folder in missing {
        let above = match folder.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        SystemDisk.sync_folder(above)?;
    }
    Ok(())
}

/// A file or folder that has to stay the one it was when it was opened: what is written into one
/// that was removed, or that another disk was mounted over, goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    path: std::path::PathBuf,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Elsewhere what is open cannot be removed.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|_| (0, 0))
}

impl Anchor {
    /// Remembers what lies there now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            identity: identity(path)?,
        })
    }

    /// Whether it is still the same.
    pub(crate) fn check(&self) -> io::Result<()> {
        let gone = |why: &str| {
            let message = format!("{} {why}", self.path.display());
            Err(io::Error::new(io::ErrorKind::NotFound, message))
        };
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => gone("was replaced since it was opened"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                gone("was removed since it was opened")
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_or_replaced_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "1").unwrap();
        let anchor = Anchor::of(&file).unwrap();
        std::fs::write(&file, "2").unwrap();
        anchor.check().unwrap();
        // The old one is kept, so that its number is not given out again.
        std::fs::rename(&file, folder.path().join("b")).unwrap();
        assert!(anchor.check().unwrap_err().to_string().contains("removed"));
        std::fs::write(&file, "3").unwrap();
        assert!(anchor.check().unwrap_err().to_string().contains("replaced"));
    }

    #[test]
    fn folders_are_made_with_all_above() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        make_folders(&deep).unwrap();
        make_folders(&deep).unwrap();
        assert!(deep.is_dir());
    }
}
