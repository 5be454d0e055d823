//! Fields of a body, read with every fault.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::shape;
use crate::http::HttpState;
use crate::job::{Fault, MediaRef, Owner};
use crate::outgoing;

/// Reads fields and remembers what is wrong with them.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<Fault>,
}

pub(super) type Object = Map<String, Value>;

pub(super) fn path(within: &str, name: &str) -> String {
    if within.is_empty() {
        name.to_owned()
    } else {
        format!("{within}.{name}")
    }
}

/// A field that is there. `null` says the same as leaving it out.
pub(super) fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

impl Reader {
    pub(super) fn fault(&mut self, field: String, message: impl Into<String>) {
        self.faults.push(Fault::new(field, message));
    }

    /// An object with none but the known fields.
    pub(super) fn object<'a>(
        &mut self,
        value: Option<&'a Value>,
        at: &str,
        known: &[&str],
    ) -> Option<&'a Object> {
        let value = value?;
        let Some(object) = value.as_object() else {
            self.fault(at.to_owned(), "must be an object");
            return None;
        };
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            // What is echoed is bounded; a body is not shown back whole.
            let name: String = name.chars().take(80).collect();
            self.fault(path(at, &name), "is not a known field");
        }
        Some(object)
    }

    /// The object of a body that may be left out.
    pub(super) fn options<'a>(&mut self, body: &'a Value, known: &[&str]) -> Option<&'a Object> {
        let body = Some(body).filter(|body| !body.is_null());
        let object = self.object(body, "", known);
        if body.is_some() && object.is_none() {
            self.faults = vec![Fault::new("body", "must be an object")];
        }
        object
    }

    pub(super) fn done<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() {
            Ok(value)
        } else {
            Err(self.faults)
        }
    }

    pub(super) fn text<'a>(&mut self, object: &'a Object, at: &str, name: &str) -> Option<&'a str> {
        let value = get(object, name)?;
        if value.as_str().is_none() {
            self.fault(path(at, name), "must be text");
        }
        value.as_str()
    }

    pub(super) fn parsed<T: FromStr>(&mut self, object: &Object, at: &str, name: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match self.text(object, at, name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(path(at, name), error.to_string());
                None
            }
        }
    }

    /// An input: somewhere we may go, or one of the owner's own objects.
    pub(super) fn input(
        &mut self,
        object: &Object,
        at: &str,
        name: &str,
        owner: &Owner,
        state: &HttpState,
    ) -> Option<MediaRef> {
        let text = self.text(object, at, name)?;
        let reference: MediaRef = self.parsed(object, at, name)?;
        let fault = match &reference {
            MediaRef::Web(url) => outgoing::check_url(url, state.settings.allow_loopback)
                .err()
                .map(|refused| refused.to_string()),
            MediaRef::Object(object) => {
                let own = format!("sources/{owner}/");
                (!object.starts_with(&own) || object.len() == own.len())
                    .then(|| format!("must be an upload of yours, under {own}"))
            }
        };
        // The wrong place is told in words of its own; then the form is held to the letter.
        let fault = fault.or_else(|| {
            (!shape::fits_input(text)).then(|| {
                "must be an address without spaces and backslashes, or an upload's name".to_owned()
            })
        });
        match fault {
            Some(message) => {
                self.fault(path(at, name), message);
                None
            }
            None => Some(reference),
        }
    }
}
