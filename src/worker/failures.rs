//! What went wrong, in the words of the domain: code, party, and what is done about it.

use crate::job::{Code, Disposition, Failure, Party};
use crate::media::MediaError;
use crate::outgoing::FetchError;
use crate::storage::StorageError;

pub(super) fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Internal, Code::Internal.about()).because(error.to_string())
}

/// The failure that a media error stands for, laid at the door of whoever made the file.
pub(super) fn media_failure(error: MediaError, made_by: Party) -> Failure {
    let code = error.code.as_str().parse().unwrap_or(Code::Internal);
    let message = sentence(&error.message);
    // What the caller gave will not get better; what the provider or we made may.
    let disposition = match (made_by, code.disposition()) {
        (Party::Caller, Disposition::Retry) if code.party() == Party::Provider => {
            Disposition::Abort
        }
        (Party::Provider | Party::Service, Disposition::Abort) => Disposition::Retry,
        (_, usual) => usual,
    };
    // An encoder that fails, or a full disk, is ours whoever made the input.
    let party = if code.party() == Party::Service {
        Party::Service
    } else {
        made_by
    };
    Failure::new(code, message)
        .by(party)
        .with(disposition)
        .because(error)
}

/// A media error is written to stand in a chain of them; in a job it stands alone, beside the
/// sentences of the codes.
fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    let Some(first) = rest.next() else {
        return String::new();
    };
    let mut sentence: String = first.to_uppercase().chain(rest).collect();
    if !sentence.ends_with(['.', '!', '?', '”']) {
        sentence.push('.');
    }
    sentence
}

/// A failure with the provider's own words, which help the caller; they are text of a third
/// party, so they are quoted.
pub(super) fn provider_said(code: Code, words: &str) -> Failure {
    Failure::new(code, quoting(code.about(), words))
}

pub(super) fn quoting(sentence: &str, words: &str) -> String {
    if words.is_empty() {
        sentence.to_owned()
    } else {
        format!("{sentence} It said: “{words}”")
    }
}

/// What whoever made a file is told that ends its reader.
pub(super) fn media_crashed(party: Party) -> Failure {
    Failure::new(Code::MediaCrashed, Code::MediaCrashed.about()).by(party)
}

/// What it means that an object of the caller's cannot be used: his where it is not there, or not
/// as it should be; ours, and waited for, where the store does not say.
pub(super) fn stored_failure(error: StorageError, object: &str) -> Failure {
    match error {
        StorageError::NotFound(_) | StorageError::Name(_) => {
            Failure::new(Code::SourceMissing, format!("There is no object {object}."))
        }
        StorageError::TooLarge { limit } => {
            let message = format!("The input has more than the {limit} bytes allowed.");
            Failure::new(Code::InputTooLarge, message)
        }
        error => unavailable(error),
    }
}

pub(super) fn fetch_failure(error: FetchError, role: &str) -> Failure {
    match error {
        FetchError::Refused(why) => Failure::new(
            Code::SourceUnreachable,
            format!("The source {role} could not be fetched: {why}"),
        ),
        FetchError::TooLarge { limit } => Failure::new(
            Code::InputTooLarge,
            format!("The source {role} has more than the {limit} bytes allowed."),
        ),
        FetchError::Unavailable(why) => Failure::new(
            Code::SourceUnreachable,
            format!("The source {role} could not be fetched: {why}"),
        )
        .with(Disposition::Retry),
    }
}

/// What a failure of the store means where it says nothing of one of the caller's objects: ours,
/// and waited for.
pub(super) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Code::StorageUnavailable, Code::StorageUnavailable.about()).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaCode;

    #[test]
    fn what_a_job_says_of_a_file_is_a_sentence() {
        for (message, said) in [
            (
                "the file claims 9 ms, but holds 4",
                "The file claims 9 ms, but holds 4.",
            ),
            ("640×360, expected 1280×720", "640×360, expected 1280×720."),
            ("Über allem.", "Über allem."),
            ("", ""),
        ] {
            let error = MediaError::new(MediaCode::Truncated, message);
            let failure = media_failure(error, Party::Provider);
            assert_eq!(failure.message, said);
        }
    }
}
