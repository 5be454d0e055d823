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
