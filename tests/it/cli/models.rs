//! `filmlab models`: the table, and beside it what the provider says.

use filmlab::sandbox::{Drift, Drifts, SandboxConfig, SandboxHandle};
use serde_json::Value;

use super::{Ran, Workdir};
use crate::sandbox::start;

async fn models(sandbox: &SandboxHandle, key: &str, args: &'static [&'static str]) -> Ran {
    let place = Workdir::new();
    let text = format!(
        "[provider]\nbase_url = \"{}\"\napi_key = \"{key}\"\n",
        sandbox.base_url()
    );
    std::fs::write(place.path("filmlab.toml"), text).unwrap();
    let run = move || place.run(args);
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_exit_status_says_whether_the_catalogue_differs() {
    let live = &["models", "--live"];
    let sandbox = start(SandboxConfig::default()).await;
    let ran = models(&sandbox, "sandbox", live).await;
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.contains("sandbox/segment-extend"), "{ran:?}");

    let gone = "wavespeed-ai/ltx-2/video-extend".to_owned();
    sandbox.set_drifts(Drifts(vec![Drift::Gone { model: gone }]));
    let ran = models(&sandbox, "sandbox", live).await;
    assert_eq!(ran.status, Some(70), "{ran:?}");
    assert!(
        ran.err.contains("model_changed") && ran.err.contains("1 of 26"),
        "{ran:?}"
    );
    let upscalers = &["models", "--live", "--kind", "upscale"];
    assert_eq!(models(&sandbox, "sandbox", upscalers).await.status, Some(0));

    for (drift, code) in [
        (Drift::Unreachable, "provider_unavailable"),
        (Drift::Malformed, "provider_protocol"),
    ] {
        sandbox.set_drifts(Drifts(vec![drift]));
        let ran = models(&sandbox, "sandbox", live).await;
        assert_eq!((ran.status, ran.out.as_str()), (Some(69), ""), "{ran:?}");
        assert!(ran.err.contains(code), "{ran:?}");
    }
    let ran = models(&sandbox, "wrong", live).await;
    assert!(ran.err.contains("provider_unauthorized"), "{ran:?}");
    // Without it, nobody is asked.
    let before = sandbox.requests().len();
    assert_eq!(models(&sandbox, "wrong", &["models"]).await.status, Some(0));
    assert_eq!(sandbox.requests().len(), before);
}

#[tokio::test]
async fn programs_read_what_people_see() {
    let sandbox = start(SandboxConfig {
        drifts: Drifts(vec![
            Drift::Price {
                model: "wavespeed-ai/flashvsr".into(),
                factor: 2.0,
            },
            Drift::Formula {
                model: "wavespeed-ai/seedvr2/video".into(),
                formula: "($x := 1; $x)".into(),
            },
        ]),
        ..SandboxConfig::default()
    })
    .await;
    let args = &["models", "--live", "--json", "--kind", "upscale"];
    let ran = models(&sandbox, "sandbox", args).await;
    assert_eq!(ran.status, Some(70), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let rows = told["models"].as_array().unwrap();
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
    assert_eq!(rows.len(), 7);
    let differences = row("wavespeed-ai/flashvsr")["differences"]
        .as_array()
        .unwrap();
    assert_eq!(differences.len(), 4);
    assert_eq!(differences[0]["difference"], "price");
    assert_eq!(differences[0]["resolution"], "720p");
    assert_eq!(
        row("wavespeed-ai/seedvr2/video")["price_unknown"],
        "it has variables"
    );
    assert_eq!(told["listed"], 27);
}

#[test]
fn the_table_says_which_model_is_asked_next() {
    let place = Workdir::new();
    let text = "[provider.models.upscale]\nfallback = [\"wavespeed-ai/flashvsr\", \"bytedance/video-upscaler\"]\n";
    std::fs::write(place.path("filmlab.toml"), text).unwrap();
    let ran = place.run(["models", "--kind", "upscale"]);
    let line = |id: &str| ran.out.lines().find(|line| line.contains(id)).unwrap();
    assert!(
        line("wavespeed-ai/video-upscaler ").contains(" yes "),
        "{ran:?}"
    );
    assert!(
        line("wavespeed-ai/flashvsr").contains(" fallback 1 "),
        "{ran:?}"
    );
    assert!(
        line("bytedance/video-upscaler").contains(" fallback 2 "),
        "{ran:?}"
    );
    let ran = place.run(["models", "--kind", "upscale", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let places: Vec<_> = told["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["fallback"])
        .collect();
    assert_eq!(
        places.iter().filter(|place| !place.is_null()).count(),
        2,
        "{told}"
    );
}
