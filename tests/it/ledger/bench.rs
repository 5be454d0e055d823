//! What the contract needs of a backend, and the jobs it works with.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use filmlab::job::{
    CancelAfterSubmit, Change, Channel, Claim, Code, CreditEntry, CreditState, Credits,
    DurationMeaning, Ending, EntryKind, Ingredient, InputOrigin, Intent, IntentState, Job,
    JobError, Kind, NewJob, Notify, Origin, OriginInput, Output, Params, Party, Published,
    ResultOrigin, Source, Stage, Status, Terms, Timestamp, Unsigned,
};
use filmlab::ledger::{Claimed, Commit, Ledger, Settled, Settlement};
use serde_json::{Value, json};

/// A backend to try.
#[async_trait]
pub(crate) trait Bench: Sync {
    /// Whether this machine has the backend; if not, the skip has been written down.
    fn is_there(&self) -> bool {
        true
    }

    /// An empty ledger, shared with nobody.
    async fn fresh(&self) -> World;
}

/// A ledger, and the others who write to its records.
pub(crate) struct World {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) others: Box<dyn Others>,
}

/// Writes by somebody who does not go through the ledger, such as the API service.
#[async_trait]
pub(crate) trait Others: Send + Sync {
    /// Replaces fields of a job's document; null removes one.
    async fn write(&self, job: &str, fields: Value);
    /// The same for a notice's document.
    async fn write_notice(&self, notice: &str, fields: Value);
    /// Increments an account's credits.
    async fn increment(&self, owner: &str, credits: i64);
}

pub(crate) const TTL: Duration = Duration::from_secs(60);
pub(crate) const OWNER: &str = "u1";

/// Some second of a day, with microseconds that must not get lost.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_microsecond(1_790_000_000_000_000 + second * 1_000_000 + 123_456).unwrap()
}

pub(crate) fn new_job(id: &str) -> NewJob {
    NewJob {
        id: id.parse().unwrap(),
        owner: OWNER.parse().unwrap(),
        params: Params::parse(Kind::Upscale, &Value::Null).unwrap(),
        source: Source {
            video: "sources/u1/v.mp4".parse().unwrap(),
            image: None,
            audio_track: None,
        },
        output: Output::default(),
        notify: Notify::default(),
        cost: None,
        tags: Vec::new(),
        max_price: None,
        traceparent: None,
        cancel_after_submit: Some(CancelAfterSubmit::Capture),
        provenance: None,
        deadline_at: at(7200),
        created_at: at(0),
        idempotency: None,
    }
}

pub(crate) fn intent(id: &str) -> Intent {
    Intent {
        id: id.into(),
        model: "m".into(),
        at: at(1),
        state: IntentState::Open,
        prediction_id: None,
        unknown_until: None,
        terms: Some(Terms {
            revision: 2,
            duration: DurationMeaning::Whole,
            usd: Some(0.5),
        }),
        counted: None,
    }
}

pub(crate) fn grant(id: &str, amount: u64) -> CreditEntry {
    CreditEntry {
        id: id.into(),
        kind: EntryKind::Grant,
        amount: Credits(amount),
        job: None,
        at: at(0),
    }
}

pub(crate) fn ending(status: Status, credits: CreditState) -> Ending {
    Ending {
        status,
        error: None,
        credits,
        at: at(9),
    }
}

/// A failed end that moves `kind`, if any.
pub(crate) fn settlement(job: &Job, kind: Option<EntryKind>, amount: u64) -> Settlement {
    let credits = match kind {
        Some(EntryKind::Capture | EntryKind::Deduct) => CreditState::Captured,
        Some(EntryKind::Release) => CreditState::Released,
        _ => CreditState::None,
    };
    Settlement {
        ending: ending(Status::Failed, credits),
        entry: kind
            .map(|kind| CreditEntry::for_job(&job.id, job.round, kind, Credits(amount), at(9))),
        channel: Channel::Log,
    }
}

/// What the provider is to blame for.
pub(crate) fn provider_failed() -> JobError {
    JobError {
        code: Code::ProviderFailed,
        message: "x".into(),
        party: Party::Provider,
        stage: None,
        attempt: 1,
        at: at(9),
    }
}

impl World {
    pub(crate) async fn create(&self, id: &str) -> Job {
        self.ledger.create(new_job(id)).await.unwrap();
        self.job(id).await
    }

    pub(crate) async fn job(&self, id: &str) -> Job {
        self.ledger
            .read(&id.parse().unwrap())
            .await
            .unwrap()
            .expect("the job is there")
    }

    pub(crate) async fn claim(&self, id: &str, holder: &str, now: Timestamp) -> (Claim, Job) {
        match self
            .ledger
            .claim(&id.parse().unwrap(), holder, now, TTL)
            .await
        {
            Ok(Claimed::Taken { claim, job }) => (claim, *job),
            other => panic!("not taken: {other:?}"),
        }
    }

    /// A new job, claimed by "a".
    pub(crate) async fn claimed(&self, id: &str) -> (Claim, Job) {
        self.create(id).await;
        self.claim(id, "a", at(1)).await
    }

    pub(crate) async fn record(&self, job: &Job, claim: &Claim, change: &Change) -> Job {
        match self.ledger.record(&job.id, claim, change, at(2)).await {
            Ok(Commit::Done(job)) => *job,
            other => panic!("{change:?} not done: {other:?}"),
        }
    }

    pub(crate) async fn settle(&self, job: &Job, claim: &Claim, end: &Settlement) -> Job {
        match self.ledger.settle(&job.id, claim, end, at(9)).await {
            Ok(Settled::Done { job, .. }) => *job,
            other => panic!("not settled: {other:?}"),
        }
    }

    pub(crate) async fn grant(&self, id: &str, amount: u64) -> bool {
        let owner = OWNER.parse().unwrap();
        self.ledger.grant(&owner, &grant(id, amount)).await.unwrap()
    }

    /// The account as (credits, held).
    pub(crate) async fn balance(&self) -> (i64, i64) {
        let account = self.ledger.account(&OWNER.parse().unwrap()).await.unwrap();
        let account = account.expect("there is an account");
        (account.credits, account.credits_held)
    }

    /// Sends an ended job on another round, as the API service does.
    pub(crate) async fn next_round(&self, job: &Job, now: Timestamp) {
        let fields = json!({
            "status": "queued", "stage": null, "round": job.round + 1, "result": null,
            "error": null, "completed_at": null, "next_visit_at": now,
            "credits": {"cost": job.credits.cost, "state": "none"},
            "wake": {"seq": job.wake.seq + 1, "at": now},
        });
        self.others.write(job.id.as_str(), fields).await;
    }
}

/// Every owner write of a job that goes well, in order, up to its settlement.
pub(crate) fn road() -> Vec<Change> {
    let published = Published {
        video: "results/v.mp4".into(),
        poster: "results/p.jpg".into(),
        metadata: "results/m.json".into(),
        storyboard: Some("results/s.jpg".into()),
        storyboard_vtt: Some("results/s.vtt".into()),
        bytes: 7,
        duration_ms: 5,
        width: 4,
        height: 2,
        provenance: Some(Box::new(origin())),
    };
    vec![
        Change::Intended(intent("1-1")),
        Change::Submitted {
            intent: "1-1".into(),
            prediction_id: "p1".into(),
            at: at(2),
        },
        Change::Polled,
        Change::OutputReady {
            url: "https://cdn.example/o.mp4".into(),
        },
        Change::Fetched(filmlab::job::Generated {
            object: "work/g.mp4".into(),
            bytes: 9,
        }),
        Change::Timed {
            stage: Stage::Fetch,
            ms: 3,
        },
        Change::Processed(Box::new(published)),
    ]
}

/// What a file says, with every field there is.
pub(super) fn said() -> Origin {
    Origin {
        generator: Some("a program 1".into()),
        source_type: Some("digitalCapture".into()),
        state: Some("invalid".into()),
        why: Some("assertion.bmffHash.mismatch".into()),
        ingredients: vec![Ingredient {
            relationship: "parentOf".into(),
            manifest: true,
            state: Some("valid".into()),
        }],
    }
}

pub(super) fn origin() -> ResultOrigin {
    ResultOrigin {
        id: Some("urn:uuid:1".into()),
        said: said(),
        signed: false,
        unsigned: Some(Unsigned::NoKey),
        inputs: vec![InputOrigin {
            input: OriginInput::Generated,
            said: said(),
        }],
    }
}
