//! What the worker is told once, at the start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Pauses, PlaceLimits, ProviderLimits};
use crate::job::attempt::Attempts;
use crate::job::breaker::BreakerRules;
use crate::job::credits::CancelAfterSubmit;
use crate::job::{Channel, CreditsMode, PriceTable, Provenance};
use crate::media::{
    Checks, DrawnText, FileInput, Fonts, Input, Limits, Placement, Profile, Signer, TextMark,
};
use crate::quarantine::Quarantine;

/// How the worker works. Durations are checked against each other by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim lasts without a renewal: at least three heartbeats.
    pub lease: Duration,
    pub heartbeat: Duration,
    /// Progress is written no more often than this: a document takes about one write a second.
    pub progress_every: Duration,
    /// Longest visit; below the task's dispatch deadline.
    pub budget: Duration,
    /// How long native work that was told to stop may take to do so, before the process ends.
    pub watchdog: Duration,
    pub attempts: Attempts,
    /// What is done at once, and how it is shared out among owners.
    pub places: PlaceLimits,
    /// Between two tries of a write that the ledger did not answer.
    pub pauses: Pauses,
    /// Second submissions allowed where the first one's answer never came.
    pub max_resubmissions: u32,
    /// When a model is given a rest; absent: never.
    pub breaker: Option<BreakerRules>,
    /// How long a model is waited for before the next one is asked; absent: to the deadline.
    pub fallback_after: Option<Duration>,
    /// Whether the next model is asked where moderation refused the content.
    pub fallback_after_refusal: bool,
    /// Pause before asking again when the provider is busy, or does not take our key.
    pub busy_pause: Duration,
    /// What the account at the provider may do; absent: whatever it says itself.
    pub provider_limits: Option<ProviderLimits>,
    /// US dollars at the provider below which the log warns.
    pub low_balance: Option<f64>,
    /// How long the provider has to say that it does not know a prediction before it is lost.
    pub lost_after: Duration,
    /// Polls are never closer than `poll_min`, and grow up to `poll_max`.
    pub poll_min: Duration,
    pub poll_max: Duration,
    /// Media passes at once.
    pub media_slots: usize,
    /// Bytes that media work may take together.
    pub media_memory: u64,
    /// Where native work is done in a child process.
    pub quarantine: Quarantine,
    /// How long a visit waits for a media slot before it leaves.
    pub media_slot_patience: Duration,
    /// Share of real time a pass is assumed to take at worst on 1080p: a 10 minute source with
    /// 2.0 is expected to take 20 minutes.
    pub media_time_factor: f64,
    pub limits: Limits,
    /// What is verified besides what always is; a profile may ask for more.
    pub checks: Checks,
    /// Whether sound that is digital silence counts as sound the provider dropped.
    pub audible: bool,
    pub profiles: BTreeMap<String, Profile>,
    /// Whether results have a storyboard.
    pub storyboard: bool,
    /// The operator's own layers, for jobs that name none.
    pub watermark: Vec<BrandWatermark>,
    /// What text is written in.
    pub fonts: Arc<Fonts>,
    pub credits: CreditsMode,
    /// What a cancellation costs once the provider is paid, where the job does not say it.
    pub cancel_unsaid: CancelAfterSubmit,
    /// What a result says of how it was made, where its job does not say it.
    pub provenance: Provenance,
    /// Signs for results; absent: nobody does.
    pub signer: Option<Arc<dyn Signer>>,
    pub prices: PriceTable,
    /// Where notices of jobs without a webhook go.
    pub channel: Channel,
    /// Tries to deliver a notice.
    pub notify_attempts: Attempts,
    pub retention: Retention,
}

/// How long files outlive what they are for; for ever where there is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Results, from the end of the job.
    pub results: Option<Duration>,
    /// The provider's output of a failed or cancelled round, from its end.
    pub failed: Option<Duration>,
    /// Inputs, from their upload.
    pub sources: Option<Duration>,
    /// Work files of a claim that was lost while its job goes on.
    pub work: Duration,
}

/// One of the operator's layers and where it goes.
#[derive(Debug, Clone)]
pub struct BrandWatermark {
    pub mark: BrandMark,
    /// The size is that of pictures; text has its own.
    pub placement: Placement,
}

/// What an operator's layer shows.
#[derive(Debug, Clone)]
pub enum BrandMark {
    /// A file beside the settings.
    Picture(PathBuf),
    /// Laid out when the settings were read.
    Text(Box<(TextMark, DrawnText)>),
}

impl BrandMark {
    /// What is drawn.
    #[must_use]
    pub fn input(&self) -> Arc<dyn Input> {
        match self {
            Self::Picture(file) => Arc::new(FileInput::new(file)),
            Self::Text(text) => Arc::new(text.1.image.clone()),
        }
    }

    /// Where it goes, in its own size.
    #[must_use]
    pub fn placed(&self, placement: &Placement) -> Placement {
        match self {
            Self::Picture(_) => placement.clone(),
            Self::Text(text) => text.1.placed(&text.0, placement),
        }
    }
}
