//! What a service learns of the signatures on the provider's callbacks.

use std::time::Duration;

use filmlab::provider::Signature;
use filmlab::sandbox::{Fault, FaultRule, Faults, SandboxConfig};

use super::lab::Lab;

/// The secret is asked for in the background; what verifies is counted, and left where another
/// process finds it.
#[tokio::test]
async fn the_form_of_the_secret_that_verified_is_noted() {
    for (faults, expected) in [
        (vec![], Signature::Stripped),
        (
            vec![FaultRule::always(Fault::WebhookBadSignature)],
            Signature::Wrong,
        ),
    ] {
        let Some(lab) = Lab::new(SandboxConfig {
            faults: Faults(faults),
            ..SandboxConfig::default()
        })
        .await
        else {
            return;
        };
        let service = lab.start().await;
        let learnt = || {
            let requests = lab.sandbox.requests();
            requests
                .iter()
                .any(|one| one.path == "/api/v3/webhook/secret")
        };
        for _ in 0..200 {
            if learnt() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The answer still has to be read there.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let id = lab.create(&service).await;
        lab.assert_completed_once(&service, &id).await;
        let noted = async {
            loop {
                let marks = service.ledger.marks().await.unwrap();
                if let Some(found) = marks.iter().find_map(|name| Signature::of_mark(name)) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let noted = tokio::time::timeout(Duration::from_secs(20), noted).await;
        assert_eq!(noted.expect("a mark"), expected);
        let address = format!("http://{}/metrics", service.address);
        let answer = lab.http.get(&address).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let series = format!(
            "filmlab_callbacks_total{{signature=\"{}\"}}",
            expected.as_str()
        );
        assert!(text.contains(&series), "{text}");
        service.stop().await;
    }
}
