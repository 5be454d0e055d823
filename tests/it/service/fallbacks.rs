//! Another model, where the first makes no video: the client, the wire and the sandbox included.

use filmlab::job::{EntryKind, Job, PassedFor, Status};
use filmlab::sandbox::{Fault, FaultRule, SandboxConfig};
use serde_json::{Value, json};

use super::lab::{Lab, Running};

const FIRST: &str = "wavespeed-ai/wan-2.2/animate";
const SECOND: &str = "wavespeed-ai/wan-2.1/mocha";

/// A lab whose characters are replaced by two models, the first of which has a fault.
async fn lab(fault: Option<Value>, more: &str) -> Option<Lab> {
    let mut lab = Lab::new(SandboxConfig::default()).await?;
    lab.file(&format!(
        "{more}\n[provider.models.character_replace]\nfallback = [\"{SECOND}\"]\n"
    ));
    if let Some(fault) = fault {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        lab.sandbox.add_fault(FaultRule {
            model: Some(FIRST.to_owned()),
            ..FaultRule::always(fault)
        });
    }
    Some(lab)
}

fn asked(lab: &Lab) -> Vec<String> {
    let sent = lab.sandbox.submissions();
    sent.into_iter().map(|sent| sent.model).collect()
}

fn passed(job: &Job) -> Vec<(&str, PassedFor)> {
    let over = job.passed_over.iter();
    over.map(|one| (one.model.as_str(), one.why)).collect()
}

async fn ended(lab: &Lab, service: &Running) -> Job {
    let id = lab.create(service).await;
    lab.ended(service, &id).await
}

#[tokio::test]
async fn where_the_first_model_always_fails_the_second_makes_the_result_and_is_paid_once() {
    let Some(lab) = lab(Some(json!({"fault": "failed_prediction"})), "").await else {
        return;
    };
    let service = lab.start().await;
    let job = ended(&lab, &service).await;
    assert_eq!(job.status, Status::Completed, "{job:#?}");
    assert_eq!(asked(&lab), [FIRST, SECOND]);
    assert_eq!(passed(&job), [(FIRST, PassedFor::Failed)]);
    assert_eq!(job.provider.model.as_deref(), Some(SECOND));
    let owner = "local".parse().unwrap();
    let entries = service.ledger.entries(&owner, 50).await.unwrap();
    let captured = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Capture);
    assert_eq!(captured.count(), 1, "{entries:?}");
    service.stop().await;
}

#[tokio::test]
async fn where_the_answer_is_lost_no_second_model_is_asked() {
    let Some(lab) = lab(Some(json!({"fault": "answer_lost"})), "").await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create(&service).await;
    // The callback proves what became of it.
    lab.assert_completed_once(&service, &id).await;
    assert_eq!(asked(&lab), [FIRST]);
    assert!(lab.ended(&service, &id).await.passed_over.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn refused_content_is_asked_of_the_second_only_by_setting() {
    let refused = || Some(json!({"fault": "refuse_content"}));
    let Some(strict) = lab(refused(), "").await else {
        return;
    };
    let service = strict.start().await;
    let job = ended(&strict, &service).await;
    assert_eq!(job.error.unwrap().code.as_str(), "content_refused");
    assert!(asked(&strict).is_empty());
    service.stop().await;

    let setting = "[provider]\nfallback_after_refusal = true";
    let Some(lenient) = lab(refused(), setting).await else {
        return;
    };
    let service = lenient.start().await;
    let job = ended(&lenient, &service).await;
    assert_eq!(job.status, Status::Completed, "{job:#?}");
    assert_eq!(asked(&lenient), [SECOND]);
    assert_eq!(passed(&job), [(FIRST, PassedFor::Content)]);
    service.stop().await;
}

#[tokio::test]
async fn a_price_above_the_most_that_a_job_may_cost_is_not_paid() {
    let Some(lab) = lab(None, "").await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create_with(&service, json!({"max_price": 0.001})).await;
    let job = lab.assert_failed(&service, &id, "invalid_request").await;
    let message = job.error.unwrap().message;
    assert!(message.starts_with("max_price: "), "{message}");
    assert!(asked(&lab).is_empty());
    service.stop().await;
}
