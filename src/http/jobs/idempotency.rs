//! The `Idempotency-Key`, and what it stands for.

use http::HeaderMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};

use super::shape;
use crate::job::{Fault, Owner};

/// As in the IETF draft's examples and other services: enough for any UUID with a prefix.
const MAX_KEY_CHARS: usize = 255;

/// The header, for the document.
pub(super) struct IdempotencyKey;

impl utoipa::IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(shape::IDEMPOTENCY_KEY));
        let about = "Names this request: sent again with the same key, by the same owner, it \
                     gives the job that is there (200); the same key with another request is \
                     refused (422). Kept as long as the job.";
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(text))
            .example(Some(Value::from("order-4711")));
        vec![parameter.build()]
    }
}

/// The `Idempotency-Key`, bare or as the draft's quoted string.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let key = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if shape::fits_idempotency_key(text) {
        Ok(Some(key.to_owned()))
    } else {
        Err(Fault::new(
            "Idempotency-Key",
            format!("must be 1 to {MAX_KEY_CHARS} printable ASCII characters"),
        ))
    }
}

/// SHA-256 of the request in one canonical spelling (keys sorted, no spaces), for its owner: the
/// same request is the same however its JSON was written.
pub(super) fn digest(body: &Value, owner: &Owner) -> String {
    let mut text = format!("{owner}\n");
    canonical(body, &mut text);
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in entries {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_digest_sees_what_is_said_and_not_how() {
        let owner: Owner = "u1".parse().unwrap();
        let one: Value =
            serde_json::from_str(r#"{"a": 1, "b": {"c": [1, "x"], "d": null}}"#).unwrap();
        let same: Value = serde_json::from_str(r#"{"b":{"d":null,"c":[1,"x"]},"a":1}"#).unwrap();
        assert_eq!(digest(&one, &owner), digest(&same, &owner));
        assert_ne!(digest(&one, &owner), digest(&json!({"a": 1}), &owner));
        assert_ne!(digest(&one, &owner), digest(&one, &"u2".parse().unwrap()));
        // Structure cannot be faked by text.
        assert_ne!(
            digest(&json!(["a", "b"]), &owner),
            digest(&json!(["a\",\"b"]), &owner)
        );
    }

    #[test]
    fn a_key_is_printable_and_bounded() {
        let key = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(
                "idempotency-key",
                http::HeaderValue::from_bytes(value).unwrap(),
            );
            idempotency_key(&headers)
        };
        assert_eq!(key(b"a b"), Ok(Some("a b".into())));
        assert_eq!(key(b"\"a\""), Ok(Some("a".into())));
        assert!(key(b"").is_err() && key("ä".as_bytes()).is_err());
        assert!(key(&[b'x'; 255]).is_ok() && key(&[b'x'; 256]).is_err());
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
    }
}
