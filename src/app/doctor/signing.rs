//! Who signs for results, and for how long.

use super::finding::Finding;
use crate::app::signer::{self, Key};
use crate::clock::{SharedClock, Timestamp};
use crate::config::Config;
use crate::job::Failure;
use crate::media::Chain;

const NAME: &str = "signing";
const ADVICE: &str = "see the [provenance] settings";

/// Makes no key. A key in Cloud KMS signs a few bytes.
pub(super) async fn signing(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let (key, now) = (signer::key(config), clock.now());
    let finding = match &key {
        Key::Off => Finding::ok(NAME, "results are not signed, as the settings say"),
        Key::None => Finding::warn(
            NAME,
            "results are not signed: there is no key, and none is made for each instance",
            "set provenance.certificate and provenance.key, or provenance.sign = false",
        ),
        Key::Own(file) if !file.exists() => {
            Finding::ok(NAME, "the key of this machine is made at the first start")
        }
        Key::Kms => match remote(config, now).await {
            Ok(Some(chain)) => told(&chain, now),
            Ok(None) => Finding::ok(NAME, "results are not signed"),
            Err(why) => Finding::service(NAME, why, ADVICE),
        },
        Key::Given | Key::Own(_) => {
            let (config, key) = (config.clone(), key.clone());
            let work = move || signer::signer(&config, &key, now);
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(Some(signer))) => told(signer.certificates(), now),
                Ok(Ok(None)) => Finding::ok(NAME, "results are not signed"),
                Ok(Err(failure)) => Finding::service(NAME, failure.message, ADVICE),
                Err(error) => Finding::service(NAME, error, ADVICE),
            }
        }
    };
    vec![finding]
}

fn told(chain: &Chain, now: Timestamp) -> Finding {
    let message = format!("with a certificate until {}", chain.until());
    if signer::ends_soon(chain, now) {
        Finding::warn(NAME, message, "renew the certificate")
    } else {
        Finding::ok(NAME, message)
    }
}

/// The certificates of a key in Cloud KMS that signs.
async fn remote(config: &Config, now: Timestamp) -> Result<Option<Chain>, String> {
    let opened = signer::remote(config, now).await;
    let Some((signer, chain)) = opened.map_err(|failure: Failure| failure.message)? else {
        return Ok(None);
    };
    let work = move || signer.sign(b"filmlab doctor").map(drop);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(Some(chain)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair};

    use super::super::Standing;
    use super::*;
    use crate::app::signer::tests::load;
    use crate::clock::ManualClock;
    use crate::config;

    async fn found(config: &Config, at: &str) -> (Standing, String) {
        let clock: SharedClock = Arc::new(ManualClock::at(at.parse().unwrap()));
        let finding = signing(config, &clock).await.remove(0);
        (finding.standing, finding.message)
    }

    #[tokio::test]
    async fn a_certificate_is_told_in_its_last_month_and_after_its_end() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_after = rcgen::date_time_ymd(2090, 1, 31);
        let key = KeyPair::generate().unwrap();
        let (certificate, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let (_dir, config) = load(&format!(
            "[provenance]\ncertificate = '''{certificate}'''\nkey = '''{key}'''"
        ));
        for (at, standing, message) in [
            ("2089-12-31T00:00:00Z", Standing::Ok, "until 2090-01-31"),
            ("2090-01-02T00:00:00Z", Standing::Warn, "until 2090-01-31"),
            ("2090-01-30T23:59:59Z", Standing::Warn, "until 2090-01-31"),
            (
                "2090-01-31T00:00:00Z",
                Standing::Fail,
                "ended on 2090-01-31",
            ),
        ] {
            let (found, told) = found(&config, at).await;
            assert_eq!(found, standing, "{at}: {told}");
            assert!(told.contains(message), "{at}: {told}");
        }
    }

    #[tokio::test]
    async fn that_nobody_signs_is_told_where_somebody_should() {
        let at = "2026-11-28T00:00:00Z";
        let (_dir, mut config) = load("");
        config.ledger = config::Ledger::Firestore(config::Database {
            project: "p".to_owned(),
            name: "(default)".to_owned(),
            emulator: None,
        });
        let (standing, message) = found(&config, at).await;
        assert_eq!(standing, Standing::Warn, "{message}");
        assert!(message.contains("there is no key"), "{message}");
        config.provenance.sign = false;
        let (standing, message) = found(&config, at).await;
        assert_eq!(standing, Standing::Ok, "{message}");
    }
}
