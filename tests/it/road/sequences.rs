//! Whatever is done to jobs in whatever order, in each credits mode: credits are conserved, and
//! every round ends once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use filmlab::clock::Clock as _;
use filmlab::job::credits::CancelAfterSubmit;
use filmlab::job::{CreditState, CreditsMode, EntryKind, Job, JobId, Status};
use filmlab::ledger::{Callback, Ledger as _};
use filmlab::provider::{Prediction, ProviderError, SubmitError};
use filmlab::queue::{Queue as _, Task, Why};
use filmlab::worker::Worker;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::bench::{Bench, GRANT, OWNER};
use super::crash::{Fatal, Moment};

/// Another may be had with `PROPTEST_RNG_SEED`.
const SEED: u64 = 20_261_123;
/// For each mode: a run takes some seconds, since jobs that complete make real videos.
const CASES: u32 = 12;
const JOBS: u8 = 3;

#[derive(Debug, Clone)]
enum Op {
    Create(u8),
    /// The next task is delivered; the clock moves to it.
    Step,
    /// A task comes a second time, or too early.
    Visit(u8),
    /// The provider calls back for the nth submission.
    Callback(u8),
    Cancel(u8),
    DeadlinePasses(u8),
    Retry(u8),
    /// Somebody else changes the account.
    Foreign(i64),
    /// What the provider says next.
    Submission(u8),
    Question(u8),
    Download(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let job = 0..JOBS;
    prop_oneof![
        2 => job.clone().prop_map(Op::Create),
        6 => Just(Op::Step),
        2 => job.clone().prop_map(Op::Visit),
        2 => (0u8..4).prop_map(Op::Callback),
        1 => job.clone().prop_map(Op::Cancel),
        1 => job.clone().prop_map(Op::DeadlinePasses),
        2 => job.prop_map(Op::Retry),
        2 => (-600i64..600).prop_map(Op::Foreign),
        2 => (0u8..6).prop_map(Op::Submission),
        2 => (0u8..5).prop_map(Op::Question),
        1 => (0u8..2).prop_map(Op::Download),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    ops: Vec<Op>,
    /// A cancellation comes just before this owner write, within a visit.
    cancelled_at: u32,
    late_cancellation_is_paid: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let ops = proptest::collection::vec(op(), 8..28);
    (ops, 1u32..40, any::<bool>()).prop_map(|(ops, cancelled_at, late_cancellation_is_paid)| Case {
        ops,
        cancelled_at,
        late_cancellation_is_paid,
    })
}

fn holds(mode: CreditsMode) {
    let mut config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 20,
        ..Config::default()
    };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    let seed = config.rng_seed;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&case(), |case| {
        runtime.block_on(walk(mode, &case));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{mode:?}, seed {seed:?}: {error}");
    }
}

#[test]
fn any_sequence_holds_and_settles_each_round_once() {
    holds(CreditsMode::Hold);
}

#[test]
fn any_sequence_deducts_for_what_completes_and_nothing_else() {
    holds(CreditsMode::DeductOnCompletion);
}

#[test]
fn any_sequence_leaves_the_account_alone_where_credits_are_off() {
    holds(CreditsMode::Off);
}

async fn walk(mode: CreditsMode, case: &Case) {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.credits = mode;
    if case.late_cancellation_is_paid {
        bench.settings.cancel_unsaid = CancelAfterSubmit::Capture;
    }
    let ledger = Fatal::new(&bench, case.cancelled_at, Moment::Cancelled);
    let worker = bench.worker_over(ledger);
    let mut foreign = 0;
    for op in &case.ops {
        apply(&bench, &worker, op, &mut foreign).await;
        conserved(&bench, foreign).await;
    }
    // From here on all goes well, and enough is there to pay for it.
    {
        let mut script = bench.studio.script();
        (script.submits, script.predictions, script.downloads) = Default::default();
    }
    for id in ids(&bench).await {
        bench.drive(&worker, &id).await;
    }
    while bench.step(&worker).await {}
    conserved(&bench, foreign).await;
    ended_once(&bench, mode, case).await;
}

async fn ids(bench: &Bench) -> Vec<JobId> {
    let mut found = Vec::new();
    for n in 0..JOBS {
        let id: JobId = name(n);
        if bench.ledger.read(&id).await.unwrap().is_some() {
            found.push(id);
        }
    }
    found
}

fn name(job: u8) -> JobId {
    format!("j{job}").parse().unwrap()
}

async fn apply(bench: &Bench, worker: &Arc<Worker>, op: &Op, foreign: &mut i64) {
    let there = match op {
        Op::Visit(n) | Op::Cancel(n) | Op::DeadlinePasses(n) | Op::Retry(n) => {
            bench.ledger.read(&name(*n)).await.unwrap()
        }
        _ => None,
    };
    match (op, there) {
        (Op::Create(n), _) => {
            if bench.ledger.read(&name(*n)).await.unwrap().is_none() {
                bench.create(name(*n).as_str()).await;
            }
        }
        (Op::Step, _) => {
            bench.step(worker).await;
        }
        (Op::Visit(_), Some(job)) => {
            worker.visit(job.id, job.wake.seq).await;
        }
        (Op::Callback(nth), _) => call_back(bench, *nth).await,
        (Op::Cancel(_), Some(job)) => {
            let now = bench.clock.now();
            bench.ledger.request_cancel(&job.id, now).await.unwrap();
            wake(bench, &job, Why::Cancel).await;
        }
        (Op::DeadlinePasses(_), Some(job)) => bench.clock.advance_to(job.deadline_at),
        (Op::Retry(_), Some(job)) => {
            if matches!(job.status, Status::Failed | Status::Cancelled) {
                bench.retry(&job.id).await;
            }
        }
        (Op::Foreign(credits), _) => {
            // As the API service does it: past the ledger.
            rusqlite::Connection::open(bench.dir.path().join("lab.sqlite"))
                .unwrap()
                .execute(
                    "UPDATE accounts SET credits = credits + ?2 WHERE owner = ?1",
                    (OWNER, credits),
                )
                .unwrap();
            *foreign += credits;
        }
        (Op::Submission(kind), _) => {
            let answer = submission(*kind);
            bench.studio.script().submits.push_back(Err(answer));
        }
        (Op::Question(kind), _) => {
            let answer = question(*kind);
            bench.studio.script().predictions.push_back(answer);
        }
        (Op::Download(kind), _) => {
            let message = "no".to_owned();
            let error = match kind {
                0 => ProviderError::Incomplete { message },
                _ => ProviderError::NotFound { message },
            };
            bench.studio.script().downloads.push_back(Err(error));
        }
        (Op::Visit(_) | Op::Cancel(_) | Op::DeadlinePasses(_) | Op::Retry(_), None) => {}
    }
}

fn submission(kind: u8) -> SubmitError {
    let (message, words) = ("no".to_owned(), String::new());
    match kind {
        0 => SubmitError::Rejected { message, words },
        1 => SubmitError::Unauthorized { message },
        2 => SubmitError::NotSent { message },
        3 => SubmitError::Redirected { message },
        4 => SubmitError::Busy {
            message,
            retry_after: None,
        },
        _ => SubmitError::Ambiguous {
            message,
            words: None,
        },
    }
}

fn question(kind: u8) -> Result<Prediction, ProviderError> {
    let message = "no".to_owned();
    match kind {
        0 => Ok(Prediction::Running),
        1 => Ok(Prediction::Failed { message }),
        2 => Ok(Prediction::ContentRefused { message }),
        3 => Ok(Prediction::NoOutput),
        _ => Err(ProviderError::Unavailable { message }),
    }
}

/// The provider calls back for a submission that it took, whatever became of the answer.
async fn call_back(bench: &Bench, nth: u8) {
    let submissions = bench.studio.submissions.lock().unwrap().clone();
    let Some(submission) = submissions.get(usize::from(nth)) else {
        return;
    };
    let address = submission.callback.clone().unwrap();
    let parts: Vec<_> = address.path_segments().unwrap().collect();
    let id: JobId = parts[0].parse().unwrap();
    let callback = Callback {
        intent: parts[1].to_owned(),
        prediction_id: format!("p{}", nth + 1),
        received_at: bench.clock.now(),
    };
    bench.ledger.record_callback(&id, &callback).await.unwrap();
    wake(bench, &bench.job(&id).await, Why::Callback).await;
}

async fn wake(bench: &Bench, job: &Job, why: Why) {
    let task = Task::Job {
        id: job.id.clone(),
        seq: job.wake.seq,
        why,
    };
    bench
        .queue
        .schedule(&task, bench.clock.now())
        .await
        .unwrap();
}

/// The entries and what others did tell the account, and what is held is what jobs say they hold.
async fn conserved(bench: &Bench, foreign: i64) {
    let entries = bench.ledger.entries(&OWNER.parse().unwrap(), 1_000).await;
    let entries = entries.unwrap();
    let names: HashSet<_> = entries.iter().map(|entry| &entry.id).collect();
    assert_eq!(names.len(), entries.len(), "each entry is there once");
    let sum = entries.iter().fold((foreign, 0), |(credits, held), entry| {
        let moved = entry.kind.moves(entry.amount);
        (credits + moved.0, held + moved.1)
    });
    let account = bench.account().await;
    assert_eq!((account.credits, account.credits_held), sum);
    let mut said = 0;
    for id in ids(bench).await {
        let job = bench.job(&id).await;
        if job.credits.state == CreditState::Held {
            said += job.credits.cost.unwrap().0 as i64;
        }
    }
    assert_eq!(account.credits_held, said);
}

/// Every round has ended and was told of once, nothing stays held, and a round is charged at most
/// once: where it completed, or where a late cancellation is paid for.
async fn ended_once(bench: &Bench, mode: CreditsMode, case: &Case) {
    let account = bench.account().await;
    assert_eq!(account.credits_held, 0);
    let mut told: HashMap<(String, String), Vec<String>> = HashMap::new();
    for letter in bench.letters.got.lock().unwrap().iter() {
        let parts: Vec<_> = letter.id.split(':').collect();
        let round = (parts[0].to_owned(), parts[1].to_owned());
        told.entry(round).or_default().push(parts[2].to_owned());
    }
    let entries = bench.ledger.entries(&OWNER.parse().unwrap(), 1_000).await;
    let entries = entries.unwrap();
    let mut rounds = 0;
    for id in ids(bench).await {
        let job = bench.job(&id).await;
        assert!(job.status.is_ended(), "{job:#?}");
        rounds += job.round as usize;
        // A late cancellation has paid for what the next rounds go on from.
        let mut paid_before = false;
        for round in 1..=job.round {
            let ends = told.get(&(id.to_string(), round.to_string()));
            let [end] = ends.map(Vec::as_slice).unwrap_or_default() else {
                panic!("round {round} of {id} was told as {ends:?}");
            };
            let count = |kinds: &[EntryKind]| {
                let prefix = format!("{id}:{round}:");
                let of = entries.iter().filter(|entry| entry.id.starts_with(&prefix));
                of.filter(|entry| kinds.contains(&entry.kind)).count()
            };
            let charged = count(&[EntryKind::Capture, EntryKind::Deduct]);
            let (held, released) = (count(&[EntryKind::Hold]), count(&[EntryKind::Release]));
            let completed = end == "job.completed";
            match mode {
                CreditsMode::Off => assert_eq!((held, charged, released), (0, 0, 0)),
                CreditsMode::DeductOnCompletion => {
                    assert_eq!((held, charged, released), (0, usize::from(completed), 0));
                }
                CreditsMode::Hold => {
                    assert!(held <= 1 && held == charged + released, "{entries:#?}");
                    assert!(!completed || charged == 1 || paid_before, "{entries:#?}");
                    let late = case.late_cancellation_is_paid && end == "job.cancelled";
                    assert!(completed || late || charged == 0, "{entries:#?}");
                    paid_before |= late && charged == 1;
                }
            }
        }
    }
    assert_eq!(told.len(), rounds, "{told:?}");
    if mode == CreditsMode::Off {
        let foreign = case.ops.iter().map(|op| match op {
            Op::Foreign(credits) => *credits,
            _ => 0,
        });
        assert_eq!(account.credits, GRANT as i64 + foreign.sum::<i64>());
    }
}
