//! A round that ends, in whatever way, while nobody knows whether its submission was taken: what
//! is proven is adopted, and what is not is written down, counted and released.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::Clock as _;
use filmlab::job::attempt::Attempts;
use filmlab::job::{
    CancelAfterSubmit, Code, CreditState, IntentState, Job, JobId, Kind, Stage, Status,
};
use filmlab::ledger::{Callback, Ledger as _};
use filmlab::provider::{Prediction, SubmitError};
use filmlab::queue::{Queue as _, Task, Why};
use filmlab::telemetry::metrics;
use filmlab::worker::Worker;
use serde_json::json;

use super::bench::{Bench, GRANT};
use super::crash::{Fatal, Moment};

fn lost() -> SubmitError {
    SubmitError::Ambiguous {
        message: "the connection was reset".into(),
        words: None,
    }
}

/// A job whose submission was taken, as far as the provider knows, and never answered.
async fn unanswered(bench: &Bench, agreed: Option<CancelAfterSubmit>) -> (JobId, Arc<Worker>) {
    metrics::start("test");
    bench.studio.script().submits.push_back(Err(lost()));
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.cancel_after_submit = agreed;
        })
        .await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    assert_eq!(bench.job(&id).await.intents[0].state, IntentState::Unknown);
    (id, worker)
}

async fn call_back(bench: &Bench, id: &JobId) {
    let callback = Callback {
        intent: bench.job(id).await.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(id, &callback).await.unwrap();
}

async fn wake(bench: &Bench, id: &JobId, why: Why) {
    let seq = bench.job(id).await.wake.seq;
    let task = Task::Job {
        id: id.clone(),
        seq,
        why,
    };
    let now = bench.clock.now();
    bench.queue.schedule(&task, now).await.unwrap();
}

async fn cancel(bench: &Bench, id: &JobId) {
    let now = bench.clock.now();
    bench.ledger.request_cancel(id, now).await.unwrap();
    wake(bench, id, Why::Cancel).await;
}

fn counted() -> bool {
    let name = "filmlab_submissions_wasted_total{kind=\"character_replace\"} 1";
    metrics::render().unwrap().lines().any(|line| line == name)
}

fn states(job: &Job) -> Vec<IntentState> {
    job.intents.iter().map(|intent| intent.state).collect()
}

#[tokio::test]
async fn a_cancelled_round_writes_down_what_it_may_have_paid() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let (id, worker) = unanswered(&bench, Some(CancelAfterSubmit::Release)).await;
    assert!(!counted());
    cancel(&bench, &id).await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!(states(&job), [IntentState::Wasted]);
    assert!(counted());
    bench.assert_ended_without_trace(&job, "cancelled").await;
}

#[tokio::test]
async fn a_round_that_ends_at_its_deadline_writes_down_what_it_may_have_paid() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let (id, worker) = unanswered(&bench, None).await;
    let deadline = bench.job(&id).await.deadline_at;
    bench.clock.advance_to(deadline);
    let job = bench.drive(&worker, &id).await;
    assert_eq!(states(&job), [IntentState::Wasted]);
    assert!(counted());
    bench
        .assert_ended_without_trace(&job, "deadline_exceeded")
        .await;
}

#[tokio::test]
async fn a_round_whose_worker_died_too_often_writes_down_what_it_may_have_paid() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    metrics::start("test");
    let pause = Duration::from_secs(5);
    bench.settings.attempts = Attempts::try_new(1, pause, pause).unwrap();
    let id = bench.create("j").await;
    // The write after which it dies is the one that records the intent.
    for nth in 1.. {
        let first = Fatal::new(&bench, nth, Moment::After);
        let worker = bench.worker_over(Arc::clone(&first) as _);
        tokio::select! {
            () = first.dead.notified() => {}
            _ = bench.drive(&worker, &id) => panic!("it lives"),
        }
        if !bench.job(&id).await.intents.is_empty() {
            break;
        }
        // Begin anew with one more write.
        bench = Bench::new().await.unwrap();
        bench.settings.attempts = Attempts::try_new(1, pause, pause).unwrap();
        bench.create("j").await;
    }
    assert_eq!(states(&bench.job(&id).await), [IntentState::Open]);
    bench.clock.advance(Duration::from_secs(61));
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!((job.status, job.attempt), (Status::Failed, 2));
    assert_eq!(job.error.clone().unwrap().code, Code::WorkerDied);
    assert_eq!(states(&job), [IntentState::Wasted]);
    assert!(counted());
}

#[tokio::test]
async fn what_a_callback_proves_is_adopted_and_another_round_goes_on_from_it() {
    for end in [Status::Cancelled, Status::Failed] {
        let Some(bench) = Bench::new().await else {
            return;
        };
        let (id, worker) = unanswered(&bench, Some(CancelAfterSubmit::Release)).await;
        call_back(&bench, &id).await;
        if end == Status::Cancelled {
            cancel(&bench, &id).await;
        } else {
            // What is proven is asked about; had it been done, the job would complete.
            let running = (0..3).map(|_| Ok(Prediction::Running));
            bench.studio.script().predictions.extend(running);
            let deadline = bench.job(&id).await.deadline_at;
            bench.clock.advance_to(deadline);
        }
        let job = bench.drive(&worker, &id).await;
        assert_eq!(job.status, end);
        assert_eq!(states(&job), [IntentState::Accepted]);
        assert_eq!(job.provider.prediction_id.as_deref(), Some("p1"));
        assert!(!counted());
        assert_eq!(bench.retry(&id).await.stage, Some(Stage::Generate));
        let job = bench.drive(&worker, &id).await;
        assert_eq!(
            (job.status, bench.studio.submitted()),
            (Status::Completed, 1)
        );
    }
}

#[tokio::test]
async fn a_record_that_is_deleted_does_not_take_its_waste_along_untold() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let (id, worker) = unanswered(&bench, None).await;
    cancel(&bench, &id).await;
    bench.drive(&worker, &id).await;
    // As an earlier release left it.
    rusqlite::Connection::open(bench.dir.path().join("lab.sqlite"))
        .unwrap()
        .execute(
            "UPDATE jobs SET doc = json_set(doc, '$.intents[0].state', 'unknown') WHERE id = 'j'",
            (),
        )
        .unwrap();
    assert_eq!(states(&bench.job(&id).await), [IntentState::Unknown]);
    worker.delete(id).await.unwrap();
    let name = "filmlab_submissions_wasted_total{kind=\"character_replace\"} 2";
    let told = metrics::render().unwrap();
    assert!(told.lines().any(|line| line == name), "{told}");
}

#[tokio::test]
async fn what_a_late_cancellation_costs_is_what_was_agreed_on_at_the_creation() {
    use CancelAfterSubmit::{Capture, Release};
    for (agreed, unsaid, expected) in [
        (Some(Capture), Release, CreditState::Captured),
        (Some(Release), Capture, CreditState::Released),
        (None, Release, CreditState::Released),
        (None, Capture, CreditState::Captured),
    ] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        bench.settings.cancel_unsaid = unsaid;
        let id = bench
            .create_as("j", Kind::CharacterReplace, json!({}), |new| {
                new.cancel_after_submit = agreed;
            })
            .await;
        let worker = bench.worker();
        while bench.studio.submitted() == 0 {
            assert!(bench.step(&worker).await);
        }
        cancel(&bench, &id).await;
        let job = bench.drive(&worker, &id).await;
        assert_eq!(
            (job.status, job.credits.state),
            (Status::Cancelled, expected),
            "{agreed:?}, {unsaid:?}"
        );
        assert_eq!(job.credits.cancel_after_submit, agreed);
    }
}

#[tokio::test]
async fn before_the_provider_is_paid_a_cancellation_costs_nothing() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let busy = SubmitError::Busy {
        message: "later".into(),
        retry_after: None,
    };
    bench.studio.script().submits.push_back(Err(busy));
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.cancel_after_submit = Some(CancelAfterSubmit::Capture);
        })
        .await;
    let worker = bench.worker();
    while bench.job(&id).await.credits.state != CreditState::Held {
        assert!(bench.step(&worker).await);
    }
    cancel(&bench, &id).await;
    let job = bench.drive(&worker, &id).await;
    bench.assert_ended_without_trace(&job, "cancelled").await;
}

#[tokio::test]
async fn a_cancelled_job_waits_for_the_proof_that_decides_about_its_credits() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let (id, worker) = unanswered(&bench, Some(CancelAfterSubmit::Capture)).await;
    let asked_at = bench.clock.now();
    cancel(&bench, &id).await;
    assert!(bench.step(&worker).await);
    let waiting = bench.job(&id).await;
    assert_eq!(
        (waiting.status, waiting.credits.state),
        (Status::Processing, CreditState::Held)
    );
    assert_eq!(waiting.error.unwrap().code, Code::ProviderAnswerLost);
    // The callback's own task: long before the bound.
    call_back(&bench, &id).await;
    wake(&bench, &id, Why::Callback).await;
    assert!(bench.step(&worker).await);
    let job = bench.job(&id).await;
    assert_eq!(
        (job.status, job.completed_at),
        (Status::Cancelled, Some(asked_at))
    );
    assert_eq!(job.credits.state, CreditState::Captured);
    assert_eq!(states(&job), [IntentState::Accepted]);
    assert!(!counted());
}

#[tokio::test]
async fn an_unproven_payment_is_released_at_its_bound_and_written_down() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let (id, worker) = unanswered(&bench, Some(CancelAfterSubmit::Capture)).await;
    let bound = bench.job(&id).await.intents[0].unknown_until;
    cancel(&bench, &id).await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!((job.status, job.completed_at), (Status::Cancelled, bound));
    assert_eq!(states(&job), [IntentState::Wasted]);
    assert!(counted());
    bench.assert_ended_without_trace(&job, "cancelled").await;
}

#[tokio::test]
async fn another_round_is_not_charged_for_what_a_cancellation_paid() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench
        .create_as("j", Kind::CharacterReplace, json!({}), |new| {
            new.cancel_after_submit = Some(CancelAfterSubmit::Capture);
        })
        .await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    cancel(&bench, &id).await;
    bench.drive(&worker, &id).await;
    bench.retry(&id).await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!(
        (job.status, bench.studio.submitted()),
        (Status::Completed, 1)
    );
    assert_eq!(job.credits.state, CreditState::Captured);
    assert_eq!(bench.entries().await, ["j:1:hold", "j:1:capture"]);
    let cost = job.credits.cost.unwrap().0 as i64;
    let account = bench.account().await;
    assert_eq!(
        (account.credits, account.credits_held),
        (GRANT as i64 - cost, 0)
    );
}
