//! Who signs for results: a key of the settings, or one of this machine.

mod kms;
mod stamping;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use self::kms::KmsSigner;
use self::stamping::Stamping;
use super::adapters;
use super::settings::invalid;
use crate::clock::{Timestamp, later};
use crate::config::{self, Config, SigningKey};
use crate::job::Failure;
use crate::media::{Chain, LocalSigner, MOST_PEM, Signer};

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
    /// In Cloud KMS.
    Kms,
    /// Of this machine, made where it is not there yet.
    Own(PathBuf),
}

/// Which key there is. Jobs keep what was agreed on at their creation, so one that is there is taken
/// also where new jobs are not signed; none is made then.
#[must_use]
pub fn key(config: &Config) -> Key {
    let wanted = is_wanted(config);
    let own = config.data_dir.join("signing.pem");
    if let Some(signing) = &config.signing {
        match signing.key {
            SigningKey::Pem(_) => Key::Given,
            SigningKey::Kms { .. } => Key::Kms,
        }
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

/// Who signs with a key that is here, if anybody does. Blocks.
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
    in_time(signer.certificates(), now)?;
    Ok(Some(Arc::new(signer)))
}

fn in_time(chain: &Chain, now: Timestamp) -> Result<(), Failure> {
    let (from, until) = (chain.from(), chain.until());
    let wrong = if until <= now {
        format!("the certificate ended on {until}")
    } else if from > now {
        format!("the certificate is good from {from} on")
    } else {
        return Ok(());
    };
    Err(invalid(&format!("nobody can sign for results: {wrong}")))
}

/// Who signs with a key in Cloud KMS, which is not asked yet; `None` where the settings name none.
///
/// # Errors
/// What is wrong with the settings.
pub(super) async fn remote(
    config: &Config,
    now: Timestamp,
) -> Result<Option<(Arc<dyn Signer>, Chain)>, Failure> {
    let told = |why: String| invalid(&format!("nobody can sign for results: {why}"));
    let Some(signing) = &config.signing else {
        return Ok(None);
    };
    let SigningKey::Kms { version, endpoint } = &signing.key else {
        return Ok(None);
    };
    let pem = pem("provenance.certificate", &signing.certificate).map_err(told)?;
    let chain = Chain::from_pem(&pem).map_err(told)?;
    in_time(&chain, now)?;
    let access = adapters::identified(config).await?;
    let runtime = Handle::current();
    let signer = KmsSigner::new(version, endpoint.as_ref(), chain.clone(), &access, runtime);
    Ok(Some((Arc::new(signer.map_err(told)?), chain)))
}

/// The certificate of who signs here, to know it again; also one that has ended. Makes no key. Blocks.
pub fn certificate(config: &Config) -> Option<Vec<u8>> {
    let chain = match (key(config), &config.signing) {
        (Key::Given | Key::Kms, Some(signing)) => {
            let pem = pem("provenance.certificate", &signing.certificate).ok()?;
            Chain::from_pem(&pem).ok()?
        }
        (Key::Own(file), _) if file.exists() => LocalSigner::load_or_make(&file)
            .ok()?
            .certificates()
            .clone(),
        _ => return None,
    };
    chain.certificates().first().cloned()
}

/// As results are signed by it: with a time stamp, where the settings want one. Must be called within a
/// Tokio runtime then.
///
/// # Errors
/// What is wrong with the settings.
pub fn stamping(config: &Config, signer: Arc<dyn Signer>) -> Result<Arc<dyn Signer>, Failure> {
    let Some(stamps) = &config.time_stamps else {
        return Ok(signer);
    };
    let told = |why: String| invalid(&format!("nobody can tell the time of a signature: {why}"));
    let runtime = Handle::try_current().map_err(|error| told(error.to_string()))?;
    let stamping = Stamping::new(signer, stamps.clone(), runtime);
    Ok(Arc::new(stamping.map_err(told)?))
}

/// As the worker wants it. A key that this machine is to make is made.
pub(super) async fn open(
    config: &Config,
    now: Timestamp,
) -> Result<Option<Arc<dyn Signer>>, Failure> {
    let (key, wanted) = (key(config), is_wanted(config));
    if key == Key::None {
        tracing::warn!("results are not signed: there is no key");
    }
    let opened = match key {
        Key::Kms => remote(config, now)
            .await
            .map(|remote| remote.map(|(signer, _)| signer)),
        key => {
            let settings = config.clone();
            let work = move || signer(&settings, &key, now);
            let opened = tokio::task::spawn_blocking(work).await;
            let opened = opened.map_err(|error| invalid(&error.to_string()))?;
            opened.map(|signer| signer.map(|signer| signer as Arc<dyn Signer>))
        }
    };
    match opened {
        Ok(opened) => opened.map(|signer| stamping(config, signer)).transpose(),
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

/// Whether certificates end within a month.
pub(super) fn ends_soon(chain: &Chain, now: Timestamp) -> bool {
    chain.until() <= later(now, SOON)
}

fn given(signing: &config::Signing) -> Result<LocalSigner, String> {
    let certificates = pem("provenance.certificate", &signing.certificate)?;
    let SigningKey::Pem(key) = &signing.key else {
        return Err("the key is not here".to_owned());
    };
    let key = pem("provenance.key", key.expose())?;
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
pub(in crate::app) mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::config::Sources;

    /// Settings with a data folder of their own.
    pub(in crate::app) fn load(settings: &str) -> (tempfile::TempDir, Config) {
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
        let until = with(&certificate, &key)
            .unwrap()
            .unwrap()
            .certificates()
            .until();
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
        assert!(file.exists() && !ends_soon(signer.certificates(), now));
        for off in ["sign", "metadata"] {
            let (other, mut config) = load(&format!("[provenance]\n{off} = false"));
            assert_eq!(key(&config), Key::Off);
            // Jobs that were to be signed still are, where the key is there.
            std::fs::copy(&file, other.path().join("signing.pem")).unwrap();
            assert!(matches!(key(&config), Key::Own(_)));
            config.ledger = config::Ledger::Firestore(config::Database {
                project: "p".to_owned(),
                name: "(default)".to_owned(),
                emulator: None,
            });
            assert_eq!(key(&config), Key::Off);
            config.provenance = crate::job::Provenance::default();
            assert_eq!(key(&config), Key::None);
        }
    }
}
