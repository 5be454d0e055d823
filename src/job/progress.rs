//! One number for the whole job, with the phase it is in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Stage;

/// How far a job is: never goes back within an attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// 0 to 100 over all stages.
    pub percent: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Stage>,
    /// A guess of the time left, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u64>,
}

impl Progress {
    /// `fraction` (0 to 1) of `stage` is done. The shares say where the time usually goes: most
    /// of it with the provider.
    #[must_use]
    pub fn within(stage: Stage, fraction: f64) -> Self {
        let (start, end) = match stage {
            Stage::Submit => (0.0, 5.0),
            Stage::Generate => (5.0, 70.0),
            Stage::Fetch => (70.0, 75.0),
            Stage::Process => (75.0, 99.0),
            Stage::Settle => (99.0, 100.0),
        };
        let fraction = if fraction.is_finite() {
            fraction.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let percent = start + (end - start) * fraction;
        // One decimal is what a progress bar can show; more only makes documents differ.
        Self {
            percent: (percent * 10.0).round() / 10.0,
            phase: Some(stage),
            eta_s: None,
        }
    }

    #[must_use]
    pub fn with_eta(mut self, seconds: Option<u64>) -> Self {
        self.eta_s = seconds;
        self
    }

    #[must_use]
    pub fn done() -> Self {
        Self {
            percent: 100.0,
            phase: None,
            eta_s: None,
        }
    }
}
