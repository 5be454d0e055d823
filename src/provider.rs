//! Who generates the video.
//!
//! A provider takes inputs at addresses it can read, is asked until the video is there, and is
//! paid by [`Provider::submit`], which is sent once per call: nothing below it may repeat it.

pub mod metered;
pub mod wavespeed;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use tokio_util::io::ReaderStream;
use url::Url;

use crate::job::{Fault, JobId, Kind, Params, Resolution, SourceFacts, Timestamp};

/// Why a submission did not give a prediction, by what may be done about it.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Refused for its inputs or parameters; nothing was taken.
    #[error("refused: {message}")]
    Rejected {
        /// For the log, as all messages here.
        message: String,
        /// What the provider itself says of it, for whoever asked; may be empty.
        words: String,
    },
    /// Refused by moderation; nothing was taken.
    #[error("content refused: {message}")]
    ContentRefused { message: String },
    /// Our key or our balance is the reason; nothing was taken.
    #[error("not authorised: {message}")]
    Unauthorized { message: String },
    #[error("no funds: {message}")]
    NoFunds { message: String },
    /// The model does not exist.
    #[error("unknown model: {message}")]
    UnknownModel { message: String },
    /// Too many at once; nothing was taken.
    #[error("busy: {message}")]
    Busy {
        message: String,
        retry_after: Option<Duration>,
    },
    /// The connection was never made: nothing was sent.
    #[error("unreachable: {message}")]
    NotSent { message: String },
    /// The address leads elsewhere: whatever answered there took nothing, and where it points is
    /// not followed.
    #[error("redirected: {message}")]
    Redirected { message: String },
    /// It may have been accepted.
    #[error("outcome unknown: {message}")]
    Ambiguous {
        message: String,
        /// What the answer says of it, may be empty; `None` where no answer came.
        words: Option<String>,
    },
}

/// Why a repeatable call failed.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("refused: {message}")]
    Rejected {
        message: String,
        /// What the provider itself says of it, for whoever asked; may be empty.
        words: String,
    },
    #[error("not authorised: {message}")]
    Unauthorized { message: String },
    #[error("unknown: {message}")]
    NotFound { message: String },
    #[error("busy: {message}")]
    Busy {
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("unavailable: {message}")]
    Unavailable { message: String },
    /// An answer that cannot be understood.
    #[error("bad answer: {message}")]
    Protocol { message: String },
    /// More bytes than allowed, or fewer than promised.
    #[error("incomplete: {message}")]
    Incomplete { message: String },
    #[error("too large: more than {limit} bytes")]
    TooLarge { limit: u64 },
    /// A local file could not be read or written.
    #[error("file: {0}")]
    File(#[from] io::Error),
}

/// One paid request.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub model: String,
    pub params: Params,
    pub video: Url,
    pub image: Option<Url>,
    /// Where the provider calls back, with our own proof in it.
    pub callback: Option<Url>,
}

/// How a prediction stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// Not done. An unknown status counts as this, to the deadline.
    Running,
    Completed {
        output: Url,
    },
    /// Done without a video.
    NoOutput,
    /// Moderation refused the content.
    ContentRefused {
        message: String,
    },
    /// The inputs or parameters were at fault.
    Rejected {
        message: String,
    },
    /// The provider could not read an input.
    InputUnreachable {
        message: String,
    },
    Failed {
        message: String,
    },
    /// Ended by somebody, or by the provider's own time limit.
    Gone {
        message: String,
    },
}

/// What a prediction is, for confirming a callback.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionInfo {
    pub model: String,
    pub created_at: Option<Timestamp>,
    pub state: Prediction,
}

/// What a model's output holds, where the kind continues a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// The source and the new part in one.
    Merged,
    /// The new part only.
    Segment,
}

/// A model as the table knows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Model {
    pub id: String,
    pub kind: Kind,
    /// Longest source it takes, in seconds.
    pub max_source_s: f64,
    /// Most pixels that a frame of the source may have.
    pub max_source_pixels: u64,
    /// Seconds it may be asked to add (extension only).
    #[serde(default)]
    pub seconds: Option<(u32, u32)>,
    /// Resolutions it takes.
    pub resolutions: Vec<Resolution>,
    pub returns: Returns,
    /// Fixed waiting time plus time per second of video before the first poll is worth it.
    pub usual_base_s: f64,
    pub usual_per_second_s: f64,
    /// Seconds that are billed at least.
    #[serde(default)]
    pub least_billed_s: f64,
    /// US dollars for a second of video, where the model's page says; empty where it does not.
    #[serde(default)]
    pub usd_per_second: BTreeMap<Resolution, f64>,
}

/// What the provider says a submission would cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    pub amount: f64,
    pub currency: String,
    /// The provider was not told all inputs, since it could not read them where they are: it
    /// then gives the least that a run costs.
    pub is_floor: bool,
}

impl Model {
    /// How long it usually takes for `seconds` of video.
    #[must_use]
    pub fn usual_time(&self, seconds: f64) -> Duration {
        let total = self.usual_base_s + self.usual_per_second_s * seconds.max(0.0);
        Duration::try_from_secs_f64(total).unwrap_or_default()
    }

    /// Seconds the provider bills for a source of `source_s` seconds.
    #[must_use]
    pub fn billed_seconds(&self, params: &Params, source_s: f64) -> f64 {
        params.billed_seconds(source_s).max(self.least_billed_s)
    }

    /// US dollars by the price list, where it has this resolution.
    #[must_use]
    pub fn list_price(&self, params: &Params, source_s: f64) -> Option<f64> {
        let rate = self.usd_per_second.get(&params.resolution())?;
        Some(rate * self.billed_seconds(params, source_s))
    }

    /// Whether this model can do what `params` ask with such a source; gives every fault, not
    /// only the first. Asked before money is spent, since the provider takes some of these and
    /// bills a cut version.
    pub fn check(&self, params: &Params, source: &SourceFacts) -> Result<(), Vec<Fault>> {
        let source_s = source.duration_ms as f64 / 1000.0;
        let mut faults = Vec::new();
        if params.kind() != self.kind {
            faults.push(Fault::new(
                "kind",
                format!("{} does not make {}", self.id, params.kind().as_str()),
            ));
            return Err(faults);
        }
        if source_s <= 0.0 {
            faults.push(Fault::new("source.video", "has no duration"));
        } else if source_s > self.max_source_s {
            faults.push(Fault::new(
                "source.video",
                format!(
                    "is {source_s:.1} s long; {} takes at most {} s",
                    self.id, self.max_source_s
                ),
            ));
        }
        let pixels = u64::from(source.width) * u64::from(source.height);
        if pixels > self.max_source_pixels {
            faults.push(Fault::new(
                "source.video",
                format!(
                    "has {}×{} pixels; {} takes at most {} a frame",
                    source.width, source.height, self.id, self.max_source_pixels
                ),
            ));
        }
        let resolution = params.resolution();
        let short_side = source.width.min(source.height);
        if self.kind == Kind::Upscale && resolution.short_side() < short_side {
            faults.push(Fault::new(
                "params.target",
                format!(
                    "{} is less than the {}×{} that the source has",
                    resolution.as_str(),
                    source.width,
                    source.height
                ),
            ));
        }
        if !self.resolutions.contains(&resolution) {
            let field = match params {
                Params::Upscale(_) => "params.target",
                Params::CharacterReplace(_) | Params::Extend(_) => "params.resolution",
            };
            let names: Vec<_> = self.resolutions.iter().map(|r| r.as_str()).collect();
            faults.push(Fault::new(
                field,
                format!(
                    "{} is not offered by {}; it takes {}",
                    resolution.as_str(),
                    self.id,
                    names.join(", ")
                ),
            ));
        }
        if let (Params::Extend(extend), Some((least, most))) = (params, self.seconds)
            && !(least..=most).contains(&extend.seconds)
        {
            faults.push(Fault::new(
                "params.seconds",
                format!("{} adds {least} to {most} s", self.id),
            ));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

/// What is uploaded: bytes of a known number that can be had again for another try.
#[async_trait]
pub trait UploadBody: Debug + Send + Sync {
    /// A file name, for the provider's eyes.
    fn name(&self) -> String;
    async fn bytes(&self) -> io::Result<u64>;
    /// From the first byte on.
    async fn open(&self) -> io::Result<BoxStream<'static, io::Result<Bytes>>>;
}

/// A local file.
#[async_trait]
impl UploadBody for PathBuf {
    fn name(&self) -> String {
        self.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    async fn bytes(&self) -> io::Result<u64> {
        Ok(tokio::fs::metadata(self).await?.len())
    }

    async fn open(&self) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
        let file = tokio::fs::File::open(self).await?;
        Ok(ReaderStream::with_capacity(file, 64 * 1024).boxed())
    }
}

/// An output on its way. Ends with an error where it is not whole.
pub type Download = BoxStream<'static, Result<Bytes, ProviderError>>;

/// A service that generates videos.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// The model that makes this kind.
    fn model(&self, kind: Kind) -> &Model;

    /// Puts bytes where the provider can read them. Repeatable.
    async fn upload(&self, body: &dyn UploadBody, content_type: &str)
    -> Result<Url, ProviderError>;
    /// How long uploads are kept.
    fn uploads_kept_for(&self) -> Duration;

    /// Pays. Sent once; gives the prediction's id.
    async fn submit(&self, submission: &Submission) -> Result<String, SubmitError>;
    /// Longest time `submit` may take.
    fn submit_timeout(&self) -> Duration;

    /// Asks how a prediction stands. Repeatable.
    async fn prediction(&self, id: &str) -> Result<PredictionInfo, ProviderError>;

    /// Fetches an output. Repeatable. The stream fails, and must not be kept, where fewer bytes
    /// come than were promised or more than `max_bytes`.
    async fn download(&self, output: &Url, max_bytes: u64) -> Result<Download, ProviderError>;

    /// Has the provider delete its copies, for good. Repeatable: an id it does not know, or no
    /// longer knows, is no error.
    async fn delete(&self, prediction_ids: &[String]) -> Result<(), ProviderError>;

    /// What a submission would cost. Takes and creates nothing; media that the provider could
    /// not read where they are are left out. Repeatable.
    async fn price(&self, submission: &Submission) -> Result<Price, ProviderError>;
    /// US dollars that our account has. Repeatable.
    async fn balance(&self) -> Result<f64, ProviderError>;

    /// Whether it answers and takes our key; for `doctor` and readiness, never on a job's road.
    async fn ping(&self) -> Result<(), ProviderError>;
}

/// Why a callback was not believed.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// Our own proof in the address is missing or wrong.
    #[error("the callback's token is missing or wrong")]
    Token,
    /// The provider's signature is missing, stale or wrong, and checking it is enforced.
    #[error("the callback's signature is not acceptable: {0}")]
    Signature(String),
    #[error("the callback cannot be understood: {0}")]
    Body(String),
}

/// Makes and reads the addresses at which the provider calls back.
pub trait CallbackGate: Debug + Send + Sync {
    /// The address for one intent, with our own proof in it; `None` where the provider could
    /// not reach us.
    fn address(&self, job: &JobId, intent: &str) -> Option<Url>;
    /// Whether the token is the one of our address. It stands in the query, so a stranger is
    /// turned away before a byte of its body is read.
    fn admits(&self, job: &JobId, intent: &str, token: Option<&str>) -> bool;
    /// Checks token and, by setting, signature; gives the id of the prediction it speaks of.
    fn read(
        &self,
        job: &JobId,
        intent: &str,
        token: Option<&str>,
        headers: &http::HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, CallbackError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kinds::{Extend, Upscale};

    fn model() -> Model {
        Model {
            id: "a/extend".into(),
            kind: Kind::Extend,
            max_source_s: 60.0,
            max_source_pixels: 1920 * 1080,
            seconds: Some((4, 15)),
            resolutions: vec![Resolution::P480, Resolution::P720],
            returns: Returns::Merged,
            usual_base_s: 30.0,
            usual_per_second_s: 10.0,
            least_billed_s: 5.0,
            usd_per_second: BTreeMap::from([(Resolution::P480, 0.05)]),
        }
    }

    fn source(seconds: f64, width: u32, height: u32) -> SourceFacts {
        SourceFacts {
            video_object: String::new(),
            image_object: None,
            duration_ms: (seconds * 1000.0) as u64,
            width,
            height,
            fps: 25.0,
            frames: None,
            has_audio: false,
        }
    }

    fn extend(seconds: u32, resolution: Resolution) -> Params {
        Params::Extend(Extend {
            prompt: "on".into(),
            seconds,
            resolution,
            seed: None,
        })
    }

    #[test]
    fn a_model_refuses_what_it_cannot_do_with_every_fault_at_once() {
        let model = model();
        let largest = source(60.0, 1080, 1920);
        assert_eq!(model.check(&extend(4, Resolution::P480), &largest), Ok(()));
        let short = source(0.1, 16, 16);
        assert_eq!(model.check(&extend(15, Resolution::P720), &short), Ok(()));

        let faults = model
            .check(&extend(3, Resolution::K4), &source(60.1, 1922, 1080))
            .expect_err("four faults");
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "source.video",
                "source.video",
                "params.resolution",
                "params.seconds"
            ]
        );
    }

    #[test]
    fn nothing_else_is_said_of_another_kind() {
        let params = Params::Upscale(Upscale {
            target: Resolution::K4,
        });
        let faults = model()
            .check(&params, &source(0.0, 0, 0))
            .expect_err("wrong kind");
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].field, "kind");
    }

    #[test]
    fn a_source_without_a_duration_is_refused() {
        let checked = model().check(&extend(5, Resolution::P720), &source(0.0, 16, 16));
        assert!(checked.is_err());
    }

    #[test]
    fn raising_to_less_than_there_is_is_refused() {
        let model = Model {
            kind: Kind::Upscale,
            seconds: None,
            resolutions: vec![Resolution::P720, Resolution::P1080],
            ..model()
        };
        let to = |target| Params::Upscale(Upscale { target });
        let upright = source(5.0, 1080, 1920);
        let faults = model.check(&to(Resolution::P720), &upright);
        let faults = faults.expect_err("smaller");
        assert_eq!(faults[0].field, "params.target");
        assert_eq!(model.check(&to(Resolution::P1080), &upright), Ok(()));
        assert!(
            model
                .check(&to(Resolution::P720), &source(5.0, 720, 480))
                .is_ok()
        );
    }

    #[test]
    fn the_list_price_has_a_minimum_and_gaps() {
        let model = model();
        let price = |seconds, resolution| model.list_price(&extend(seconds, resolution), 30.0);
        assert_eq!(price(10, Resolution::P480), Some(0.5));
        assert_eq!(price(4, Resolution::P480), Some(0.25));
        assert_eq!(price(10, Resolution::P720), None);
    }

    #[test]
    fn the_usual_time_grows_with_the_video() {
        assert_eq!(model().usual_time(5.0), Duration::from_secs(80));
        assert_eq!(model().usual_time(-5.0), Duration::from_secs(30));
    }
}
