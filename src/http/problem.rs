//! Failures as the caller sees them: `application/problem+json` (RFC 9457) with our code.
//!
//! Each has two messages: `detail` for the caller, `log` for us. The frame in `api` writes both,
//! since it knows the request's id.

use std::fmt;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::job::{Code, Fault};
use crate::ledger::LedgerError;
use crate::ledger::limits::Bound;
use crate::queue::QueueError;
use crate::storage::StorageError;

/// Seconds. What stands behind the service is usually back after a moment.
const RETRY_AFTER_S: &str = "5";
/// Seconds. A backlog goes down by the minute.
const BACKLOG_RETRY_AFTER: HeaderValue = HeaderValue::from_static("60");

/// Faults that one answer lists. A form has some thirty fields; a body of nothing but faults is
/// not shown back.
pub(super) const MOST_FAULTS: usize = 32;

/// A refusal or failure of a request.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: Code,
    pub status: StatusCode,
    /// For the caller: never an inside address or a key.
    pub detail: String,
    pub errors: Vec<Fault>,
    /// For the log.
    pub log: Option<String>,
    /// `Allow`, `WWW-Authenticate`, `Content-Range` and the like.
    pub headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    /// With the code's usual status and sentence.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let headers = if code == Code::Unauthorized {
            vec![(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"filmlab\""),
            )]
        } else {
            Vec::new()
        };
        Self {
            code,
            status: status_of(code),
            detail: code.about().to_owned(),
            errors: Vec::new(),
            log: None,
            headers,
        }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Another status than the code's own, where whoever asks reads the status alone.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub fn because(mut self, log: impl fmt::Display) -> Self {
        self.log = Some(log.to_string());
        self
    }

    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A request with faults in it, all at once, up to a number that is said.
    #[must_use]
    pub fn faults(mut errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.to_string(),
            many if many.len() > MOST_FAULTS => format!(
                "More than {MOST_FAULTS} fields are missing or not allowed; the first \
                 {MOST_FAULTS} are listed."
            ),
            many => format!("{} fields are missing or not allowed.", many.len()),
        };
        errors.truncate(MOST_FAULTS);
        Self {
            errors,
            ..Self::new(Code::InvalidRequest).detail(detail)
        }
    }

    #[must_use]
    pub fn fault(field: &str, message: impl Into<String>) -> Self {
        Self::faults(vec![Fault::new(field, message)])
    }

    /// What stands for a refusal that the framework made by itself.
    #[must_use]
    pub(super) fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Code::RequestTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Code::Unauthorized,
            StatusCode::CONFLICT => Code::Conflict,
            _ if status.is_client_error() => Code::InvalidRequest,
            _ => Code::Internal,
        };
        Self::new(code).status(status)
    }

    /// The answer, once the request's id is known.
    pub(super) fn render(&self, request_id: &str) -> Response {
        let mut body = json!({
            "type": format!("urn:filmlab:error:{}", self.code),
            "title": self.code.about(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        });
        if !self.errors.is_empty()
            && let Some(body) = body.as_object_mut()
        {
            body.insert("errors".into(), json!(self.errors));
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let code = match error {
            LedgerError::Malformed { .. } => Code::InvalidJob,
            LedgerError::Illegal(_) => Code::Internal,
            // An instance of the newer revision answers, once it is there.
            LedgerError::Unavailable(_) | LedgerError::Unknown(_) | LedgerError::Newer { .. } => {
                Code::LedgerUnavailable
            }
            LedgerError::Full { waiting } => {
                return Self::new(Code::Overloaded)
                    .detail(format!(
                        "{waiting} jobs wait already, as many as the service takes \
                         (worker.max_waiting). Try again when some have ended."
                    ))
                    .header(header::RETRY_AFTER, BACKLOG_RETRY_AFTER)
                    .because(error);
            }
            LedgerError::Limited(ref refused) => {
                let most = refused.most;
                let detail = match refused.bound {
                    Bound::Jobs => {
                        format!("{most} jobs of yours have not ended, as many as may be.")
                    }
                    Bound::Waiting => {
                        format!("{most} jobs of yours wait to be begun, as many as may be.")
                    }
                    Bound::CreditsADay => {
                        format!("The {most} credits are spent that may be spent in 24 hours.")
                    }
                };
                return Self::new(Code::OwnerLimit)
                    .detail(detail)
                    .header(header::RETRY_AFTER, refused.retry_after.as_secs().into())
                    .because(error);
            }
        };
        Self::new(code).because(error)
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        Self::new(Code::QueueUnavailable).because(error)
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let code = match error {
            StorageError::NotFound(_) | StorageError::Name(_) => Code::NotFound,
            StorageError::TooLarge { .. } => Code::RequestTooLarge,
            StorageError::Stream(_) => Code::InvalidRequest,
            StorageError::Unavailable(_) | StorageError::File(_) | StorageError::Stopped => {
                Code::StorageUnavailable
            }
        };
        let problem = Self::new(code);
        let problem = match error.exhausted() {
            Some(why) => problem.detail(why),
            None => problem,
        };
        problem.because(error)
    }
}

/// The HTTP status of a code: the one table.
///
/// 422 for what is understood and cannot be used: media, and, as the IETF draft on
/// `Idempotency-Key` says, a key that comes again with another request.
#[must_use]
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidRequest => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::InsufficientCredits => StatusCode::PAYMENT_REQUIRED,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::Conflict | Code::Cancelled => StatusCode::CONFLICT,
        Code::ResultExpired => StatusCode::GONE,
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,

        Code::IdempotencyConflict
        | Code::InvalidJob
        | Code::SourceUnreachable
        | Code::SourceMissing
        | Code::InputUnreadable
        | Code::EmptyFile
        | Code::UnsupportedFormat
        | Code::UnsupportedCodec
        | Code::NotAVideo
        | Code::NotAPicture
        | Code::NoVideoStream
        | Code::DamagedMedia
        | Code::InputTooLarge
        | Code::TooManyStreams
        | Code::ProbeLimit
        | Code::TooManyPixels
        | Code::FrameRateTooHigh
        | Code::TooLong
        | Code::TooManyFrames
        | Code::TooManyDuplicates
        | Code::MediaCrashed
        | Code::MemoryLimit
        | Code::TooLongToProcess
        | Code::HdrNotSupported
        | Code::InvalidWatermark
        | Code::InvalidProfile
        | Code::ContentRefused
        | Code::ProviderRejected
        | Code::ProviderInputUnreachable => StatusCode::UNPROCESSABLE_ENTITY,

        Code::ProviderFailed
        | Code::ProviderUnavailable
        | Code::ProviderAnswerLost
        | Code::ProviderProtocol
        | Code::ProviderLostJob
        | Code::ProviderNoOutput
        | Code::DownloadFailed
        | Code::Truncated
        | Code::WrongDuration
        | Code::WrongSize
        | Code::AudioMissing
        | Code::WrongCodec
        | Code::AudioUnexpected
        | Code::FramesMissing
        | Code::AudioSilent
        | Code::NotPlayable
        | Code::PictureBlack
        | Code::PictureFrozen
        | Code::NotDecodable => StatusCode::BAD_GATEWAY,

        Code::OwnerLimit => StatusCode::TOO_MANY_REQUESTS,

        Code::ProviderBusy
        | Code::StorageUnavailable
        | Code::LedgerUnavailable
        | Code::QueueUnavailable
        | Code::Overloaded
        | Code::ShuttingDown
        | Code::ServiceUnreachable => StatusCode::SERVICE_UNAVAILABLE,

        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,

        Code::OutputTooLarge
        | Code::MediaStuck
        | Code::DataGone
        | Code::ProviderUnauthorized
        | Code::ProviderBalance
        | Code::ModelUnknown
        | Code::ModelChanged
        | Code::EncoderFailed
        | Code::OutputUnwritable
        | Code::WorkerDied
        | Code::InvalidConfig
        | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Party;
    use strum::IntoEnumIterator as _;

    #[test]
    fn the_status_names_the_same_party_as_the_code() {
        for code in Code::iter() {
            let status = status_of(code);
            assert_eq!(
                status.is_client_error(),
                code.party() == Party::Caller,
                "{code} {status}"
            );
            assert_eq!(
                status.is_server_error(),
                code.party() != Party::Caller,
                "{code} {status}"
            );
        }
    }
}
