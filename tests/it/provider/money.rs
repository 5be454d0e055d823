//! A submission is sent once, and what its answer means is known or said to be unknown.

use std::time::Duration;

use filmlab::provider::wavespeed::WaveSpeed;
use filmlab::provider::{Provider, ProviderError, SubmitError};
use filmlab::sandbox::{Fault, FaultRule, SandboxConfig};

use super::stub::{Reply, Stub, json, reply};
use super::{client, config, upscale, url};
use crate::sandbox::start;

fn kind(result: &Result<String, SubmitError>) -> &'static str {
    match result {
        Ok(_) => "taken",
        Err(SubmitError::Rejected { .. }) => "rejected",
        Err(SubmitError::ContentRefused { .. }) => "content",
        Err(SubmitError::Unauthorized { .. }) => "unauthorized",
        Err(SubmitError::NoFunds { .. }) => "no funds",
        Err(SubmitError::UnknownModel { .. }) => "unknown model",
        Err(SubmitError::Busy { .. }) => "busy",
        Err(SubmitError::NotSent { .. }) => "not sent",
        Err(SubmitError::Redirected { .. }) => "redirected",
        Err(SubmitError::ModelChanged { .. }) => "model changed",
        Err(SubmitError::Ambiguous { .. }) => "ambiguous",
    }
}

const ID: &str = "e6832d4abffb4d79bfbca19783fca133";

#[tokio::test]
async fn every_answer_is_classified_and_the_post_goes_out_once() {
    let taken = format!(r#"{{"code":200,"data":{{"id":"{ID}"}}}}"#);
    let huge = format!(
        r#"{{"data":{{"id":"{ID}","x":"{}"}}}}"#,
        "x".repeat(1 << 20)
    );
    let broken = format!("HTTP/1.1 200 X\r\ncontent-length: 999\r\n\r\n{taken}");
    let table = [
        (json(200, &taken), "taken"),
        (json(400, r#"{"code":400,"message":"bad"}"#), "rejected"),
        (json(413, "{}"), "rejected"),
        (json(422, "{}"), "rejected"),
        (json(401, "{}"), "unauthorized"),
        (json(403, "{}"), "unauthorized"),
        (json(402, "{}"), "no funds"),
        (json(400, r#"{"code":1407}"#), "no funds"),
        (json(404, "{}"), "unknown model"),
        (json(429, "{}"), "busy"),
        (
            json(
                403,
                r#"{"message":"You have reached your concurrency limit"}"#,
            ),
            "busy",
        ),
        (json(200, r#"{"code":1200,"message":"no"}"#), "content"),
        (json(200, r#"{"code":5000,"message":"?"}"#), "ambiguous"),
        (json(500, "{}"), "ambiguous"),
        (reply(502, "", "<html>"), "ambiguous"),
        (json(503, "{}"), "ambiguous"),
        (reply(504, "retry-after: 0\r\n", ""), "ambiguous"),
        (reply(200, "", "<html>"), "ambiguous"),
        (json(200, "{}"), "ambiguous"),
        (json(200, &huge), "ambiguous"),
        (Reply::Bytes(broken), "ambiguous"),
        (Reply::Bytes("no http at all".into()), "ambiguous"),
        (Reply::Drop, "ambiguous"),
        (Reply::Silence(Duration::from_secs(5)), "ambiguous"),
        // A refusal whose body breaks off is a refusal.
        (
            Reply::Bytes("HTTP/1.1 400 X\r\ncontent-length: 999\r\n\r\n{".into()),
            "rejected",
        ),
    ];
    for (answer, expected) in table {
        let stub = Stub::start(vec![answer.clone()]).await;
        let mut config = config(&stub.base);
        config.submit_timeout = Duration::from_millis(100);
        let wavespeed = WaveSpeed::new(config).expect("valid");
        let result = wavespeed
            .submit(&upscale(url("https://a.example/v.mp4")))
            .await;
        assert_eq!(kind(&result), expected, "{answer:?} gave {result:?}");
        let seen = stub.seen();
        assert_eq!(seen.len(), 1, "{answer:?}: sent {} times", seen.len());
        assert!(
            seen[0].starts_with("POST /api/v3/wavespeed-ai/video-upscaler HTTP/1.1\r\n"),
            "{}",
            seen[0]
        );
    }
}

#[tokio::test]
async fn what_was_never_sent_is_known_not_to_be() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = url(&format!(
        "http://{}",
        listener.local_addr().expect("address")
    ));
    drop(listener);
    let result = client(&base)
        .submit(&upscale(url("https://a.example/v.mp4")))
        .await;
    assert_eq!(kind(&result), "not sent", "{result:?}");
    // No such host (RFC 6761).
    let result = client(&url("http://nowhere.invalid"))
        .submit(&upscale(url("https://a.example/v.mp4")))
        .await;
    assert_eq!(kind(&result), "not sent", "{result:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays_here() {
    let other = Stub::start(vec![json(200, r#"{"data":{"id":"stolen"}}"#)]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}steal\r\n", other.base);
        let stub = Stub::start(vec![reply(status, &location, "")]).await;
        let wavespeed = client(&stub.base);
        let result = wavespeed
            .submit(&upscale(url("https://a.example/v.mp4")))
            .await;
        // See Other follows what was carried out; the rest asks to send it elsewhere.
        let expected = if status == 303 {
            "ambiguous"
        } else {
            "redirected"
        };
        assert_eq!(kind(&result), expected, "{status}");
        assert!(wavespeed.prediction(ID).await.is_err());
        assert!(wavespeed.balance().await.is_err());
        assert_eq!(stub.seen().len(), 3);
    }
    assert_eq!(other.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn busy_says_for_how_long() {
    let stub = Stub::start(vec![reply(429, "retry-after: 65\r\n", "{}")]).await;
    let wavespeed = client(&stub.base);
    let result = wavespeed
        .submit(&upscale(url("https://a.example/v.mp4")))
        .await;
    assert!(
        matches!(&result, Err(SubmitError::Busy { retry_after, .. })
            if *retry_after == Some(Duration::from_secs(65))),
        "{result:?}"
    );
    // Longer than a visit should wait: said at once, not slept through.
    let asked = wavespeed.prediction(ID).await;
    assert!(
        matches!(&asked, Err(ProviderError::Busy { retry_after, .. })
            if *retry_after == Some(Duration::from_secs(65))),
        "{asked:?}"
    );
    assert_eq!(stub.seen().len(), 2);
}

#[tokio::test]
async fn questions_are_repeated_until_they_are_answered_or_enough() {
    let done = format!(r#"{{"data":{{"id":"{ID}","status":"processing"}}}}"#);
    let stub = Stub::start(vec![
        json(503, "{}"),
        reply(429, "retry-after: 0\r\n", ""),
        Reply::Drop,
        json(200, &done),
    ])
    .await;
    client(&stub.base).prediction(ID).await.expect("the fourth");
    assert_eq!(stub.seen().len(), 4);
    assert!(stub.seen()[0].contains(&format!("GET /api/v3/predictions/{ID}/result ")));

    let stub = Stub::start(vec![json(500, "{}")]).await;
    let asked = client(&stub.base).prediction(ID).await;
    assert!(
        matches!(asked, Err(ProviderError::Unavailable { .. })),
        "{asked:?}"
    );
    assert_eq!(stub.seen().len(), 4, "one try and three retries");

    for status in [400, 401, 404, 501] {
        let stub = Stub::start(vec![json(status, "{}")]).await;
        assert!(client(&stub.base).prediction(ID).await.is_err());
        assert_eq!(stub.seen().len(), 1, "{status} does not pass");
    }
}

#[tokio::test]
async fn a_wait_asked_for_is_kept() {
    let done = format!(r#"{{"data":{{"id":"{ID}","status":"processing"}}}}"#);
    let stub = Stub::start(vec![reply(503, "retry-after: 1\r\n", ""), json(200, &done)]).await;
    let began = std::time::Instant::now();
    client(&stub.base).prediction(ID).await.expect("answered");
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn an_answer_about_another_prediction_is_not_believed() {
    let stub = Stub::start(vec![json(
        200,
        r#"{"data":{"id":"other","status":"completed","outputs":["https://a.example/1.mp4"]}}"#,
    )])
    .await;
    let asked = client(&stub.base).prediction(ID).await;
    assert!(
        matches!(asked, Err(ProviderError::Protocol { .. })),
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_sandbox_s_refusals_are_understood() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    let table = [
        (Fault::TooManyRequests { retry_after: None }, "busy"),
        (Fault::Unauthorized, "unauthorized"),
        (Fault::NoFunds, "no funds"),
        (
            Fault::Reject {
                code: 1401,
                message: "no".into(),
            },
            "rejected",
        ),
        (Fault::UnknownModel, "unknown model"),
        (Fault::RefuseContent, "content"),
        (
            Fault::EnvelopeError {
                code: 1400,
                message: "no".into(),
            },
            "rejected",
        ),
        (
            Fault::Redirect {
                to: "http://127.0.0.1:9/".into(),
            },
            "redirected",
        ),
    ];
    for (fault, expected) in table {
        sandbox.add_fault(FaultRule::once(fault.clone()));
        let result = wavespeed
            .submit(&upscale(url("https://a.example/v.mp4")))
            .await;
        assert_eq!(kind(&result), expected, "{fault:?}");
    }
    assert_eq!(sandbox.submissions(), [], "nothing was taken");
}

#[tokio::test]
async fn a_lost_answer_is_a_doubt_and_the_submission_is_there() {
    for fault in [
        Fault::AnswerLost,
        Fault::AcceptedThen5xx { status: 504 },
        Fault::GarbageAnswer,
        Fault::AnswerLate { ms: 300 },
    ] {
        let sandbox = start(SandboxConfig::default()).await;
        let mut config = config(&sandbox.base_url());
        config.submit_timeout = Duration::from_millis(150);
        let wavespeed = WaveSpeed::new(config).expect("valid");
        sandbox.add_fault(FaultRule::once(fault.clone()));
        let result = wavespeed
            .submit(&upscale(url("https://a.example/v.mp4")))
            .await;
        assert_eq!(kind(&result), "ambiguous", "{fault:?}: {result:?}");
        let submissions = sandbox.submissions();
        assert_eq!(submissions.len(), 1, "{fault:?}");
        // It goes on there, as if nothing had happened.
        let info = wavespeed.prediction(&submissions[0].prediction_id).await;
        assert_eq!(info.expect("known").model, "wavespeed-ai/video-upscaler");
    }
}

#[test]
fn settings_are_checked_all_at_once_and_the_key_is_hidden() {
    let mut bad = config(&url("ftp://a.example"));
    bad.api_key = filmlab::provider::wavespeed::Secret::new("line\nbreak");
    bad.submit_timeout = Duration::ZERO;
    bad.callback.public_url = Some(url("https://worker.example"));
    let error = WaveSpeed::new(bad).expect_err("four faults");
    let fields: Vec<_> = error
        .faults
        .iter()
        .map(|fault| fault.field.as_str())
        .collect();
    assert_eq!(
        fields,
        ["base_url", "api_key", "submit_timeout", "callback.secret"]
    );

    let good = client(&url("https://api.wavespeed.ai"));
    assert!(!format!("{good:?}").contains("sandbox"), "{good:?}");
}
