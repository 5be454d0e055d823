//! What the tests share.

pub(crate) mod emulator;
pub(crate) mod require;
