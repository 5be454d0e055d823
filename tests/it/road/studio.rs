//! A provider that does as it is told.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use filmlab::clock::{Clock as _, ManualClock};
use filmlab::job::{
    DurationMeaning, Intent, IntentState, JobId, Kind, Resolution, Stage, Timestamp,
};
use filmlab::ledger::Ledger;
use filmlab::provider::{
    CallbackError, CallbackGate, Called, Download, Model, Prediction, PredictionInfo, Price,
    Provider, ProviderError, Returns, Submission, SubmitError, UploadBody,
};
use futures::{StreamExt as _, TryStreamExt as _};
use url::Url;

/// What to say to a submission.
pub(super) type SubmitAnswer = Result<(), SubmitError>;

#[derive(Debug, Default)]
pub(super) struct Script {
    /// Answers to uploads, in order; afterwards all are taken.
    pub(super) uploads: VecDeque<Result<(), ProviderError>>,
    /// Answers to submissions, in order; afterwards all are accepted.
    pub(super) submits: VecDeque<SubmitAnswer>,
    /// Answers to questions, in order; afterwards all predictions are completed.
    pub(super) predictions: VecDeque<Result<Prediction, ProviderError>>,
    /// Predictions that it says it does not know.
    pub(super) unknown: BTreeSet<&'static str>,
    /// Answers to downloads, in order: a failure, or a file in place of the usual one.
    pub(super) downloads: VecDeque<Result<PathBuf, ProviderError>>,
    /// The visit hangs for ever after the provider accepted: as if the process had died there.
    pub(super) hang_after_accepting: bool,
    /// A call that belongs to this stage is never answered: an upload, a question, a download.
    pub(super) hang_in: Option<Stage>,
    /// Deletions to fail first.
    pub(super) deletions_fail: u32,
}

#[derive(Debug)]
pub(crate) struct Studio {
    script: Mutex<Script>,
    pub(super) submissions: Mutex<Vec<Submission>>,
    pub(super) polls: Mutex<u32>,
    /// The predictions that were to be deleted, in order.
    pub(super) deleted: Mutex<Vec<String>>,
    /// What somebody asked the price of.
    pub(super) priced: Mutex<Vec<Submission>>,
    /// US dollars.
    pub(super) balance: Mutex<f64>,
    output: PathBuf,
    models: [Model; 4],
    /// Of a character replacement.
    fallbacks: OnceLock<Vec<Model>>,
    /// Where it is looked up, before anything is taken, what the ledger has of the job by then.
    pub(super) witness: OnceLock<Arc<dyn Ledger>>,
    /// Extensions come back as the new part only.
    pub(super) segments: AtomicBool,
    clock: ManualClock,
    callbacks: bool,
}

impl Studio {
    pub(crate) fn new(output: PathBuf, clock: ManualClock, callbacks: bool) -> Self {
        let model = |kind: Kind| Model {
            id: format!("studio/{}", kind.as_str()),
            kind,
            revision: 1,
            min_source_s: 0.0,
            max_source_s: 60.0,
            max_total_s: None,
            only_seconds: Vec::new(),
            duration: DurationMeaning::Added,
            bills_source: false,
            max_source_pixels: 4096 * 2304,
            seconds: (kind == Kind::Extend).then_some((1, 30)),
            resolutions: vec![
                Resolution::P480,
                Resolution::P720,
                Resolution::P1080,
                Resolution::K2,
            ],
            returns: Returns::Merged,
            usual_base_s: 10.0,
            usual_per_second_s: 0.0,
            least_billed_s: 0.0,
            usd_per_second: std::collections::BTreeMap::new(),
        };
        Self {
            script: Mutex::default(),
            submissions: Mutex::default(),
            polls: Mutex::default(),
            deleted: Mutex::default(),
            priced: Mutex::default(),
            balance: Mutex::new(100.0),
            output,
            models: [
                model(Kind::CharacterReplace),
                model(Kind::Extend),
                model(Kind::Upscale),
                Model {
                    returns: Returns::Segment,
                    ..model(Kind::Extend)
                },
            ],
            fallbacks: OnceLock::new(),
            witness: OnceLock::new(),
            segments: AtomicBool::new(false),
            clock,
            callbacks,
        }
    }

    /// Names models to ask after the first, each with what it costs a second at 720p.
    pub(super) fn falls_back_to(&self, models: &[(&str, f64)]) {
        let models = models.iter().map(|(id, usd)| Model {
            id: (*id).to_owned(),
            usd_per_second: [(Resolution::P720, *usd)].into(),
            ..self.models[Kind::CharacterReplace as usize].clone()
        });
        self.fallbacks.set(models.collect()).unwrap();
    }

    /// The models that were paid, in order.
    pub(super) fn paid(&self) -> Vec<String> {
        let submissions = self.submissions.lock().unwrap();
        submissions.iter().map(|paid| paid.model.clone()).collect()
    }

    /// A model is paid only where the ledger says that those before it are over, unpaid.
    async fn look_up(&self, submission: &Submission) {
        let Some(ledger) = self.witness.get() else {
            return;
        };
        let callback = submission.callback.as_ref().unwrap();
        let mut path = callback.path_segments().unwrap();
        let (id, intent) = (path.next().unwrap(), path.next().unwrap());
        let job = ledger.read(&id.parse().unwrap()).await.unwrap().unwrap();
        let asked = job.current_intent().unwrap();
        assert_eq!((&*asked.id, &asked.model), (intent, &submission.model));
        let own = std::iter::once(self.model(Kind::CharacterReplace));
        for before in own.chain(self.fallbacks(Kind::CharacterReplace)) {
            if before.id == submission.model {
                return;
            }
            assert!(job.has_passed_over(&before.id), "{job:#?}");
            let is_over = |known: &&Intent| known.model == before.id;
            for known in job.intents.iter().filter(is_over) {
                let ended = matches!(known.state, IntentState::Failed | IntentState::Refused);
                assert!(ended, "{known:?}");
            }
        }
    }

    /// What it will answer.
    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub(super) fn submitted(&self) -> usize {
        self.submissions.lock().unwrap().len()
    }

    async fn hang_in(&self, stage: Stage) {
        if self.script.lock().unwrap().hang_in == Some(stage) {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn polled(&self) -> u32 {
        *self.polls.lock().unwrap()
    }
}

#[async_trait]
impl Provider for Studio {
    fn model(&self, kind: Kind) -> &Model {
        let segments = self.segments.load(Ordering::Relaxed);
        match kind {
            Kind::Extend if segments => &self.models[3],
            kind => &self.models[kind as usize],
        }
    }

    fn fallbacks(&self, kind: Kind) -> &[Model] {
        let known = self.fallbacks.get();
        let known = known.filter(|_| kind == Kind::CharacterReplace);
        known.map_or(&[], Vec::as_slice)
    }

    async fn upload(
        &self,
        body: &dyn UploadBody,
        _content_type: &str,
    ) -> Result<Url, ProviderError> {
        self.hang_in(Stage::Submit).await;
        let sent: Vec<_> = body.open().await?.try_collect().await?;
        let sent: usize = sent.iter().map(bytes::Bytes::len).sum();
        assert_eq!(sent as u64, body.bytes().await?);
        let next = self.script.lock().unwrap().uploads.pop_front();
        next.unwrap_or(Ok(()))?;
        Ok("https://studio.example/upload".parse().unwrap())
    }

    fn uploads_kept_for(&self) -> Duration {
        Duration::from_secs(7 * 24 * 3600)
    }

    async fn submit(&self, submission: &Submission) -> Result<String, SubmitError> {
        self.look_up(submission).await;
        let answer = self
            .script
            .lock()
            .unwrap()
            .submits
            .pop_front()
            .unwrap_or(Ok(()));
        if answer.is_ok() || matches!(answer, Err(SubmitError::Ambiguous { .. })) {
            self.submissions.lock().unwrap().push(submission.clone());
        }
        answer?;
        if self.script.lock().unwrap().hang_after_accepting {
            std::future::pending::<()>().await;
        }
        Ok(format!("p{}", self.submitted()))
    }

    fn submit_timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn prediction(&self, id: &str) -> Result<PredictionInfo, ProviderError> {
        *self.polls.lock().unwrap() += 1;
        self.hang_in(Stage::Generate).await;
        if self.script.lock().unwrap().unknown.contains(id) {
            return Err(ProviderError::NotFound {
                message: "prediction not found".into(),
            });
        }
        let number: usize = id.strip_prefix('p').and_then(|n| n.parse().ok()).unwrap();
        let model = self.submissions.lock().unwrap()[number - 1].model.clone();
        let next = self.script.lock().unwrap().predictions.pop_front();
        let output = "https://studio.example/out.mp4".parse().unwrap();
        let state = next.unwrap_or(Ok(Prediction::Completed { output }))?;
        Ok(PredictionInfo {
            model,
            created_at: Some(self.clock.now()),
            state,
        })
    }

    async fn download(&self, _output: &Url, _max_bytes: u64) -> Result<Download, ProviderError> {
        self.hang_in(Stage::Fetch).await;
        let next = self.script.lock().unwrap().downloads.pop_front();
        let file = next.unwrap_or_else(|| Ok(self.output.clone()))?;
        Ok(file.open().await?.map_err(ProviderError::File).boxed())
    }

    async fn delete(&self, prediction_ids: &[String]) -> Result<(), ProviderError> {
        {
            let mut script = self.script.lock().unwrap();
            if script.deletions_fail > 0 {
                script.deletions_fail -= 1;
                return Err(ProviderError::Unavailable {
                    message: "503".into(),
                });
            }
        }
        self.deleted
            .lock()
            .unwrap()
            .extend_from_slice(prediction_ids);
        Ok(())
    }

    async fn price(&self, submission: &Submission) -> Result<Price, ProviderError> {
        self.priced.lock().unwrap().push(submission.clone());
        Ok(Price {
            amount: 0.25,
            currency: "USD".into(),
            is_floor: false,
        })
    }

    async fn balance(&self) -> Result<f64, ProviderError> {
        Ok(*self.balance.lock().unwrap())
    }
}

impl CallbackGate for Studio {
    fn address(&self, job: &JobId, intent: &str) -> Option<Url> {
        self.callbacks.then(|| {
            format!("https://lab.example/{job}/{intent}")
                .parse()
                .unwrap()
        })
    }

    fn admits(&self, _job: &JobId, _intent: &str, _token: Option<&str>) -> bool {
        false
    }

    fn read(
        &self,
        _job: &JobId,
        _intent: &str,
        _token: Option<&str>,
        _headers: &http::HeaderMap,
        _body: &[u8],
        _now: Timestamp,
    ) -> Result<Called, CallbackError> {
        Err(CallbackError::Token)
    }
}
