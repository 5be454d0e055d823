//! JSON as callers send it, read strictly: a field that is given twice has two meanings, and which
//! of them counts differs from reader to reader.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Problem;
use super::problem::MOST_FAULTS;
use crate::job::{Code, Fault};

/// A body's value. Nested deeper than serde_json's 128 levels it is refused as not valid.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Problem> {
    let twice = RefCell::new(Vec::new());
    let seed = Seed {
        at: &At::Body,
        twice: &twice,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = seed
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| {
            Problem::new(Code::InvalidRequest)
                .detail(format!("The body is not valid JSON: {error}."))
        })?;
    let twice = twice.into_inner();
    if twice.is_empty() {
        return Ok(value);
    }
    let faults = twice.into_iter();
    Err(Problem::faults(
        faults
            .map(|field| Fault::new(field, "is given twice"))
            .collect(),
    ))
}

/// Where in the body a value stands.
enum At<'a> {
    Body,
    Field(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Field(Self::Body, name) => write!(f, "{name}"),
            Self::Field(within, name) => write!(f, "{within}.{name}"),
            Self::Item(within, index) => write!(f, "{within}[{index}]"),
        }
    }
}

struct Seed<'a> {
    at: &'a At<'a>,
    /// Fields that came a second time; no more than an answer lists.
    twice: &'a RefCell<Vec<String>>,
}

impl Seed<'_> {
    fn saw_twice(&self, name: &str) {
        let mut twice = self.twice.borrow_mut();
        // One more than is listed, so that the answer says that there are more.
        if twice.len() <= MOST_FAULTS {
            let field = At::Field(self.at, name).to_string();
            twice.push(field.chars().take(200).collect());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let at = At::Item(self.at, list.len());
            let seed = Seed {
                at: &at,
                twice: self.twice,
            };
            match items.next_element_seed(seed)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let at = At::Field(self.at, &name);
            let value = fields.next_value_seed(Seed {
                at: &at,
                twice: self.twice,
            })?;
            if map.contains_key(&name) {
                self.saw_twice(&name);
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_once_reads_as_serde_json_reads_it() {
        for text in [
            r#"{"a": [1, -2, 3.5, 1e30, true, null, "ü\n"], "b": {"c": {}}, "d": []}"#,
            "18446744073709551615",
            r#""text""#,
            "null",
            " [ ] ",
        ] {
            let plain: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), plain, "{text}");
        }
        for text in ["", "{", "1 2", "{\"a\":}", "nul", "[1,]", &"[".repeat(200)] {
            let problem = read(text.as_bytes()).unwrap_err();
            assert!(problem.detail.contains("not valid JSON"), "{text}");
        }
    }

    #[test]
    fn what_is_given_twice_is_named_wherever_it_stands() {
        let text = r#"{"a": 1, "b": [{"x": 1, "x": 1}], "a": 2, "c": {"d": {"e": 1, "e": null}},
            "a": 3}"#;
        let problem = read(text.as_bytes()).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["b[0].x", "a", "c.d.e", "a"]);
    }
}
