//! What all instances know of a model, by each ledger.

use std::sync::Arc;
use std::time::Duration;

use filmlab::job::JobId;
use filmlab::job::breaker::{BreakerRules, Clearance, Turned, Verdict};
use filmlab::ledger::limits::OwnerLimits;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::ledger::{Ledger, LedgerError};

use super::bench::at;
use super::faults::{Fault, LosesAnswer};
use super::firestore::connect;
use super::memory::Memory;
use crate::support::emulator::Emulator;

const RULES: BreakerRules = BreakerRules {
    share: 0.5,
    least: 2,
    window: Duration::from_secs(3600),
    rest: Duration::from_secs(60),
    probe: Duration::from_secs(600),
};
const MODEL: &str = "maker/model-1.0/do";

fn job(number: usize) -> JobId {
    format!("j{number}").parse().unwrap()
}

/// Opens it, and has twelve jobs of three processes ask at once, some without an answer.
async fn one_probes(three: &[Arc<dyn Ledger>]) {
    let note = async |number: usize, failed: bool, second: i64| {
        let ledger = &three[number % 3];
        let verdict = if failed {
            Verdict::Fails
        } else {
            Verdict::Works
        };
        let job = job(number);
        let noted = ledger.note_model(MODEL, &job, verdict, at(second), &RULES);
        noted.await.unwrap()
    };
    assert_eq!(note(0, true, 0).await, None);
    assert_eq!(note(1, true, 1).await, Some(Turned::Opened));
    let early = three[2].ask_model(MODEL, &job(2), at(30), &RULES).await;
    let (until, tried) = (at(61), false);
    assert_eq!(early.unwrap(), Clearance::Rests { until, tried });
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..12 {
        let ledger = Arc::clone(&three[number % 3]);
        let ledger: Arc<dyn Ledger> = match number % 2 {
            0 => Arc::new(LosesAnswer::new(ledger, Fault::CommitsThenErrs, 1)),
            _ => ledger,
        };
        asking.spawn(async move {
            let job = job(number);
            loop {
                let asked = ledger.ask_model(MODEL, &job, at(61), &RULES);
                match asked.await {
                    Err(LedgerError::Unknown(_)) => {}
                    answer => return (number, answer.unwrap()),
                }
            }
        });
    }
    let answers = asking.join_all().await;
    let probes = answers
        .iter()
        .filter(|(_, answer)| *answer == Clearance::Probes);
    let probes: Vec<_> = probes.collect();
    assert_eq!(probes.len(), 1, "{answers:?}");
    let probe = probes[0].0;
    assert_eq!(
        note(probe + 1, false, 70).await,
        None,
        "not the probe's word"
    );
    assert_eq!(note(probe, false, 80).await, Some(Turned::Closed));
    let works = three[0].ask_model(MODEL, &job(9), at(81), &RULES).await;
    assert_eq!(works.unwrap(), Clearance::Works);
    let known = three[1].breaker(MODEL).await.unwrap().unwrap();
    assert_eq!((&*known.model, known.ends), (MODEL, 0));
}

#[tokio::test]
async fn one_job_in_all_tries_a_model_again_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab.sqlite");
    let open = || Arc::new(SqliteLedger::open(&path).unwrap()) as Arc<dyn Ledger>;
    assert_eq!(open().breaker(MODEL).await.unwrap(), None);
    one_probes(&[open(), open(), open()]).await;
}

#[tokio::test]
async fn one_job_in_all_tries_a_model_again_on_maps() {
    let memory = Memory::limited(OwnerLimits::default());
    let open = || Arc::new(memory.clone()) as Arc<dyn Ledger>;
    one_probes(&[open(), open(), open()]).await;
}

#[tokio::test]
async fn one_job_in_all_tries_a_model_again_on_firestore() {
    let Some(emulator) = Emulator::fresh() else {
        return;
    };
    let mut three: Vec<Arc<dyn Ledger>> = Vec::new();
    for _ in 0..3 {
        three.push(Arc::new(connect(&emulator).await));
    }
    one_probes(&three).await;
}
