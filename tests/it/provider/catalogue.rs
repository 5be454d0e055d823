//! The provider's own list of its models: read within limits, laid beside the table, and asked
//! before something is paid for.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{ManualClock, Timestamp};
use filmlab::job::{Kind, Params, Resolution};
use filmlab::provider::wavespeed::{CatalogueUse, Comparison, Difference, WaveSpeed};
use filmlab::provider::{Provider as _, ProviderError, SubmitError};
use filmlab::sandbox::{Drift, Drifts, SandboxConfig, SandboxHandle};
use serde_json::{Value, json as value};

use super::stub::{Reply, Stub, json, reply};
use super::{character_replace, client, config, extend, upscale, url};
use crate::sandbox::start;

const ANIMATE: &str = "wavespeed-ai/wan-2.2/animate";
const EXTEND: &str = "wavespeed-ai/minimax-h3/video-extend";
const UPSCALE: &str = "wavespeed-ai/video-upscaler";

async fn compared(sandbox: &SandboxHandle) -> Comparison {
    let wavespeed = client(&sandbox.base_url());
    let catalogue = wavespeed.read_catalogue().await.expect("a catalogue");
    wavespeed.compare(&catalogue)
}

async fn drifted(drifts: Vec<Drift>) -> SandboxHandle {
    start(SandboxConfig {
        drifts: Drifts(drifts),
        ..SandboxConfig::default()
    })
    .await
}

/// The sandbox knows the models from their documentation, and shares nothing with the client.
#[tokio::test]
async fn the_table_says_what_the_catalogue_says() {
    let sandbox = start(SandboxConfig::default()).await;
    let found = compared(&sandbox).await;
    let differing: Vec<_> = found.differing().collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(found.models.len(), 26);
    assert_eq!((found.listed, found.skipped), (27, 0));
    // Every price is known, and is that of the table where that has one.
    for model in &found.models {
        assert_eq!(model.price_unknown, None, "{model:?}");
        assert!(!model.prices.is_empty(), "{model:?}");
    }
    let unlisted: Vec<_> = found.unlisted.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(unlisted, ["sandbox/segment-extend"]);
}

/// Two ways to say one price.
#[tokio::test]
async fn a_formula_gives_the_price_that_is_asked_for() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    let found = compared(&sandbox).await;
    let of = |id: &str, size| {
        let model = found.models.iter().find(|one| one.id == id);
        model.expect("a row").prices[&size]
    };
    // Not to be read there: five seconds are quoted.
    let video = url("http://192.168.0.1/v.mp4");
    let mut extension = extend(video.clone());
    if let Params::Extend(params) = &mut extension.params {
        params.seconds = 5;
    }
    for (submission, size) in [
        (extension, Resolution::P768),
        (upscale(video.clone()), Resolution::P720),
        (character_replace(video.clone(), video), Resolution::P720),
    ] {
        let asked = wavespeed.price(&submission).await.expect("a price");
        let by_formula = of(&submission.model, size);
        assert!((asked.amount - by_formula).abs() < 1e-9, "{submission:?}");
    }
}

#[tokio::test]
async fn each_drift_is_named() {
    let narrower =
        |parameter: &str, choices: Option<Vec<Value>>, maximum: Option<i64>| Drift::Narrower {
            model: EXTEND.into(),
            parameter: parameter.into(),
            choices,
            minimum: None,
            maximum,
        };
    let (model, parameter) = (ANIMATE.to_owned(), "licence".to_owned());
    let table = [
        (
            Drift::Gone {
                model: model.clone(),
            },
            (ANIMATE, vec![Difference::Gone]),
        ),
        (
            Drift::Dropped {
                model: model.clone(),
                parameter: "mode".into(),
            },
            (
                ANIMATE,
                vec![Difference::Unknown {
                    parameter: "mode".into(),
                }],
            ),
        ),
        (
            Drift::Required {
                model: model.clone(),
                parameter: parameter.clone(),
            },
            (ANIMATE, vec![Difference::Required { parameter }]),
        ),
        // A prompt may be left out of a job.
        (
            Drift::Required {
                model: model.clone(),
                parameter: "prompt".into(),
            },
            (
                ANIMATE,
                vec![Difference::Required {
                    parameter: "prompt".into(),
                }],
            ),
        ),
        (
            narrower(
                "resolution",
                Some(vec![value!("480p"), value!("768p")]),
                None,
            ),
            (
                EXTEND,
                vec![Difference::Narrower {
                    parameter: "resolution".into(),
                    refused: vec!["540p".into(), "1080p".into()],
                    takes: "480p, 768p".into(),
                }],
            ),
        ),
        (
            narrower("duration", None, Some(13)),
            (
                EXTEND,
                vec![Difference::Narrower {
                    parameter: "duration".into(),
                    refused: vec!["14".into(), "15".into()],
                    takes: "3 to 13".into(),
                }],
            ),
        ),
        (
            Drift::Price {
                model,
                factor: 1.25,
            },
            (
                ANIMATE,
                [(Resolution::P480, 0.2, 0.25), (Resolution::P720, 0.4, 0.5)]
                    .map(|(resolution, listed, live)| Difference::Price {
                        resolution,
                        listed,
                        live,
                    })
                    .into(),
            ),
        ),
    ];
    for (drift, (id, expected)) in table {
        let found = compared(&drifted(vec![drift.clone()]).await).await;
        let differing: Vec<_> = found.differing().collect();
        assert_eq!(differing.len(), 1, "{drift:?}: {differing:#?}");
        assert_eq!(differing[0].id, id);
        assert_eq!(differing[0].told(), told(&expected), "{drift:?}");
        assert!(found.summary().contains(id), "{}", found.summary());
    }
}

fn told(differences: &[Difference]) -> String {
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    told.join("; ")
}

#[tokio::test]
async fn new_models_of_our_kinds_are_named_and_are_no_difference() {
    let new = |model: &str, like: &str| Drift::New {
        model: model.into(),
        like: like.into(),
    };
    let sandbox = drifted(vec![
        new("acme/h4/video-extend", EXTEND),
        new("acme/swap", ANIMATE),
        new("acme/upscaler", UPSCALE),
        // Retired here, and known not to be offered: nobody has to be told of these.
        new("runwayml/upscale-v1", UPSCALE),
        new("google/veo3.1/video-extend", EXTEND),
        // Not one of our kinds.
        new("acme/colours", UPSCALE),
    ])
    .await;
    let found = compared(&sandbox).await;
    let unlisted: Vec<_> = found
        .unlisted
        .iter()
        .map(|one| (one.kind, one.id.as_str()))
        .collect();
    assert_eq!(
        unlisted,
        [
            (Kind::CharacterReplace, "acme/swap"),
            (Kind::Extend, "acme/h4/video-extend"),
            (Kind::Extend, "sandbox/segment-extend"),
            (Kind::Upscale, "acme/upscaler"),
        ]
    );
    assert_eq!(found.differing().count(), 0);
}

/// A price that cannot be reckoned is unknown; the rest is compared all the same.
#[tokio::test]
async fn a_formula_that_is_not_understood_gives_no_price() {
    for formula in [
        "($x := base_price; $x)".to_owned(),
        "($f := function(){ $f() }; $f())".to_owned(),
        "[1..1000000000]".to_owned(),
        format!("{}1{}", "(".repeat(2000), ")".repeat(2000)),
        format!("1{}", "+1".repeat(5000)),
        "9".repeat(20_000),
        "base_price / 0".to_owned(),
        String::new(),
    ] {
        let model = UPSCALE.to_owned();
        let sandbox = drifted(vec![Drift::Formula { model, formula }]).await;
        let found = compared(&sandbox).await;
        let row = found.models.iter().find(|one| one.id == UPSCALE);
        let row = row.expect("a row");
        assert!(
            row.price_unknown.is_some() && row.prices.is_empty(),
            "{row:?}"
        );
        assert_eq!(found.differing().count(), 0);
    }
}

fn entry(id: &str) -> Value {
    value!({"model_id": id, "base_price": 0.1, "formula": "{\"total_price\": base_price}",
        "api_schema": {"api_schemas": [{"request_schema":
            {"properties": {"video": {"type": "string"}}, "required": ["video"]}}]}})
}

fn list(models: &Value) -> String {
    value!({"code": 200, "message": "success", "data": models}).to_string()
}

#[tokio::test]
async fn odd_entries_are_passed_over_and_the_rest_is_read() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = "x".repeat(300 * 1024);
    let odd = [
        "null",
        "7",
        "[]",
        "{}",
        r#"{"model_id": 7}"#,
        &format!(r#"{{"model_id": "{}"}}"#, "x".repeat(201)),
        &format!(r#"{{"model_id": "deep", "api_schema": {deep}}}"#),
        &format!(r#"{{"model_id": "long", "description": "{long}"}}"#),
    ];
    let odd_schema = r#"{"model_id": "odd", "base_price": "much", "formula": {}, "type": 3,
        "api_schema": {"api_schemas": [7, {"request_schema": {"properties": [], "required": 3}}]}}"#;
    let good = entry("good").to_string();
    for (head, tail) in [(r#"{"code":200,"data":["#, "]}"), (" [", "]")] {
        let body = format!("{head}{},{odd_schema},{good},{good}{tail}", odd.join(","));
        let stub = Stub::start(vec![json(200, &body)]).await;
        let wavespeed = client(&stub.base);
        let catalogue = wavespeed.read_catalogue().await.expect("a catalogue");
        assert_eq!(catalogue.len(), 2, "{catalogue:?}");
        // A second one of the same name counts too.
        assert_eq!(wavespeed.compare(&catalogue).skipped, odd.len() + 1);
    }
}

/// A schema that is larger than any, or of odd types, is read as far as it goes.
#[tokio::test]
async fn a_schema_is_read_within_limits() {
    let mut model = entry(UPSCALE);
    model["formula"] = value!(null);
    let schema = &mut model["api_schema"]["api_schemas"][0]["request_schema"];
    for number in 0..5000 {
        schema["properties"][format!("z{number:05}")] = value!({"enum": vec![number; 3]});
    }
    schema["properties"]["target_resolution"] = value!({"type": ["string", 7, {}], "minimum": "low",
        "enum": [[], {}, "720p", "1080p", "2k", "4k"], "pattern": "(((((a*)*)*)*)*)*b", "$ref": "#"});
    schema["required"] = value!([7, {}, "x".repeat(200), "video"]);
    let stub = Stub::start(vec![json(200, &list(&value!([model])))]).await;
    let wavespeed = client(&stub.base);
    let catalogue = wavespeed.read_catalogue().await.expect("a catalogue");
    let found = wavespeed.compare(&catalogue);
    let row = found.models.iter().find(|one| one.id == UPSCALE);
    assert_eq!(row.expect("a row").differences, [], "{row:?}");
}

#[tokio::test]
async fn what_is_no_catalogue_is_an_error_of_its_kind() {
    let many = vec![value!({}); 20_001];
    let table = [
        (json(200, "<html>"), "protocol"),
        (json(200, ""), "protocol"),
        (json(200, "null"), "protocol"),
        (json(200, r#"{"data": {"models": []}}"#), "protocol"),
        (json(200, &list(&value!([]))), "protocol"),
        (json(200, &list(&value!([{}, 7]))), "protocol"),
        (json(200, &list(&value!(many))), "protocol"),
        (json(200, &"[".repeat(1_000_000)), "protocol"),
        (
            json(200, &format!("[{}]", " ".repeat(17 << 20))),
            "protocol",
        ),
        (
            json(200, r#"{"code": 500, "message": "no"}"#),
            "unavailable",
        ),
        (
            json(200, r#"{"code": 401, "message": "no"}"#),
            "unauthorized",
        ),
        (json(401, "{}"), "unauthorized"),
        (json(404, "{}"), "unavailable"),
        (json(500, &"x".repeat(1 << 20)), "unavailable"),
        (
            reply(302, "location: http://127.0.0.1:1/\r\n", ""),
            "protocol",
        ),
        (Reply::Drop, "unavailable"),
        (Reply::Silence(Duration::from_secs(60)), "unavailable"),
    ];
    for (reply, expected) in table {
        let stub = Stub::start(vec![reply.clone()]).await;
        let mut config = config(&stub.base);
        config.get_timeout = Duration::from_secs(5);
        if matches!(reply, Reply::Silence(_)) {
            config.get_timeout = Duration::from_millis(50);
        }
        let wavespeed = WaveSpeed::new(config).expect("valid settings");
        let found = match wavespeed.read_catalogue().await {
            Ok(_) => "a catalogue",
            Err(ProviderError::Protocol { .. }) => "protocol",
            Err(ProviderError::Unavailable { .. }) => "unavailable",
            Err(ProviderError::Unauthorized { .. }) => "unauthorized",
            Err(_) => "another error",
        };
        let shown = format!("{reply:?}");
        assert_eq!(found, expected, "{}", &shown[..shown.len().min(200)]);
    }
}

/// A server that is busy for a moment is asked again; the key goes along, and nothing is posted.
#[tokio::test]
async fn the_catalogue_is_asked_for_again_where_that_may_help() {
    let good = json(200, &list(&value!([entry("good")])));
    let stub = Stub::start(vec![json(503, ""), Reply::Drop, good]).await;
    let catalogue = client(&stub.base).read_catalogue().await;
    assert_eq!(catalogue.expect("a catalogue").len(), 1);
    let seen = stub.seen();
    assert_eq!(seen.len(), 3);
    for request in seen {
        assert!(
            request.starts_with("GET /api/v3/models HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request
                .to_ascii_lowercase()
                .contains("authorization: bearer sandbox")
        );
    }
}

fn with(base: &url::Url, catalogue: CatalogueUse, clock: &ManualClock) -> WaveSpeed {
    let mut config = config(base);
    config.catalogue = catalogue;
    config.clock = Arc::new(clock.clone());
    WaveSpeed::new(config).expect("valid settings")
}

fn narrow() -> Drift {
    Drift::Narrower {
        model: UPSCALE.into(),
        parameter: "target_resolution".into(),
        choices: Some(vec![value!("1080p")]),
        minimum: None,
        maximum: None,
    }
}

#[tokio::test]
async fn what_the_catalogue_refuses_is_not_sent_where_that_is_enforced() {
    let sandbox = drifted(vec![narrow()]).await;
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let video = url("https://files.example/v.mp4");
    let enforcing = with(&sandbox.base_url(), CatalogueUse::Enforce, &clock);
    let submissions = |sandbox: &SandboxHandle| {
        let posts = sandbox.requests().into_iter();
        posts.filter(|request| request.method == "POST").count()
    };

    // Until it is read, the table alone applies: the provider itself refuses.
    let refused = enforcing.submit(&upscale(video.clone())).await;
    assert!(
        matches!(refused, Err(SubmitError::Rejected { .. })),
        "{refused:?}"
    );
    assert_eq!(submissions(&sandbox), 1);

    enforcing.read_catalogue().await.expect("a catalogue");
    let refused = enforcing.submit(&upscale(video.clone())).await;
    let Err(SubmitError::ModelChanged { message }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(message, "target_resolution is 720p, and takes 1080p");
    assert_eq!(submissions(&sandbox), 1, "nothing was sent");
    // Others go through.
    let other = extend(video.clone());
    assert!(enforcing.submit(&other).await.is_ok());

    // As does everything with the other settings, and once the catalogue is a day old.
    for (catalogue, age) in [
        (CatalogueUse::Warn, Duration::ZERO),
        (CatalogueUse::Off, Duration::ZERO),
        (CatalogueUse::Enforce, Duration::from_secs(24 * 3600 + 1)),
    ] {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let wavespeed = with(&sandbox.base_url(), catalogue, &clock);
        wavespeed.read_catalogue().await.expect("a catalogue");
        clock.advance(age);
        let refused = wavespeed.submit(&upscale(video.clone())).await;
        assert!(
            matches!(refused, Err(SubmitError::Rejected { .. })),
            "{catalogue:?}: {refused:?}"
        );
    }

    // What was read before stays while a read fails.
    clock.advance(Duration::from_secs(23 * 3600));
    sandbox.set_drifts(Drifts(vec![narrow(), Drift::Unreachable]));
    enforcing.read_catalogue().await.expect_err("unreachable");
    let refused = enforcing.submit(&upscale(video)).await;
    assert!(
        matches!(refused, Err(SubmitError::ModelChanged { .. })),
        "{refused:?}"
    );
}
