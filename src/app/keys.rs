//! The key that signs links and callback addresses, made once where none is configured.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;

use crate::job::{Code, Failure};

/// SHA-256's own strength.
const KEY_BYTES: usize = 32;

/// Reads the key, or makes one that only this user can read.
pub(super) async fn load_or_make(file: &Path) -> Result<Vec<u8>, Failure> {
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
    // Written whole under another name first: two processes may start at once, and the one that
    // links second reads what the first one made.
    let staged = file.with_extension(format!("{}.part", std::process::id()));
    let made = async {
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut out = options.open(&staged).await?;
        tokio::io::AsyncWriteExt::write_all(&mut out, &key).await?;
        out.sync_all().await?;
        tokio::fs::hard_link(&staged, file).await
    };
    let linked = made.await;
    let _ = tokio::fs::remove_file(&staged).await;
    match linked {
        Ok(()) => Ok(key.to_vec()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => tokio::fs::read(file)
            .await
            .map_err(|error| unusable(error.to_string())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// A key for one purpose, in hex: whoever learns it learns nothing of the others.
pub(super) fn derived(key: &[u8], purpose: &str) -> String {
    hex::encode(mac(key, purpose))
}

/// The secret for outgoing webhooks, as Standard Webhooks writes it.
pub(super) fn webhook_secret(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(mac(key, "standard-webhooks")))
}

fn mac(key: &[u8], purpose: &str) -> Vec<u8> {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(purpose).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}
