//! Who may read the file.

use std::path::Path;

/// Makes the file if it is missing, and takes the rights of others away from one that is there.
/// SQLite gives the files beside it the same rights.
#[cfg(unix)]
pub(super) fn close_to_others(path: &Path) {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    const OURS: u32 = 0o600;
    // A file that is there is never opened by any hand but SQLite's: closing it again would give
    // up every lock that this process holds on it, for its other connections too. Another process
    // would then take itself for the last one, and remove the log that is still written to.
    // A folder that is missing, or may not be written, is SQLite's to tell.
    let mut made = std::fs::OpenOptions::new();
    let _ = made.write(true).create_new(true).mode(OURS).open(path);
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let path = Path::new(&name);
        let Ok(found) = std::fs::metadata(path) else {
            continue;
        };
        if found.permissions().mode() & 0o077 == 0 {
            continue;
        }
        // Another user's file is that user's to close.
        if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(OURS)) {
            tracing::warn!(file = %path.display(), %error, "others can read the database");
        }
    }
}

#[cfg(not(unix))]
pub(super) fn close_to_others(_: &Path) {}
