//! JSON in and out of Firestore's typed values.
//!
//! The domain serialises moments as text; in Firestore they are timestamps of their own type, so
//! that queries order them and other programs read them as what they are. Which texts are moments
//! is said by path, not guessed: a user's prompt may look like a date.

use std::collections::HashMap;

use base64::Engine as _;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{ArrayValue, MapValue, Value};
use gcloud_sdk::prost_types;
use serde_json::{Map, Value as Json};

use crate::job::Timestamp;

/// A document's fields by name.
pub(super) type Fields = HashMap<String, Value>;

pub(super) fn of(kind: ValueType) -> Value {
    Value {
        value_type: Some(kind),
    }
}

pub(super) fn text(text: impl Into<String>) -> Value {
    of(ValueType::StringValue(text.into()))
}

pub(super) fn integer(n: i64) -> Value {
    of(ValueType::IntegerValue(n))
}

pub(super) fn truth(truth: bool) -> Value {
    of(ValueType::BooleanValue(truth))
}

/// Whole microseconds: Firestore keeps no finer ones.
pub(super) fn moment(at: Timestamp) -> Value {
    let micros = at.as_microsecond();
    of(ValueType::TimestampValue(prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: micros.rem_euclid(1_000_000) as i32 * 1_000,
    }))
}

/// The fields of an object. `moments` are dotted paths from its top, with no step for a list.
pub(super) fn fields(object: Map<String, Json>, moments: &[&str]) -> Fields {
    object
        .into_iter()
        .map(|(name, json)| {
            let value = value(json, &name, moments);
            (name, value)
        })
        .collect()
}

fn value(json: Json, path: &str, moments: &[&str]) -> Value {
    match json {
        Json::Null => of(ValueType::NullValue(0)),
        Json::Bool(flag) => truth(flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(n), _) => integer(n),
            (None, Some(x)) => of(ValueType::DoubleValue(x)),
            (None, None) => of(ValueType::NullValue(0)),
        },
        Json::String(words) => match words.parse() {
            Ok(at) if moments.contains(&path) => moment(at),
            _ => text(words),
        },
        Json::Array(items) => of(ValueType::ArrayValue(ArrayValue {
            values: items
                .into_iter()
                .map(|item| value(item, path, moments))
                .collect(),
        })),
        Json::Object(object) => {
            let fields = object.into_iter().map(|(name, json)| {
                let value = value(json, &format!("{path}.{name}"), moments);
                (name, value)
            });
            of(ValueType::MapValue(MapValue {
                fields: fields.collect(),
            }))
        }
    }
}

/// What the value says, as JSON: moments as text, bytes as base64, places as two numbers.
pub(super) fn json(value: &Value) -> Json {
    match &value.value_type {
        Some(ValueType::BooleanValue(truth)) => Json::Bool(*truth),
        Some(ValueType::IntegerValue(n)) => Json::from(*n),
        Some(ValueType::DoubleValue(x)) => Json::from(*x),
        Some(ValueType::StringValue(text) | ValueType::ReferenceValue(text)) => {
            Json::from(text.as_str())
        }
        Some(ValueType::TimestampValue(at)) => match Timestamp::new(at.seconds, at.nanos) {
            Ok(at) => Json::from(at.to_string()),
            Err(_) => Json::Null,
        },
        Some(ValueType::BytesValue(bytes)) => {
            Json::from(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Some(ValueType::GeoPointValue(place)) => {
            serde_json::json!({"latitude": place.latitude, "longitude": place.longitude})
        }
        Some(ValueType::ArrayValue(array)) => array.values.iter().map(json).collect(),
        Some(ValueType::MapValue(map)) => Json::Object(object(&map.fields)),
        // Null, and the kinds that only queries know.
        _ => Json::Null,
    }
}

pub(super) fn object(fields: &Fields) -> Map<String, Json> {
    fields
        .iter()
        .map(|(name, value)| (name.clone(), json(value)))
        .collect()
}

/// The same for fields that other programs may have written: a null means an absent field, and a
/// whole number stays one although some languages write every number as a double.
pub(super) fn lenient(json: Json) -> Json {
    match json {
        Json::Object(object) => object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, lenient(value)))
            .collect(),
        Json::Array(items) => items.into_iter().map(lenient).collect(),
        Json::Number(number) => match number.as_f64() {
            // Up to here every whole number is exact in a double.
            Some(x) if number.is_f64() && x.fract() == 0.0 && x.abs() < 9e15 => {
                Json::from(x as i64)
            }
            _ => Json::Number(number),
        },
        other => other,
    }
}

/// A whole number, however it was written.
pub(super) fn whole(value: &Value) -> Option<i64> {
    lenient(json(value)).as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn round(json: Json, moments: &[&str]) -> Json {
        let Json::Object(map) = json else { panic!() };
        Json::Object(object(&fields(map, moments)))
    }

    #[test]
    fn what_goes_in_comes_out() {
        let all = json!({
            "null": null, "bool": true, "int": -7, "big": i64::MAX, "double": 0.1,
            "text": "2026-01-02T03:04:05Z", "list": [1, "a", {"b": null}], "map": {"x": {"y": 1.5}},
        });
        assert_eq!(round(all.clone(), &[]), all);
    }

    #[test]
    fn only_named_paths_are_moments() {
        let all = json!({
            "at": "2026-01-02T03:04:05.123456Z",
            "prompt": "2026-01-02T03:04:05Z",
            "list": [{"at": "2026-01-02T03:04:05Z"}, {"at": "no date"}],
        });
        let Json::Object(map) = all.clone() else {
            panic!()
        };
        let typed = fields(map, &["at", "list.at"]);
        assert!(matches!(
            typed["at"].value_type,
            Some(ValueType::TimestampValue(at)) if at.nanos == 123_456_000
        ));
        assert!(matches!(
            typed["prompt"].value_type,
            Some(ValueType::StringValue(_))
        ));
        assert_eq!(Json::Object(object(&typed)), all);
    }

    #[test]
    fn moments_before_1970_are_cut_to_the_microsecond_too() {
        let at: Timestamp = "1969-12-31T23:59:59.000001Z".parse().unwrap();
        assert_eq!(json(&moment(at)), json!(at.to_string()));
    }

    #[test]
    fn other_programs_may_write_nulls_and_doubles() {
        let written = json!({"a": null, "b": 2.0, "c": 2.5, "d": [{"e": null}], "f": 1e300});
        let read = json!({"b": 2, "c": 2.5, "d": [{}], "f": 1e300});
        assert_eq!(lenient(written), read);
    }
}
