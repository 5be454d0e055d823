//! What an answer means for what may be done next.
//!
//! For a submission the question is whether money may have been taken. What is clearly refused is
//! said so; everything that leaves a doubt is [`SubmitError::Ambiguous`], which costs a wait and
//! never a second charge.

mod reason;

use std::time::Duration;

use super::wire::Answer;
use crate::provider::{ProviderError, SubmitError};
use reason::{Reason, reason_in, reason_of};

/// What a submission's answer means. `body` may be empty where it could not be read.
pub(super) fn submitted(
    status: u16,
    retry_after: Option<Duration>,
    body: &[u8],
) -> Result<String, SubmitError> {
    let answer = Answer::read(body);
    if (200..300).contains(&status) {
        let Some(answer) = answer else {
            return Err(SubmitError::Ambiguous {
                message: format!("HTTP {status} with an answer that is not JSON"),
                words: Some(String::new()),
            });
        };
        // An id settles it, whatever else the answer says: a recorded id can be asked about.
        if let Some(id) = answer.prediction_id() {
            return Ok(id);
        }
        let code = if answer.is_ok() {
            answer.business
        } else {
            answer.code
        };
        return Err(refused(Some(code), status, retry_after, &answer));
    }
    let answer = answer.unwrap_or(Answer {
        code: 0,
        business: 0,
        message: String::new(),
        data: serde_json::Value::Null,
    });
    // A 5xx says nothing about what happened behind the gateway; its body does not either.
    if status >= 500 {
        return Err(SubmitError::Ambiguous {
            message: said(status, &answer.message),
            words: Some(answer.message),
        });
    }
    // The API has no redirects: something before it answers, or the base address is wrong. A 303
    // is none of these, since it follows a request that was carried out (RFC 9110, 15.4.4).
    if matches!(status, 301 | 302 | 307 | 308) {
        return Err(SubmitError::Redirected {
            message: said(status, &answer.message),
        });
    }
    Err(refused(None, status, retry_after, &answer))
}

fn refused(
    envelope: Option<i64>,
    status: u16,
    retry_after: Option<Duration>,
    answer: &Answer,
) -> SubmitError {
    // From the most to the least particular: business code, envelope or status, words.
    let by_business = reason_of(answer.business);
    let by_inner_code = reason_of(answer.code);
    let by_code = reason_of(envelope.unwrap_or_else(|| i64::from(status)));
    let by_words = reason_in(&answer.message);
    let reason = if by_business != Reason::Unclear {
        by_business
    } else if answer.code >= 1000 && by_inner_code != Reason::Unclear {
        by_inner_code
    } else {
        match (by_code, by_words) {
            // Words may sharpen a plain refusal; they do not turn a doubt into a refusal, but for
            // those that are given only where nothing was taken.
            (Reason::Rejected | Reason::Unauthorized, Some(words)) => words,
            (Reason::Unclear, Some(words @ (Reason::Busy | Reason::NoFunds)))
                if status < 300 || status == 409 =>
            {
                words
            }
            (code, _) => code,
        }
    };
    let message = said(status, &answer.message);
    let words = answer.message.clone();
    match reason {
        Reason::Rejected => SubmitError::Rejected { message, words },
        Reason::Content => SubmitError::ContentRefused { message },
        Reason::Unauthorized => SubmitError::Unauthorized { message },
        Reason::NoFunds => SubmitError::NoFunds { message },
        Reason::UnknownModel => SubmitError::UnknownModel { message },
        Reason::Busy => SubmitError::Busy {
            message,
            retry_after,
        },
        Reason::Unclear => SubmitError::Ambiguous {
            message,
            words: Some(words),
        },
    }
}

/// What the answer of a repeatable call means; gives the answer where it reports success.
pub(super) fn asked(
    status: u16,
    retry_after: Option<Duration>,
    body: &[u8],
) -> Result<Answer, ProviderError> {
    let answer = Answer::read(body);
    if (200..300).contains(&status) {
        let Some(answer) = answer else {
            return Err(ProviderError::Protocol {
                message: format!("HTTP {status} with an answer that is not JSON"),
            });
        };
        if answer.is_ok() {
            return Ok(answer);
        }
        let code = u16::try_from(answer.code).unwrap_or(500);
        let message = said(status, &answer.message);
        return Err(failed(code, retry_after, message, answer.message));
    }
    let is_the_apis = answer.as_ref().is_some_and(says_not_found);
    let words = answer.map(|answer| answer.message).unwrap_or_default();
    let message = said(status, &words);
    // A gateway, or a server that is not the API at all, knows nothing of what was asked for.
    if matches!(status, 404 | 410) && !is_the_apis {
        return Err(ProviderError::Unavailable { message });
    }
    Err(failed(status, retry_after, message, words))
}

/// Whether the API says, in its own envelope, that it does not know what was asked for.
fn says_not_found(answer: &Answer) -> bool {
    [answer.code, answer.business]
        .iter()
        .any(|code| matches!(code, 404 | 410))
}

/// A repeatable call's error by its status or envelope code. `words` are the provider's own.
pub(super) fn failed(
    code: u16,
    retry_after: Option<Duration>,
    message: String,
    words: String,
) -> ProviderError {
    match code {
        401..=403 => ProviderError::Unauthorized { message },
        404 | 410 => ProviderError::NotFound { message },
        429 => ProviderError::Busy {
            message,
            retry_after,
        },
        400 | 405 | 406 | 411..=422 | 431 | 451 => ProviderError::Rejected { message, words },
        300..=399 => ProviderError::Protocol { message },
        _ => ProviderError::Unavailable { message },
    }
}

fn said(status: u16, message: &str) -> String {
    if message.is_empty() {
        format!("HTTP {status}")
    } else {
        format!("HTTP {status}: {message}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(result: &Result<String, SubmitError>) -> &'static str {
        match result {
            Ok(_) => "ok",
            Err(SubmitError::Rejected { .. }) => "rejected",
            Err(SubmitError::ContentRefused { .. }) => "content",
            Err(SubmitError::Unauthorized { .. }) => "unauthorized",
            Err(SubmitError::NoFunds { .. }) => "no funds",
            Err(SubmitError::UnknownModel { .. }) => "unknown model",
            Err(SubmitError::Busy { .. }) => "busy",
            Err(SubmitError::NotSent { .. }) => "not sent",
            Err(SubmitError::Redirected { .. }) => "redirected",
            Err(SubmitError::Ambiguous { .. }) => "ambiguous",
            Err(SubmitError::ModelChanged { .. }) => "model changed",
        }
    }

    #[test]
    fn every_answer_to_a_submission() {
        let table = [
            (
                200,
                r#"{"code":200,"data":{"id":"abc","status":"created"}}"#,
                "ok",
            ),
            (201, r#"{"id":"abc","status":"created"}"#, "ok"),
            (200, r#"{"code":0,"data":{"id":"abc"}}"#, "ok"),
            // An id is kept whatever the rest says.
            (200, r#"{"code":500,"data":{"id":"abc"}}"#, "ok"),
            (200, r#"{"code":200,"data":{"id":""}}"#, "ambiguous"),
            (200, r#"{"code":200,"data":{"id":"../x"}}"#, "ambiguous"),
            (200, r#"{"code":200,"data":null}"#, "ambiguous"),
            (200, r#"{"code":200,"message":"success"}"#, "ambiguous"),
            (200, "", "ambiguous"),
            (200, "<html>ok</html>", "ambiguous"),
            (200, r#"{"code":400,"message":"bad"}"#, "rejected"),
            (200, r#"{"code":1401,"message":"bad"}"#, "rejected"),
            (
                200,
                r#"{"code":200,"data":{"code":1400,"error":"bad"}}"#,
                "rejected",
            ),
            (200, r#"{"code":401,"message":"no"}"#, "unauthorized"),
            (200, r#"{"code":402,"message":"no"}"#, "no funds"),
            (200, r#"{"code":1407,"message":"no"}"#, "no funds"),
            (200, r#"{"code":404,"message":"no"}"#, "unknown model"),
            (200, r#"{"code":1200,"message":"no"}"#, "content"),
            (200, r#"{"code":429,"message":"slow"}"#, "busy"),
            (200, r#"{"code":500,"message":"oops"}"#, "ambiguous"),
            (200, r#"{"code":5000,"message":"oops"}"#, "ambiguous"),
            // Sync mode ran out of time: the prediction goes on.
            (
                200,
                r#"{"code":200,"data":{"id":"abc","status":"processing","code":5004,"error":"Sync mode timed out"}}"#,
                "ok",
            ),
            (
                200,
                r#"{"code":200,"data":{"code":5004,"error":"Sync mode timed out"}}"#,
                "ambiguous",
            ),
            (
                200,
                r#"{"code":500,"message":"You have reached your concurrency limit"}"#,
                "busy",
            ),
            (400, r#"{"code":400,"message":"bad"}"#, "rejected"),
            (400, "<html>", "rejected"),
            (400, r#"{"code":1407,"message":"top up"}"#, "no funds"),
            (
                400,
                r#"{"code":400,"error_code":"1200","message":"no"}"#,
                "content",
            ),
            (
                400,
                r#"{"code":400,"message":"Insufficient credits"}"#,
                "no funds",
            ),
            (
                400,
                r#"{"message":"Your prompt was flagged by moderation"}"#,
                "content",
            ),
            (
                403,
                r#"{"message":"You have reached your concurrency limit"}"#,
                "busy",
            ),
            (413, "", "rejected"),
            (422, r#"{"message":"bad"}"#, "rejected"),
            (
                401,
                r#"{"message":"invalid authentication"}"#,
                "unauthorized",
            ),
            (403, "", "unauthorized"),
            (402, "", "no funds"),
            (404, r#"{"message":"model not found"}"#, "unknown model"),
            (405, "", "unknown model"),
            (429, "", "busy"),
            (408, "", "ambiguous"),
            (409, "", "ambiguous"),
            (
                500,
                r#"{"code":1407,"message":"Insufficient credits"}"#,
                "ambiguous",
            ),
            (502, "<html>", "ambiguous"),
            (503, "", "ambiguous"),
            (504, r#"{"code":504,"message":"gateway"}"#, "ambiguous"),
        ];
        for (status, body, expected) in table {
            let result = submitted(status, None, body.as_bytes());
            assert_eq!(name(&result), expected, "{status} {body}");
        }
    }

    #[test]
    fn codes_that_leave_a_doubt_are_no_refusal() {
        for code in [1403, 1404, 1405, 1406, 5000, 5003, 9999, -1] {
            let body = format!(r#"{{"code":{code},"message":"oops"}}"#);
            let result = submitted(200, None, body.as_bytes());
            assert_eq!(name(&result), "ambiguous", "{body}");
        }
    }

    #[test]
    fn redirects_take_nothing_but_for_the_one_that_follows_an_acceptance() {
        for (status, body, expected) in [
            (300, "", "ambiguous"),
            (301, "", "redirected"),
            (302, "<html>", "redirected"),
            (303, "", "ambiguous"),
            (304, "", "ambiguous"),
            (307, r#"{"code":500,"message":"?"}"#, "redirected"),
            (308, "", "redirected"),
        ] {
            let result = submitted(status, None, body.as_bytes());
            assert_eq!(name(&result), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_the_provider_says_is_kept_apart_from_how_it_was_sent() {
        let said = |status, body: &str| match submitted(status, None, body.as_bytes()) {
            Err(SubmitError::Rejected { message, words }) => (message, Some(words)),
            Err(SubmitError::Ambiguous { message, words }) => (message, words),
            other => panic!("{other:?}"),
        };
        let words = |text: &str| Some(text.to_owned());
        assert_eq!(
            said(400, r#"{"code":1401,"message":"Invalid parameter."}"#),
            (
                "HTTP 400: Invalid parameter.".into(),
                words("Invalid parameter.")
            )
        );
        assert_eq!(
            said(200, r#"{"code":500,"message":"Internal error."}"#),
            ("HTTP 200: Internal error.".into(), words("Internal error."))
        );
        assert_eq!(said(413, ""), ("HTTP 413".into(), words("")));
        assert_eq!(said(502, "<html>"), ("HTTP 502".into(), words("")));
    }

    #[test]
    fn a_busy_answer_carries_the_wait() {
        let wait = Some(Duration::from_secs(65));
        assert!(matches!(
            submitted(429, wait, b""),
            Err(SubmitError::Busy { retry_after, .. }) if retry_after == wait
        ));
    }

    #[test]
    fn repeatable_calls_fail_by_what_may_be_done() {
        use ProviderError as E;
        let asked = |status, body: &str| asked(status, None, body.as_bytes());
        assert!(asked(200, r#"{"code":200,"data":{}}"#).is_ok());
        assert!(matches!(asked(200, "[]"), Err(E::Protocol { .. })));
        assert!(matches!(asked(302, ""), Err(E::Protocol { .. })));
        assert!(matches!(asked(400, "x"), Err(E::Rejected { .. })));
        assert!(matches!(asked(401, ""), Err(E::Unauthorized { .. })));
        assert!(matches!(asked(429, ""), Err(E::Busy { .. })));
        assert!(matches!(asked(503, ""), Err(E::Unavailable { .. })));
        let inner = |code: i64| format!(r#"{{"code":{code},"message":"no"}}"#);
        assert!(matches!(asked(200, &inner(404)), Err(E::NotFound { .. })));
        // Only the API itself knows that something is not there.
        for status in [404, 410] {
            for body in [
                &inner(404),
                &inner(410),
                r#"{"code":404,"message":"no","data":null}"#,
                r#"{"code":404,"status":"error"}"#,
            ] {
                let answer = asked(status, body);
                assert!(matches!(answer, Err(E::NotFound { .. })), "{status} {body}");
            }
            for body in [
                "",
                "<html><h1>404 Not Found</h1></html>",
                "{}",
                r#"{"detail":"Not Found"}"#,
                r#"{"status":404,"error":"Not Found"}"#,
                &inner(200),
            ] {
                let answer = asked(status, body);
                assert!(
                    matches!(answer, Err(E::Unavailable { .. })),
                    "{status} {body}"
                );
            }
        }
        assert!(matches!(
            asked(200, &inner(5000)),
            Err(E::Unavailable { .. })
        ));
        assert!(matches!(asked(200, &inner(-7)), Err(E::Unavailable { .. })));
    }
}
