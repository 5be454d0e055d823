//! How long a video is.

use std::path::Path;

use crate::media::{self, Cancel, FileInput, Limits};

pub(super) fn seconds(file: &Path) -> Option<f64> {
    let found = media::probe(&FileInput::new(file), &Limits::default(), &Cancel::new()).ok()?;
    Some(found.container.duration_ms as f64 / 1000.0)
}
