//! `filmlab doctor`: everything that a service needs, and nothing left behind.

use filmlab::clock::{Clock as _, SystemClock};
use filmlab::ledger::Ledger as _;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::provider::Signature;
use filmlab::sandbox::{Drift, Drifts, SandboxConfig, SandboxHandle};
use serde_json::Value;

use super::{Ran, Workdir};
use crate::sandbox::start;

/// Runs it against a sandbox, with these settings besides.
async fn doctor(
    sandbox: &SandboxHandle,
    place: Workdir,
    key: &'static str,
    toml: &str,
) -> (Workdir, Ran) {
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
    let (place, ran) = doctor(&sandbox, Workdir::new(), "sandbox", "").await;
    let found = standing(&ran);
    for name in [
        "settings",
        "libav",
        "provider",
        "models",
        "ledger",
        "ledger indexes",
        "models at rest",
        "queue",
        "storage",
        "signing",
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
    let (_, ran) = doctor(&sandbox, Workdir::new(), "sandbox", low).await;
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

    let (_, ran) = doctor(&sandbox, Workdir::new(), "wrong", "").await;
    assert_eq!(
        (of(&standing(&ran), "provider"), ran.status),
        ("fail", Some(70))
    );

    // Data that cannot be written: a file lies where the folder should be.
    let place = Workdir::new();
    std::fs::write(place.path("data"), "").unwrap();
    let data = "[data]\ndir = \"data/deep\"";
    let (place, ran) = doctor(&sandbox, place, "sandbox", data).await;
    assert_eq!(
        (of(&standing(&ran), "data"), ran.status),
        ("fail", Some(70))
    );
    assert_eq!(place.entries(), ["data", "filmlab.toml"]);
}

/// What a service has left in the ledger says whether signatures can be enforced.
#[tokio::test]
async fn signatures_are_said_to_be_safe_to_enforce_once_enough_of_one_form_were_seen() {
    let sandbox = start(SandboxConfig::default()).await;
    type Seen = &'static [(Signature, usize)];
    let cases: [(Seen, &str, &str); 6] = [
        (&[], "no signature seen", "not safe yet"),
        (&[(Signature::Stripped, 3)], " stripped", "not safe yet"),
        (&[(Signature::Whole, 100)], " whole", "is safe"),
        // Before the secret was known.
        (
            &[(Signature::NoSecret, 100), (Signature::Decoded, 100)],
            " decoded",
            "is safe",
        ),
        (
            &[(Signature::Stripped, 100), (Signature::Wrong, 1)],
            "1 wrong",
            "not safe yet",
        ),
        (
            &[(Signature::Stripped, 100), (Signature::Whole, 100)],
            " whole",
            "not safe yet",
        ),
    ];
    for (seen, told, verdict) in cases {
        let place = Workdir::new();
        std::fs::create_dir(place.path("data")).unwrap();
        let ledger = SqliteLedger::open(place.path("data/filmlab.sqlite")).unwrap();
        let now = SystemClock.now();
        for (signature, jobs) in seen {
            for number in 0..*jobs {
                let job = format!("job-{number}").parse().unwrap();
                ledger.mark(&signature.mark(&job), now).await.unwrap();
            }
        }
        drop(ledger);
        let data = "[data]\ndir = \"data\"";
        let (_, ran) = doctor(&sandbox, place, "sandbox", data).await;
        let found: Value = serde_json::from_str(&ran.out).unwrap();
        let findings = found["findings"].as_array().unwrap();
        let finding = findings.iter().find(|one| one["name"] == "callbacks");
        let message = finding.unwrap()["message"].as_str().unwrap();
        assert!(
            message.contains(told) && message.contains(verdict),
            "{seen:?}: {message}"
        );
    }
}

#[tokio::test]
async fn a_catalogue_that_differs_is_told_and_fails_nothing() {
    for (drift, told) in [
        (
            Drift::Gone {
                model: "wavespeed-ai/ltx-2/video-extend".into(),
            },
            "differs for 1 of 26 models (none that is used here)",
        ),
        (Drift::Malformed, "not read"),
    ] {
        let sandbox = start(SandboxConfig {
            drifts: Drifts(vec![drift]),
            ..SandboxConfig::default()
        })
        .await;
        let (_, ran) = doctor(&sandbox, Workdir::new(), "sandbox", "").await;
        assert_eq!(of(&standing(&ran), "catalogue"), "warn");
        assert!(ran.out.contains(told), "{ran:?}");
        assert!(!ran.err.contains("catalogue"), "{ran:?}");
        let (_, ran) = doctor(&sandbox, Workdir::new(), "sandbox", "catalogue = \"off\"").await;
        assert_eq!(of(&standing(&ran), "catalogue"), "ok");
    }
}

#[tokio::test]
async fn faulty_settings_are_told_all_at_once() {
    let sandbox = start(SandboxConfig::default()).await;
    let bad = "tier = \"wood\"\n[server]\nport = 1";
    let (_, ran) = doctor(&sandbox, Workdir::new(), "sandbox", bad).await;
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert!(
        ran.err.contains("provider.tier") && ran.err.contains("server.port"),
        "{ran:?}"
    );
}
