//! A model that fails much rests for all processes, and one job tries it again.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::Clock as _;
use filmlab::job::attempt::Attempts;
use filmlab::job::breaker::BreakerRules;
use filmlab::job::{Job, JobId, PassedFor, Stage, Status, WaitsFor};
use filmlab::ledger::Ledger as _;
use filmlab::provider::Prediction;
use filmlab::worker::Worker;

use super::bench::Bench;

const MAIN: &str = "studio/character_replace";

const RULES: BreakerRules = BreakerRules {
    share: 0.5,
    least: 3,
    window: Duration::from_secs(3600),
    rest: Duration::from_secs(600),
    probe: Duration::from_secs(1800),
};

fn failed() -> Prediction {
    Prediction::Failed {
        message: "x".into(),
    }
}

/// A bench whose jobs have one attempt.
async fn bench() -> Option<Bench> {
    let mut bench = Bench::new().await?;
    bench.settings.breaker = Some(RULES);
    let pause = Duration::from_secs(5);
    bench.settings.attempts = Attempts::try_new(1, pause, pause).unwrap();
    Some(bench)
}

async fn visit(bench: &Bench, worker: &Arc<Worker>, id: &JobId) -> Job {
    let seq = bench.job(id).await.wake.seq;
    worker.visit(id.clone(), seq).await;
    bench.job(id).await
}

/// Three jobs fail; the model rests then.
async fn opened(bench: &Bench, worker: &Arc<Worker>) {
    for name in ["f1", "f2", "f3"] {
        let answer = Ok(failed());
        bench.studio.script().predictions.push_back(answer);
        let id = bench.create(name).await;
        let job = bench.drive(worker, &id).await;
        assert_eq!(job.status, Status::Failed);
    }
    let known = bench.ledger.breaker(MAIN).await.unwrap().unwrap();
    assert!(known.rests_until.is_some(), "{known:?}");
}

#[tokio::test]
async fn it_opens_rests_probes_and_closes_for_two_processes() {
    let Some(bench) = bench().await else {
        return;
    };
    let workers = [bench.worker(), bench.worker()];
    opened(&bench, &workers[0]).await;
    let paid = bench.studio.submitted();
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(bench.create(name).await);
    }
    // The other process knows it, and nothing is paid.
    for (turn, id) in ids.iter().enumerate() {
        let job = visit(&bench, &workers[turn % 2], id).await;
        let wait = job.wait(bench.clock.now()).unwrap();
        assert_eq!((wait.what, job.attempt), (WaitsFor::Breaker, 1));
        assert_eq!(job.error, None);
    }
    assert_eq!(bench.studio.submitted(), paid);
    // Rested: of four jobs in two processes at once, one tries it.
    bench.clock.advance(RULES.rest);
    let mut visits = tokio::task::JoinSet::new();
    for (turn, id) in ids.iter().enumerate() {
        let seq = bench.job(id).await.wake.seq;
        let (worker, id) = (Arc::clone(&workers[turn % 2]), id.clone());
        visits.spawn(async move { worker.visit(id, seq).await });
    }
    visits.join_all().await;
    assert_eq!(bench.studio.submitted(), paid + 1, "one probe");
    // It fails: another rest, and nothing paid in it.
    bench.studio.script().predictions.push_back(Ok(failed()));
    let mut probe = None;
    for id in &ids {
        let job = bench.job(id).await;
        if job.stage == Some(Stage::Generate) {
            probe = Some(id.clone());
        }
    }
    let probe = probe.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(
        visit(&bench, &workers[1], &probe).await.status,
        Status::Failed
    );
    ids.retain(|id| *id != probe);
    for id in &ids {
        visit(&bench, &workers[0], id).await;
    }
    assert_eq!(bench.studio.submitted(), paid + 1);
    // The next one works: the model is asked by all again.
    bench.clock.advance(RULES.rest);
    for id in &ids {
        let job = bench.drive(&workers[0], id).await;
        assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    }
    assert_eq!(bench.studio.submitted(), paid + 1 + ids.len());
    let known = bench.ledger.breaker(MAIN).await.unwrap().unwrap();
    assert_eq!((known.rests_until, &known.probe), (None, &None));
}

#[tokio::test]
async fn where_there_is_another_model_a_resting_one_is_passed_over() {
    let Some(bench) = bench().await else {
        return;
    };
    let worker = bench.worker();
    opened(&bench, &worker).await;
    bench.studio.falls_back_to(&[("studio/second", 0.1)]);
    let id = bench.create("j").await;
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(job.provider.model.as_deref(), Some("studio/second"));
    assert_eq!(job.passed_over.len(), 1);
    assert_eq!(
        (&*job.passed_over[0].model, job.passed_over[0].why),
        (MAIN, PassedFor::Rest)
    );
}
