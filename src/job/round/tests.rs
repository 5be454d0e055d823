//! Tests of rounds.

use super::super::change::tests::{at, claimed, intent, may_have_paid};
use super::super::{Change, Ending, Generated};
use super::*;

fn submitted() -> Job {
    let mut job = claimed();
    for change in [
        Change::Intended(intent("1-1")),
        Change::Submitted {
            intent: "1-1".into(),
            prediction_id: "p1".into(),
            at: at(1),
        },
    ] {
        change.apply(&mut job, at(1)).unwrap();
    }
    job
}

#[test]
fn a_round_that_asks_again_asks_for_the_same() {
    let terms = |revision, duration| Terms {
        revision,
        duration,
        usd: Some(0.5),
    };
    let mut job = claimed();
    assert_eq!(job.terms_before("m"), None);
    job.intents.push(intent("1-1"));
    let before = job.terms_before("m").unwrap();
    // Of the release before, which kept none.
    assert_eq!(
        (before.revision, before.duration),
        (1, DurationMeaning::Added)
    );
    assert_eq!(job.terms_before("another"), None);
    let mut second = intent("1-2");
    second.terms = Some(terms(2, DurationMeaning::Whole));
    job.intents.push(second);
    assert_eq!(
        job.terms_before("m"),
        Some(terms(2, DurationMeaning::Whole))
    );
    // Another round is decided anew.
    job.round = 2;
    assert_eq!(job.terms_before("m"), None);
}

fn fetched() -> Job {
    let mut job = submitted();
    for change in [
        Change::OutputReady {
            url: "https://cdn.example/o.mp4".into(),
        },
        Change::Fetched(Generated {
            object: "work/j1/1-1/generated.mp4".into(),
            bytes: 9,
        }),
    ] {
        change.apply(&mut job, at(2)).unwrap();
    }
    job
}

fn failed(mut job: Job, code: Code, party: Party) -> Job {
    let error = JobError {
        code,
        message: "x".into(),
        party,
        stage: job.stage,
        attempt: 1,
        at: at(3),
    };
    let ending = Ending {
        status: Status::Failed,
        error: Some(error),
        credits: CreditState::Released,
        at: at(3),
    };
    Change::Ended(ending).apply(&mut job, at(3)).unwrap();
    job
}

fn resumed(mut job: Job) -> Job {
    job.retry(at(9), at(99)).unwrap();
    job
}

#[test]
fn a_round_goes_on_from_the_last_stage_that_is_still_good() {
    for (job, code, party, stage) in [
        (
            fetched(),
            Code::EncoderFailed,
            Party::Service,
            Stage::Process,
        ),
        (
            fetched(),
            Code::DamagedMedia,
            Party::Provider,
            Stage::Submit,
        ),
        (
            submitted(),
            Code::DownloadFailed,
            Party::Provider,
            Stage::Generate,
        ),
        (
            submitted(),
            Code::DeadlineExceeded,
            Party::Service,
            Stage::Generate,
        ),
        (
            submitted(),
            Code::ProviderFailed,
            Party::Provider,
            Stage::Submit,
        ),
        (
            claimed(),
            Code::InsufficientCredits,
            Party::Caller,
            Stage::Submit,
        ),
    ] {
        let before = failed(job, code, party);
        let kept = before.generated.is_some();
        assert_eq!(before.kept.generated.is_some(), kept, "{code}");
        let job = resumed(before.clone());
        assert_eq!(job.stage, Some(stage), "{code}");
        assert_eq!(
            (job.round, job.attempt, job.status),
            (2, 1, Status::Queued),
            "{code}"
        );
        assert_eq!(job.generated.is_some(), stage == Stage::Process, "{code}");
        assert_eq!(
            job.provider.prediction_id.is_some(),
            stage != Stage::Submit,
            "{code}"
        );
        assert_eq!(
            (job.wake.seq, job.next_visit_at),
            (before.wake.seq + 1, Some(at(9)))
        );
        assert_eq!(
            (job.lease.fence, job.error, job.kept),
            (before.lease.fence, None, Kept::default())
        );
    }
}

#[test]
fn what_a_cancellation_paid_for_is_not_charged_again() {
    let cancelled = |job: Job, credits| {
        let mut job = job;
        let ending = Ending {
            status: Status::Cancelled,
            error: None,
            credits,
            at: at(3),
        };
        Change::Ended(ending).apply(&mut job, at(3)).unwrap();
        resumed(job)
    };
    let job = cancelled(fetched(), CreditState::Captured);
    assert_eq!(job.credits.state, CreditState::Captured);
    let job = cancelled(fetched(), CreditState::Released);
    assert_eq!(job.credits.state, CreditState::None);
    // Nothing is there to go on from: the provider is paid again.
    let job = cancelled(claimed(), CreditState::Captured);
    assert_eq!(job.credits.state, CreditState::None);
}

#[test]
fn a_prediction_that_is_dropped_is_marked_whatever_its_round() {
    let mut job = resumed(failed(submitted(), Code::DownloadFailed, Party::Provider));
    job.claim("b", at(10), std::time::Duration::from_secs(60), false)
        .unwrap();
    Change::PredictionLost.apply(&mut job, at(11)).unwrap();
    assert_eq!(job.intents[0].state, IntentState::Failed);
    assert_eq!(job.stage, Some(Stage::Submit));
    assert!(!may_have_paid(&job), "nothing was paid in this round");
}

#[test]
fn an_output_that_was_closed_for_a_day_is_bought_anew() {
    const DAY: i64 = 24 * 3600;
    let job = |closed: bool| {
        let mut job = submitted();
        let url = "https://cdn.example/o.mp4".into();
        for change in [
            Change::OutputReady { url },
            Change::AddressClosed { at: at(2) },
        ] {
            change.apply(&mut job, at(2)).unwrap();
        }
        if !closed {
            job.provider.closed_since = None;
        }
        failed(job, Code::DeadlineExceeded, Party::Provider)
    };
    for (closed, later, stage) in [
        (true, 1 + DAY, Stage::Generate),
        (true, 2 + DAY, Stage::Submit),
        (false, 2 + DAY, Stage::Generate),
    ] {
        let mut job = job(closed);
        job.retry(at(later), at(later + 99)).unwrap();
        assert_eq!(job.stage, Some(stage), "{closed}, {later}");
        assert_eq!(job.provider.closed_addresses, 0);
    }
}

#[test]
fn rounds_do_not_use_up_the_room_for_intents() {
    let mut job = claimed();
    for round in 1..40 {
        let id = format!("{round}-1");
        Change::Intended(intent(&id))
            .apply(&mut job, at(1))
            .unwrap();
        Change::IntentWasted { intent: id }
            .apply(&mut job, at(1))
            .unwrap();
        job = resumed(failed(job, Code::ProviderAnswerLost, Party::Provider));
        job.claim("a", at(10), std::time::Duration::from_secs(60), false)
            .unwrap();
    }
    assert_eq!(job.intents.len(), REMEMBERED_INTENTS);
}

#[test]
fn only_what_failed_or_was_cancelled_is_retried() {
    let mut job = claimed();
    assert_eq!(job.retry(at(9), at(99)), Err(NotRetried::NotEnded));
    job.status = Status::Completed;
    assert_eq!(job.retry(at(9), at(99)), Err(NotRetried::Completed));
}
