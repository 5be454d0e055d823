//! The client and the sandbox, end to end.

use std::time::Duration;

use filmlab::job::{JobId, Kind, Timestamp};
use filmlab::provider::wavespeed::{CallbackConfig, Callbacks, Secret, SignatureCheck, WaveSpeed};
use filmlab::provider::{
    CallbackError, CallbackGate, Prediction, Provider, ProviderError, SIGNATURE_MARKS, Signature,
    Submission,
};
use filmlab::sandbox::{Fault, FaultRule, SandboxConfig, SandboxHandle};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use url::Url;

use super::{DownloadTo as _, character_replace, client, extend, fixture, upscale, url};
use crate::sandbox::start;

/// Asks until it is no longer running.
pub(crate) async fn finished(wavespeed: &WaveSpeed, id: &str) -> Prediction {
    for _ in 0..2000 {
        match wavespeed.prediction(id).await.expect("an answer").state {
            Prediction::Running => tokio::time::sleep(Duration::from_millis(10)).await,
            state => return state,
        }
    }
    panic!("{id} is still running");
}

async fn uploaded(wavespeed: &WaveSpeed) -> Url {
    wavespeed
        .upload(&fixture("bigbuckbunny.mp4"), "video/mp4")
        .await
        .expect("uploaded")
}

#[tokio::test]
async fn each_kind_goes_through() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    wavespeed.balance().await.expect("it answers");
    let video = uploaded(&wavespeed).await;
    let image = wavespeed
        .upload(&fixture("character.png"), "image/png")
        .await
        .expect("uploaded");
    let folder = tempfile::tempdir().expect("folder");
    for submission in [
        upscale(video.clone()),
        extend(video.clone()),
        character_replace(video, image),
    ] {
        let kind = submission.params.kind();
        assert_eq!(wavespeed.model(kind).id, submission.model);
        let before = filmlab::clock::Clock::now(&filmlab::clock::SystemClock);
        let id = wavespeed.submit(&submission).await.expect("taken");
        let info = wavespeed.prediction(&id).await.expect("known");
        assert_eq!(info.model, submission.model);
        assert!(info.created_at.is_some_and(|at| at >= before));
        let Prediction::Completed { output } = finished(&wavespeed, &id).await else {
            panic!("{kind:?} did not complete");
        };
        let to = folder.path().join(kind.as_str());
        let bytes = wavespeed
            .download_to(&output, &to, 100_000_000)
            .await
            .expect("downloaded");
        assert_eq!(bytes, to.metadata().expect("file").len());
    }
    assert_eq!(sandbox.submissions().len(), 3);
}

/// Puts `fault` in force for one submission; gives how it ended.
async fn outcome(sandbox: &SandboxHandle, fault: Fault) -> Prediction {
    let wavespeed = client(&sandbox.base_url());
    let video = uploaded(&wavespeed).await;
    sandbox.add_fault(FaultRule::once(fault));
    let id = wavespeed.submit(&upscale(video)).await.expect("taken");
    finished(&wavespeed, &id).await
}

#[tokio::test]
async fn predictions_that_end_badly_say_how() {
    let sandbox = start(SandboxConfig::default()).await;
    let failed = |code| Fault::FailedPrediction {
        code,
        message: "why".into(),
    };
    let message = || "why".to_owned();
    for (fault, expected) in [
        (failed(1403), Prediction::Failed { message: message() }),
        (failed(5004), Prediction::Failed { message: message() }),
        (failed(1401), Prediction::Rejected { message: message() }),
        (
            failed(1402),
            Prediction::InputUnreachable { message: message() },
        ),
        (
            failed(1200),
            Prediction::ContentRefused { message: message() },
        ),
        (
            Fault::ContentRefused,
            Prediction::ContentRefused {
                message: "The content was refused by moderation.".into(),
            },
        ),
        (
            Fault::Status {
                status: "cancelled".into(),
            },
            Prediction::Gone {
                message: "cancelled".into(),
            },
        ),
        (
            Fault::Status {
                status: "timeout".into(),
            },
            Prediction::Gone {
                message: "timeout".into(),
            },
        ),
        (Fault::NoOutput, Prediction::NoOutput),
    ] {
        assert_eq!(
            outcome(&sandbox, fault.clone()).await,
            expected,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn odd_answers_on_the_way_do_not_matter() {
    let sandbox = start(SandboxConfig::default()).await;
    for fault in [
        Fault::ObjectOutput,
        Fault::UnknownStatus { polls: 2 },
        Fault::Slow { polls: 3 },
        Fault::PollErrors {
            polls: 2,
            status: 503,
            retry_after: None,
            envelope: false,
        },
        Fault::PollErrors {
            polls: 1,
            status: 429,
            retry_after: Some(0),
            envelope: false,
        },
    ] {
        let state = outcome(&sandbox, fault.clone()).await;
        assert!(
            matches!(state, Prediction::Completed { .. }),
            "{fault:?}: {state:?}"
        );
    }
}

#[tokio::test]
async fn damaged_outputs_are_noticed_where_bytes_tell() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    let folder = tempfile::tempdir().expect("folder");
    let to = folder.path().join("v.mp4");
    for (fault, expected) in [
        (Fault::TruncatedOutput, "incomplete"),
        (
            Fault::OutputGone {
                downloads: None,
                status: 404,
            },
            "not found",
        ),
        (Fault::CutFile, "whole"),
    ] {
        let Prediction::Completed { output } = outcome(&sandbox, fault.clone()).await else {
            panic!("{fault:?} did not complete");
        };
        let result = wavespeed.download_to(&output, &to, 100_000_000).await;
        let got = match &result {
            Ok(_) => "whole",
            Err(ProviderError::Incomplete { .. }) => "incomplete",
            Err(ProviderError::NotFound { .. }) => "not found",
            Err(_) => "another error",
        };
        assert_eq!(got, expected, "{fault:?}: {result:?}");
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_fetched_is_said_to_be_the_reason() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    let missing = sandbox
        .base_url()
        .join("/files/none/v.mp4")
        .expect("address");
    let nowhere = url("http://127.0.0.1:9/v.mp4");
    for video in [missing, nowhere] {
        let id = wavespeed.submit(&upscale(video)).await.expect("taken");
        assert_eq!(
            finished(&wavespeed, &id).await,
            Prediction::InputUnreachable {
                message: "Failed to download video from the provided URL.".into()
            }
        );
    }
}

#[tokio::test]
async fn an_unknown_prediction_is_not_found() {
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    for id in ["0123456789abcdef0123456789abcdef", "../balance", ""] {
        let asked = wavespeed.prediction(id).await;
        assert!(
            matches!(asked, Err(ProviderError::NotFound { .. })),
            "{id}: {asked:?}"
        );
    }
}

fn callbacks(signature: SignatureCheck, secret: Option<&str>) -> Callbacks {
    Callbacks::new(&CallbackConfig {
        public_url: Some(url("https://worker.example/base/")),
        secret: Secret::new("0123456789abcdef"),
        old_secret: None,
        signature,
        webhook_secret: secret.map(Secret::new),
    })
    .expect("valid settings")
}

fn job(text: &str) -> JobId {
    text.parse().expect("a name")
}

fn token_of(address: &Url) -> String {
    let (name, token) = address.query_pairs().next().expect("a token");
    assert_eq!(name, "t");
    token.into_owned()
}

/// While keys are being changed, callbacks of jobs that were submitted before still count.
#[test]
fn a_token_under_the_key_before_is_believed_while_keys_are_changed() {
    let gate = |secret: &str, old: Option<&str>| {
        Callbacks::new(&CallbackConfig {
            public_url: Some(url("https://worker.example/")),
            secret: Secret::new(secret),
            old_secret: old.map(Secret::new),
            ..CallbackConfig::default()
        })
        .expect("valid settings")
    };
    let (first, second) = ("0123456789abcdef", "fedcba9876543210");
    let address = |gate: &Callbacks| gate.address(&job("j1"), "1-a").expect("an address");
    let old = token_of(&address(&gate(first, None)));
    let changed = gate(second, Some(first));
    let new = token_of(&address(&changed));
    assert_ne!(old, new, "the new key makes the tokens");
    for token in [&old, &new] {
        assert!(changed.admits(&job("j1"), "1-a", Some(token)));
        assert!(!changed.admits(&job("j2"), "1-a", Some(token)));
    }
    assert!(!gate(second, None).admits(&job("j1"), "1-a", Some(&old)));
    // No key is no key that everybody has.
    assert!(!gate(second, Some("")).admits(&job("j1"), "1-a", Some(&old)));
}

#[test]
fn a_callback_needs_our_token() {
    let gate = callbacks(SignatureCheck::Log, None);
    let address = gate.address(&job("j1"), "1-a").expect("an address");
    assert_eq!(address.path(), "/base/webhooks/wavespeed/j1/1-a");
    let token = token_of(&address);
    let read = |job_id: &str, intent: &str, token: Option<&str>, body: &[u8]| {
        gate.read(
            &job(job_id),
            intent,
            token,
            &HeaderMap::new(),
            body,
            Timestamp::UNIX_EPOCH,
        )
    };
    let body = br#"{"id":"abc","status":"completed"}"#;
    let called = read("j1", "1-a", Some(&token), body).expect("ours");
    assert_eq!(called.prediction_id, "abc");
    assert_eq!(called.signature, Signature::NoSecret);
    let enveloped = br#"{"code":200,"data":{"id":"abc"}}"#;
    assert_eq!(
        read("j1", "1-a", Some(&token), enveloped)
            .expect("ours")
            .prediction_id,
        "abc"
    );

    let longer = format!("{token}00");
    for (job_id, intent, token) in [
        ("j1", "1-a", None),
        ("j1", "1-a", Some("")),
        ("j1", "1-a", Some("zz")),
        ("j1", "1-a", Some(&token[..62])),
        ("j1", "1-a", Some(longer.as_str())),
        ("j2", "1-a", Some(token.as_str())),
        ("j1", "2-a", Some(token.as_str())),
    ] {
        let result = read(job_id, intent, token, body);
        assert!(
            matches!(result, Err(CallbackError::Token)),
            "{job_id} {intent} {token:?}"
        );
    }
    for body in [&b""[..], b"[]", b"{}", br#"{"id":"a/b"}"#, br#"{"id":7}"#] {
        let result = read("j1", "1-a", Some(&token), body);
        assert!(matches!(result, Err(CallbackError::Body(_))), "{body:?}");
    }
    let huge = format!(r#"{{"id":"abc","x":"{}"}}"#, "x".repeat(1 << 20));
    assert!(read("j1", "1-a", Some(&token), huge.as_bytes()).is_err());
}

#[test]
fn without_a_public_address_nothing_is_asked_for_or_believed() {
    let gate = Callbacks::new(&CallbackConfig::default()).expect("valid");
    assert_eq!(gate.address(&job("j1"), "1"), None);
    // The token an empty key would give.
    let token = "4e45e9a7d5bc8b3e3a6f7b3a3ce0c7bb1f7a3e0a0c63a0b2f4c0f5a7b2d7f1aa";
    let result = gate.read(
        &job("j1"),
        "1",
        Some(token),
        &HeaderMap::new(),
        br#"{"id":"abc"}"#,
        Timestamp::UNIX_EPOCH,
    );
    assert!(matches!(result, Err(CallbackError::Token)));
}

#[test]
fn a_signature_is_checked_where_that_is_enforced() {
    use Signature::{Decoded, Missing, Stale, Stripped, Whole, Wrong};
    let body = br#"{"id":"abc"}"#;
    let at = 1_758_798_328_i64;
    let sign = |key: &[u8], at: i64| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("a key");
        mac.update(format!("abc.{at}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    };
    let right = format!("v3,{}", sign(b"aHVzaA==", at));
    let other = format!("v3,{} {right}", sign(b"old", at));
    let many = format!("{}{right}", format!("v3,{} ", sign(b"old", at)).repeat(8));
    let table = [
        (Some(right.clone()), at, Stripped),
        (Some(other), at, Stripped),
        (Some(many), at, Wrong),
        (Some(right.clone()), at + 300, Stripped),
        (Some(right.clone()), at - 300, Stripped),
        (Some(right.clone()), at + 301, Stale),
        (Some(right.clone()), at - 301, Stale),
        (
            Some(format!("v3,{}", sign(b"whsec_aHVzaA==", at))),
            at,
            Whole,
        ),
        (Some(format!("v3,{}", sign(b"hush", at))), at, Decoded),
        (Some(format!("v3,{}", sign(b"", at))), at, Wrong),
        (Some(format!("v2,{}", sign(b"aHVzaA==", at))), at, Wrong),
        (Some(sign(b"aHVzaA==", at)), at, Wrong),
        (Some("v3,".into()), at, Wrong),
        (Some(format!("v3,{}", sign(b"aHVzaA==", at + 1))), at, Wrong),
        (None, at, Missing),
    ];
    for (signature, now, expected) in table {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "abc".parse().expect("value"));
        headers.insert("webhook-timestamp", at.into());
        if let Some(signature) = &signature {
            headers.insert("webhook-signature", signature.parse().expect("value"));
        }
        for (check, secret) in [
            (SignatureCheck::Enforce, Some("whsec_aHVzaA==")),
            (SignatureCheck::Log, Some("whsec_aHVzaA==")),
            (SignatureCheck::Log, None),
        ] {
            let gate = callbacks(check, secret);
            let token = token_of(&gate.address(&job("j1"), "1").expect("address"));
            let result = gate.read(
                &job("j1"),
                "1",
                Some(&token),
                &headers,
                body,
                Timestamp::from_second(now).expect("time"),
            );
            let enforced = check == SignatureCheck::Enforce;
            let found = match result {
                Ok(called) => {
                    assert!(called.signature.is_valid() || !enforced, "{called:?}");
                    called.signature
                }
                Err(CallbackError::Signature(found)) if enforced => {
                    assert!(!found.is_valid(), "{found:?}");
                    found
                }
                Err(error) => panic!("{error:?}"),
            };
            let expected = if secret.is_none() {
                Signature::NoSecret
            } else {
                expected
            };
            assert_eq!(found, expected, "{check:?} {signature:?} {now}");
        }
    }
    let unusable = Callbacks::new(&CallbackConfig {
        signature: SignatureCheck::Enforce,
        ..CallbackConfig::default()
    });
    assert!(unusable.is_err(), "nothing to enforce it with");
}

/// A secret that is no base64, or has no prefix, has fewer forms; one that is learnt later counts
/// for every copy of the gate, and the first one stays.
#[test]
fn a_secret_may_be_learnt_later() {
    let body = br#"{"id":"abc"}"#;
    let signed = |gate: &Callbacks, key: &[u8]| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("a key");
        mac.update(b"abc.0.");
        mac.update(body);
        let digest = hex::encode(mac.finalize().into_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "abc".parse().expect("value"));
        headers.insert("webhook-timestamp", 0_i64.into());
        let value = format!("v3,{digest}").parse().expect("value");
        headers.insert("webhook-signature", value);
        let token = token_of(&gate.address(&job("j1"), "1").expect("address"));
        let now = Timestamp::UNIX_EPOCH;
        let read = gate.read(&job("j1"), "1", Some(&token), &headers, body, now);
        read.expect("ours").signature
    };
    let gate = callbacks(SignatureCheck::Log, None);
    let copy = gate.clone();
    assert!(gate.lacks_secret());
    assert_eq!(signed(&gate, b"no base64!"), Signature::NoSecret);
    gate.learn(&Secret::new("whsec_no base64!"));
    gate.learn(&Secret::new("other"));
    assert!(!copy.lacks_secret());
    assert_eq!(signed(&copy, b"no base64!"), Signature::Stripped);
    assert_eq!(signed(&copy, b"whsec_no base64!"), Signature::Whole);
    assert_eq!(signed(&copy, b"other"), Signature::Wrong);
    let plain = callbacks(SignatureCheck::Log, Some("plain"));
    assert_eq!(signed(&plain, b"plain"), Signature::Stripped);
}

/// Marks that say how signatures stand: few for each form, told apart from all others.
#[test]
fn a_mark_says_which_signature_came_in() {
    let mut names = std::collections::BTreeSet::new();
    for number in 0..1000 {
        for signature in [Signature::Stripped, Signature::NoSecret] {
            let name = signature.mark(&job(&format!("job-{number}")));
            assert_eq!(Signature::of_mark(&name), Some(signature), "{name}");
            names.insert(name);
        }
    }
    assert_eq!(names.len(), 2 * SIGNATURE_MARKS as usize);
    for name in [
        "",
        "doctor-01",
        "signature-",
        "signature-odd-1",
        "signature-whole-x",
    ] {
        assert_eq!(Signature::of_mark(name), None, "{name}");
    }
}

#[tokio::test]
async fn the_sandbox_calls_back_in_a_way_the_gate_believes() {
    let (address, mut received) = crate::sandbox::receiver().await;
    let sandbox = start(SandboxConfig::default()).await;
    let wavespeed = client(&sandbox.base_url());
    let gate = Callbacks::new(&CallbackConfig {
        public_url: Some(address),
        secret: Secret::new("0123456789abcdef"),
        old_secret: None,
        signature: SignatureCheck::Enforce,
        webhook_secret: Some(Secret::new("whsec_sandbox")),
    })
    .expect("valid");
    let submission = Submission {
        callback: gate.address(&job("j1"), "1-a"),
        ..upscale(uploaded(&wavespeed).await)
    };
    let token = token_of(submission.callback.as_ref().expect("address"));
    let now = || filmlab::clock::Clock::now(&filmlab::clock::SystemClock);

    let id = wavespeed.submit(&submission).await.expect("taken");
    let (path, headers, body) = received.recv().await.expect("called back");
    assert_eq!(path, "/webhooks/wavespeed/j1/1-a");
    let read = gate.read(&job("j1"), "1-a", Some(&token), &headers, &body, now());
    assert_eq!(read.expect("believed").prediction_id, id);

    // Answer lost: the callback is how the prediction is found again.
    sandbox.add_fault(FaultRule::once(Fault::AnswerLost));
    assert!(wavespeed.submit(&submission).await.is_err());
    let (_, headers, body) = received.recv().await.expect("called back");
    let found = gate
        .read(&job("j1"), "1-a", Some(&token), &headers, &body, now())
        .expect("believed")
        .prediction_id;
    assert_eq!(found, sandbox.submissions()[1].prediction_id);
    assert_eq!(
        wavespeed.prediction(&found).await.expect("known").model,
        wavespeed.model(Kind::Upscale).id
    );

    sandbox.add_fault(FaultRule::once(Fault::WebhookBadSignature));
    wavespeed.submit(&submission).await.expect("taken");
    let (_, headers, body) = received.recv().await.expect("called back");
    let read = gate.read(&job("j1"), "1-a", Some(&token), &headers, &body, now());
    assert!(matches!(read, Err(CallbackError::Signature(_))), "{read:?}");
}
