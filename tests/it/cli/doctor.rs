//! `filmlab doctor`: everything that a service needs, and nothing left behind.

use filmlab::sandbox::{SandboxConfig, SandboxHandle};
use serde_json::Value;

use super::{Place, Ran};
use crate::sandbox::start;

/// Runs it against a sandbox, with these settings besides.
async fn doctor(
    sandbox: &SandboxHandle,
    place: Place,
    key: &'static str,
    toml: &str,
) -> (Place, Ran) {
    let text = format!(
        "[provider]\nbase_url = \"{}\"\napi_key = \"{key}\"\n{toml}",
        sandbox.base_url()
    );
    std::fs::write(place.path("filmlab.toml"), text).unwrap();
    let run = move || {
        let ran = place.run(["doctor", "--json"]);
        (place, ran)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn standing(ran: &Ran) -> Vec<(String, String)> {
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (text(&finding["name"]), text(&finding["standing"])))
        .collect()
}

fn of<'a>(found: &'a [(String, String)], name: &str) -> &'a str {
    let found = found.iter().find(|(known, _)| known == name);
    &found.unwrap_or_else(|| panic!("{name} is missing")).1
}

#[tokio::test]
async fn a_machine_that_is_ready_is_said_to_be_and_left_as_it_was() {
    let sandbox = start(SandboxConfig::default()).await;
    let (place, ran) = doctor(&sandbox, Place::new(), "sandbox", "").await;
    let found = standing(&ran);
    for name in [
        "settings",
        "libav",
        "provider",
        "models",
        "ledger",
        "ledger indexes",
        "queue",
        "storage",
        "notify",
    ] {
        assert_eq!(of(&found, name), "ok", "{ran:?}");
    }
    // How much room there is, is this machine's own affair.
    let room = of(&found, "disk");
    assert_eq!(
        ran.status,
        Some(if room == "fail" { 70 } else { 0 }),
        "{ran:?}"
    );
    assert_eq!(place.entries(), ["filmlab.toml"]);
    assert!(sandbox.submissions().is_empty());
    let ran = tokio::task::spawn_blocking(move || place.run(["doctor"]))
        .await
        .unwrap();
    assert!(
        ran.out
            .contains("the key is accepted, the balance is 100.00 USD"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_named_with_who_can_mend_it() {
    let sandbox = start(SandboxConfig {
        balance: 3.0,
        ..SandboxConfig::default()
    })
    .await;
    let low = "low_balance = 5.0\n[provider.models.upscale]\nid = \"no/such-model\"";
    let (_, ran) = doctor(&sandbox, Place::new(), "sandbox", low).await;
    let found = standing(&ran);
    assert_eq!(
        (of(&found, "provider"), of(&found, "models")),
        ("warn", "fail")
    );
    assert_eq!(ran.status, Some(70), "{ran:?}");
    assert!(
        ran.err.contains("not ready: ") && ran.err.contains("models"),
        "{ran:?}"
    );

    let (_, ran) = doctor(&sandbox, Place::new(), "wrong", "").await;
    assert_eq!(
        (of(&standing(&ran), "provider"), ran.status),
        ("fail", Some(70))
    );

    // Data that cannot be written: a file lies where the folder should be.
    let place = Place::new();
    std::fs::write(place.path("data"), "").unwrap();
    let data = "[data]\ndir = \"data/deep\"";
    let (place, ran) = doctor(&sandbox, place, "sandbox", data).await;
    assert_eq!(
        (of(&standing(&ran), "data"), ran.status),
        ("fail", Some(70))
    );
    assert_eq!(place.entries(), ["data", "filmlab.toml"]);
}

#[tokio::test]
async fn faulty_settings_are_told_all_at_once() {
    let sandbox = start(SandboxConfig::default()).await;
    let bad = "tier = \"wood\"\n[server]\nport = 1";
    let (_, ran) = doctor(&sandbox, Place::new(), "sandbox", bad).await;
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert!(
        ran.err.contains("provider.tier") && ran.err.contains("server.port"),
        "{ran:?}"
    );
}
