//! What a job says of native work on its files while it goes on.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use super::failure::Party;
use super::ids::Fence;

/// With so many the job ends as `media_crashed`.
pub const MAX_CRASHES: u32 = 3;

/// What native work is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    /// The headers of the caller's video.
    Source,
    /// The caller's picture.
    Picture,
    /// The picture of a watermark.
    Mark,
    /// What the provider made, read through.
    Check,
    /// The sound of the caller's video.
    Listen,
    /// Making the result.
    Render,
    /// The result, read back.
    Verify,
}

impl Phase {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Native work that runs in a worker's own process, or did when the process died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeWork {
    /// The process, as its leases name it.
    pub process: String,
    /// The claim it belongs to.
    pub fence: Fence,
    pub phase: Phase,
    /// Who made the file.
    pub party: Party,
}
