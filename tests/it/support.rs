//! What the tests share.

pub(crate) mod cloud_tasks;
pub(crate) mod disk;
pub(crate) mod emulator;
pub(crate) mod front;
pub(crate) mod gcs;
pub(crate) mod google;
pub(crate) mod log;
pub(crate) mod objects;
pub(crate) mod outage;
#[cfg(target_os = "linux")]
pub(crate) mod quarantine;
pub(crate) mod require;
pub(crate) mod v4;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_filmlab");
