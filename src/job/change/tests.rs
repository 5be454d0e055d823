//! Tests of changes, and the jobs that other tests of the domain begin with.

use super::super::{Kind, NewJob, Notify, Output, Params, Source};
use super::*;

/// Whether the provider may have been paid in this round.
pub(crate) fn may_have_paid(job: &Job) -> bool {
    let this_round = format!("{}-", job.round);
    let mut intents = job.intents.iter();
    intents.any(|it| it.id.starts_with(&this_round) && it.state != IntentState::Refused)
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub(crate) fn job() -> Job {
    NewJob {
        id: "j1".parse().unwrap(),
        owner: "u1".parse().unwrap(),
        params: Params::parse(Kind::Upscale, &serde_json::Value::Null).unwrap(),
        source: Source {
            video: "sources/u1/v.mp4".parse().unwrap(),
            image: None,
            audio_track: None,
        },
        output: Output::default(),
        notify: Notify::default(),
        tags: Vec::new(),
        max_price: None,
        traceparent: None,
        cost: None,
        cancel_after_submit: None,
        provenance: None,
        deadline_at: at(7200),
        created_at: at(0),
        idempotency: None,
    }
    .into_job()
}

pub(crate) fn claimed() -> Job {
    let mut job = job();
    job.claim("a", at(0), std::time::Duration::from_secs(60), false)
        .unwrap();
    job
}

pub(crate) fn intent(id: &str) -> Intent {
    Intent {
        id: id.into(),
        model: "m".into(),
        at: at(1),
        state: IntentState::Open,
        prediction_id: None,
        unknown_until: None,
        terms: None,
        counted: None,
    }
}

#[test]
fn a_second_intent_is_refused_while_the_first_is_open() {
    let mut job = claimed();
    Change::Intended(intent("1-1"))
        .apply(&mut job, at(1))
        .unwrap();
    let before = job.clone();
    assert!(
        Change::Intended(intent("1-2"))
            .apply(&mut job, at(2))
            .is_err()
    );
    assert_eq!(job, before, "a refused change leaves no trace");
    Change::IntentRefused {
        intent: "1-1".into(),
    }
    .apply(&mut job, at(2))
    .unwrap();
    assert!(!may_have_paid(&job));
    Change::Intended(intent("1-2"))
        .apply(&mut job, at(3))
        .unwrap();
}

#[test]
fn what_need_not_be_read_back_may_be_written_twice() {
    let intent_id = || "1-1".to_owned();
    for change in [
        Change::Submitted {
            intent: intent_id(),
            prediction_id: "p1".into(),
            at: at(2),
        },
        Change::IntentRefused {
            intent: intent_id(),
        },
        Change::IntentUnknown {
            intent: intent_id(),
            until: at(60),
        },
        Change::IntentWasted {
            intent: intent_id(),
        },
    ] {
        assert!(change.is_repeatable());
        let mut once = claimed();
        Change::Intended(intent("1-1"))
            .apply(&mut once, at(1))
            .unwrap();
        change.apply(&mut once, at(2)).unwrap();
        let mut twice = once.clone();
        change.apply(&mut twice, at(2)).unwrap();
        twice.revision = once.revision;
        assert_eq!(twice, once, "{change:?}");
    }
    assert!(!Change::Intended(intent("1-1")).is_repeatable());
    assert!(!Change::Polled.is_repeatable());
}

#[test]
fn nothing_completes_without_a_result() {
    let mut job = claimed();
    let ending = Ending {
        status: Status::Completed,
        error: None,
        credits: CreditState::None,
        at: at(9),
    };
    assert!(Change::Ended(ending).apply(&mut job, at(9)).is_err());
}

#[test]
fn an_ended_job_is_due_nowhere() {
    let mut job = claimed();
    let ending = Ending {
        status: Status::Failed,
        error: None,
        credits: CreditState::Released,
        at: at(9),
    };
    Change::Ended(ending).apply(&mut job, at(9)).unwrap();
    assert_eq!((job.next_visit_at, job.lease.holder.clone()), (None, None));
    assert!(
        Change::Waited {
            until: at(10),
            reason: None,
            what: WaitsFor::Account,
        }
        .apply(&mut job, at(9))
        .is_err()
    );
}

#[test]
fn fields_we_do_not_know_survive() {
    let mut value = serde_json::to_value(job()).unwrap();
    value["campaign"] = "spring".into();
    let job: Job = serde_json::from_value(value).unwrap();
    assert_eq!(job.extra.len(), 1, "{:?}", job.extra);
    assert_eq!(serde_json::to_value(&job).unwrap()["campaign"], "spring");
}
