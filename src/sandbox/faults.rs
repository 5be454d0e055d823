//! What can be made to go wrong.

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::job::Kind;

/// One thing that goes wrong. As JSON: `{"fault": "failed_prediction", "code": 1403}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[strum_discriminants(name(FaultName), derive(strum::EnumIter))]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    // The submission is refused; nothing is taken.
    /// HTTP 429, with `Retry-After` in seconds if given.
    TooManyRequests {
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// HTTP 401.
    Unauthorized,
    /// HTTP 402 with code 1407.
    NoFunds,
    /// HTTP 400 with a business code.
    Reject {
        #[serde(default = "invalid_parameter")]
        code: i64,
        #[serde(default = "invalid_parameter_text")]
        message: String,
    },
    /// HTTP 404.
    UnknownModel,
    /// HTTP 400 with code 1200.
    RefuseContent,
    /// HTTP 200 with another code in the envelope.
    EnvelopeError {
        #[serde(default = "internal")]
        code: i64,
        #[serde(default = "internal_text")]
        message: String,
    },
    /// A redirect to somewhere else.
    Redirect {
        to: String,
    },

    // The submission is taken; the answer goes wrong.
    /// The connection ends without an answer.
    AnswerLost,
    /// A gateway's error page.
    AcceptedThen5xx {
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// HTTP 200 with an answer that is not JSON.
    GarbageAnswer,
    /// The answer comes this many milliseconds late.
    AnswerLate {
        ms: u64,
    },

    // The prediction goes wrong.
    FailedPrediction {
        #[serde(default = "execution_failed")]
        code: i64,
        #[serde(default = "execution_failed_text")]
        message: String,
    },
    /// It fails with code 1200 and the flag of the safety check.
    ContentRefused,
    /// It ends with this status: `cancelled`, `timeout` …
    Status {
        status: String,
    },
    /// It completes without outputs.
    NoOutput,
    /// Its output is an object with an address in it.
    ObjectOutput,
    /// This many looks at it find a status nobody documents.
    UnknownStatus {
        polls: u32,
    },
    /// This many looks more find it running.
    Slow {
        polls: u32,
    },
    /// This many looks at it are answered with an error.
    PollErrors {
        polls: u32,
        #[serde(default = "bad_gateway")]
        status: u16,
        #[serde(default)]
        retry_after: Option<u64>,
        /// In the API's own envelope instead of a gateway's page.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        envelope: bool,
    },

    // The video goes wrong.
    /// No sound, whatever the configuration says.
    SilentVideo,
    /// Sound, whatever the configuration says.
    WithAudio,
    /// Another duration than asked for.
    WrongDuration,
    /// Another size than asked for.
    WrongSize,
    /// The transfer ends before the promised length.
    TruncatedOutput,
    /// The transfer is whole; the file in it was cut.
    CutFile,
    /// The output's address does not open: at the first downloads, or ever.
    OutputGone {
        #[serde(default)]
        downloads: Option<u32>,
        #[serde(default = "not_found")]
        status: u16,
    },

    // The webhook goes wrong.
    WebhookDuplicate,
    WebhookBadSignature,
    WebhookLate {
        ms: u64,
    },
    WebhookLost,
}

fn invalid_parameter() -> i64 {
    1401
}
fn invalid_parameter_text() -> String {
    "Invalid parameter.".into()
}
fn internal() -> i64 {
    500
}
fn internal_text() -> String {
    "Internal error.".into()
}
fn bad_gateway() -> u16 {
    502
}
fn not_found() -> u16 {
    404
}
fn execution_failed() -> i64 {
    1403
}
fn execution_failed_text() -> String {
    "Task execution failed.".into()
}

impl Fault {
    /// Whether nothing is taken when this strikes.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. }
                | Self::Unauthorized
                | Self::NoFunds
                | Self::Reject { .. }
                | Self::UnknownModel
                | Self::RefuseContent
                | Self::EnvelopeError { .. }
                | Self::Redirect { .. }
        )
    }
}

/// When a fault strikes: at each submission that fits, as often as allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRule {
    /// Absent: at every kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Absent: at every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// From 0 to 1; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    #[serde(flatten)]
    pub fault: Fault,
}

impl FaultRule {
    /// Once, at the next submission.
    #[must_use]
    pub fn once(fault: Fault) -> Self {
        Self {
            times: Some(1),
            ..Self::always(fault)
        }
    }

    /// At every submission.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            kind: None,
            model: None,
            times: None,
            probability: None,
            fault,
        }
    }

    /// The same, for one kind only.
    #[must_use]
    pub fn of(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }
}

/// The rules in force, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(pub Vec<FaultRule>);

impl Faults {
    /// The refusal that strikes this submission, if one does.
    pub(super) fn refusal(&mut self, kind: Kind, model: &str, rng: &mut StdRng) -> Option<Fault> {
        self.take(kind, model, rng, Fault::is_refusal, 1).pop()
    }

    /// All faults that follow this submission once it is taken.
    pub(super) fn rest(&mut self, kind: Kind, model: &str, rng: &mut StdRng) -> Vec<Fault> {
        self.take(kind, model, rng, |fault| !fault.is_refusal(), usize::MAX)
    }

    fn take(
        &mut self,
        kind: Kind,
        model: &str,
        rng: &mut StdRng,
        fits: impl Fn(&Fault) -> bool,
        most: usize,
    ) -> Vec<Fault> {
        let mut taken = Vec::new();
        for rule in &mut self.0 {
            if taken.len() == most {
                break;
            }
            let strikes = fits(&rule.fault)
                && rule.times != Some(0)
                && rule.kind.is_none_or(|only| only == kind)
                && rule.model.as_deref().is_none_or(|only| only == model)
                && rule
                    .probability
                    .is_none_or(|chance| rng.random_bool(chance.clamp(0.0, 1.0)));
            if strikes {
                rule.times = rule.times.map(|times| times - 1);
                taken.push(rule.fault.clone());
            }
        }
        self.0.retain(|rule| rule.times != Some(0));
        taken
    }
}

#[cfg(test)]
mod tests;
