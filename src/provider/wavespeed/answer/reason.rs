//! What a code or the words of an answer say.

use crate::provider::wavespeed::wire;

/// What may be read out of codes: HTTP statuses and business codes do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Rejected,
    Content,
    Unauthorized,
    NoFunds,
    UnknownModel,
    Busy,
    Unclear,
}

pub(super) fn reason_of(code: i64) -> Reason {
    match code {
        // 405 and 410: the address is not that of a model; as 404, it is ours to mend.
        404 | 405 | 410 => Reason::UnknownModel,
        400 | 406 | 411 | 413 | 414 | 415 | 422 | 431 | 451 => Reason::Rejected,
        401 | 403 => Reason::Unauthorized,
        402 | 1407 => Reason::NoFunds,
        429 => Reason::Busy,
        1200 => Reason::Content,
        1400..=1402 => Reason::Rejected,
        // 408, 409 and the like, 5xx, 1403, 1405, 5000 …: it may have been taken.
        _ => Reason::Unclear,
    }
}

/// A reason that only words give: the concurrency limit has been seen under several statuses.
pub(super) fn reason_in(message: &str) -> Option<Reason> {
    let text = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "concurrency limit",
        "concurrent",
        "rate limit",
        "too many requests",
    ]) {
        Some(Reason::Busy)
    } else if has(&[
        "insufficient credit",
        "insufficient balance",
        "insufficient fund",
        "not enough credit",
    ]) {
        Some(Reason::NoFunds)
    } else if wire::speaks_of_moderation(&text) {
        Some(Reason::Content)
    } else {
        None
    }
}
