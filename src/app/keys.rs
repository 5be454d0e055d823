//! The key that signs links and callback addresses, made once where none is configured.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;

use crate::config::{Config, Secret};
use crate::job::{Code, Failure};
use crate::staging::disk::{Disk as _, SystemDisk};
use crate::staging::folder_of;

/// SHA-256's own strength.
const KEY_BYTES: usize = 32;

/// What signs links, callbacks and, without a secret of their own, notices.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) now: Vec<u8>,
    /// The one before: what it signed is still good.
    pub(super) old: Option<Vec<u8>>,
}

impl Keys {
    pub(super) fn only(now: Vec<u8>) -> Self {
        Self { now, old: None }
    }

    /// As configured, or from the data folder. There a key is changed by renaming its file to
    /// `secret.key.old`: the next start makes a new one.
    pub(super) async fn of(config: &Config) -> Result<Self, Failure> {
        let given = |key: &Secret| key.expose().as_bytes().to_vec();
        let old = config.links.old_key.as_ref().map(given);
        if let Some(key) = &config.links.key {
            let now = given(key);
            return Ok(Self { now, old });
        }
        let now = load_or_make(&config.data_dir.join("secret.key")).await?;
        let file = config.data_dir.join("secret.key.old");
        let old = match old {
            Some(old) => Some(old),
            None if file.exists() => Some(load_or_make(&file).await?),
            None => None,
        };
        Ok(Self { now, old })
    }

    /// What notices are signed with, as Standard Webhooks writes secrets: the present one, and the
    /// one before.
    pub(super) fn webhook_secrets(&self, config: &Config) -> (String, Option<String>) {
        let told = |secret: &Secret| secret.expose().to_owned();
        let old = config.notify.webhook_old_secret.as_ref().map(told);
        match &config.notify.webhook_secret {
            Some(secret) => (told(secret), old),
            None => {
                let derived = self.old.as_deref().map(webhook_secret);
                (webhook_secret(&self.now), old.or(derived))
            }
        }
    }
}

/// Reads the key, or makes one that only this user can read.
async fn load_or_make(file: &Path) -> Result<Vec<u8>, Failure> {
    let unusable = |why: String| {
        Failure::new(
            Code::InvalidConfig,
            format!("the key file {} is not usable: {why}", file.display()),
        )
    };
    match tokio::fs::read(file).await {
        Ok(key) if key.len() == KEY_BYTES => return Ok(key),
        Ok(_) => return Err(unusable(format!("it does not hold {KEY_BYTES} bytes"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error.to_string())),
    }
    let key: [u8; KEY_BYTES] = rand::rng().random();
    let target = file.to_path_buf();
    let made = tokio::task::spawn_blocking(move || make(&target, &key)).await;
    match made.map_err(std::io::Error::other).flatten() {
        Ok(()) => Ok(key.to_vec()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => tokio::fs::read(file)
            .await
            .map_err(|error| unusable(error.to_string())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Written whole under another name first: two processes may start at once, and the one that
/// links second reads what the first one made. That name is nobody else's: a number of the process
/// would be, where each one is the first of its container.
fn make(file: &Path, key: &[u8]) -> std::io::Result<()> {
    // Readable by this user only, as temporary files are made.
    let mut staged = tempfile::Builder::new()
        .prefix(".secret.key.")
        .suffix(".part")
        .tempfile_in(folder_of(file))?;
    staged.write_all(key)?;
    staged.as_file().sync_all()?;
    std::fs::hard_link(staged.path(), file)?;
    SystemDisk.sync_folder(folder_of(file))
}

/// A key for one purpose, in hex: whoever learns it learns nothing of the others.
pub(super) fn derived(key: &[u8], purpose: &str) -> String {
    hex::encode(mac(key, purpose))
}

/// The secret for outgoing webhooks, as Standard Webhooks writes it.
fn webhook_secret(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(mac(key, "standard-webhooks")))
}

fn mac(key: &[u8], purpose: &str) -> Vec<u8> {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(purpose).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a container each process is the first: what one left that was killed while it made the
    /// key lay under the very name that the next one takes.
    #[tokio::test]
    async fn what_a_killed_start_left_does_not_fail_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let stale = format!("secret.{}.part", std::process::id());
        std::fs::write(folder.path().join(stale), "half").unwrap();
        let file = folder.path().join("secret.key");
        let key = load_or_make(&file).await.unwrap();
        assert_eq!(key, std::fs::read(&file).unwrap());
        assert_eq!(key, load_or_make(&file).await.unwrap());
        let hidden = std::fs::read_dir(folder.path()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with('.')
        });
        assert_eq!(hidden.count(), 0);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_this_user_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        load_or_make(&file).await.unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
