//! Who generates the video.
//!
//! A provider takes inputs at addresses it can read, is asked until the video is there, and is
//! paid by [`Provider::submit`], which is sent once per call: nothing below it may repeat it.

pub mod metered;
mod model;
pub mod wavespeed;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use strum::IntoEnumIterator as _;
use tokio_util::io::ReaderStream;
use url::Url;

use crate::job::{DurationMeaning, JobId, Kind, Params, Timestamp};

pub use model::{Model, Returns, whole_seconds};

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
    /// The provider's own description of the model is another than the request: nothing was sent.
    #[error("the model has changed: {message}")]
    ModelChanged { message: String },
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
    /// Length of the video, in seconds.
    pub source_s: f64,
    /// What the model is taken to understand by `duration`.
    pub duration: DurationMeaning,
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

impl Prediction {
    /// Whether the provider may have taken money for it: all but ends that it says it gives the
    /// money back for. `docs/providers.md` has the sources.
    #[must_use]
    pub fn may_be_charged(&self) -> bool {
        match self {
            // “Failed requests are refunded automatically.”
            Self::Failed { .. } | Self::Rejected { .. } | Self::InputUnreachable { .. } => false,
            // Nothing is said of refusals by moderation, of what was ended from outside, and of
            // what says that it succeeded.
            Self::Running
            | Self::Completed { .. }
            | Self::NoOutput
            | Self::ContentRefused { .. }
            | Self::Gone { .. } => true,
        }
    }
}

/// What a prediction is, for confirming a callback.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionInfo {
    pub model: String,
    pub created_at: Option<Timestamp>,
    pub state: Prediction,
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
    /// Those that are asked where it does not, in their order.
    fn fallbacks(&self, kind: Kind) -> &[Model];

    /// The one of that name, or the kind's own.
    fn model_named(&self, kind: Kind, id: Option<&str>) -> &Model {
        let named = self.fallbacks(kind).iter();
        let named = named.into_iter().find(|model| id == Some(&*model.id));
        named.unwrap_or_else(|| self.model(kind))
    }

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
}

/// How the provider's signature on a callback stands: by which form of the secret it was made, or
/// why it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Signature {
    /// The text behind `whsec_`, as documented.
    Stripped,
    /// The whole text.
    Whole,
    /// What the text behind `whsec_` is the base64 of.
    Decoded,
    /// No secret is known here yet.
    NoSecret,
    /// A header is missing or cannot be read.
    Missing,
    /// Too old or too new.
    Stale,
    /// No form of the secret makes it.
    Wrong,
}

impl Signature {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the secret made it.
    #[must_use]
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Stripped | Self::Whole | Self::Decoded)
    }

    /// Name of a mark that says that such a one came in: one of [`SIGNATURE_MARKS`] for each form,
    /// chosen by the job, so that marks are as many as callbacks while these are few.
    #[must_use]
    pub fn mark(self, job: &JobId) -> String {
        let sum = job.as_str().bytes().fold(0_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u32::from(byte))
        });
        format!("{MARK}{}-{}", self.as_str(), sum % SIGNATURE_MARKS)
    }

    /// What a mark of that name says.
    #[must_use]
    pub fn of_mark(name: &str) -> Option<Self> {
        let (form, number) = name.strip_prefix(MARK)?.rsplit_once('-')?;
        number.parse::<u32>().ok()?;
        Self::iter().find(|one| one.as_str() == form)
    }
}

/// Marks that one form of signatures leaves at most.
pub const SIGNATURE_MARKS: u32 = 40;
const MARK: &str = "signature-";

/// What a callback says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub prediction_id: String,
    pub signature: Signature,
}

/// Why a callback was not believed.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// Our own proof in the address is missing or wrong.
    #[error("the callback's token is missing or wrong")]
    Token,
    /// The provider's signature is missing, stale or wrong, and checking it is enforced.
    #[error("the callback's signature is not acceptable: {}", .0.as_str())]
    Signature(Signature),
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
    /// Checks token and, by setting, signature; gives the prediction it speaks of.
    fn read(
        &self,
        job: &JobId,
        intent: &str,
        token: Option<&str>,
        headers: &http::HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Called, CallbackError>;
}
