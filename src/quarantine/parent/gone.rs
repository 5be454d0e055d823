//! A conversation with a child that did not come to its end.

use std::io;

/// How the conversation ended without an outcome.
#[derive(Debug)]
pub(super) enum Gone {
    /// Before the child said that it is up.
    Early(io::Error),
    Later(io::Error),
    /// It says that it broke, without dying.
    Broken(String),
}
