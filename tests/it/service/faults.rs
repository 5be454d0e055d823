//! What the sandbox does wrong, and what becomes of the job.

use filmlab::job::IntentState;
use filmlab::sandbox::{Fault, FaultRule, SandboxConfig};

use super::lab::Lab;

/// A job under one rule, to a completed end; gives the number of submissions.
async fn heals(rule: FaultRule, attempt: u32, submissions: usize) {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    lab.sandbox.add_fault(rule);
    let service = lab.start().await;
    let id = lab.create(&service).await;
    let job = lab.ended(&service, &id).await;
    assert_eq!(
        (job.status.as_str(), job.attempt),
        ("completed", attempt),
        "{job:#?}"
    );
    assert_eq!(lab.sandbox.submissions().len(), submissions);
    service.stop().await;
}

async fn fails(rule: FaultRule, code: &str, attempt: u32, submissions: usize) {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    lab.sandbox.add_fault(rule);
    let service = lab.start().await;
    let id = lab.create(&service).await;
    let job = lab.assert_failed(&service, &id, code).await;
    assert_eq!(
        (job.attempt, lab.sandbox.submissions().len()),
        (attempt, submissions)
    );
    service.stop().await;
}

fn failed() -> Fault {
    serde_json::from_value(serde_json::json!({"fault": "failed_prediction"})).unwrap()
}

fn busy() -> Fault {
    serde_json::from_value(serde_json::json!({"fault": "too_many_requests"})).unwrap()
}

#[tokio::test]
async fn an_answer_lost_after_accepting_is_made_good_by_the_callback() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    lab.sandbox.add_fault(FaultRule::once(Fault::AnswerLost));
    let service = lab.start().await;
    let id = lab.create(&service).await;
    lab.assert_completed_once(&service, &id).await;
    let job = lab.ended(&service, &id).await;
    assert_eq!((job.attempt, job.intents.len()), (1, 1));
    assert_eq!(job.intents[0].state, IntentState::Accepted);
    let made = lab.sandbox.submissions()[0].prediction_id.clone();
    assert_eq!(job.provider.prediction_id, Some(made), "the id is stored");
    service.stop().await;
}

#[tokio::test]
async fn a_failed_prediction_is_made_good_once() {
    heals(FaultRule::once(failed()), 2, 2).await;
}

#[tokio::test]
async fn predictions_that_always_fail_are_given_up() {
    fails(FaultRule::always(failed()), "provider_failed", 3, 3).await;
}

#[tokio::test]
async fn a_busy_provider_costs_no_attempt() {
    let mut rule = FaultRule::always(busy());
    rule.times = Some(3);
    heals(rule, 1, 1).await;
}

#[tokio::test]
async fn refused_content_is_the_callers() {
    fails(
        FaultRule::always(Fault::ContentRefused),
        "content_refused",
        1,
        1,
    )
    .await;
}

#[tokio::test]
async fn a_download_that_breaks_off_is_given_up_after_three_attempts() {
    fails(
        FaultRule::always(Fault::TruncatedOutput),
        "download_failed",
        3,
        1,
    )
    .await;
}

#[tokio::test]
async fn a_cut_file_fails_verification() {
    fails(FaultRule::always(Fault::CutFile), "truncated", 3, 1).await;
}

#[tokio::test]
async fn where_signatures_are_enforced_a_signed_callback_proves_a_lost_submission() {
    for (fault, signed) in [(None, true), (Some(Fault::WebhookBadSignature), false)] {
        let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
            return;
        };
        // The secret is asked for.
        lab.set("PROVIDER__ENFORCE_SIGNATURE", "true");
        lab.sandbox.add_fault(FaultRule::once(Fault::AnswerLost));
        if let Some(fault) = fault {
            lab.sandbox.add_fault(FaultRule::once(fault));
        }
        let service = lab.start().await;
        let id = lab.create(&service).await;
        if signed {
            let job = lab.ended(&service, &id).await;
            assert_eq!(job.status.as_str(), "completed", "{job:#?}");
        } else {
            let called = async || {
                for _ in 0..600 {
                    if let Some(call) = lab.sandbox.deliveries().first() {
                        return call.clone();
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                panic!("nobody called back");
            };
            assert_eq!(called().await.status, Some(401));
        }
        assert_eq!(lab.sandbox.submissions().len(), 1);
        service.stop().await;
    }
}
