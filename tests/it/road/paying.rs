//! Paying the provider: one submission for each intent, whatever happens to the answer.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::Clock as _;
use filmlab::job::{Code, IntentState, Party, Stage, Status};
use filmlab::ledger::{Callback, Ledger as _};
use filmlab::provider::{Prediction, SubmitError};
use filmlab::worker::Visit;

use super::bench::{Bench, after};

fn lost() -> SubmitError {
    SubmitError::Ambiguous {
        message: "the connection was reset".into(),
        words: None,
    }
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_the_callback() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.studio.script().submits.push_back(Err(lost()));
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    let waiting = bench.job(&id).await;
    assert_eq!(
        (waiting.stage, waiting.intents[0].state),
        (Some(Stage::Submit), IntentState::Unknown)
    );
    let callback = Callback {
        intent: waiting.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: bench.clock.now(),
    };
    assert!(bench.ledger.record_callback(&id, &callback).await.unwrap());
    // The callback's own task: long before the planned visit.
    let asked_at = bench.clock.now();
    assert_eq!(
        worker.visit(id.clone(), waiting.wake.seq).await,
        Visit::Advanced
    );
    assert_eq!(bench.clock.now(), asked_at);
    let job = bench.drive(&worker, &id).await;
    assert_eq!((job.attempt, job.intents.len()), (1, 1));
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn without_a_callback_one_resubmission_is_made_and_the_waste_recorded() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.studio.script().submits.push_back(Err(lost()));
    let id = bench.create("j").await;
    let worker = bench.worker();
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.status, Status::Completed);
    assert_eq!(bench.studio.submitted(), 2);
    let states: Vec<_> = job.intents.iter().map(|intent| intent.state).collect();
    assert_eq!(states, [IntentState::Wasted, IntentState::Accepted]);
    // Not before POST timeout, lease and grace are over.
    let earliest = after(job.intents[0].at, 60 + 60 + 15);
    assert!(job.intents[1].at >= earliest, "{:?}", job.intents);
}

#[tokio::test]
async fn a_second_lost_answer_ends_the_job() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench
        .studio
        .script()
        .submits
        .extend([Err(lost()), Err(lost()), Err(lost())]);
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(bench.studio.submitted(), 2, "the waste is bounded");
    bench
        .assert_ended_without_trace(&job, "provider_answer_lost")
        .await;
    assert_eq!(
        job.error.unwrap().message,
        "The provider's answer to a paid request never came, so nobody knows whether it was taken."
    );
}

#[tokio::test]
async fn an_answer_that_settles_nothing_is_no_lost_one() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let unclear = || SubmitError::Ambiguous {
        message: "HTTP 200: Internal error.".into(),
        words: Some("Internal error.".into()),
    };
    let unclear = [Err(unclear()), Err(unclear())];
    bench.studio.script().submits.extend(unclear);
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "provider_answer_lost")
        .await;
    assert_eq!(
        job.error.unwrap().message,
        "The provider answered a paid request in a way that does not tell whether it was taken. \
         It said: “Internal error.”"
    );
}

#[tokio::test]
async fn a_prediction_that_outlasts_the_deadline_is_laid_at_the_providers_door() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let running = (0..1_000).map(|_| Ok(Prediction::Running));
    bench.studio.script().predictions.extend(running);
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "deadline_exceeded")
        .await;
    let error = job.error.unwrap();
    assert_eq!(error.party, Party::Provider);
    assert_eq!(
        error.message,
        "The job did not end before its deadline. The provider took it, and was not done by then."
    );
}

#[tokio::test]
async fn a_callback_for_another_models_prediction_is_not_adopted() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let worker = bench.worker();
    bench.studio.script().submits.push_back(Err(lost()));
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    bench.studio.submissions.lock().unwrap()[0].model = "studio/other".into();
    let callback = Callback {
        intent: bench.job(&id).await.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(&id, &callback).await.unwrap();
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.intents[0].state, IntentState::Wasted);
    assert_eq!(job.provider.prediction_id.as_deref(), Some("p2"));
}

#[tokio::test]
async fn the_visit_goes_on_when_nobody_waits_for_it() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let worker = bench.worker();
    // A client that goes away at once: its handler's future is dropped while the visit runs.
    let visit = {
        let (worker, id) = (Arc::clone(&worker), id.clone());
        tokio::spawn(async move { worker.visit(id, 1).await })
    };
    while bench.job(&id).await.lease.holder.is_none() {
        tokio::task::yield_now().await;
    }
    visit.abort();
    assert!(visit.await.unwrap_err().is_cancelled());
    assert!(bench.studio.submitted() <= 1);
    // The visit ends by itself: drain waits for it, and would stop it only after its answer.
    while bench.job(&id).await.provider.prediction_id.is_none() {
        tokio::task::yield_now().await;
    }
    let job = bench.drive(&worker, &id).await;
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn twenty_polls_use_no_attempt() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench
        .studio
        .script()
        .predictions
        .extend((0..20).map(|_| Ok(Prediction::Running)));
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!((job.attempt, job.provider.polls), (1, 20));
    assert_eq!(bench.studio.polled(), 21);
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn polls_keep_their_distance_and_start_after_the_usual_time() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench
        .studio
        .script()
        .predictions
        .extend((0..6).map(|_| Ok(Prediction::Running)));
    let id = bench.create("j").await;
    let worker = bench.worker();
    let mut times = Vec::new();
    while bench.studio.polled() < 7 {
        let before = bench.studio.polled();
        assert!(bench.step(&worker).await);
        if bench.studio.polled() > before {
            times.push(bench.clock.now());
        }
    }
    let submitted = bench.job(&id).await.provider.submitted_at.unwrap();
    assert!(
        times[0] >= after(submitted, 10),
        "the model usually takes 10 s"
    );
    for pair in times.windows(2) {
        let pause = filmlab::clock::elapsed(pair[0], pair[1]);
        assert!(
            pause >= Duration::from_secs(5) && pause <= Duration::from_secs(61),
            "{pause:?}"
        );
    }
}

#[tokio::test]
async fn a_busy_provider_is_waited_for_to_the_deadline() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let busy = || SubmitError::Busy {
        message: "later".into(),
        retry_after: None,
    };
    bench
        .studio
        .script()
        .submits
        .extend((0..1000).map(|_| Err(busy())));
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!((job.attempt, bench.studio.submitted()), (1, 0));
    assert!(
        job.intents.len() <= 2,
        "what was refused is not kept: {}",
        job.intents.len()
    );
    let error = job.error.clone().unwrap();
    assert!(
        error.message.contains(Code::ProviderBusy.about()),
        "{error:?}"
    );
    bench
        .assert_ended_without_trace(&job, "deadline_exceeded")
        .await;
}

#[tokio::test]
async fn a_callback_is_news_once_whatever_the_clocks_say() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    bench
        .studio
        .script()
        .predictions
        .push_back(Ok(Prediction::Running));
    let waiting = bench.job(&id).await;
    let Visit::Early { .. } = worker.visit(id.clone(), waiting.wake.seq).await else {
        panic!("not before its time");
    };
    // Written by a machine whose clock is two hours behind.
    let then = bench.clock.now() - Duration::from_secs(7200);
    let callback = Callback {
        intent: waiting.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: then,
    };
    bench.ledger.record_callback(&id, &callback).await.unwrap();
    let seq = bench.job(&id).await.wake.seq;
    assert_eq!(worker.visit(id.clone(), seq).await, Visit::Advanced);
    assert_eq!(bench.studio.polled(), 1);
    // A repeat of it, or any other early task, is no reason to ask again.
    let seq = bench.job(&id).await.wake.seq;
    let Visit::Early { .. } = worker.visit(id.clone(), seq).await else {
        panic!("not before its time");
    };
    assert_eq!(bench.studio.polled(), 1);
    let job = bench.drive(&worker, &id).await;
    bench.assert_completed_once(&job).await;
}
