//! A disk that loses in a power cut what was not synced, and refuses what it is told to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use filmlab::staging::disk::{Disk, SystemDisk};

/// Stands for what has a name on a disk: a file or a folder.
type Inode = u64;

const ROOT: Inode = 0;

/// Files under one folder. Everything is done on the real disk too, so that it can be read.
#[derive(Debug)]
pub(crate) struct Unsynced {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    made: Inode,
    /// What lies under a name now.
    live: HashMap<PathBuf, Inode>,
    folders: BTreeSet<Inode>,
    /// The bytes of a file as of its last sync.
    bytes: HashMap<Inode, Vec<u8>>,
    /// The names in a folder as of its last sync.
    names: HashMap<Inode, BTreeMap<OsString, Inode>>,
    /// Parts of names that cannot be made or removed, and why not.
    refused: Vec<(String, io::ErrorKind)>,
}

impl Unsynced {
    /// What lies there already is on the disk.
    pub(crate) fn over(root: &Path) -> Arc<Self> {
        let root = root.canonicalize().unwrap();
        let mut state = State::default();
        state.live.insert(root.clone(), ROOT);
        state.folders.insert(ROOT);
        state.adopt(&root);
        Arc::new(Self {
            root,
            state: Mutex::new(state),
        })
    }

    /// From now on nothing whose name holds `part` can be made or removed.
    pub(crate) fn refuse(&self, part: &str, why: io::ErrorKind) {
        self.state
            .lock()
            .unwrap()
            .refused
            .push((part.to_owned(), why));
    }

    pub(crate) fn allow_all(&self) {
        self.state.lock().unwrap().refused.clear();
    }

    /// The power fails and comes back: what is there now is what was synced. Gives it.
    pub(crate) fn cut_power(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        let mut left = BTreeMap::new();
        state.survivors(ROOT, "", &mut left);
        for entry in fs::read_dir(&self.root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        for (name, bytes) in &left {
            let path = self.root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        *state = State::default();
        state.live.insert(self.root.clone(), ROOT);
        state.folders.insert(ROOT);
        state.adopt(&self.root);
        left
    }
}

impl State {
    fn adopt(&mut self, folder: &Path) {
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let inode = self.make(&path, path.is_dir());
            names.insert(path.file_name().unwrap().to_owned(), inode);
            if path.is_dir() {
                self.adopt(&path);
            } else {
                self.bytes.insert(inode, fs::read(&path).unwrap());
            }
        }
        self.names.insert(self.live[folder], names);
    }

    fn make(&mut self, path: &Path, is_folder: bool) -> Inode {
        self.made += 1;
        self.live.insert(path.to_path_buf(), self.made);
        if is_folder {
            self.folders.insert(self.made);
        }
        self.made
    }

    fn survivors(&self, folder: Inode, at: &str, left: &mut BTreeMap<String, Vec<u8>>) {
        for (name, inode) in self.names.get(&folder).into_iter().flatten() {
            let name = format!("{at}{}", name.to_str().unwrap());
            if self.folders.contains(inode) {
                self.survivors(*inode, &format!("{name}/"), left);
            } else {
                // The name may last where the bytes do not.
                left.insert(name, self.bytes.get(inode).cloned().unwrap_or_default());
            }
        }
    }

    fn allows(&self, path: &Path) -> io::Result<()> {
        let name = path.to_str().unwrap();
        match self.refused.iter().find(|(part, _)| name.contains(part)) {
            Some((_, why)) => Err((*why).into()),
            None => Ok(()),
        }
    }
}

impl Disk for Unsynced {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        SystemDisk.make_folder(path)?;
        self.state.lock().unwrap().make(path, true);
        Ok(())
    }

    fn make_file(&self, path: &Path) -> io::Result<File> {
        let mut state = self.state.lock().unwrap();
        state.allows(path)?;
        let file = SystemDisk.make_file(path)?;
        state.make(path, false);
        Ok(file)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let bytes = fs::read(path)?;
        let mut state = self.state.lock().unwrap();
        let inode = state.live[path];
        state.bytes.insert(inode, bytes);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)?;
        let mut state = self.state.lock().unwrap();
        let inode = state.live.remove(from).unwrap();
        state.live.insert(to.to_path_buf(), inode);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.allows(path)?;
        SystemDisk.remove_file(path)?;
        state.live.remove(path);
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_folder(path)?;
        let mut state = self.state.lock().unwrap();
        let names = state.live.iter().filter_map(|(name, inode)| {
            // Folders that were empty are removed without a word.
            let is_here = name.parent() == Some(path) && name.exists();
            is_here.then(|| (name.file_name().unwrap().to_owned(), *inode))
        });
        let names = names.collect();
        let folder = state.live[path];
        state.names.insert(folder, names);
        Ok(())
    }
}

#[test]
fn what_was_not_synced_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Unsynced::over(folder.path());
    let root = disk.root.clone();
    let write = |name: &str, sync_file: bool, sync_folder: bool| {
        let path = root.join(name);
        let mut file = disk.make_file(&path.with_extension("part")).unwrap();
        io::Write::write_all(&mut file, b"abc").unwrap();
        if sync_file {
            disk.sync_file(&path.with_extension("part")).unwrap();
        }
        disk.rename(&path.with_extension("part"), &path).unwrap();
        if sync_folder {
            disk.sync_folder(&root).unwrap();
        }
    };
    write("empty", false, true);
    write("whole", true, true);
    write("absent", true, false);
    disk.make_folder(&root.join("new")).unwrap();
    let left = disk.cut_power();
    let left: Vec<_> = left
        .iter()
        .map(|(name, it)| (name.as_str(), it.len()))
        .collect();
    assert_eq!(left, [("empty", 0), ("whole", 3)]);
    assert!(!root.join("absent").exists() && !root.join("new").exists());
}
