//! Looks at the signatures of the callbacks that came in lately.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::app::adapters;
use crate::config::{Config, is_loopback};
use crate::provider::Signature;

const NAME: &str = "callbacks";
/// So many good ones of one form, of as many jobs, and no bad one: it is no accident.
const ENOUGH: usize = 10;

/// A service leaves a mark of each in the ledger, for a day. Nothing is said where none are asked
/// for.
pub(super) async fn callbacks(config: &Config) -> Vec<Finding> {
    let provider = &config.provider;
    let reachable = config.server.public_url.is_some() || is_loopback(&provider.base_url);
    if !provider.callbacks || !reachable {
        return Vec::new();
    }
    let marks = match adapters::ledger(config).await {
        Ok(ledger) => ledger.marks().await.map_err(|error| error.to_string()),
        Err(failure) => Err(failure.message),
    };
    let marks = match marks {
        Ok(marks) => marks,
        // The ledger's own look says what to do.
        Err(error) => return vec![Finding::ok(NAME, format!("not looked at: {error}"))],
    };
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut good = 0;
    let mut forms = 0;
    let mut bad = 0;
    let found: Vec<Signature> = marks
        .iter()
        .filter_map(|name| Signature::of_mark(name))
        .collect();
    for signature in &found {
        let number = seen.entry(signature.as_str()).or_default();
        *number += 1;
        match signature {
            one if one.is_valid() => {
                good += 1;
                forms += usize::from(*number == 1);
            }
            // Nothing was known to check it with.
            Signature::NoSecret => {}
            _ => bad += 1,
        }
    }
    let told: Vec<_> = seen
        .iter()
        .map(|(form, number)| format!("{number} {form}"))
        .collect();
    let told = if told.is_empty() {
        "no signature seen".to_owned()
    } else {
        format!("signatures: {}", told.join(", "))
    };
    let enforced = provider.enforce_signature;
    vec![match (enforced, bad) {
        (true, 0) => Finding::ok(NAME, format!("{told}, in a day; they are enforced")),
        (true, _) => Finding::warn(
            NAME,
            format!("{told}, in a day; the bad ones are refused"),
            "compare provider.webhook_secret with the provider's, or do not enforce signatures",
        ),
        (false, 0) if forms == 1 && good >= ENOUGH => Finding::ok(
            NAME,
            format!("{told}, in a day; provider.enforce_signature = true is safe"),
        ),
        (false, _) => Finding::ok(
            NAME,
            format!(
                "{told}, in a day; provider.enforce_signature is not safe yet: it needs {ENOUGH} \
                 of one form and none that is bad"
            ),
        ),
    }]
}
