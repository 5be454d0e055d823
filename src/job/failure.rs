//! Why a job, a request or a media task failed: a stable code, who is at fault, what to do.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// Who can mend it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumIter,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Party {
    /// Whoever asked for the job: its inputs, its parameters, its credits.
    Caller,
    /// The service that generates the video.
    Provider,
    /// This service: its configuration, its storage, its code.
    Service,
}

impl Party {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The process exit status of a command that failed by this party's fault, after
    /// `sysexits.h`: 65 data error, 69 unavailable, 70 internal software error.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Caller => 65,
            Self::Provider => 69,
            Self::Service => 70,
        }
    }
}

/// What the worker does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumIter)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Disposition {
    /// Try again as the next attempt, after a pause.
    Retry,
    /// End the job as failed.
    Abort,
    /// Nobody knows whether it happened: look before doing it again.
    Reconcile,
    /// Wait without using an attempt: nothing is wrong with the job.
    Wait,
}

/// Defines [`Code`] with, for each code, its usual party, disposition and explanation, so that
/// none can be added without all of them.
macro_rules! codes {
    ($( $(#[$meta:meta])* $name:ident $party:ident $disposition:ident $about:literal; )*) => {
        /// A stable name for what went wrong. Names never change once published;
        /// `docs/errors.md` lists them all.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
                 EnumIter, EnumString, IntoStaticStr, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum Code { $( $(#[$meta])* #[doc = $about] $name, )* }

        impl Code {
            /// Who is usually at fault. A media code found in the provider's output is laid at
            /// the provider's door instead: see [`Failure::party`].
            #[must_use]
            pub fn party(self) -> Party { match self { $( Self::$name => Party::$party, )* } }

            /// What is usually done about it.
            #[must_use]
            pub fn disposition(self) -> Disposition {
                match self { $( Self::$name => Disposition::$disposition, )* }
            }

            /// One sentence for a person.
            #[must_use]
            pub fn about(self) -> &'static str { match self { $( Self::$name => $about, )* } }
        }
    };
}

codes! {
    // The request.
    InvalidRequest Caller Abort "A field of the request is missing or has a value that is not allowed.";
    InvalidJob Caller Abort "The stored job document cannot be read as a job.";
    Unauthorized Caller Abort "The credentials are missing, wrong or expired.";
    NotFound Caller Abort "There is nothing under that name, or not for this caller.";
    MethodNotAllowed Caller Abort "The address exists, but not for this method.";
    Conflict Caller Abort "The job is not in a state that allows this.";
    ResultExpired Caller Abort "The result was deleted for its age.";
    IdempotencyConflict Caller Abort "The idempotency key was used before with a different request.";
    RequestTooLarge Caller Abort "The request's body is larger than allowed.";
    UnsupportedMediaType Caller Abort "The request's content type is not accepted here.";
    OwnerLimit Caller Wait "The owner has as many jobs, or has spent as many credits in a day, as allowed.";
    InsufficientCredits Caller Abort "The account has fewer credits than the job costs.";
    Cancelled Caller Abort "The job was cancelled.";

    // Inputs and other media. A code found in the provider's output names the provider.
    SourceUnreachable Caller Abort "An input could not be fetched from its address.";
    SourceMissing Caller Abort "An input does not exist under its name.";
    InputUnreadable Caller Abort "The file does not exist or cannot be read.";
    EmptyFile Caller Abort "The file has no content.";
    UnsupportedFormat Caller Abort "The container is not one of the supported formats.";
    UnsupportedCodec Caller Abort "A stream uses a codec that is not supported.";
    NotAVideo Caller Abort "The file is a picture or holds no moving video.";
    NotAPicture Caller Abort "The file is not a PNG, JPEG or WebP picture.";
    NoVideoStream Caller Abort "The file has no video stream.";
    DamagedMedia Caller Abort "The file is damaged beyond what can be tolerated.";
    InputTooLarge Caller Abort "The file has more bytes than allowed.";
    TooManyStreams Caller Abort "The file has more streams than allowed.";
    ProbeLimit Caller Abort "The file could not be recognised within the probing limits.";
    TooManyPixels Caller Abort "The picture is larger than allowed.";
    FrameRateTooHigh Caller Abort "The frame rate is higher than allowed.";
    TooLong Caller Abort "The video is longer than allowed.";
    TooManyFrames Caller Abort "The video has more frames than allowed.";
    TooManyDuplicates Caller Abort "Gaps in the video's timestamps would take more duplicated frames or silence than allowed.";
    MediaCrashed Caller Abort "The file makes the program that reads it crash, or take more memory or time than allowed.";
    MemoryLimit Caller Abort "A part of the file asks for more memory than allowed.";
    OutputTooLarge Service Abort "The output grew beyond its limit.";
    TooLongToProcess Caller Abort "The video could not be processed within one visit's budget.";
    HdrNotSupported Caller Abort "The video is HDR and the linked libav* cannot convert it.";
    InvalidWatermark Caller Abort "The watermark or its placement is not usable.";
    InvalidProfile Caller Abort "The output profile does not exist or is not usable.";

    // The provider.
    ContentRefused Caller Abort "The provider's moderation refused the content.";
    ProviderRejected Caller Abort "The provider refused the inputs or parameters.";
    ProviderInputUnreachable Caller Abort "The provider could not read an input.";
    ProviderFailed Provider Retry "The provider accepted the job and then failed it.";
    ProviderUnavailable Provider Retry "The provider does not answer, or answers with errors.";
    ProviderBusy Provider Wait "The provider asks to wait.";
    ProviderAnswerLost Provider Reconcile "The provider's answer to a paid request never came, or does not tell whether it was taken.";
    ProviderProtocol Provider Retry "The provider's answer cannot be understood.";
    ProviderLostJob Provider Retry "The provider does not know the prediction any more.";
    ProviderNoOutput Provider Retry "The provider reports success and gives no video.";
    DownloadFailed Provider Retry "The provider's output could not be downloaded.";
    ProviderUnauthorized Service Wait "The provider does not accept our key.";
    ProviderBalance Service Wait "Our account at the provider has no funds.";
    ModelUnknown Service Abort "The provider does not know the configured model.";
    ModelChanged Service Abort "The provider describes the model otherwise than filmlab does; nothing was paid for.";

    // What was made, found wrong by verification.
    Truncated Provider Retry "The video ends before it should.";
    WrongDuration Provider Abort "The video has another length than it should.";
    WrongSize Provider Abort "The video has another size than it should.";
    AudioMissing Provider Retry "The video is silent where it should not be.";
    WrongCodec Provider Retry "The video uses another codec than it should.";
    AudioUnexpected Provider Retry "The video has sound where it should be silent.";
    AudioSilent Provider Retry "The video's sound is digital silence where something should be heard.";
    NotPlayable Provider Retry "The video uses features of H.264 that players do not know.";
    FramesMissing Provider Retry "The video has fewer frames than it should.";
    PictureBlack Provider Retry "The video stays black for longer than it should.";
    PictureFrozen Provider Retry "The video stands still for longer than it should.";
    NotDecodable Provider Retry "The video cannot be decoded.";

    // This service.
    EncoderFailed Service Retry "The encoder failed.";
    OutputUnwritable Service Retry "The output could not be written.";
    StorageUnavailable Service Wait "The object store does not answer, or refuses.";
    LedgerUnavailable Service Wait "The job store does not answer.";
    QueueUnavailable Service Retry "The queue does not answer.";
    MediaStuck Service Retry "Media work did not stop when it was told to.";
    DataGone Service Wait "The data folder was removed or replaced while the service ran.";
    WorkerDied Service Retry "The worker stopped in the middle of an attempt.";
    DeadlineExceeded Service Abort "The job did not end before its deadline.";
    InvalidConfig Service Abort "The configuration has a fault.";
    Overloaded Service Wait "As many jobs are waiting as the service takes.";
    ShuttingDown Service Wait "The service is shutting down.";
    ServiceUnreachable Service Retry "No service answers at the address that a command was given.";
    Internal Service Retry "Something happened that should not have.";
}

impl Code {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One failure, as the worker passes it along: made where the cause is known, acted on in one
/// place.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    pub code: Code,
    pub party: Party,
    pub disposition: Disposition,
    /// For the caller: says what and which, never an inside address or a key.
    pub message: String,
    /// For the log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure with the code's usual party and disposition.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            party: code.party(),
            disposition: code.disposition(),
            message: message.into(),
            source: None,
        }
    }

    #[must_use]
    pub fn by(mut self, party: Party) -> Self {
        self.party = party;
        self
    }

    #[must_use]
    pub fn with(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }

    /// The exit status of a command that failed so: the party's, but where nothing answers, which
    /// is what 69 means.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.code {
            Code::ServiceUnreachable => Party::Provider.exit_code(),
            _ => self.party.exit_code(),
        }
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Chooses, on each fallible line of a stage, what a failure of it means.
pub trait OrFailure<T> {
    /// Try again as the next attempt.
    fn retry(self, code: Code) -> Result<T, Failure>;
    /// End the job.
    fn abort(self, code: Code) -> Result<T, Failure>;
}

impl<T, E> OrFailure<T> for Result<T, E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn retry(self, code: Code) -> Result<T, Failure> {
        self.map_err(|error| failed(code, Disposition::Retry, error))
    }

    fn abort(self, code: Code) -> Result<T, Failure> {
        self.map_err(|error| failed(code, Disposition::Abort, error))
    }
}

fn failed<E>(code: Code, disposition: Disposition, error: E) -> Failure
where
    E: std::error::Error + Send + Sync + 'static,
{
    // The caller gets the code's own sentence: an adapter's words may name inside addresses.
    Failure::new(code, code.about())
        .with(disposition)
        .because(error)
}
