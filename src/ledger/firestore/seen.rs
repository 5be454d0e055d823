//! The states of documents, by which a write knows that nobody wrote in between.

use super::paths::DocumentPath;
use super::store::Found;
use crate::job::Timestamp;

/// What was read of a document.
#[derive(Debug)]
pub enum Seen {
    /// All of it: a write names the fields that differ from it.
    Document(Found),
    /// One that cannot be read, with what is noted of it.
    Damaged(Found, Note),
}

/// What is noted of a document that cannot be read.
#[derive(Debug)]
pub struct Note {
    pub(super) place: DocumentPath,
    pub(super) there: Option<Found>,
    /// Since when it has been as it is now, if that is noted.
    pub(super) since: Option<Timestamp>,
}
