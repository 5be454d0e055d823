//! An object from outside: what is known of it, and where one is to go.

use crate::clock::Timestamp;

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub bytes: u64,
}

/// An object as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub object: String,
    /// When it was written.
    pub modified: Timestamp,
}

/// Where an object goes and how it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub object: &'a str,
    /// Absent: by the name's ending.
    pub content_type: Option<&'a str>,
    /// An object that notes the upload while it is open, its name ending in [`UPLOAD_NOTE`].
    pub journal: Option<&'a str>,
}

impl<'a> Destination<'a> {
    #[must_use]
    pub fn new(object: &'a str) -> Self {
        Self {
            object,
            content_type: None,
            journal: None,
        }
    }
}

/// The ending of notes about open uploads, which lie under `work/`.
pub const UPLOAD_NOTE: &str = ".upload";
