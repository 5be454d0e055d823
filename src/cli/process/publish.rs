//! Files that appear under their names when all of them are finished, or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use crate::job::{Code, Failure};
use crate::media::{FileInput, Input, Output, WriteSeek};
use crate::staging::disk::{Disk as _, SystemDisk};
use crate::staging::{folder_of, hidden_beside};

/// A file under a hidden name beside its target (a rename is atomic only within one file
/// system). Dropped without being published, it is gone.
///
/// The name has a random part: two commands that write to one place do not mix.
#[derive(Debug)]
pub(super) struct Staged {
    target: PathBuf,
    hidden: TempPath,
}

impl Staged {
    pub(super) fn beside(target: &Path) -> Result<Self, Failure> {
        let (_, hidden) = hidden_beside(target).map_err(|error| unwritable(target, &error))?;
        Ok(Self {
            target: target.to_path_buf(),
            hidden,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.hidden
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        fs::write(&self.hidden, bytes).map_err(|error| unwritable(&self.target, &error))
    }

    /// Gives the file its name; says whether one was replaced.
    fn publish(self, overwrite: bool) -> Result<(PathBuf, bool), Failure> {
        let Self { target, hidden } = self;
        let replaced = fs::symlink_metadata(&target).is_ok();
        let published = if overwrite {
            hidden.persist(&target).map_err(|error| error.error)
        } else {
            // Somebody else may have made it while we worked.
            hidden.persist_noclobber(&target).or_else(|error| {
                // Not every file system can refuse by itself.
                let free = fs::symlink_metadata(&target).is_err();
                if free {
                    error.path.persist(&target).map_err(|error| error.error)
                } else {
                    Err(error.error)
                }
            })
        };
        let lasting = published.and_then(|()| SystemDisk.sync_folder(folder_of(&target)));
        match lasting {
            Ok(()) => Ok((target, replaced)),
            Err(error) => Err(unwritable(&target, &error)),
        }
    }
}

/// Publishes `files` in their order, the most important last. On a failure those that are out
/// already are taken back.
pub(super) fn all(files: Vec<Staged>, overwrite: bool) -> Result<(), Failure> {
    for file in &files {
        // A rename may last where the bytes do not.
        File::open(&file.hidden)
            .and_then(|open| open.sync_all())
            .map_err(|error| unwritable(&file.target, &error))?;
    }
    let mut made = Vec::new();
    for file in files {
        match file.publish(overwrite) {
            Ok((target, replaced)) => made.extend((!replaced).then_some(target)),
            Err(failure) => {
                for target in made {
                    let _ = fs::remove_file(target);
                }
                return Err(failure);
            }
        }
    }
    Ok(())
}

fn unwritable(target: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be written: {error}", target.display());
    Failure::new(Code::OutputUnwritable, message)
}

/// The media core writes and verifies; the command publishes, with the files that belong to it.
impl Output for Staged {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        let file = File::options()
            .read(true)
            .write(true)
            .truncate(true)
            .open(&self.hidden)?;
        Ok(Box::new(file))
    }

    fn staged(&self) -> Arc<dyn Input> {
        Arc::new(FileInput::new(&*self.hidden))
    }

    fn commit(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&mut self) {}

    fn describe(&self) -> String {
        self.target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_published_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let staged = Staged::beside(&dir.path().join("a.mp4")).unwrap();
        assert!(names(dir.path())[0].starts_with(".a.mp4."));
        drop(staged);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_file_that_came_meanwhile_is_left_alone_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let [poster, video] = ["a.jpg", "a.mp4"].map(|name| dir.path().join(name));
        let files: Vec<_> = [&poster, &video]
            .into_iter()
            .map(|path| Staged::beside(path).unwrap())
            .collect();
        fs::write(&video, "precious").unwrap();
        let failure = all(files, false).unwrap_err();
        assert_eq!(failure.code, Code::OutputUnwritable);
        assert_eq!(names(dir.path()), ["a.mp4"]);
        assert_eq!(fs::read_to_string(&video).unwrap(), "precious");
    }

    #[test]
    fn overwriting_replaces_and_long_names_are_possible() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join(format!("{}.json", "ü".repeat(120)));
        fs::write(&target, "old").unwrap();
        let staged = Staged::beside(&target).unwrap();
        staged.write(b"new").unwrap();
        all(vec![staged], true).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(names(dir.path()).len(), 1);
    }
}
