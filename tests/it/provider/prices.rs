//! What a run would cost, and what the account has.

use filmlab::provider::{Price, Provider, ProviderError};
use filmlab::sandbox::SandboxConfig;

use super::stub::{Reply, Stub, json};
use super::{client, extend, fixture, upscale, url};
use crate::sandbox::start;

fn quoted(amount: f64, is_floor: bool) -> Price {
    Price {
        amount,
        currency: "USD".into(),
        is_floor,
    }
}

#[tokio::test]
async fn a_price_follows_the_inputs_and_nothing_is_made() {
    let sandbox = start(SandboxConfig {
        balance: 12.5,
        ..SandboxConfig::default()
    })
    .await;
    let wavespeed = client(&sandbox.base_url());
    let clip = fixture("bigbuckbunny.mp4");
    let video = wavespeed
        .upload(&clip, "video/mp4")
        .await
        .expect("uploaded");

    let mut longer = extend(video.clone());
    let price = wavespeed.price(&longer).await.expect("a price");
    assert_eq!(price, quoted(0.16, false), "four seconds are added");
    if let filmlab::job::Params::Extend(params) = &mut longer.params {
        params.seconds = 10;
    }
    assert_eq!(
        wavespeed.price(&longer).await.expect("a price"),
        quoted(0.4, false)
    );
    // The clip is longer than what is billed at least.
    let whole = wavespeed.price(&upscale(video)).await.expect("a price");
    let floor = wavespeed
        .price(&upscale(url("http://192.168.0.1/v.mp4")))
        .await
        .expect("a price");
    assert_eq!(floor, quoted(0.025, true), "not even asked about");
    assert!(whole.amount > floor.amount && !whole.is_floor, "{whole:?}");

    assert!(sandbox.submissions().is_empty());
    let balance = wavespeed.balance().await.expect("a balance");
    assert!((balance - 12.5).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_price_is_asked_for_with_the_whole_request() {
    let answer = r#"{"code":200,"data":{"model_id":"m","price":0.3,"discounted_price":0.27,
        "discount_rate":10,"currency":"EUR"}}"#;
    let stub = Stub::start(vec![json(200, answer)]).await;
    let price = client(&stub.base)
        .price(&upscale(url("https://a.example/v.mp4")))
        .await
        .expect("a price");
    let expected = Price {
        currency: "EUR".into(),
        ..quoted(0.27, false)
    };
    assert_eq!(price, expected);
    let seen = stub.seen();
    let (head, body) = seen[0].split_once("\r\n\r\n").expect("a request");
    assert!(head.starts_with("POST /api/v3/model/price HTTP/1.1\r\n"));
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        body,
        serde_json::json!({"model_id": "wavespeed-ai/video-upscaler", "inputs":
            {"video": "https://a.example/v.mp4", "target_resolution": "720p"}})
    );
}

#[tokio::test]
async fn the_secret_that_signs_callbacks_is_the_accounts() {
    let sandbox = start(SandboxConfig::default()).await;
    let secret = client(&sandbox.base_url()).webhook_secret().await;
    assert_eq!(secret.expect("a secret").expose(), "whsec_sandbox");
    for (reply, expected) in [
        (json(200, r#"{"data":{}}"#), "protocol"),
        (json(200, r#"{"data":{"secret":""}}"#), "protocol"),
        (json(403, "{}"), "unauthorized"),
    ] {
        let stub = Stub::start(vec![reply.clone()]).await;
        let got = match client(&stub.base).webhook_secret().await {
            Err(ProviderError::Protocol { .. }) => "protocol",
            Err(ProviderError::Unauthorized { .. }) => "unauthorized",
            _ => "another answer",
        };
        assert_eq!(got, expected, "{reply:?}");
    }
}

#[tokio::test]
async fn odd_answers_to_either_question_are_told_apart() {
    let price = r#"{"code":200,"data":{"price":"0.5","discounted_price":null}}"#;
    let balance = r#"{"data":{"balance":"3.5"}}"#;
    let table = [
        (vec![json(200, price)], "0.5", "protocol"),
        (vec![json(200, balance)], "protocol", "3.5"),
        (vec![json(200, r#"{"balance":3.5}"#)], "protocol", "3.5"),
        (
            vec![json(200, r#"{"data":{"price":-1}}"#)],
            "protocol",
            "protocol",
        ),
        (vec![json(200, r#"{"data":{}}"#)], "protocol", "protocol"),
        (vec![json(200, "<html>")], "protocol", "protocol"),
        (vec![json(401, "{}")], "unauthorized", "unauthorized"),
        (vec![json(404, "{}")], "unavailable", "unavailable"),
        (
            vec![json(404, r#"{"code":404,"message":"no"}"#)],
            "not found",
            "not found",
        ),
        (vec![json(429, "{}")], "busy", "busy"),
        (vec![json(503, "")], "unavailable", "unavailable"),
        (vec![Reply::Drop], "unavailable", "unavailable"),
    ];
    let name = |result: Result<f64, ProviderError>| match result {
        Ok(amount) => amount.to_string(),
        Err(ProviderError::Protocol { .. }) => "protocol".into(),
        Err(ProviderError::Unauthorized { .. }) => "unauthorized".into(),
        Err(ProviderError::NotFound { .. }) => "not found".into(),
        Err(ProviderError::Busy { .. }) => "busy".into(),
        Err(ProviderError::Unavailable { .. }) => "unavailable".into(),
        Err(error) => error.to_string(),
    };
    for (replies, price, balance) in table {
        let stub = Stub::start(replies.clone()).await;
        let wavespeed = client(&stub.base);
        let asked = wavespeed
            .price(&upscale(url("https://a.example/v.mp4")))
            .await;
        assert_eq!(name(asked.map(|price| price.amount)), price, "{replies:?}");
        assert_eq!(name(wavespeed.balance().await), balance, "{replies:?}");
    }
}
