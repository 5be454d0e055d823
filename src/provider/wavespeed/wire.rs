//! What goes over the wire.
//!
//! Answers are read by hand rather than derived: documentation and observed answers differ in
//! envelope, nulls and types, and a field we do not need must not cost a paid video.

use serde_json::Value;
use url::Url;

use crate::job::Timestamp;
use crate::provider::{Prediction, PredictionInfo, Price};

/// Longer texts from outside are cut before they reach records and logs.
const MAX_MESSAGE_CHARS: usize = 500;

/// An answer, with or without its envelope.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// The envelope's code; 200 where there is none.
    pub(super) code: i64,
    /// The business code: `data.code`, or the envelope's `error_code`. 0 means none.
    pub(super) business: i64,
    pub(super) message: String,
    /// The prediction or other payload; null where there is none.
    pub(super) data: Value,
}

impl Answer {
    /// Reads a body; `None` where it is no JSON object.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object()?;
        // Without an envelope `code` is the business code, so it alone does not make one.
        let bare = !object.contains_key("data")
            && (object.contains_key("id")
                || object.contains_key("status")
                || !object.contains_key("code"));
        if bare {
            return Some(Self {
                code: 200,
                business: first_code([number(&value, "code"), number(&value, "error_code")]),
                message: message(&value),
                data: value,
            });
        }
        let data = object.get("data").cloned().unwrap_or(Value::Null);
        let code = match object.get("code") {
            Some(_) => number(&value, "code"),
            None => 200,
        };
        let business = first_code([number(&data, "code"), number(&value, "error_code")]);
        let failed = code != 200 && code != 0;
        let inner = message(&data);
        let outer = message(&value);
        // "success" in the envelope of a failed prediction says nothing about it.
        let message = if failed || (inner.is_empty() && outer != "success") {
            outer
        } else {
            inner
        };
        Some(Self {
            code,
            business,
            message,
            data,
        })
    }

    /// Whether the envelope reports success. Some clients of the API treat 0 so, too.
    pub(super) fn is_ok(&self) -> bool {
        matches!(self.code, 200 | 0)
    }

    /// The id of the prediction, where it can be used in a path.
    pub(super) fn prediction_id(&self) -> Option<String> {
        self.data["id"]
            .as_str()
            .filter(|id| is_prediction_id(id))
            .map(ToOwned::to_owned)
    }
}

/// Ids seen are 32 hexadecimal digits; anything that stays one path segment is taken.
pub(super) fn is_prediction_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn first_code(codes: [i64; 2]) -> i64 {
    codes.into_iter().find(|code| *code != 0).unwrap_or(0)
}

/// A number that may have come as text.
fn number(value: &Value, field: &str) -> i64 {
    match &value[field] {
        Value::Number(number) => number.as_i64().unwrap_or(-1),
        Value::String(text) => text.trim().parse().unwrap_or(0),
        _ => 0,
    }
}

/// What went wrong, in the answer's own words.
fn message(value: &Value) -> String {
    let text = ["error", "message", "detail"]
        .iter()
        .find_map(|field| match &value[*field] {
            Value::String(text) => Some(text.as_str()),
            Value::Object(inner) => inner.get("message").and_then(Value::as_str),
            _ => None,
        });
    clip(text.unwrap_or_default())
}

/// `text` without control characters and no longer than a message may be.
pub(super) fn clip(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

/// An amount of money, that may have come as text.
pub(super) fn amount(value: &Value) -> Option<f64> {
    let amount = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    amount.filter(|amount| amount.is_finite())
}

/// What would be charged: the discounted price where there is one.
pub(super) fn price(answer: &Answer, is_floor: bool) -> Option<Price> {
    let data = &answer.data;
    let amount = ["discounted_price", "price"]
        .iter()
        .find_map(|name| amount(&data[*name]))
        .filter(|amount| *amount >= 0.0)?;
    Some(Price {
        amount,
        currency: clip(data["currency"].as_str().unwrap_or("USD")),
        is_floor,
    })
}

/// Reads a prediction out of an answer whose envelope reports success.
pub(super) fn prediction(answer: &Answer) -> PredictionInfo {
    let data = &answer.data;
    PredictionInfo {
        model: data["model"].as_str().unwrap_or_default().to_owned(),
        created_at: data["created_at"]
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok())
            .map(crate::clock::whole_micros),
        state: state(answer),
    }
}

fn state(answer: &Answer) -> Prediction {
    let data = &answer.data;
    let message = answer.message.clone();
    let status = data["status"].as_str().unwrap_or_default();
    match status.to_ascii_lowercase().as_str() {
        "completed" | "succeeded" => {
            // Where the safety check struck, the output is blank or missing: neither is a result.
            if is_flagged(data) {
                return Prediction::ContentRefused {
                    message: or_else(message, "the output was flagged by the safety check"),
                };
            }
            match output(&data["outputs"]) {
                Some(output) => Prediction::Completed { output },
                None => Prediction::NoOutput,
            }
        }
        "failed" => failed(answer.business, is_flagged(data), message),
        "cancelled" | "canceled" | "timeout" | "deleted" => Prediction::Gone {
            message: or_else(message, status),
        },
        _ => Prediction::Running,
    }
}

/// Business codes as documented under `/docs/error-codes`.
fn failed(business: i64, flagged: bool, message: String) -> Prediction {
    let message = or_else(message, &format!("failed with code {business}"));
    match business {
        _ if flagged => Prediction::ContentRefused { message },
        1200 => Prediction::ContentRefused { message },
        1400 | 1401 => Prediction::Rejected { message },
        1402 => Prediction::InputUnreachable { message },
        // Older answers carry no code, only words.
        0 if speaks_of_moderation(&message) => Prediction::ContentRefused { message },
        _ => Prediction::Failed { message },
    }
}

fn or_else(message: String, otherwise: &str) -> String {
    if message.is_empty() {
        otherwise.to_owned()
    } else {
        message
    }
}

fn is_flagged(data: &Value) -> bool {
    match &data["has_nsfw_contents"] {
        Value::Array(flags) => flags.iter().any(|flag| flag.as_bool() == Some(true)),
        Value::Bool(flag) => *flag,
        _ => false,
    }
}

/// Whether a refusal that carries no code is one of moderation.
pub(super) fn speaks_of_moderation(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "moderation",
        "nsfw",
        "sensitive content",
        "content policy",
        "safety check",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The first output that is an address. Items are "usually" addresses, but may be objects.
fn output(outputs: &Value) -> Option<Url> {
    match outputs {
        Value::String(text) => address(text),
        Value::Array(items) => items.iter().find_map(output),
        Value::Object(fields) => ["url", "video_url", "download_url", "video", "output"]
            .iter()
            .find_map(|name| fields.get(*name).and_then(output_within)),
        _ => None,
    }
}

/// An address one level inside an object: deeper nesting has not been seen, and following it
/// would let an answer choose how deep we recurse.
fn output_within(value: &Value) -> Option<Url> {
    match value {
        Value::String(text) => address(text),
        Value::Object(fields) => fields.get("url").and_then(Value::as_str).and_then(address),
        _ => None,
    }
}

/// A web address; its length is bounded since it is recorded with the job.
pub(super) fn address(text: &str) -> Option<Url> {
    if text.len() > 4096 {
        return None;
    }
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn info(value: &Value) -> PredictionInfo {
        let body = serde_json::to_vec(value).expect("JSON");
        prediction(&Answer::read(&body).expect("an object"))
    }

    #[test]
    fn an_answer_is_read_with_and_without_envelope() {
        let bare = json!({"id": "abc", "model": "m", "status": "completed",
            "outputs": ["https://x.example/1.mp4"], "created_at": "2025-05-19T06:09:15.948268264Z"});
        let enveloped = json!({"code": 200, "message": "success", "data": bare});
        assert_eq!(info(&bare), info(&enveloped));
        assert_eq!(
            info(&bare).created_at,
            "2025-05-19T06:09:15.948268Z".parse().ok()
        );
    }

    fn assert_states(table: impl IntoIterator<Item = (Value, Prediction)>) {
        for (value, expected) in table {
            assert_eq!(info(&value).state, expected, "{value}");
            let enveloped = json!({"code": 200, "message": "success", "data": value});
            assert_eq!(info(&enveloped).state, expected, "{enveloped}");
        }
    }

    #[test]
    fn what_has_not_ended_is_running_whatever_it_is_called() {
        assert_states(
            [
                json!({"status": "created"}),
                json!({"status": "processing"}),
                json!({"status": "queued"}),
                json!({"status": "pondering"}),
                json!({"status": null, "id": "a"}),
                json!({"status": "processing", "code": 5004, "error": "Sync mode timed out"}),
            ]
            .map(|value| (value, Prediction::Running)),
        );
    }

    #[test]
    fn an_output_is_found_in_every_shape_or_said_to_be_missing() {
        let url: Url = "https://x.example/1.mp4".parse().expect("address");
        let done = |outputs: Value| json!({"status": "completed", "outputs": outputs});
        let found = [
            done(json!([url])),
            done(json!([{"url": url}])),
            done(json!([{"video": {"url": url}}])),
            done(json!(["words", url])),
            json!({"status": "succeeded", "outputs": url}),
        ];
        let output = url.clone();
        assert_states(found.map(|value| {
            let output = output.clone();
            (value, Prediction::Completed { output })
        }));
        let missing = [
            done(json!([])),
            done(Value::Null),
            done(json!(["aGVsbG8="])),
            done(json!(["file:///etc/passwd"])),
        ];
        assert_states(missing.map(|value| (value, Prediction::NoOutput)));
    }

    #[test]
    fn an_end_without_a_video_says_whose_it_is() {
        let failed = |code: i64| json!({"status": "failed", "code": code, "error": "no"});
        let no = || "no".to_owned();
        let gone = |word: &str| {
            let message = word.to_owned();
            (json!({"status": word}), Prediction::Gone { message })
        };
        assert_states([
            (failed(1200), Prediction::ContentRefused { message: no() }),
            (
                json!({"status": "failed", "has_nsfw_contents": [false, true], "error": "no"}),
                Prediction::ContentRefused { message: no() },
            ),
            (
                json!({"status": "completed", "outputs": ["https://x.example/1.mp4"],
                    "has_nsfw_contents": [true], "error": "no"}),
                Prediction::ContentRefused { message: no() },
            ),
            (
                json!({"status": "failed", "error": "NSFW content detected"}),
                Prediction::ContentRefused {
                    message: "NSFW content detected".into(),
                },
            ),
            (failed(1400), Prediction::Rejected { message: no() }),
            (
                json!({"status": "failed", "code": "1401", "error": {"message": "no"}}),
                Prediction::Rejected { message: no() },
            ),
            (failed(1402), Prediction::InputUnreachable { message: no() }),
            (failed(1403), Prediction::Failed { message: no() }),
            (failed(1404), Prediction::Failed { message: no() }),
            (failed(1405), Prediction::Failed { message: no() }),
            (failed(1406), Prediction::Failed { message: no() }),
            (failed(1407), Prediction::Failed { message: no() }),
            (failed(5000), Prediction::Failed { message: no() }),
            (failed(5003), Prediction::Failed { message: no() }),
            (failed(9999), Prediction::Failed { message: no() }),
            (failed(-1), Prediction::Failed { message: no() }),
            (
                json!({"status": "failed", "code": 5004, "error": ""}),
                Prediction::Failed {
                    message: "failed with code 5004".into(),
                },
            ),
            gone("cancelled"),
            gone("timeout"),
            gone("deleted"),
        ]);
    }

    #[test]
    fn bodies_that_are_no_answer_are_not_read() {
        for body in [&b""[..], b"<html>", b"[1]", b"null", b"\"id\""] {
            assert_eq!(Answer::read(body), None);
        }
    }

    #[test]
    fn messages_are_cut_and_cleaned() {
        assert_eq!(clip("a\nb\u{0}c"), "a b c");
        assert_eq!(clip(&"x".repeat(10_000)).len(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn an_id_must_stay_one_path_segment() {
        for bad in ["", "..", "a/b", "a?b", "a b", &"x".repeat(129)] {
            assert!(!is_prediction_id(bad), "{bad}");
        }
        assert!(is_prediction_id("e6832d4abffb4d79bfbca19783fca133"));
    }
}
