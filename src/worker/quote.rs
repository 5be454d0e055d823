//! What a job would cost, without making one.
//!
//! The source is looked at as a job's would be: nothing is recorded, nothing is put to the
//! provider, nothing is held or paid. A source from the web is copied into the store for the
//! while, under a name that the sweep takes for a job's that does not exist.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::admission::Permit;
use super::failures::{
    fetch_failure, internal, media_crashed, media_failure, provider_said, stored_failure,
};
use super::native::{CutOnDrop, look_bounds};
use super::objects::{ObjectInput, passed_through};
use super::preview::{self, Preview};
use super::stages::prepare::{facts, processing_time};
use super::stages::recipe::track;
use super::stop::{Stop, StopReason};
use super::{Services, Settings, Worker};
use crate::job::{
    Code, Credits, Failure, Fault, Kind, Label, MediaRef, Output, Owner, Params, Party, Phase,
    Source, SourceFacts,
};
use crate::media::{AudioTrack, Limits, MediaCode, MediaError};
use crate::provider::{ProviderError, Submission};
use crate::quarantine::{Answer, Lifeline, Lost, Mode, Work};
use crate::storage::{Destination, Storage, UPLOAD_NOTE};
use crate::telemetry::metrics;

/// How long a quote waits for a place: much shorter than a caller does.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than the provider may take to read it, shorter than a caller waits.
const LINK_TTL: Duration = Duration::from_secs(600);
/// Longest look at a source: headers, read from our own store. Seconds are the rule.
const LOOK: Duration = Duration::from_secs(60);

/// What somebody thinks of asking for, checked as a creation is.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteRequest {
    pub owner: Owner,
    pub params: Params,
    pub source: Source,
    pub output: Output,
    /// The visible label that its result would carry, for the preview.
    pub label: Option<Label>,
}

/// What it would cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    pub kind: Kind,
    /// Who would make it.
    pub model: String,
    /// Length of the source.
    pub source_seconds: f64,
    /// Seconds the provider bills.
    pub billed_seconds: f64,
    pub provider: ProviderQuote,
    /// What the owner would pay.
    pub credits: Credits,
    /// Where the operator's marks and the label would lie, for the console.
    #[serde(skip)]
    pub preview: Option<Preview>,
}

/// What we would pay the provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderQuote {
    /// As the provider quotes it.
    pub price: f64,
    pub currency: String,
    /// The provider could not read the source where it is, and gave the least a run costs.
    pub is_floor: bool,
    /// US dollars for the billed seconds by the price list, where it has this resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_price_usd: Option<f64>,
}

/// Why there is no quote.
#[derive(Debug)]
pub enum QuoteError {
    /// What is wrong with the request for this source, all of it.
    Faults(Vec<Fault>),
    Failed(Failure),
}

impl From<Failure> for QuoteError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Native work ends when whoever asked goes away.
struct StopOnDrop<'a> {
    stop: Stop,
    worker: &'a Worker,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        // A shutdown has its own patience with what does not end.
        self.stop.stop(if self.worker.is_draining() {
            StopReason::Shutdown
        } else {
            StopReason::Requested
        });
    }
}

impl Worker {
    /// What a job would cost. May be dropped at any time.
    pub async fn quote(&self, asked: QuoteRequest) -> Result<Quote, QuoteError> {
        let Some(_place) = self.places.quotes.get(&asked.owner, PATIENCE).await else {
            let message = "As many quotes are being made as the service makes at once.";
            return Err(Failure::new(Code::Overloaded, message).into());
        };
        let services = &self.services;
        let facts = look(self, &asked.owner, &asked.source).await?;
        let model = services.provider.model(asked.params.kind());
        check(services, &asked, &facts)?;

        let seconds = facts.duration_ms as f64 / 1000.0;
        let submission = Submission {
            model: model.id.clone(),
            params: asked.params.clone(),
            source_s: seconds,
            duration: model.duration,
            video: address(services, &asked.source.video).await?,
            image: match &asked.source.image {
                Some(image) => Some(address(services, image).await?),
                None => None,
            },
            callback: None,
        };
        let price = services
            .provider
            .price(&submission)
            .await
            .map_err(price_failure)?;
        Ok(Quote {
            kind: model.kind,
            model: model.id.clone(),
            source_seconds: seconds,
            billed_seconds: model.billed_seconds(&asked.params, seconds),
            provider: ProviderQuote {
                price: price.amount,
                currency: price.currency,
                is_floor: price.is_floor,
                list_price_usd: model.list_price(&asked.params, seconds),
            },
            credits: services.settings.prices.cost(&asked.params, seconds),
            preview: preview::of(
                &services.settings,
                &asked.output.profile,
                &asked.params,
                asked.label,
                &facts,
            )
            .await,
        })
    }
}

/// A copy that does not stay, also where whoever asked goes away.
struct Borrowed {
    storage: Storage,
    folder: String,
}

impl Borrowed {
    async fn give_back(mut self) {
        match self.storage.sweep(&self.folder, |_| true).await {
            Ok(swept) if swept.failed == 0 => self.folder.clear(),
            Ok(_) => tracing::debug!(self.folder, "it is tried once more"),
            Err(error) => tracing::debug!(self.folder, %error, "it is tried once more"),
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.folder.is_empty() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (storage, folder) = (self.storage.clone(), std::mem::take(&mut self.folder));
        runtime.spawn(async move {
            if let Err(error) = storage.sweep(&folder, |_| true).await {
                tracing::warn!(folder, %error, "a quote's copy stays until it is swept");
            }
        });
    }
}

/// The source's facts.
async fn look(worker: &Worker, owner: &Owner, source: &Source) -> Result<SourceFacts, Failure> {
    let services = &worker.services;
    let max_bytes = services.settings.limits.max_bytes;
    let track = track(source)?;
    let url = match &source.video {
        MediaRef::Object(object) => return probe(worker, owner, object, track).await,
        MediaRef::Web(url) => url,
    };
    let id = ulid::Ulid::new().to_string().to_lowercase();
    let copy = Borrowed {
        storage: services.storage.clone(),
        folder: format!("work/quote-{id}"),
    };
    let object = format!("{}/video", copy.folder);
    let note = format!("{object}{UPLOAD_NOTE}");
    let body = services.fetcher.fetch(url, max_bytes).await;
    let body = body.map_err(|error| fetch_failure(error, "video"))?;
    let body = body.map_err(std::io::Error::other);
    let to = Destination {
        journal: Some(&note),
        ..Destination::new(&object)
    };
    let stored = services.storage.put_stream_to(body, to, max_bytes).await;
    stored.map_err(|error| match passed_through(error) {
        Ok(error) => fetch_failure(error, "video"),
        Err(error) => stored_failure(error, &object),
    })?;
    let facts = probe(worker, owner, &object, track).await;
    copy.give_back().await;
    facts
}

/// As a visit does it: in one of the places for probes, on a thread of its own.
async fn probe(
    worker: &Worker,
    owner: &Owner,
    object: &str,
    track: Option<AudioTrack>,
) -> Result<SourceFacts, Failure> {
    let (services, settings) = (&worker.services, &worker.services.settings);
    let patience = settings.media_slot_patience;
    let overloaded = || Failure::new(Code::Overloaded, Code::Overloaded.about());
    let turn = worker.places.probes.get(owner, patience).await;
    let _turn = turn.ok_or_else(overloaded)?;
    let place = worker.media.probe(patience).await.ok_or_else(overloaded)?;
    let stop = Stop::default();
    let _asking = StopOnDrop {
        stop: stop.clone(),
        worker,
    };
    let max_bytes = settings.limits.max_bytes;
    let opened = ObjectInput::of(services, object, max_bytes, stop.token());
    let opened = tokio::time::timeout(LOOK, opened).await;
    let input = opened.map_err(|_| too_slow())??;
    let limits = Limits {
        threads: place.threads(),
        ..settings.limits.clone()
    };
    let work = Work::Probe(Arc::new(input.clone()), track);
    let looked = run(settings, &place, work, limits, &stop);
    let looked = worker
        .watchdog
        .guard(looked, &stop, LOOK, settings.watchdog);
    let looked = looked
        .await
        .ok_or_else(|| Failure::new(Code::MediaStuck, Code::MediaStuck.about()))??;
    let probe = looked.map_err(|error| match error.code {
        MediaCode::Cancelled | MediaCode::DeadlineExceeded | MediaCode::InputUnreadable
            if stop.reason() == Some(StopReason::Budget) =>
        {
            too_slow().because(error)
        }
        _ => input
            .failure()
            .unwrap_or_else(|| media_failure(error, Party::Caller)),
    })?;
    let Answer::Probe(probe) = probe else {
        return Err(Failure::new(Code::Internal, Code::Internal.about()));
    };
    facts(&probe, "")
}

type Looked = Result<Result<Answer, MediaError>, Failure>;

/// In a child, since no record could say which file this process died of; here only where no
/// children are wanted.
fn run(
    settings: &Settings,
    place: &Permit,
    work: Work,
    limits: Limits,
    stop: &Stop,
) -> impl Future<Output = Looked> + use<> {
    let span = tracing::Span::current();
    let apart = (settings.quarantine.mode != Mode::Never).then(|| settings.quarantine.clone());
    let bounds = look_bounds(settings, place, LOOK);
    let (lifeline, cancel) = (Lifeline::default(), stop.media());
    let held = lifeline.clone();
    let running = place.run(move || {
        span.in_scope(|| match apart {
            Some(quarantine) => quarantine
                .run(Phase::Source, work, &limits, bounds, &held, &mut |_| {})
                .map(|done| done.result),
            None => Ok(work.run(Phase::Source, &limits, &cancel, &mut |_| {})),
        })
    });
    let stop = stop.clone();
    async move {
        let _cut = CutOnDrop(lifeline.clone());
        let cut = async {
            stop.stopped().await;
            lifeline.cut();
            std::future::pending::<()>().await;
        };
        let done = tokio::select! {
            biased;
            done = running => done,
            () = cut => return Err(too_slow()),
        };
        match done.map_err(|error| internal(&error))? {
            Ok(looked) => Ok(looked),
            Err(Lost::Died(_)) => {
                metrics::media_crashed(Phase::Source.as_str());
                Err(media_crashed(Party::Caller))
            }
            Err(lost) => Err(match stop.reason() {
                Some(StopReason::Budget) => too_slow(),
                Some(_) => Failure::new(Code::ShuttingDown, Code::ShuttingDown.about()),
                None => internal(&lost),
            }),
        }
    }
}

fn too_slow() -> Failure {
    let message = "The source could not be looked at in the time that a quote may take.";
    Failure::new(Code::DeadlineExceeded, message)
}

fn check(services: &Services, asked: &QuoteRequest, facts: &SourceFacts) -> Result<(), QuoteError> {
    let settings = &services.settings;
    let model = services.provider.model(asked.params.kind());
    let mut faults = model.check(&asked.params, facts).err().unwrap_or_default();
    if !settings.profiles.contains_key(&asked.output.profile) {
        faults.push(Fault::new("output.profile", "does not exist"));
    }
    if !faults.is_empty() {
        return Err(QuoteError::Faults(faults));
    }
    let needed = processing_time(settings.media_time_factor, &asked.params, facts);
    if needed > settings.budget {
        return Err(Failure::new(Code::TooLongToProcess, Code::TooLongToProcess.about()).into());
    }
    Ok(())
}

/// Where the provider would find an input; whether it can read it there is its adapter's to say.
async fn address(services: &Services, input: &MediaRef) -> Result<Url, Failure> {
    match input {
        MediaRef::Web(url) => Ok(url.clone()),
        MediaRef::Object(object) => services
            .storage
            .link(object, LINK_TTL, None)
            .await
            .map_err(|error| stored_failure(error, object)),
    }
}

fn price_failure(error: ProviderError) -> Failure {
    let code = match &error {
        ProviderError::Unauthorized { .. } => Code::ProviderUnauthorized,
        ProviderError::NotFound { .. } => Code::ModelUnknown,
        ProviderError::Busy { .. } => Code::ProviderBusy,
        ProviderError::Rejected { words, .. } => {
            return provider_said(Code::ProviderRejected, words).because(error);
        }
        ProviderError::Protocol { .. } => Code::ProviderProtocol,
        _ => Code::ProviderUnavailable,
    };
    Failure::new(code, code.about()).because(error)
}
