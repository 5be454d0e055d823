//! The count of a cleaning.

/// What a cleaning deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Cleaned {
    /// Jobs whose left-over files went.
    pub leftovers: u32,
    /// Jobs whose results had been kept for long enough.
    pub results: u32,
    /// The same of what the provider made for jobs that did not complete.
    pub generated: u32,
    /// Inputs.
    pub sources: u32,
    /// What could not be deleted or looked at. It is tried again, after all else.
    pub failed: u32,
}

impl Cleaned {
    pub(super) fn numbers(&self) -> [(&'static str, u32); 5] {
        [
            ("leftovers", self.leftovers),
            ("results", self.results),
            ("generated", self.generated),
            ("sources", self.sources),
            ("failed", self.failed),
        ]
    }
}
