//! The power fails at any moment: what the ledger says is there is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filmlab::job::{Job, JobId, Published};

use super::bench::Bench;
use super::crash::{Fatal, Moment, call_back};

/// The objects that a job's record speaks of.
fn named(job: &Job) -> Vec<String> {
    let result = job.result.iter().flat_map(Published::objects);
    // After the end it goes, and the record still says where it was.
    let goes_on = !job.status.is_ended();
    let generated = job.generated.iter().filter(|_| goes_on);
    let generated = generated.map(|generated| &generated.object);
    let inputs = job.provider.inputs.iter();
    let inputs = inputs.flat_map(|inputs| {
        [
            Some(&inputs.facts.video_object),
            inputs.facts.image_object.as_ref(),
        ]
    });
    result
        .chain(generated)
        .chain(inputs.flatten())
        .cloned()
        .collect()
}

/// Lets the power fail right after the nth write that the ledger took; gives whether it came to
/// that, and what was named by then.
async fn cut_after(nth: u32) -> Option<(bool, usize)> {
    let mut bench = Bench::new().await?;
    let disk = bench.on_unsynced_disk();
    let id: JobId = bench.create("j").await;
    let fatal = Fatal::new(&bench, nth, Moment::After);
    let first = bench.worker_over(Arc::clone(&fatal) as _);
    let died = tokio::select! {
        () = fatal.dead.notified() => true,
        _ = bench.drive(&first, &id) => false,
    };
    let named = named(&bench.job(&id).await);
    let mut before = BTreeMap::new();
    for object in &named {
        let file = bench.dir.path().join("objects").join(object);
        before.insert(object.clone(), std::fs::read(file).unwrap());
    }
    let after = disk.cut_power();
    for (object, bytes) in &before {
        assert!(!bytes.is_empty(), "{object}");
        assert!(
            after.get(object) == Some(bytes),
            "{object} after write {nth}"
        );
    }
    call_back(&bench, &id).await;
    bench.clock.advance(Duration::from_secs(61));
    let second = bench.worker();
    let job = bench.drive(&second, &id).await;
    second.clean().await;
    bench.assert_completed_once(&job).await;
    Some((died, named.len()))
}

#[tokio::test]
async fn what_the_ledger_names_outlasts_a_power_cut_after_any_write() {
    let mut most = 0;
    for nth in 1..60 {
        let Some((died, named)) = cut_after(nth).await else {
            return;
        };
        most = most.max(named);
        if !died {
            // Inputs, output and a whole result were named on the way.
            assert!(nth > 9 && most >= 5, "write {nth}, {most} objects");
            return;
        }
    }
    panic!("it never ended");
}
