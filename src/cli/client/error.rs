//! Why a call of the jobs API failed, and what the service says of it.

use std::path::{Path, PathBuf};

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::config::is_loopback;
use crate::job::{Code, Failure, Fault};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The service does not answer, or not now: trying again may help.
    #[error("{message}")]
    Unavailable { code: Code, message: String },
    /// The service refuses: trying again will not help.
    #[error("{code}: {message}")]
    Refused { code: Code, message: String },
    /// A file on this machine.
    #[error("{}: {error}", .path.display())]
    File {
        path: PathBuf,
        error: std::io::Error,
        writing: bool,
    },
}

impl ClientError {
    /// For what no problem of the service's gives a code.
    pub(crate) fn unavailable(code: Code, message: impl Into<String>) -> Self {
        Self::Unavailable {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unavailable { code, message } | ClientError::Refused { code, message } => {
                Self::new(code, message)
            }
            ClientError::File {
                path,
                error,
                writing,
            } => {
                let code = if writing {
                    Code::OutputUnwritable
                } else {
                    Code::InputUnreadable
                };
                Self::new(code, format!("{}: {error}", path.display()))
            }
        }
    }
}

/// The fields of a problem that a person wants.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

pub(super) fn unwritable(path: &Path, error: std::io::Error) -> ClientError {
    ClientError::File {
        path: path.to_owned(),
        error,
        writing: true,
    }
}

pub(super) fn broken(error: &reqwest::Error) -> ClientError {
    let host = error
        .url()
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default();
    let (code, what) = if error.is_connect() {
        let here = error.url().is_some_and(is_loopback);
        let advice = if here {
            "start a service with `filmlab serve`, or name another with --server or FILMLAB_SERVER"
        } else {
            "see whether a service runs there, or name another with --server or FILMLAB_SERVER"
        };
        let what = format!("cannot be reached; {advice}");
        (Code::ServiceUnreachable, what)
    } else if error.is_timeout() {
        (Code::ServiceUnreachable, "does not answer in time".into())
    } else if error.is_decode() {
        (Code::Internal, "gives an answer that cannot be read".into())
    } else {
        (Code::ServiceUnreachable, "broke the connection off".into())
    };
    ClientError::unavailable(code, format!("{host} {what}"))
}

/// The answer, if it is a good one; else what the service says is wrong.
pub(super) async fn accepted(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let host = response.url().origin().ascii_serialization();
    let problem: Option<Problem> = response.json().await.ok();
    let message = match &problem {
        Some(problem) if problem.errors.is_empty() => problem.detail.clone(),
        Some(problem) => {
            let faults: Vec<String> = problem.errors.iter().map(ToString::to_string).collect();
            faults.join("; ")
        }
        None => format!("{host} answers {status}"),
    };
    let code = problem
        .and_then(|problem| problem.code.parse().ok())
        .unwrap_or(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Code::Unauthorized,
            StatusCode::NOT_FOUND => Code::NotFound,
            _ if status.is_client_error() => Code::InvalidRequest,
            // What stands before a service says so in its stead.
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Code::ServiceUnreachable,
            _ => Code::Internal,
        });
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Err(ClientError::Unavailable { code, message })
    } else {
        Err(ClientError::Refused { code, message })
    }
}
