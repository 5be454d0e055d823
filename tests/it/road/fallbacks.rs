//! Another model where the first makes no video, and what that may do with somebody's money.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::Clock as _;
use filmlab::job::{EntryKind, IntentState, Job, JobId, Kind, PassedFor, Stage, Status, WaitsFor};
use filmlab::ledger::{Callback, Ledger as _};
use filmlab::provider::{Prediction, ProviderError, SubmitError};
use serde_json::{Value, json};

use super::bench::{Bench, GRANT, OWNER, after};
use super::studio::{Script, SubmitAnswer};
use crate::ledger::faults::{Fault, LosesAnswer};

const MAIN: &str = "studio/character_replace";

fn text() -> String {
    "x".to_owned()
}

fn failed() -> Prediction {
    Prediction::Failed { message: text() }
}

fn busy() -> SubmitError {
    SubmitError::Busy {
        message: text(),
        retry_after: None,
    }
}

fn ambiguous() -> SubmitError {
    SubmitError::Ambiguous {
        message: text(),
        words: None,
    }
}

fn refused() -> SubmitError {
    SubmitError::Rejected {
        message: text(),
        words: "Not this one.".into(),
    }
}

async fn bench(fallbacks: &[(&str, f64)]) -> Option<Bench> {
    let bench = Bench::new().await?;
    bench.studio.falls_back_to(fallbacks);
    let ledger = Arc::clone(&bench.ledger);
    bench.studio.witness.set(ledger).unwrap();
    Some(bench)
}

fn passed(job: &Job) -> Vec<(&str, PassedFor)> {
    let passed = job.passed_over.iter();
    passed.map(|over| (over.model.as_str(), over.why)).collect()
}

/// Runs a job with one fallback against a script.
async fn run(script: impl FnOnce(&mut Script)) -> Option<(Bench, Job)> {
    let bench = bench(&[("studio/second", 0.1)]).await?;
    script(&mut bench.studio.script());
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    Some((bench, job))
}

#[tokio::test]
async fn a_model_that_always_fails_is_followed_by_the_next_and_its_result_is_paid_once() {
    let ran = run(|script| script.predictions.push_back(Ok(failed()))).await;
    let Some((bench, job)) = ran else {
        return;
    };
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(bench.studio.paid(), [MAIN, "studio/second"]);
    assert_eq!(job.provider.model.as_deref(), Some("studio/second"));
    assert_eq!(passed(&job), [(MAIN, PassedFor::Failed)]);
    assert_eq!((job.attempt, job.intents.len()), (1, 2));
    let states: Vec<_> = job.intents.iter().map(|intent| intent.state).collect();
    assert_eq!(states, [IntentState::Failed, IntentState::Accepted]);
    let entries = bench.entries().await;
    assert_eq!(entries, ["j:1:hold", "j:1:capture"]);
    // The notice and the metadata say who made it.
    let told = bench.letters.got.lock().unwrap()[0].payload["data"].clone();
    assert_eq!(told["model"], "studio/second");
    assert_eq!(told["tags"], json!(["blue"]));
    assert_eq!(told["passed_over"][0]["model"], MAIN);
    let metadata = bench.dir.path().join("objects");
    let metadata = metadata.join(&job.result.as_ref().unwrap().metadata);
    let metadata: Value = serde_json::from_slice(&std::fs::read(metadata).unwrap()).unwrap();
    assert_eq!(metadata["model"], "studio/second");
}

#[tokio::test]
async fn the_last_model_is_tried_as_often_as_one_alone() {
    let ran = run(|script| script.predictions.extend((0..9).map(|_| Ok(failed())))).await;
    let Some((bench, job)) = ran else {
        return;
    };
    let second = "studio/second";
    assert_eq!(bench.studio.paid(), [MAIN, second, second, second]);
    assert_eq!((job.status, job.attempt), (Status::Failed, 3));
    bench
        .assert_ended_without_trace(&job, "provider_failed")
        .await;
}

#[tokio::test]
async fn what_the_provider_refuses_before_it_takes_anything_is_asked_of_the_next() {
    for (answer, why) in [
        (refused(), PassedFor::Refused),
        (
            SubmitError::UnknownModel { message: text() },
            PassedFor::Unknown,
        ),
    ] {
        let Some((bench, job)) = run(|script| script.submits.push_back(Err(answer))).await else {
            return;
        };
        assert_eq!(job.status, Status::Completed, "{:?}", job.error);
        assert_eq!(bench.studio.paid(), ["studio/second"]);
        assert_eq!(passed(&job), [(MAIN, why)]);
    }
}

#[tokio::test]
async fn what_is_not_of_the_model_is_asked_of_no_other() {
    type Answer = fn() -> SubmitError;
    let answers: [Answer; 4] = [
        || SubmitError::Unauthorized { message: text() },
        || SubmitError::NoFunds { message: text() },
        || SubmitError::NotSent { message: text() },
        busy,
    ];
    for answer in answers {
        let ran = run(|script| script.submits.push_back(Err(answer()))).await;
        let Some((bench, job)) = ran else {
            return;
        };
        assert_eq!(bench.studio.paid(), [MAIN]);
        assert_eq!(passed(&job), []);
    }
}

#[tokio::test]
async fn ends_that_may_be_charged_for_are_tried_again_with_the_same_model() {
    for end in [Prediction::NoOutput, Prediction::Gone { message: text() }] {
        let ran = run(|script| script.predictions.push_back(Ok(end.clone()))).await;
        let Some((bench, job)) = ran else {
            return;
        };
        assert_eq!(job.status, Status::Completed, "{end:?}");
        assert_eq!(bench.studio.paid(), [MAIN, MAIN], "{end:?}");
        assert_eq!(passed(&job), []);
    }
}

#[tokio::test]
async fn refused_content_is_asked_of_the_next_only_by_setting_and_before_it_was_taken() {
    let content = || SubmitError::ContentRefused { message: text() };
    let taken = || Prediction::ContentRefused { message: text() };
    for (allowed, at_the_door, ends, paid) in [
        (false, true, Status::Failed, &[][..]),
        (true, true, Status::Completed, &["studio/second"]),
        // Whether it is charged for nobody says.
        (true, false, Status::Failed, &[MAIN]),
    ] {
        let Some(mut bench) = bench(&[("studio/second", 0.1)]).await else {
            return;
        };
        bench.settings.fallback_after_refusal = allowed;
        if at_the_door {
            bench.studio.script().submits.push_back(Err(content()));
        } else {
            bench.studio.script().predictions.push_back(Ok(taken()));
        }
        let id = bench.create("j").await;
        let job = bench.drive(&bench.worker(), &id).await;
        assert_eq!(
            (job.status, bench.studio.paid().as_slice()),
            (ends, &*owned(paid))
        );
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn no_second_model_is_asked_while_the_answer_of_the_first_is_unknown() {
    let Some(bench) = bench(&[("studio/second", 0.1)]).await else {
        return;
    };
    let worker = bench.worker();
    bench.studio.script().submits.push_back(Err(ambiguous()));
    bench
        .studio
        .script()
        .predictions
        .extend([Ok(Prediction::Running), Ok(failed())]);
    let id = bench.create("j").await;
    worker.visit(id.clone(), 1).await;
    let job = bench.job(&id).await;
    assert_eq!(job.wait(bench.clock.now()).unwrap().what, WaitsFor::Answer);
    assert_eq!(bench.studio.paid(), [MAIN]);
    // It was taken: the callback proves it, and then it fails, unpaid.
    let callback = Callback {
        intent: job.intents[0].id.clone(),
        prediction_id: "p1".into(),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(&id, &callback).await.unwrap();
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(bench.studio.paid(), [MAIN, "studio/second"]);
}

#[tokio::test]
async fn a_round_with_possible_waste_asks_no_other_model() {
    let ran = run(|script| {
        script.submits.push_back(Err(ambiguous()));
        script.predictions.push_back(Ok(failed()));
    });
    let Some((bench, job)) = ran.await else {
        return;
    };
    // Given up, submitted anew, failed, tried again: of the first, since it may be paid for.
    assert_eq!(bench.studio.paid(), [MAIN, MAIN, MAIN]);
    assert_eq!((job.status, passed(&job)), (Status::Completed, vec![]));
    assert_eq!(job.intents[0].state, IntentState::Wasted);
}

#[tokio::test]
async fn what_costs_more_than_the_job_may_is_not_paid() {
    // The clip has two seconds.
    let models = [("studio/dear", 9.0), ("studio/cheap", 0.1)];
    let Some(bench) = bench(&models).await else {
        return;
    };
    let worker = bench.worker();
    let create = async |name: &str, most: f64| {
        let change = |new: &mut filmlab::job::NewJob| new.max_price = Some(most);
        let id = bench.create_as(name, Kind::CharacterReplace, json!({}), change);
        bench.drive(&worker, &id.await).await
    };
    // Of the first nobody knows what it costs.
    let job = create("j1", 1.0).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let price = PassedFor::Price;
    assert_eq!(passed(&job), [(MAIN, price), ("studio/dear", price)]);
    assert_eq!(bench.studio.paid(), ["studio/cheap"]);
    let terms = job.intents[0].terms.unwrap();
    assert!(terms.usd.unwrap() <= 1.0, "{terms:?}");

    let job = create("j2", 0.01).await;
    let error = job.error.unwrap();
    assert_eq!(
        (job.status, error.code.as_str()),
        (Status::Failed, "invalid_request")
    );
    assert!(
        error.message.starts_with("max_price: studio/cheap costs"),
        "{error:?}"
    );
    assert_eq!(bench.studio.submitted(), 1);
    assert_eq!(bench.account().await.credits_held, 0);
}

#[tokio::test]
async fn a_full_account_is_waited_for_as_long_as_the_settings_say() {
    let Some(mut bench) = bench(&[("studio/second", 0.1)]).await else {
        return;
    };
    bench.settings.fallback_after = Some(Duration::from_secs(75));
    let answers = (0..4).map(|_| Err(busy()));
    bench.studio.script().submits.extend(answers);
    let worker = bench.worker();
    let id = bench.create("j").await;
    let job = bench.drive(&worker, &id).await;
    // At 0, 30 and 60 seconds it is too early; the last model is waited for.
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(passed(&job), [(MAIN, PassedFor::Wait)]);
    assert_eq!(job.passed_over[0].at, after(job.created_at, 90));
    assert_eq!(bench.studio.paid(), ["studio/second"]);
}

#[tokio::test]
async fn no_model_is_paid_before_the_ledger_has_the_end_of_the_one_before() {
    for fault in [Fault::CommitsThenErrs, Fault::ErrsInstead] {
        let mut nth = 1;
        loop {
            let Some(bench) = bench(&[("studio/second", 0.1)]).await else {
                return;
            };
            bench.studio.script().predictions.push_back(Ok(failed()));
            // The road's end is tried elsewhere: what counts here is before it.
            let inner = Arc::clone(&bench.ledger);
            let losing = Arc::new(LosesAnswer::new(inner, fault, nth));
            let worker = bench.worker_over(Arc::clone(&losing) as _);
            let id = bench.create("j").await;
            generated(&bench, &worker, &id).await;
            let job = bench.job(&id).await;
            assert_eq!(
                bench.studio.paid(),
                [MAIN, "studio/second"],
                "{fault:?} {nth}"
            );
            assert_eq!(passed(&job), [(MAIN, PassedFor::Failed)], "{fault:?} {nth}");
            if !losing.is_spent() {
                break;
            }
            nth += 1;
        }
        assert!(nth > 10, "{nth}");
    }
}

/// Steps until the second model has taken the job.
async fn generated(bench: &Bench, worker: &Arc<filmlab::worker::Worker>, id: &JobId) {
    for _ in 0..60 {
        let job = bench.job(id).await;
        if job.stage == Some(Stage::Generate) && job.intents.len() == 2 {
            return;
        }
        if !bench.step(worker).await {
            bench.clock.advance(Duration::from_secs(90));
            worker.sweep().await.unwrap();
        }
    }
    panic!("{:#?}", bench.job(id).await);
}

/// A few random numbers, the same for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Fifty jobs of which the provider takes some, fails some, and leaves some without an answer.
async fn fifty(seed: u64) {
    let models = [("studio/second", 0.1), ("studio/third", 0.2)];
    let Some(bench) = bench(&models).await else {
        return;
    };
    let worker = bench.worker();
    let mut dice = Dice(seed * 0x9E37_79B9 + 1);
    let (mut credits, mut made) = (GRANT as i64, BTreeMap::new());
    for number in 0..50 {
        {
            let mut script = bench.studio.script();
            script.submits.clear();
            script.predictions.clear();
            for _ in 0..dice.roll(4) {
                let answer: SubmitAnswer = match dice.roll(6) {
                    0 => Err(refused()),
                    1 => Err(busy()),
                    2 => Err(ambiguous()),
                    3 => Err(SubmitError::NotSent { message: text() }),
                    _ => Ok(()),
                };
                script.submits.push_back(answer);
            }
            for _ in 0..dice.roll(5) {
                let answer: Result<Prediction, ProviderError> = match dice.roll(5) {
                    0 => Ok(Prediction::NoOutput),
                    1 => Err(ProviderError::Unavailable { message: text() }),
                    _ => Ok(failed()),
                };
                script.predictions.push_back(answer);
            }
        }
        let before = bench.studio.submitted();
        let id = bench.create(&format!("j{number}")).await;
        let job = bench.drive(&worker, &id).await;
        let context = format!("seed {seed}: {job:#?}");
        // Each submission that may be paid for is in the record, under its model.
        let paid = bench.studio.paid()[before..].to_vec();
        let noted: Vec<_> = job
            .intents
            .iter()
            .filter(|intent| intent.state != IntentState::Refused)
            .map(|intent| intent.model.clone())
            .collect();
        assert_eq!(paid, noted, "{context}");
        let is_open = |state| matches!(state, IntentState::Open | IntentState::Unknown);
        assert!(
            job.intents.iter().all(|intent| !is_open(intent.state)),
            "{context}"
        );
        let accepted = job
            .intents
            .iter()
            .filter(|intent| intent.state == IntentState::Accepted);
        let accepted: Vec<_> = accepted.map(|intent| intent.model.clone()).collect();
        let cost = job.credits.cost.unwrap_or_default().0 as i64;
        if job.status == Status::Completed {
            assert_eq!(accepted, [job.provider.model.clone().unwrap()], "{context}");
            *made.entry(accepted[0].clone()).or_insert(0) += 1;
            credits -= cost;
        } else {
            assert_eq!(
                (job.status, accepted.len()),
                (Status::Failed, 0),
                "{context}"
            );
        }
        let account = bench.account().await;
        assert_eq!(
            (account.credits, account.credits_held),
            (credits, 0),
            "{context}"
        );
    }
    let entries = bench
        .ledger
        .entries(&OWNER.parse().unwrap(), 1000)
        .await
        .unwrap();
    let captured = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Capture);
    assert_eq!(captured.count(), made.values().sum::<usize>());
    assert_eq!(made.len(), 3, "each model made some: {made:?}");
}

#[tokio::test]
async fn fifty_jobs_with_faults_keep_the_money_and_say_their_model_first_seed() {
    fifty(1).await;
}

#[tokio::test]
async fn fifty_jobs_with_faults_keep_the_money_and_say_their_model_second_seed() {
    fifty(2).await;
}

#[tokio::test]
async fn fifty_jobs_with_faults_keep_the_money_and_say_their_model_third_seed() {
    fifty(3).await;
}
