//! What the tests share.

pub(crate) mod cloud_tasks;
pub(crate) mod emulator;
pub(crate) mod gcs;
pub(crate) mod google;
pub(crate) mod require;
pub(crate) mod v4;
