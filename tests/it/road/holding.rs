//! What was paid for is held on to: an address that does not open is asked for anew, and a
//! prediction is lost only when the provider itself has said so for a while.

use std::time::Duration;

use filmlab::clock::{Clock as _, elapsed};
use filmlab::job::{Code, IntentState, Party, Stage, Status};
use filmlab::ledger::{Callback, Ledger as _};
use filmlab::provider::{Prediction, ProviderError, SubmitError};

use super::bench::{Bench, after};

fn closed() -> ProviderError {
    ProviderError::NotFound {
        message: "the output answers HTTP 403".into(),
    }
}

fn away() -> ProviderError {
    ProviderError::Unavailable {
        message: "HTTP 502".into(),
    }
}

#[tokio::test]
async fn a_closed_address_is_asked_for_anew_and_nothing_is_bought() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let answers = [closed(), away(), closed(), away(), closed(), closed()];
    let answers = answers.map(Err);
    let asked = answers.len() as u32 + 1;
    bench.studio.script().downloads.extend(answers);
    let id = bench.create("j").await;
    let worker = bench.worker();
    let mut waits = Vec::new();
    while !bench.job(&id).await.status.is_ended() {
        let before = bench.job(&id).await.provider.closed_addresses;
        assert!(bench.step(&worker).await);
        let job = bench.job(&id).await;
        if job.provider.closed_addresses > before {
            assert_eq!(
                (job.stage, job.provider.output_url.clone()),
                (Some(Stage::Generate), None)
            );
            assert_eq!(job.error.as_ref().unwrap().code, Code::DownloadFailed);
            waits.push(elapsed(bench.clock.now(), job.next_visit_at.unwrap()).as_millis());
        }
    }
    assert_eq!(waits, [5_000, 7_500, 11_250, 16_875, 25_312, 37_968]);
    let job = bench.drive(&worker, &id).await;
    assert_eq!((job.attempt, bench.studio.polled()), (1, asked));
    assert_eq!(job.provider.closed_addresses, 0);
    // What generating took is counted once, however often a fresh address was asked for.
    let took = job.timings.stages_ms["generate"];
    assert!((10_000..20_000).contains(&took), "{took}");
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn an_address_that_never_opens_is_waited_for_to_the_deadline() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let answers = (0..1_000).map(|_| Err(closed()));
    bench.studio.script().downloads.extend(answers);
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!((job.attempt, bench.studio.submitted()), (1, 1));
    bench
        .assert_ended_without_trace(&job, "deadline_exceeded")
        .await;
    let error = job.error.clone().unwrap();
    assert_eq!(error.party, Party::Provider);
    assert_eq!(
        error.message,
        "The job did not end before its deadline. It was waiting: The provider's output does not \
         open at its address."
    );
    // Another round asks again, and finds it.
    bench.studio.script().downloads.clear();
    bench.retry(&id).await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(
        (job.status, bench.studio.submitted()),
        (Status::Completed, 1)
    );
}

#[tokio::test]
async fn a_prediction_is_lost_only_after_the_provider_has_said_so_for_minutes() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.studio.script().unknown.insert("p1");
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.polled() == 0 {
        assert!(bench.step(&worker).await);
    }
    let first = bench.clock.now();
    let job = bench.job(&id).await;
    assert_eq!(job.provider.missing_since, Some(first));
    assert_eq!(job.error.unwrap().code, Code::ProviderLostJob);
    let job = bench.drive(&worker, &id).await;
    let states: Vec<_> = job.intents.iter().map(|intent| intent.state).collect();
    assert_eq!(states, [IntentState::Failed, IntentState::Accepted]);
    assert!(job.intents[1].at >= after(first, 300), "{:?}", job.intents);
    assert_eq!((job.status, job.attempt), (Status::Completed, 2));
}

#[tokio::test]
async fn a_prediction_that_is_found_again_was_never_lost() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    bench.studio.script().unknown.insert("p1");
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.polled() < 10 {
        assert!(bench.step(&worker).await);
    }
    {
        let mut script = bench.studio.script();
        script.unknown.clear();
        // What does not answer takes back nothing; who is found, everything.
        script.predictions.push_back(Err(away()));
        script.predictions.push_back(Ok(Prediction::Running));
    }
    let since = bench.job(&id).await.provider.missing_since;
    assert!(since.is_some());
    for (polls, missing_since) in [(11, since), (12, None)] {
        while bench.studio.polled() < polls {
            assert!(bench.step(&worker).await);
        }
        assert_eq!(bench.job(&id).await.provider.missing_since, missing_since);
    }
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.attempt, 1);
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn a_callback_proves_although_its_prediction_is_not_found_at_first() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let lost = SubmitError::Ambiguous {
        message: "the connection was reset".into(),
        words: None,
    };
    {
        let mut script = bench.studio.script();
        script.submits.push_back(Err(lost));
        script.unknown.insert("p1");
    }
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    let waiting = bench.job(&id).await;
    bench
        .clock
        .advance_to(waiting.intents[0].unknown_until.unwrap());
    let callback = Callback {
        intent: waiting.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(&id, &callback).await.unwrap();
    assert!(bench.step(&worker).await);
    let waiting = bench.job(&id).await;
    assert_eq!(waiting.intents[0].state, IntentState::Unknown);
    assert_eq!(waiting.error.unwrap().code, Code::ProviderLostJob);
    bench.studio.script().unknown.clear();
    let job = bench.drive(&worker, &id).await;
    bench.assert_completed_once(&job).await;
}

#[tokio::test]
async fn whoever_makes_us_wait_is_named_where_a_visit_runs_out_of_time() {
    for (stage, code, party) in [
        (Stage::Submit, Code::ProviderUnavailable, Party::Provider),
        (Stage::Fetch, Code::DownloadFailed, Party::Provider),
    ] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        bench.settings.budget = Duration::from_millis(300);
        bench.settings.progress_every = Duration::from_millis(5);
        let id = bench.create("j").await;
        if stage == Stage::Submit {
            bench.studio.script().hang_in = Some(stage);
        }
        let worker = bench.worker();
        while bench.job(&id).await.error.is_none() {
            assert!(bench.step(&worker).await);
            if bench.job(&id).await.stage == Some(Stage::Generate) {
                bench.studio.script().hang_in = Some(stage);
            }
        }
        let job = bench.job(&id).await;
        let error = job.error.unwrap();
        assert_eq!((error.code, error.party), (code, party));
        assert_eq!(
            error.message,
            format!("{} It was not done within one visit.", code.about())
        );
        assert!(job.attempt_failed);
    }
}

#[tokio::test]
async fn whoever_makes_us_wait_is_named_at_the_deadline() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.progress_every = Duration::from_millis(5);
    bench.studio.script().hang_in = Some(Stage::Fetch);
    let id = bench.create("j").await;
    let worker = bench.worker();
    let deadline = bench.job(&id).await.deadline_at;
    let late = async {
        while bench.job(&id).await.stage != Some(Stage::Fetch) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.clock.advance_to(deadline);
        std::future::pending::<()>().await;
    };
    let job = tokio::select! {
        job = bench.drive(&worker, &id) => job,
        () = late => return,
    };
    let error = job.error.unwrap();
    assert_eq!(
        (error.code, error.party),
        (Code::DeadlineExceeded, Party::Provider)
    );
    assert_eq!(
        error.message,
        "The job did not end before its deadline. It was waiting: The provider's output could not \
         be downloaded."
    );
}
