//! Where inputs lie: at an address, or in our own store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::ids::Owner;

/// The folder of everybody's inputs.
pub const FOLDER: &str = "sources";
/// Characters, of an address or an object's name.
pub const MAX_CHARS: usize = 2048;

/// The folder of an owner's uploads and copies.
#[must_use]
pub fn folder_of(owner: &Owner) -> String {
    format!("{FOLDER}/{owner}")
}

/// An object in it. `folder`: the upload's own, or the job's for its copy of what was on the web.
#[must_use]
pub fn object(owner: &Owner, folder: &str, name: &str) -> String {
    format!("{FOLDER}/{owner}/{folder}/{name}")
}

/// Owner, folder and name of an object that is called so; what others put beside is theirs.
#[must_use]
pub fn parts(object: &str) -> Option<(Owner, &str, &str)> {
    let parts: Vec<&str> = object.split('/').collect();
    let [FOLDER, owner, folder, name] = parts.as_slice() else {
        return None;
    };
    Some((owner.parse().ok()?, folder, name))
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
    #[error("an address is at most {MAX_CHARS} characters long")]
    TooLong,
}

impl FromStr for MediaRef {
    type Err = InvalidMediaRef;

    fn from_str(text: &str) -> Result<Self, InvalidMediaRef> {
        if text.chars().count() > MAX_CHARS {
            return Err(InvalidMediaRef::TooLong);
        }
        let object = text
            .strip_prefix("gs://")
            .and_then(|rest| rest.split_once('/').map(|(_bucket, key)| key))
            .unwrap_or(text);
        if object.split('/').next() == Some(FOLDER) && object != FOLDER {
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
    fn an_object_is_taken_apart_as_it_was_named() {
        let owner: Owner = "u1".parse().unwrap();
        let named = object(&owner, "01hx", "clip.mp4");
        assert_eq!(named, "sources/u1/01hx/clip.mp4");
        assert!(named.starts_with(&folder_of(&owner)));
        assert_eq!(parts(&named), Some((owner, "01hx", "clip.mp4")));
        assert!(matches!(named.parse(), Ok(MediaRef::Object(object)) if object == named));
        for other in [
            "sources/u1/v.mp4",
            "sources/u1/a/b/c",
            "results/u1/a/b",
            "sources/u 1/a/b",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
        for none in ["sources", "sources/", "sourcesx/u1/a/b"] {
            assert!(none.parse::<MediaRef>().is_err(), "{none}");
        }
    }
}
