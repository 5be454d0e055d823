//! Another round of a failed or cancelled job: what was paid for is used again.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::Clock as _;
use filmlab::job::{IntentState, Job, JobId, Stage, Status};
use filmlab::ledger::{Callback, Deleted, Ledger as _};
use filmlab::provider::{Prediction, ProviderError, SubmitError};
use filmlab::queue::{Delivery, Receiver as _, Task, Why};
use filmlab::worker::Worker;

use super::bench::{Bench, GRANT, OWNER};
use super::crash::{Fatal, Moment, call_back};
use crate::support::require;

/// Every promise about a round that succeeded after others had not.
async fn assert_completed(bench: &Bench, job: &Job, submissions: usize) {
    assert_eq!(job.status, Status::Completed, "{job:#?}");
    assert_eq!(bench.studio.submitted(), submissions);
    let cost = job.credits.cost.unwrap().0 as i64;
    let account = bench.account().await;
    assert_eq!(
        (account.credits, account.credits_held),
        (GRANT as i64 - cost, 0),
        "{:?}",
        bench.entries().await
    );
    let result = job.result.as_ref().unwrap();
    let mut expected: Vec<String> = result.objects().cloned().collect();
    expected.sort();
    assert_eq!(bench.objects(), expected, "the result and nothing else");
}

fn told(bench: &Bench) -> Vec<String> {
    let got = bench.letters.got.lock().unwrap();
    got.iter().map(|notice| notice.id.clone()).collect()
}

/// Lets the job get so far, then cancels it.
async fn cancelled_at(bench: &Bench, worker: &Arc<Worker>, id: &JobId, stage: Stage) -> Job {
    while bench.job(id).await.stage != Some(stage) {
        assert!(bench.step(worker).await);
    }
    bench
        .ledger
        .request_cancel(id, bench.clock.now())
        .await
        .unwrap();
    let job = bench.drive(worker, id).await;
    assert_eq!(job.status, Status::Cancelled);
    job
}

fn say(bench: &Bench, answers: impl IntoIterator<Item = Result<Prediction, ProviderError>>) {
    let mut script = bench.studio.script();
    script.predictions.extend(answers);
}

/// Fails in `process` by our own fault, with the output in our store.
pub(super) async fn failed_in_process(bench: &mut Bench, id: &JobId) -> Job {
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    // The profile goes missing between the check of the inputs and the processing.
    let profiles = std::mem::take(&mut bench.settings.profiles);
    let job = bench.drive(&bench.worker(), id).await;
    bench.settings.profiles = profiles;
    let error = job.error.as_ref().unwrap();
    assert_eq!(
        (error.code.as_str(), error.stage),
        ("invalid_profile", Some(Stage::Process))
    );
    job
}

#[tokio::test]
async fn what_was_fetched_is_processed_without_the_provider() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let ended = failed_in_process(&mut bench, &id).await;
    bench
        .assert_ended_without_trace(&ended, "invalid_profile")
        .await;
    assert_eq!(bench.objects().len(), 1, "the provider's output is kept");
    let polls = bench.studio.polled();

    let round = bench.retry(&id).await;
    assert_eq!(round.stage, Some(Stage::Process));
    let job = bench.drive(&bench.worker(), &id).await;
    assert_completed(&bench, &job, 1).await;
    assert_eq!(bench.studio.polled(), polls, "nobody was asked");
    assert_eq!((job.round, job.attempt), (2, 1));
    assert_eq!(
        bench.entries().await,
        ["j:1:hold", "j:1:release", "j:2:hold", "j:2:capture"]
    );
    assert_eq!(told(&bench), ["j:1:job.failed", "j:2:job.completed"]);
}

/// The source is swept between two rounds; the provider's output has sound, or none.
async fn without_its_source(sound: bool) -> Option<(Bench, Job)> {
    let mut bench = Bench::new().await?;
    if sound {
        // As it came, so with its sound.
        let loud = require::fixture("tiny.mp4")?;
        let mut script = bench.studio.script();
        script.downloads.push_back(Ok(loud));
    }
    let id = bench.create("j").await;
    failed_in_process(&mut bench, &id).await;
    bench.storage.delete("sources/u1/clip.mp4").await.unwrap();
    bench.retry(&id).await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(bench.studio.submitted(), 1, "nothing is bought anew");
    Some((bench, job))
}

#[tokio::test]
async fn a_source_that_is_not_needed_any_more_may_be_gone() {
    let Some((bench, job)) = without_its_source(true).await else {
        return;
    };
    assert_completed(&bench, &job, 1).await;
}

#[tokio::test]
async fn a_result_that_needs_a_swept_source_asks_for_a_new_job() {
    let Some((bench, job)) = without_its_source(false).await else {
        return;
    };
    let error = job.error.as_ref().unwrap();
    assert_eq!((job.status, job.attempt), (Status::Failed, 1));
    assert_eq!(error.code.as_str(), "source_missing");
    assert_eq!(
        error.message,
        "The source video has been deleted since the job began, and the result needs its sound. \
         A new job is needed."
    );
    let account = bench.account().await;
    assert_eq!((account.credits, account.credits_held), (GRANT as i64, 0));
    assert!(job.kept.generated.is_some(), "what was paid for stays");
}

#[tokio::test]
async fn where_the_output_is_gone_the_road_goes_back_a_stage() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let ended = failed_in_process(&mut bench, &id).await;
    let object = ended.generated.unwrap().object;
    bench.storage.delete(&object).await.unwrap();
    bench.retry(&id).await;
    let job = bench.drive(&bench.worker(), &id).await;
    // The provider still has it: no attempt failed, nothing was paid.
    assert_eq!(job.attempt, 1);
    assert_completed(&bench, &job, 1).await;

    // And where the provider has deleted it too, it is bought anew.
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let ended = failed_in_process(&mut bench, &id).await;
    let object = ended.generated.unwrap().object;
    bench.storage.delete(&object).await.unwrap();
    {
        let mut script = bench.studio.script();
        script.downloads.push_back(Err(ProviderError::NotFound {
            message: "expired".into(),
        }));
        script.unknown.insert("p1");
    }
    bench.retry(&id).await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_completed(&bench, &job, 2).await;
    let states: Vec<_> = job.intents.iter().map(|intent| intent.state).collect();
    assert_eq!(states, [IntentState::Failed, IntentState::Accepted]);
}

#[tokio::test]
async fn a_prediction_that_runs_is_asked_for_again() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    say(&bench, (0..3).map(|_| Ok(Prediction::Running)));
    let id = bench.create("j").await;
    let worker = bench.worker();
    let ended = cancelled_at(&bench, &worker, &id, Stage::Generate).await;
    bench.assert_ended_without_trace(&ended, "cancelled").await;
    let round = bench.retry(&id).await;
    assert_eq!(
        (round.stage, round.cancel_requested),
        (Some(Stage::Generate), false)
    );
    let job = bench.drive(&worker, &id).await;
    assert_completed(&bench, &job, 1).await;
    assert_eq!(
        bench.entries().await,
        ["j:1:hold", "j:1:release", "j:2:hold", "j:2:capture"]
    );
}

#[tokio::test]
async fn a_prediction_that_failed_is_paid_for_again() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let failed = || {
        Ok(Prediction::Failed {
            message: "out of memory".into(),
        })
    };
    say(&bench, (0..3).map(|_| failed()));
    let id = bench.create("j").await;
    let worker = bench.worker();
    let ended = bench.drive(&worker, &id).await;
    assert_eq!(bench.studio.submitted(), 3);
    bench
        .assert_ended_without_trace(&ended, "provider_failed")
        .await;
    assert_eq!(bench.retry(&id).await.stage, Some(Stage::Submit));
    let job = bench.drive(&worker, &id).await;
    assert_completed(&bench, &job, 4).await;
    assert!(job.intents.last().unwrap().id.starts_with("2-"));
}

#[tokio::test]
async fn a_submission_that_was_proven_too_late_is_not_repeated() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let lost = || {
        Err(SubmitError::Ambiguous {
            message: "reset".into(),
            words: None,
        })
    };
    bench.studio.script().submits.push_back(lost());
    let id = bench.create("j").await;
    let worker = bench.worker();
    let ended = cancelled_at(&bench, &worker, &id, Stage::Submit).await;
    assert_eq!(bench.studio.submitted(), 1);
    let callback = Callback {
        intent: ended.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: bench.clock.now(),
    };
    assert!(bench.ledger.record_callback(&id, &callback).await.unwrap());
    bench.retry(&id).await;
    let job = bench.drive(&worker, &id).await;
    assert_completed(&bench, &job, 1).await;
}

#[tokio::test]
async fn a_resumed_round_holds_before_it_goes_on() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let ended = failed_in_process(&mut bench, &id).await;
    // Somebody else spends the credits meanwhile.
    let cost = ended.credits.cost.unwrap().0;
    let spender = bench
        .create_as(
            "k",
            filmlab::job::Kind::Upscale,
            serde_json::json!({}),
            |new| {
                new.cost = Some(filmlab::job::Credits(GRANT - cost + 1));
            },
        )
        .await;
    let worker = bench.worker();
    while bench.account().await.credits_held == 0 {
        assert!(bench.step(&worker).await);
    }
    bench.retry(&id).await;
    let mut job = bench.job(&id).await;
    while !job.status.is_ended() {
        assert!(bench.step(&worker).await);
        job = bench.job(&id).await;
    }
    let code = job.error.as_ref().unwrap().code.as_str();
    assert_eq!((code, job.round), ("insufficient_credits", 2));
    assert!(job.generated.is_some(), "kept for a third round");
    assert!(!bench.entries().await.contains(&"j:2:hold".to_owned()));
    // With credits again it goes through, still with the one submission of its own.
    bench.drive(&worker, &spender).await;
    bench.grant("more", GRANT).await;
    bench.retry(&id).await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!((job.status, job.round), (Status::Completed, 3));
    let own = job
        .intents
        .iter()
        .filter(|intent| intent.prediction_id.is_some());
    assert_eq!(own.count(), 1);
}

/// The second round dies around each of its owner writes, and another worker goes on.
async fn die_in_round_two(nth: u32, moment: Moment) -> Option<bool> {
    let mut bench = Bench::new().await?;
    let id = bench.create("j").await;
    failed_in_process(&mut bench, &id).await;
    bench.retry(&id).await;
    let fatal = Fatal::new(&bench, nth, moment);
    let first = bench.worker_over(Arc::clone(&fatal) as _);
    let died = tokio::select! {
        () = fatal.dead.notified() => true,
        _ = bench.drive(&first, &id) => false,
    };
    call_back(&bench, &id).await;
    bench.clock.advance(Duration::from_secs(61));
    let second = bench.worker();
    let job = bench.drive(&second, &id).await;
    second.clean().await;
    assert_completed(&bench, &job, 1).await;
    assert_eq!(told(&bench), ["j:1:job.failed", "j:2:job.completed"]);
    Some(died)
}

#[tokio::test]
async fn a_worker_may_die_around_any_write_of_a_second_round() {
    for moment in [Moment::Before, Moment::After] {
        let mut deaths = 0;
        for nth in 1..30 {
            match die_in_round_two(nth, moment).await {
                None => return,
                Some(true) => deaths += 1,
                Some(false) => break,
            }
        }
        // claim, hold, processed, settled: at least.
        assert!(deaths >= 4, "only {deaths} deaths");
    }
}

#[tokio::test]
async fn a_deleted_job_is_gone_everywhere_but_in_the_account() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench.create("j").await;
    let worker = bench.worker();
    let early = worker.delete(id.clone()).await.unwrap();
    assert!(matches!(early, Deleted::NotEnded(_)), "{early:?}");
    bench.drive(&worker, &id).await;
    let entries = bench.entries().await;
    let copy = format!("sources/{OWNER}/{id}/video");
    bench
        .storage
        .put_bytes(bytes::Bytes::from_static(b"copy"), &copy)
        .await
        .unwrap();

    // The provider does not answer at first: the record is still there to begin again from.
    bench.studio.script().deletions_fail = 1;
    let failure = worker.delete(id.clone()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "provider_unavailable");
    assert!(bench.ledger.read(&id).await.unwrap().is_some());
    assert_eq!(worker.delete(id.clone()).await.unwrap(), Deleted::Done);
    assert_eq!(worker.delete(id.clone()).await.unwrap(), Deleted::NotFound);

    assert_eq!(bench.objects(), Vec::<String>::new());
    assert!(
        bench.storage.head(&copy).await.is_err(),
        "our copy of an input"
    );
    let shared = bench.storage.head("sources/u1/clip.mp4").await;
    assert!(shared.is_ok(), "an upload may serve other jobs");
    assert_eq!(*bench.studio.deleted.lock().unwrap(), ["p1"]);
    assert_eq!(bench.ledger.read(&id).await.unwrap(), None);
    assert_eq!(bench.ledger.notices(&id).await.unwrap(), []);
    assert_eq!(bench.entries().await, entries);
}

#[tokio::test]
async fn a_visit_that_comes_too_early_is_planned_under_a_fresh_name() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    say(&bench, (0..3).map(|_| Ok(Prediction::Running)));
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.job(&id).await.stage != Some(Stage::Generate) {
        assert!(bench.step(&worker).await);
    }
    let waiting = bench.job(&id).await;
    let at = waiting.next_visit_at.unwrap();
    // The queue brings the task of the recorded number before its time.
    let seq = waiting.wake.seq;
    assert_eq!(
        worker.visit(id.clone(), seq).await,
        filmlab::worker::Visit::Early { at }
    );
    assert_eq!(bench.job(&id).await.wake.seq, seq + 1);
    let planned: Vec<_> = bench.queue.pending().await.unwrap();
    let fresh = format!("{id}-{}-wake", seq + 1);
    let found = planned.iter().find(|(task, _)| task.name() == fresh);
    assert_eq!(found.map(|(_, due)| *due), Some(at), "{planned:?}");
    // Its twin is late by now.
    assert_eq!(
        worker.visit(id.clone(), seq).await,
        filmlab::worker::Visit::NothingToDo
    );
    let job = bench.drive(&worker, &id).await;
    bench.assert_completed_once(&job).await;
}

/// The same number over HTTP: `http::tasks` holds it there.
#[tokio::test]
async fn a_task_for_what_is_unknown_is_repeated_five_times() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let worker = bench.worker();
    let job = Task::Job {
        id: "nobody".parse().unwrap(),
        seq: 1,
        why: Why::Wake,
    };
    let notice = Task::Notice {
        id: "nobody:1:job.failed".into(),
        delivery: 1,
    };
    for task in [job, notice] {
        for deliveries in 1..=5 {
            let answer = worker.receive(task.clone(), deliveries).await;
            assert_eq!(answer, Delivery::Again, "{task} {deliveries}");
        }
        let last = worker.receive(task.clone(), 6).await;
        assert_eq!(last, Delivery::Acknowledged, "{task}");
    }
}
