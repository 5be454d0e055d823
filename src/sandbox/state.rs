//! What a sandbox knows: predictions, uploads, and everything it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use url::Url;

use super::config::SandboxConfig;
use super::drift::Drifts;
use super::faults::{Fault, Faults};
use super::maker::Maker;
use crate::clock::Timestamp;
use crate::job::Kind;
use crate::media::Cancel;

/// The folder of all predictions' folders.
pub(super) const PREDICTIONS: &str = "predictions";
/// Older records are forgotten beyond this many of each.
const MAX_RECORDS: usize = 10_000;

/// Beyond this many the oldest that are done are forgotten, with their files: the real service
/// forgets after seven days.
const MAX_PREDICTIONS: usize = 1000;
/// As for predictions.
const MAX_UPLOADS: usize = 1000;

/// A submission that was taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubmissionRecord {
    pub model: String,
    pub body: Value,
    pub prediction_id: String,
    pub webhook: Option<String>,
    /// What goes wrong with it, by the rules that were in force.
    pub faults: Vec<Fault>,
}

/// A request, as it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    pub method: String,
    pub path: String,
    /// Whether it carried any `Authorization`.
    pub authorized: bool,
    /// What it was answered with, where an answer was made.
    pub status: u16,
}

/// A file that was put here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadRecord {
    pub filename: String,
    pub content_type: String,
    pub bytes: u64,
    pub url: String,
}

/// One try to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryRecord {
    pub prediction_id: String,
    pub url: String,
    /// What the receiver answered; absent where it did not.
    pub status: Option<u16>,
}

/// How the making of a video ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Video(PathBuf),
    Failed {
        code: i64,
        message: String,
        flagged: bool,
    },
    Status(String),
    NoOutput,
}

#[derive(Debug)]
pub(super) struct Prediction {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) kind: Kind,
    pub(super) input: Value,
    pub(super) created_at: Timestamp,
    pub(super) accepted: Instant,
    pub(super) took: Duration,
    pub(super) webhook: Option<Url>,
    pub(super) faults: Vec<Fault>,
    pub(super) polls: u32,
    pub(super) polls_needed: u32,
    /// Further looks answered with an error.
    pub(super) poll_errors: PollErrors,
    /// Further downloads answered with an error: how many, the status.
    pub(super) closed_downloads: (u32, u16),
    pub(super) unknown_polls: u32,
    pub(super) started: bool,
    pub(super) outcome: Option<Outcome>,
    /// Whether the outcome shows.
    pub(super) shown: bool,
}

/// How looks at a prediction fail.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PollErrors {
    pub(super) times: u32,
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    /// In the API's own envelope.
    pub(super) envelope: bool,
}

impl Prediction {
    /// The status of a download that fails, if this one does.
    pub(super) fn download_fails(&mut self) -> Option<u16> {
        let (left, status) = &mut self.closed_downloads;
        *left = left.checked_sub(1)?;
        Some(*status)
    }

    /// Lets the outcome show once it is due; says whether it shows.
    pub(super) fn show_if_due(&mut self, held: bool, min_time: Duration) -> bool {
        let due = self.outcome.is_some()
            && !held
            && (self.polls_needed == 0 || self.polls > self.polls_needed)
            && self.accepted.elapsed() >= min_time;
        self.shown |= due;
        self.shown
    }

    /// Whether its video is made and only a look, or the end of a hold, lets it show.
    pub(super) fn waits_for_a_look(&self, held: bool) -> bool {
        let unseen = self.polls_needed > 0 && self.polls <= self.polls_needed;
        self.outcome.is_some() && !self.shown && (held || unseen)
    }

    /// The prediction as the API shows it, without envelope.
    pub(super) fn data(&self, base: &Url) -> Value {
        let mut outputs = Vec::new();
        let (mut error, mut code, mut flags) = (String::new(), 0, json!([]));
        let status = match self.outcome.as_ref().filter(|_| self.shown) {
            None if self.started => "processing".to_owned(),
            None => "created".to_owned(),
            Some(Outcome::Video(_)) => {
                let url = join(base, &format!("outputs/{}/1.mp4", self.id));
                flags = json!([false]);
                outputs.push(if self.faults.contains(&Fault::ObjectOutput) {
                    json!({"type": "video", "url": url})
                } else {
                    json!(url)
                });
                "completed".to_owned()
            }
            Some(Outcome::NoOutput) => "completed".to_owned(),
            Some(Outcome::Status(status)) => status.clone(),
            Some(Outcome::Failed {
                code: inner,
                message,
                flagged,
            }) => {
                (error, code) = (message.clone(), *inner);
                flags = json!([flagged]);
                "failed".to_owned()
            }
        };
        let took_ms = if self.shown { self.took.as_millis() } else { 0 };
        let mut data = json!({
            "id": self.id,
            "model": self.model,
            "outputs": outputs,
            "urls": {"get": join(base, &format!("api/v3/predictions/{}/result", self.id))},
            "has_nsfw_contents": flags,
            "status": status,
            "created_at": self.created_at.to_string(),
            "error": error,
            "executionTime": took_ms,
            "timings": {"inference": took_ms},
        });
        if code != 0 {
            data["code"] = json!(code);
        }
        data
    }
}

/// A file put here, or a place where one may be.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) filename: String,
    pub(super) content_type: String,
    pub(super) size: u64,
    pub(super) path: PathBuf,
    pub(super) since: Instant,
    pub(super) done: bool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) predictions: BTreeMap<String, Prediction>,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) faults: Faults,
    pub(super) drifts: Drifts,
    pub(super) rng: StdRng,
    pub(super) held: bool,
    pub(super) submissions: VecDeque<SubmissionRecord>,
    pub(super) requests: VecDeque<RequestRecord>,
    pub(super) received: VecDeque<UploadRecord>,
    pub(super) deliveries: VecDeque<DeliveryRecord>,
}

impl Inner {
    /// 32 hexadecimal digits, as ids were seen to be.
    pub(super) fn new_id(&mut self) -> String {
        format!("{:032x}", self.rng.random::<u128>())
    }

    /// Makes room for one more of each; gives the files and folders nobody needs any longer.
    pub(super) fn forget_oldest(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut gone = Vec::new();
        if self.predictions.len() >= MAX_PREDICTIONS {
            let done = self.predictions.values().filter(|p| p.shown);
            if let Some(id) = done.min_by_key(|p| p.accepted).map(|p| p.id.clone()) {
                gone.push(prediction_folder(folder, &id));
                self.predictions.remove(&id);
            }
        }
        if self.uploads.len() >= MAX_UPLOADS {
            let oldest = self.uploads.iter().min_by_key(|(_, upload)| upload.since);
            if let Some(id) = oldest.map(|(id, _)| id.clone())
                && let Some(upload) = self.uploads.remove(&id)
            {
                gone.push(upload.path);
            }
        }
        gone
    }

    pub(super) fn running(&self) -> usize {
        self.predictions.values().filter(|p| !p.shown).count()
    }
}

/// Adds a record and forgets the oldest beyond the bound.
pub(super) fn record<T>(records: &mut VecDeque<T>, new: T) {
    if records.len() >= MAX_RECORDS {
        records.pop_front();
    }
    records.push_back(new);
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) config: SandboxConfig,
    pub(super) base: Url,
    pub(super) folder: PathBuf,
    pub(super) maker: Arc<dyn Maker>,
    pub(super) client: reqwest::Client,
    pub(super) slots: Semaphore,
    pub(super) cancel: Cancel,
    pub(super) tasks: TaskTracker,
    /// Something changed that waiting predictions look at.
    pub(super) changed: Notify,
    inner: Mutex<Inner>,
}

impl State {
    pub(super) fn new(
        config: SandboxConfig,
        base: Url,
        folder: PathBuf,
        maker: Arc<dyn Maker>,
        client: reqwest::Client,
    ) -> Self {
        let inner = Inner {
            predictions: BTreeMap::new(),
            uploads: BTreeMap::new(),
            faults: config.faults.clone(),
            drifts: config.drifts.clone(),
            rng: config
                .seed
                .map_or_else(rand::make_rng, StdRng::seed_from_u64),
            held: false,
            submissions: VecDeque::new(),
            requests: VecDeque::new(),
            received: VecDeque::new(),
            deliveries: VecDeque::new(),
        };
        Self {
            slots: Semaphore::new(config.workers.max(1)),
            config,
            base,
            folder,
            maker,
            client,
            cancel: Cancel::new(),
            tasks: TaskTracker::new(),
            changed: Notify::new(),
            inner: Mutex::new(inner),
        }
    }

    /// A panic elsewhere leaves records, not invariants, behind: going on is sound.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn url(&self, path: &str) -> String {
        join(&self.base, path)
    }
}

/// Where a prediction's files lie.
pub(super) fn prediction_folder(folder: &Path, id: &str) -> PathBuf {
    folder.join(PREDICTIONS).join(id)
}

/// Removes what is no longer needed; a file that was never written is no fault.
pub(super) async fn remove(gone: Vec<PathBuf>) {
    for path in gone {
        if tokio::fs::remove_dir_all(&path).await.is_err() {
            let _ = tokio::fs::remove_file(&path).await;
        }
    }
}

fn join(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}
