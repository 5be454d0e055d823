//! Names of things, checked once where they come in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} characters of A–Z, a–z, 0–9, '_' and '-'")]
pub struct InvalidId {
    what: &'static str,
    max: usize,
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // These names stand in object names, task names and document ids alike, so only
                // what is safe in all of them is allowed.
                let fits = !text.is_empty()
                    && text.len() <= $max
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId { what: $what, max: $max }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> { text.parse() }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some($max))
                    .pattern(Some("^[A-Za-z0-9_-]*$"));
                text.into()
            }
        }

        impl ToSchema for $name {}

        impl From<$name> for String {
            fn from(id: $name) -> Self { id.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}

id!(
    /// A job's name: ours is a ULID; the API service in the cloud may choose its own.
    JobId, "a job id", 128
);
id!(
    /// Who a job belongs to and whose credits it uses.
    Owner, "an owner", 128
);

impl JobId {
    /// A fresh, time-ordered name.
    #[must_use]
    pub fn generate() -> Self {
        Self(ulid::Ulid::new().to_string().to_lowercase())
    }
}

/// The number of a claim. It only grows; a write that carries an older one is refused.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an input lies: a web address, or an object of our own store under `sources/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MediaRef {
    /// Fetched once, at submission, under the rules for outgoing requests.
    Web(url::Url),
    /// An object in our store, as `sources/…` (or `gs://bucket/sources/…` in the cloud).
    Object(String),
}

/// An address of an input that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMediaRef {
    #[error("an input is an http(s) address or an object named sources/…, not {0:?}")]
    Form(String),
    #[error("an object name must not hold '..', empty parts or control characters")]
    ObjectName,
    #[error("an address is at most 2048 characters long")]
    TooLong,
}

impl FromStr for MediaRef {
    type Err = InvalidMediaRef;

    fn from_str(text: &str) -> Result<Self, InvalidMediaRef> {
        if text.chars().count() > 2048 {
            return Err(InvalidMediaRef::TooLong);
        }
        let object = text
            .strip_prefix("gs://")
            .and_then(|rest| rest.split_once('/').map(|(_bucket, key)| key))
            .unwrap_or(text);
        if object.starts_with("sources/") {
            let sound = object
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
                && !object.chars().any(char::is_control);
            return if sound {
                Ok(Self::Object(object.to_owned()))
            } else {
                Err(InvalidMediaRef::ObjectName)
            };
        }
        match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Self::Web(url))
            }
            _ => Err(InvalidMediaRef::Form(text.chars().take(80).collect())),
        }
    }
}

impl TryFrom<String> for MediaRef {
    type Error = InvalidMediaRef;
    fn try_from(text: String) -> Result<Self, InvalidMediaRef> {
        text.parse()
    }
}

impl PartialSchema for MediaRef {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A web address, or an object of our own store under `sources/`.",
            ));
        text.into()
    }
}

impl ToSchema for MediaRef {}

impl From<MediaRef> for String {
    fn from(reference: MediaRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for MediaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::Object(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_an_address_or_one_of_our_objects() {
        assert!(matches!(
            "https://a.example/v.mp4".parse(),
            Ok(MediaRef::Web(_))
        ));
        assert_eq!(
            "gs://bucket/sources/u1/v.mp4".parse(),
            Ok(MediaRef::Object("sources/u1/v.mp4".into()))
        );
        for bad in [
            "",
            "file:///etc/passwd",
            "/etc/passwd",
            "sources/../secret",
            "sources//x",
            "results/j/1/video.mp4",
        ] {
            assert!(bad.parse::<MediaRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_stay_within_what_every_store_allows() {
        assert!("01hx_A-b".parse::<JobId>().is_ok());
        for bad in ["", "a/b", "ä", "a b", &"x".repeat(129)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
        assert!(JobId::generate().as_str().parse::<JobId>().is_ok());
    }
}
