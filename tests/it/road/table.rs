//! What becomes of a job under each fault that the sandbox can make, written down.
//!
//! The sandbox answers over HTTP and calls back over HTTP, into the real routes; only time is the
//! tests'. `docs/faults.md` is what these runs showed.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filmlab::clock::{Clock as _, ManualClock, SystemClock};
use filmlab::http::{
    self, CheckMarks, EventPace, EventStreams, HttpSettings, HttpState, TasksAuth,
};
use filmlab::job::{
    CancelAfterSubmit, Code, EntryKind, IntentState, Job, JobId, Kind, Label, Provenance,
};
use filmlab::ledger::Ledger as _;
use filmlab::media::Cancel;
use filmlab::provider::wavespeed::{CallbackConfig, Secret, WaveSpeed, WaveSpeedConfig};
use filmlab::sandbox::{
    Fault, FaultName, FaultRule, Make, MakeError, Maker, MediaMaker, Sandbox, SandboxConfig,
    SandboxHandle, Task,
};
use filmlab::worker::Worker;
use serde_json::json;
use strum::IntoEnumIterator as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::bench::{Bench, GRANT, OWNER};
use crate::docs::assert_exact;

/// The parts of the page, and of the enum.
const SECTIONS: [&str; 5] = [
    "The submission is refused",
    "The submission is taken, and its answer goes wrong",
    "The prediction goes wrong",
    "The video goes wrong",
    "The callback goes wrong",
];

/// The kind that a single strike is tried with: what heals, heals for all.
const ONCE: Kind = Kind::CharacterReplace;

/// Faults to strike together.
type Case = Vec<Fault>;

fn failed(code: i64) -> Case {
    vec![Fault::FailedPrediction {
        code,
        message: "Task execution failed.".into(),
    }]
}

fn rejected(code: i64) -> Case {
    vec![Fault::Reject {
        code,
        message: "Invalid parameter.".into(),
    }]
}

fn ends_as(status: &str) -> Case {
    vec![Fault::Status {
        status: status.into(),
    }]
}

fn envelope(code: i64, message: &str) -> Case {
    vec![Fault::EnvelopeError {
        code,
        message: message.into(),
    }]
}

/// The section and the rows of a fault: a new one does not compile without.
fn cases(name: FaultName) -> (usize, Vec<Case>) {
    match name {
        FaultName::TooManyRequests => {
            let retry_after = Some(600);
            (0, vec![vec![Fault::TooManyRequests { retry_after }]])
        }
        FaultName::Unauthorized => (0, vec![vec![Fault::Unauthorized]]),
        FaultName::NoFunds => (0, vec![vec![Fault::NoFunds]]),
        FaultName::Reject => (0, [1400, 1401, 1402].map(rejected).to_vec()),
        FaultName::UnknownModel => (0, vec![vec![Fault::UnknownModel]]),
        FaultName::RefuseContent => (0, vec![vec![Fault::RefuseContent]]),
        FaultName::EnvelopeError => (
            0,
            vec![
                envelope(500, "Internal error."),
                envelope(1401, "Invalid parameter."),
            ],
        ),
        FaultName::Redirect => {
            let to = "https://elsewhere.example/".into();
            (0, vec![vec![Fault::Redirect { to }]])
        }
        FaultName::AnswerLost => (
            1,
            vec![
                vec![Fault::AnswerLost],
                vec![Fault::AnswerLost, Fault::WebhookLost],
            ],
        ),
        FaultName::AcceptedThen5xx => (1, vec![vec![Fault::AcceptedThen5xx { status: 502 }]]),
        FaultName::GarbageAnswer => (1, vec![vec![Fault::GarbageAnswer]]),
        FaultName::AnswerLate => (1, vec![vec![Fault::AnswerLate { ms: LATE_ANSWER }]]),
        FaultName::FailedPrediction => (2, [1402, 1403, 1405, 5000].map(failed).to_vec()),
        FaultName::ContentRefused => (2, vec![vec![Fault::ContentRefused]]),
        FaultName::Status => (2, ["cancelled", "timeout"].map(ends_as).to_vec()),
        FaultName::NoOutput => (2, vec![vec![Fault::NoOutput]]),
        FaultName::ObjectOutput => (2, vec![vec![Fault::ObjectOutput]]),
        FaultName::UnknownStatus => (2, vec![vec![Fault::UnknownStatus { polls: 3 }]]),
        FaultName::Slow => (
            2,
            vec![
                vec![Fault::Slow { polls: 3 }],
                vec![Fault::Slow { polls: 10_000 }],
            ],
        ),
        FaultName::PollErrors => {
            let errors = |polls, status, envelope| {
                vec![Fault::PollErrors {
                    polls,
                    status,
                    retry_after: None,
                    envelope,
                }]
            };
            let cases = [
                errors(12, 502, false),
                errors(12, 429, false),
                errors(3, 401, false),
                // A gateway's page says nothing of the prediction; the API does.
                errors(12, 404, false),
                errors(3, 404, true),
                errors(10_000, 404, true),
            ];
            (2, cases.to_vec())
        }
        FaultName::SilentVideo => (3, vec![vec![Fault::SilentVideo]]),
        FaultName::WithAudio => (3, vec![vec![Fault::WithAudio]]),
        FaultName::WrongDuration => (3, vec![vec![Fault::WrongDuration]]),
        FaultName::WrongSize => (3, vec![vec![Fault::WrongSize]]),
        FaultName::TruncatedOutput => (3, vec![vec![Fault::TruncatedOutput]]),
        FaultName::CutFile => (3, vec![vec![Fault::CutFile]]),
        FaultName::OutputGone => {
            let gone = |downloads, status| vec![Fault::OutputGone { downloads, status }];
            let cases = [gone(Some(3), 404), gone(Some(3), 403), gone(None, 404)];
            (3, cases.to_vec())
        }
        FaultName::WebhookDuplicate => (4, vec![vec![Fault::WebhookDuplicate]]),
        FaultName::WebhookBadSignature => (4, vec![vec![Fault::WebhookBadSignature]]),
        FaultName::WebhookLate => (4, vec![vec![Fault::WebhookLate { ms: 500 }]]),
        FaultName::WebhookLost => (4, vec![vec![Fault::WebhookLost]]),
    }
}

/// An answer this late is no longer waited for. Real time, as the client's.
const LATE_ANSWER: u64 = 3_000;
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Each video is made once for all runs: what it shows is the same every time.
#[derive(Debug)]
struct Shelf {
    folder: tempfile::TempDir,
    made: Mutex<HashMap<String, PathBuf>>,
}

impl Maker for Shelf {
    fn make(&self, task: &Task, out: &Path, cancel: &Cancel) -> Result<(), MakeError> {
        // Extensions of outputs do not happen here: the video is always the same clip, or the
        // same clip squeezed.
        let what = match &task.make {
            Make::CharacterReplace { .. } => "character".to_owned(),
            other => format!("{other:?}"),
        };
        let mut made = self.made.lock().unwrap();
        let count = made.len();
        let squeezed = task.video.ends_with("squeezed.mp4");
        let known = match made.entry(format!("{what} {} {squeezed}", task.audio)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(missing) => {
                let file = self.folder.path().join(format!("{count}.mp4"));
                MediaMaker.make(task, &file, cancel)?;
                missing.insert(file)
            }
        };
        std::fs::copy(known, out)
            .map(drop)
            .map_err(|error| MakeError(error.to_string()))
    }
}

/// What is told of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    outcome: String,
    attempts: u32,
    paid: usize,
    wasted: usize,
    credits: &'static str,
    says: String,
}

/// One job of this kind under these faults, at every submission or once.
async fn run(case: &[Fault], kind: Kind, once: bool, shelf: Arc<Shelf>) -> Row {
    let mut bench = Bench::new().await.unwrap();
    // Behind the sandbox's clock, which stamps predictions: an adopted one is never older than
    // its intent.
    let day = Duration::from_secs(24 * 3600);
    bench.clock = ManualClock::at(SystemClock.now().checked_sub(day).unwrap());
    // A few visits to the deadline instead of hundreds.
    bench.settings.busy_pause = Duration::from_secs(600);
    bench.settings.poll_max = Duration::from_secs(600);
    let faults = case.iter().map(|fault| FaultRule {
        times: once.then_some(1),
        ..FaultRule::always(fault.clone())
    });
    let config = SandboxConfig {
        // Otherwise that a fault strikes could not be seen.
        audio: !case.contains(&Fault::WithAudio),
        webhook_backoff: Duration::from_millis(10),
        faults: filmlab::sandbox::Faults(faults.collect()),
        ..SandboxConfig::default()
    };
    let bound = Sandbox::bind_with(config, shelf).await.unwrap();
    let sandbox = bound.handle();
    let stop = CancellationToken::new();
    let running = tokio::spawn(bound.run(stop.clone().cancelled_owned()));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = format!("http://{}/", listener.local_addr().unwrap());
    let mut client = WaveSpeedConfig::new(sandbox.base_url(), Secret::new("sandbox"));
    client.allow_loopback = true;
    client.retry.least_wait = Duration::from_millis(1);
    client.retry.longest_wait = Duration::from_millis(5);
    if matches!(case, [Fault::AnswerLate { .. }]) {
        client.submit_timeout = PATIENCE;
    }
    client.callback = CallbackConfig {
        public_url: Some(ours.parse::<Url>().unwrap()),
        secret: Secret::new("a secret for callbacks"),
        ..CallbackConfig::default()
    };
    let provider = WaveSpeed::new(client).unwrap();
    let callbacks = Arc::new(provider.callbacks());
    let worker = bench.worker_paying(provider);
    let routes = http::router(HttpState {
        ledger: Arc::clone(&bench.ledger) as _,
        queue: Arc::clone(&bench.queue) as _,
        storage: bench.storage.clone(),
        worker: Arc::clone(&worker) as _,
        callbacks,
        links: None,
        clock: Arc::new(bench.clock.clone()),
        check_marks: CheckMarks::new(|_, _| Vec::new()),
        events: EventStreams::new(1, 1, EventPace::default()),
        shared: http::Shared::new(&only_callbacks()),
        settings: Arc::new(only_callbacks()),
    });
    let serving = tokio::spawn(axum::serve(listener, routes).into_future());

    let params = match kind {
        Kind::CharacterReplace => json!({}),
        Kind::Extend => json!({"prompt": "the camera moves on", "seconds": 4}),
        Kind::Upscale => json!({"target": "720p"}),
    };
    let id = bench.create_as("j", kind, params, |_| {}).await;
    let late = matches!(case, [Fault::WebhookLate { .. }]);
    let job = drive(&bench, &worker, &sandbox, &id, late).await;
    assert_eq!(bench.letters.got.lock().unwrap().len(), 1, "one notice");
    let row = row(&bench, &sandbox, &job).await;
    serving.abort();
    stop.cancel();
    running.await.unwrap().unwrap();
    row
}

fn only_callbacks() -> HttpSettings {
    HttpSettings {
        api_tokens: Vec::new(),
        api_open_on_loopback: false,
        tasks_auth: TasksAuth::Closed,
        jobs_api: false,
        default_deadline: Duration::from_secs(7200),
        attempts: 3,
        cancel_after_submit: CancelAfterSubmit::Capture,
        provenance: Provenance::default(),
        label: Label {
            words: "AI-generated".into(),
            anchor: None,
            until_ms: None,
        },
        max_upload_bytes: 1,
        body_time: Duration::from_secs(5),
        max_uploads: 1,
        max_uploads_per_owner: 1,
        max_upload_total: 1,
        behind_proxy: false,
        profiles: Vec::new(),
        link_ttl: Duration::from_secs(60),
        longest_link: Duration::from_secs(60),
        allow_loopback: true,
        console: None,
    }
}

/// Steps until the job has ended and nothing waits. The clock stands while the sandbox works,
/// and, unless they are to be late, until its callbacks are in.
async fn drive(
    bench: &Bench,
    worker: &Arc<Worker>,
    sandbox: &SandboxHandle,
    id: &JobId,
    late: bool,
) -> Job {
    for _ in 0..400 {
        settle(sandbox, late).await;
        if bench.step(worker).await {
            continue;
        }
        if bench.job(id).await.status.is_ended() {
            settle(sandbox, false).await;
            while bench.step(worker).await {}
            return bench.job(id).await;
        }
        bench.clock.advance(Duration::from_secs(90));
        worker.sweep().await.unwrap();
    }
    panic!("the job does not end: {:#?}", bench.job(id).await);
}

async fn settle(sandbox: &SandboxHandle, late: bool) {
    for _ in 0..6_000 {
        let submissions = sandbox.submissions();
        let made = |id: &str| sandbox.is_made(id);
        let settled = if late {
            submissions.iter().all(|taken| made(&taken.prediction_id))
        } else {
            sandbox.is_settled()
        };
        if settled {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the sandbox is not done in a minute");
}

async fn row(bench: &Bench, sandbox: &SandboxHandle, job: &Job) -> Row {
    let (outcome, says) = match &job.error {
        None => (job.status.as_str().to_owned(), String::new()),
        Some(error) => {
            let (code, party) = (error.code.as_str(), error.party.as_str());
            // What was measured depends on the encoder at hand.
            let says = match error.code {
                Code::Truncated | Code::WrongDuration | Code::WrongSize => {
                    without_figures(&error.message)
                }
                _ => error.message.clone(),
            };
            (format!("{}: `{code}` ({party})", job.status.as_str()), says)
        }
    };
    assert!(!says.contains("127.0.0.1"), "an inside address: {says}");
    assert!(!says.contains("Some("), "no sentence: {says}");
    Row {
        outcome,
        attempts: job.attempt,
        paid: sandbox.submissions().len(),
        wasted: job
            .intents
            .iter()
            .filter(|intent| intent.state == IntentState::Wasted)
            .count(),
        credits: credits(bench, job).await,
        says,
    }
}

fn without_figures(text: &str) -> String {
    let mut kept = String::new();
    for letter in text.chars() {
        match letter.is_ascii_digit() {
            true if kept.ends_with('N') => {}
            true => kept.push('N'),
            false => kept.push(letter),
        }
    }
    kept
}

/// What became of the credits. Whatever it is: the entries add up to the account, nothing stays
/// held, and only a completed job costs something, once.
async fn credits(bench: &Bench, job: &Job) -> &'static str {
    let owner = OWNER.parse().unwrap();
    let entries = bench.ledger.entries(&owner, 50).await.unwrap();
    let (mut free, mut held) = (0, 0);
    for entry in &entries {
        let (more_free, more_held) = entry.kind.moves(entry.amount);
        free += more_free;
        held += more_held;
    }
    let account = bench.account().await;
    assert_eq!((account.credits, account.credits_held), (free, held));
    let sum = |kind| -> u64 {
        let fitting = entries.iter().filter(|entry| entry.kind == kind);
        fitting.map(|entry| entry.amount.0).sum()
    };
    let count = |kind| entries.iter().filter(|entry| entry.kind == kind).count();
    let [hold, capture, release] =
        [EntryKind::Hold, EntryKind::Capture, EntryKind::Release].map(sum);
    assert_eq!((held, hold), (0, capture + release), "{entries:?}");
    assert_eq!(account.credits, GRANT as i64 - capture as i64);
    let counts = [EntryKind::Hold, EntryKind::Capture, EntryKind::Release].map(count);
    let completed = job.status.as_str() == "completed";
    assert_eq!(capture > 0, completed, "{entries:?}");
    match counts {
        [1, 1, 0] => "captured",
        [1, 0, 1] => "released",
        [0, 0, 0] => "never held",
        other => panic!("{other:?}"),
    }
}

/// The rules, as `POST /sandbox/faults` takes them.
fn rules(case: &[Fault]) -> String {
    let rules: Vec<_> = case
        .iter()
        .map(|fault| serde_json::to_value(fault).unwrap())
        .map(|mut rule| {
            // The words stand in the last column.
            let fields = rule.as_object_mut().unwrap();
            fields.remove("message");
            let name = fields.remove("fault").unwrap();
            let fields: Vec<_> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{name} {value}").replace('"', ""))
                .collect();
            match fields.is_empty() {
                true => format!("`{}`", name.as_str().unwrap()),
                false => format!("`{}`, {}", name.as_str().unwrap(), fields.join(", ")),
            }
        })
        .collect();
    rules.join(" and ")
}

const HEAD: &str = "\
# Faults

This page shows what becomes of a job under each fault that the
[sandbox](../README.md#with-a-real-key) can make. Every row was run: a worker and the service's routes
against the sandbox, over HTTP. Credits were held first (`credits.mode = \"hold\"`). There were three
attempts, one resubmission and a deadline of two hours, on a clock that the test moves. In every run the
credit entries add up to the account, nothing stays held, only a completed job costs credits, and one
notice is delivered. `FILMLAB_BLESS=1 cargo nextest run --test it road::table` writes this page anew.

- **strikes**: `always` means at every submission; it was run for each kind. `once` means at the first
  submission; it was run for `character_replace`. A row holds for all kinds unless it names some.
- **paid** counts the submissions that the provider took.
- **waste** counts the intents that were given up without knowing whether they were taken.
- **N** stands for a number that was measured.

Signatures of callbacks are logged and not enforced, as by default. [errors.md](errors.md) explains the
codes.

";

/// The rows of one case: one for all kinds that fare alike, and that of a single strike where it
/// is another.
fn write_rows(page: &mut String, case: &[Fault], always: &[(Kind, Row)], once: &Row) {
    let mut written = BTreeSet::new();
    for (kind, row) in always {
        if !written.insert(*kind) {
            continue;
        }
        let alike = always.iter().filter(|(_, other)| other == row);
        let alike: Vec<_> = alike.map(|(kind, _)| *kind).collect();
        written.extend(&alike);
        let only = if alike.len() == always.len() {
            String::new()
        } else {
            let names: Vec<_> = alike.iter().map(|kind| kind.as_str()).collect();
            format!(" ({})", names.join(", "))
        };
        if alike.contains(&ONCE) && row == once {
            write_row(page, case, &only, "always, once", row);
        } else {
            write_row(page, case, &only, "always", row);
        }
        if alike.contains(&ONCE) && row != once {
            write_row(page, case, "", "once", once);
        }
    }
}

fn write_row(page: &mut String, case: &[Fault], only: &str, strikes: &str, row: &Row) {
    let Row {
        outcome,
        attempts,
        paid,
        wasted,
        credits,
        says,
    } = row;
    writeln!(
        page,
        "| {}{only} | {strikes} | {outcome} | {attempts} | {paid} | {wasted} | {credits} | {} |",
        rules(case),
        says.replace('|', "\\|"),
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_the_sandbox_does_to_each_kind_what_the_page_says() {
    if Bench::new().await.is_none() {
        return;
    }
    let shelf = Arc::new(Shelf {
        folder: tempfile::tempdir().unwrap(),
        made: Mutex::default(),
    });
    let mut runs = JoinSet::new();
    let places = Arc::new(Semaphore::new(4));
    for (place, name) in FaultName::iter().enumerate() {
        for (nth, case) in cases(name).1.into_iter().enumerate() {
            assert_eq!(FaultName::from(&case[0]), name, "a row of another fault");
            for once in [false, true] {
                for kind in Kind::iter().filter(|kind| !once || *kind == ONCE) {
                    let (case, shelf, places) =
                        (case.clone(), Arc::clone(&shelf), Arc::clone(&places));
                    runs.spawn(async move {
                        let _place = places.acquire_owned().await.unwrap();
                        let row = run(&case, kind, once, shelf).await;
                        ((place, nth, once, kind), row)
                    });
                }
            }
        }
    }
    let rows: HashMap<_, _> = runs.join_all().await.into_iter().collect();
    let mut page = HEAD.to_owned();
    for (section, title) in SECTIONS.iter().enumerate() {
        writeln!(
            page,
            "## {title}\n\n\
             | fault | strikes | outcome | attempts | paid | waste | credits | the user reads |\n\
             |---|---|---|---|---|---|---|---|"
        )
        .unwrap();
        for (place, name) in FaultName::iter().enumerate() {
            let (of, cases) = cases(name);
            for (nth, case) in cases.iter().enumerate().filter(|_| of == section) {
                let row = |once, kind| rows[&(place, nth, once, kind)].clone();
                let always: Vec<_> = Kind::iter().map(|kind| (kind, row(false, kind))).collect();
                write_rows(&mut page, case, &always, &row(true, ONCE));
            }
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    assert_exact("faults.md", &page);
}
