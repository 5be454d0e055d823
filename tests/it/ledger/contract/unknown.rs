use std::sync::Arc;

use filmlab::job::{
    Channel, Claim, CreditEntry, CreditState, Credits, EntryKind, Job, Notice, Status,
};
use filmlab::ledger::{
    Claimed, Commit, HoldOutcome, Ledger, LedgerError, Result, Settled, Settlement,
};

use super::super::bench::{Bench, OWNER, TTL, at, ending, grant, new_job, road};
use super::super::faults::{Fault, LosesAnswer};

/// A job goes its whole road while the answer of one write is lost, each write in turn, with and
/// without the commit. Who reads the job again can tell the two apart, and ends up where an
/// undisturbed run does.
pub(crate) async fn reading_again_tells_what_became_of_a_commit(bench: &dyn Bench) {
    let undisturbed = {
        let world = bench.fresh().await;
        let calm = LosesAnswer::new(world.ledger, Fault::ErrsInstead, 0);
        go(&calm).await
    };
    assert_eq!(undisturbed.0.status, Status::Completed);
    for fault in [Fault::CommitsThenErrs, Fault::ErrsInstead] {
        for nth in 1.. {
            let world = bench.fresh().await;
            let ledger = LosesAnswer::new(Arc::clone(&world.ledger), fault, nth);
            let end = go(&ledger).await;
            assert_eq!(end, undisturbed, "{fault:?}, write {nth}");
            if !ledger.is_spent() {
                assert!(nth > 10, "only {nth} writes were tried");
                break;
            }
        }
    }
}

type End = (Job, (i64, i64), Vec<CreditEntry>, Notice);

async fn go(ledger: &LosesAnswer) -> End {
    let owner = OWNER.parse().unwrap();
    let id = "j1".parse().unwrap();
    // By name: doing these again is harmless.
    if unknown(&ledger.grant(&owner, &grant("g", 10)).await) {
        assert!(ledger.grant(&owner, &grant("g", 10)).await.is_ok());
    }
    if unknown(&ledger.create(new_job("j1")).await) {
        assert!(ledger.create(new_job("j1")).await.is_ok());
    }
    let (claim, mut job) = claim(ledger).await;

    // By revision: it is ours and one higher, or the write never happened.
    let held = ledger.hold(&id, &claim, Credits(4), at(2)).await;
    if unknown(&held) && !happened(ledger, &claim, &job).await {
        let held = ledger.hold(&id, &claim, Credits(4), at(2)).await.unwrap();
        assert!(matches!(held, HoldOutcome::Done(_)), "{held:?}");
    }
    job = read(ledger).await;
    for change in road() {
        let recorded = ledger.record(&id, &claim, &change, at(3)).await;
        if unknown(&recorded) && !happened(ledger, &claim, &job).await {
            let again = ledger.record(&id, &claim, &change, at(3)).await.unwrap();
            assert!(matches!(again, Commit::Done(_)), "{again:?}");
        }
        job = read(ledger).await;
    }

    // By the end itself.
    let end = Settlement {
        ending: ending(Status::Completed, CreditState::Captured),
        entry: Some(CreditEntry::for_job(
            &id,
            1,
            EntryKind::Capture,
            Credits(4),
            at(9),
        )),
        channel: Channel::Log,
    };
    let settled = ledger.settle(&id, &claim, &end, at(9)).await;
    if unknown(&settled) && !read(ledger).await.status.is_ended() {
        let again = ledger.settle(&id, &claim, &end, at(9)).await.unwrap();
        assert!(matches!(again, Settled::Done { .. }), "{again:?}");
    }
    let account = ledger.account(&owner).await.unwrap().unwrap();
    let entries = ledger.entries(&owner, 10).await.unwrap();
    let notice = ledger.notice("j1:1:job.completed").await.unwrap().unwrap();
    (
        read(ledger).await,
        (account.credits, account.credits_held),
        entries,
        notice,
    )
}

async fn claim(ledger: &LosesAnswer) -> (Claim, Job) {
    let before = read(ledger).await;
    let claimed = ledger.claim(&before.id, "a", at(1), TTL).await;
    let claimed = if unknown(&claimed) {
        let job = read(ledger).await;
        let ours = job.lease.holder.as_deref() == Some("a");
        if ours && job.lease.fence > before.lease.fence {
            let claim = Claim {
                holder: "a".into(),
                fence: job.lease.fence,
            };
            return (claim, job);
        }
        ledger.claim(&before.id, "a", at(1), TTL).await
    } else {
        claimed
    };
    match claimed {
        Ok(Claimed::Taken { claim, job }) => (claim, *job),
        other => panic!("{other:?}"),
    }
}

async fn read(ledger: &LosesAnswer) -> Job {
    ledger.read(&"j1".parse().unwrap()).await.unwrap().unwrap()
}

async fn happened(ledger: &LosesAnswer, claim: &Claim, before: &Job) -> bool {
    let job = read(ledger).await;
    assert!(claim.holds(&job));
    job.revision == before.revision + 1
}

fn unknown<T: std::fmt::Debug>(answer: &Result<T>) -> bool {
    match answer {
        Ok(_) => false,
        Err(LedgerError::Unknown(_)) => true,
        Err(error) => panic!("{error}"),
    }
}
