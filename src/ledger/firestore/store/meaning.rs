//! What a failed commit means.

use gcloud_sdk::google_cloud_auth::errors::CredentialsError;
use gcloud_sdk::tonic::{Code, ConnectError, Status};

/// What a failed commit means for what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Conflict,
    /// The request never left.
    NotSent,
    /// The server read it and wrote nothing.
    Refused,
    Unknown,
}

pub(super) fn meaning(status: &Status) -> Meaning {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<ConnectError>() || error.is::<CredentialsError>() {
            return Meaning::NotSent;
        }
        cause = error.source();
    }
    match status.code() {
        Code::AlreadyExists | Code::NotFound | Code::FailedPrecondition | Code::Aborted => {
            Meaning::Conflict
        }
        Code::InvalidArgument
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::Unimplemented => Meaning::Refused,
        _ => Meaning::Unknown,
    }
}

pub(super) fn described(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sure_is_called_unwritten() {
        let of = |code| meaning(&Status::new(code, "x"));
        assert_eq!(of(Code::Aborted), Meaning::Conflict);
        assert_eq!(of(Code::PermissionDenied), Meaning::Refused);
        for code in [
            Code::DeadlineExceeded,
            Code::Unavailable,
            Code::Internal,
            Code::Unknown,
            Code::Cancelled,
        ] {
            assert_eq!(of(code), Meaning::Unknown, "{code:?}");
        }
        let refused = ConnectError("connection refused".into());
        let status = Status::from_error(Box::new(refused));
        assert_eq!(
            (status.code(), meaning(&status)),
            (Code::Unavailable, Meaning::NotSent)
        );
    }
}
