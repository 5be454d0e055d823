//! Who signs for results: a key of the settings, or one of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::settings::invalid;
use crate::clock::{Timestamp, later};
use crate::config::{self, Config};
use crate::job::Failure;
use crate::media::{LocalSigner, MOST_PEM, Signer};

/// A certificate that ends so soon is told.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Nobody signs: it is switched off.
    Off,
    /// Nobody signs: there is no key, and several machines would each make their own.
    None,
    /// Of the settings.
    Given,
    /// Of this machine, made where it is not there yet.
    Own(PathBuf),
}

/// Which key there is. Jobs keep what was agreed on at their creation, so one that is there is taken
/// also where new jobs are not signed; none is made then.
#[must_use]
pub fn key(config: &Config) -> Key {
    let wanted = is_wanted(config);
    let own = config.data_dir.join("signing.pem");
    if config.signing.is_some() {
        Key::Given
    } else if config.ledger == config::Ledger::Sqlite && (wanted || own.exists()) {
        Key::Own(own)
    } else if wanted {
        Key::None
    } else {
        Key::Off
    }
}

/// Whether new jobs are signed.
fn is_wanted(config: &Config) -> bool {
    config.provenance.metadata && config.provenance.sign
}

/// Who signs with a key, if anybody does. Blocks.
///
/// # Errors
/// What is wrong with the key or its certificates.
pub fn signer(
    config: &Config,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Arc<LocalSigner>>, Failure> {
    let signer = match (key, &config.signing) {
        (Key::Given, Some(signing)) => given(signing),
        (Key::Own(file), _) => LocalSigner::load_or_make(file),
        _ => return Ok(None),
    };
    let signer = signer.map_err(|why| invalid(&format!("nobody can sign for results: {why}")))?;
    let wrong = if signer.until() <= now {
        format!("the certificate ended on {}", signer.until())
    } else if signer.from() > now {
        format!("the certificate is good from {} on", signer.from())
    } else {
        return Ok(Some(Arc::new(signer)));
    };
    Err(invalid(&format!("nobody can sign for results: {wrong}")))
}

/// As the worker wants it. A key that this machine is to make is made.
pub(super) async fn open(
    config: &Config,
    now: Timestamp,
) -> Result<Option<Arc<dyn Signer>>, Failure> {
    let (key, wanted, config) = (key(config), is_wanted(config), config.clone());
    if key == Key::None {
        tracing::warn!("results are not signed: there is no key");
    }
    let work = move || signer(&config, &key, now);
    let opened = tokio::task::spawn_blocking(work).await;
    match opened.map_err(|error| invalid(&error.to_string()))? {
        Ok(opened) => Ok(opened.map(|signer| signer as Arc<dyn Signer>)),
        Err(failure) if !wanted => {
            tracing::warn!(
                error = failure.message,
                "jobs that were to be signed are not"
            );
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether a signer's certificates end within a month.
pub(super) fn ends_soon(signer: &LocalSigner, now: Timestamp) -> bool {
    signer.until() <= later(now, SOON)
}

fn given(signing: &config::Signing) -> Result<LocalSigner, String> {
    let certificates = pem("provenance.certificate", &signing.certificate)?;
    let key = pem("provenance.key", signing.key.expose())?;
    LocalSigner::from_pem(&certificates, &key)
}

/// PEM that stands in the settings, or in a file that they name.
fn pem(setting: &str, text: &str) -> Result<Vec<u8>, String> {
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text.as_bytes().to_vec());
    }
    let bytes = std::fs::read(Path::new(text)).map_err(|error| format!("{setting}: {error}"))?;
    if bytes.len() > MOST_PEM {
        return Err(format!(
            "{setting}: the file has more than {MOST_PEM} bytes"
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::config::Sources;

    fn load(settings: &str) -> (tempfile::TempDir, Config) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("filmlab.toml");
        let data = dir.path().display();
        std::fs::write(&file, format!("[data]\ndir = '{data}'\n{settings}")).unwrap();
        let config = Config::load(&Sources {
            file: Some(file),
            ..Sources::default()
        });
        (dir, config.unwrap())
    }

    /// A certificate that ends with a year, and its key.
    fn ends(year: i32) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn with(certificate: &str, key: &str) -> Result<Option<Arc<LocalSigner>>, String> {
        let settings =
            format!("[provenance]\ncertificate = '''{certificate}'''\nkey = '''{key}'''");
        let (_dir, config) = load(&settings);
        assert_eq!(super::key(&config), Key::Given);
        signer(&config, &Key::Given, SystemClock.now()).map_err(|failure| failure.message)
    }

    #[test]
    fn a_key_of_the_settings_is_checked_before_anything_is_signed() {
        let (certificate, key) = ends(2090);
        let until = with(&certificate, &key).unwrap().unwrap().until();
        assert_eq!(until.to_string(), "2090-01-01T00:00:00Z");
        let (old, old_key) = ends(2020);
        assert!(
            with(&old, &old_key)
                .unwrap_err()
                .contains("ended on 2020-01-01")
        );
        assert!(
            with(&certificate, &old_key)
                .unwrap_err()
                .contains("does not belong")
        );
        assert!(
            with("/nonexistent.pem", &key)
                .unwrap_err()
                .contains("provenance.certificate")
        );
    }

    #[test]
    fn one_machine_makes_its_key_and_whoever_wants_none_has_none() {
        let (dir, config) = load("");
        let file = dir.path().join("signing.pem");
        let own = key(&config);
        assert_eq!(own, Key::Own(file.clone()));
        let now = SystemClock.now();
        let signer = signer(&config, &own, now).unwrap().unwrap();
        assert!(file.exists() && !ends_soon(&signer, now));
        for off in ["sign", "metadata"] {
            let (_dir, config) = load(&format!("[provenance]\n{off} = false"));
            assert_eq!(key(&config), Key::Off);
        }
    }
}
