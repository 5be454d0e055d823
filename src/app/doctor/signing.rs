//! Who signs for results, and for how long.

use super::finding::Finding;
use crate::app::signer::{self, Key};
use crate::clock::SharedClock;
use crate::config::Config;

const ADVICE: &str = "see the [provenance] settings";

/// Makes no key.
pub(super) async fn signing(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let key = signer::key(config);
    let finding = match &key {
        Key::Off => Finding::ok("signing", "results are not signed, as the settings say"),
        Key::None => Finding::warn(
            "signing",
            "results are not signed: there is no key, and none is made for each instance",
            "set provenance.certificate and provenance.key, or provenance.sign = false",
        ),
        Key::Own(file) if !file.exists() => Finding::ok(
            "signing",
            "the key of this machine is made at the first start",
        ),
        Key::Given | Key::Own(_) => {
            let (now, config, key) = (clock.now(), config.clone(), key.clone());
            let work = move || signer::signer(&config, &key, now);
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(Some(signer))) => {
                    let message = format!("with a certificate until {}", signer.until());
                    if signer::ends_soon(&signer, now) {
                        Finding::warn("signing", message, "renew the certificate")
                    } else {
                        Finding::ok("signing", message)
                    }
                }
                Ok(Ok(None)) => Finding::ok("signing", "results are not signed"),
                Ok(Err(failure)) => Finding::service("signing", failure.message, ADVICE),
                Err(error) => Finding::service("signing", error, ADVICE),
            }
        }
    };
    vec![finding]
}
