//! The pace of writers that want the same record.

use std::time::Duration;

use rand::RngExt as _;

use super::super::{LedgerError, Result};

#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Well above what any number of our own instances cause; past it something else is wrong.
    const MOST: u32 = 60;

    /// Whether a try failed before.
    pub(super) fn begun(&self) -> bool {
        self.0 > 0
    }

    /// Waits a moment of chance before another try; fails once there were too many.
    pub(super) async fn again(&mut self) -> Result<()> {
        self.0 += 1;
        if self.0 > Self::MOST {
            return Err(LedgerError::Unavailable(
                "too many others write to the same record".into(),
            ));
        }
        let most = Duration::from_millis(10 << self.0.min(5));
        let part = rand::rng().random_range(0.0..1.0);
        tokio::time::sleep(most.mul_f64(part)).await;
        Ok(())
    }
}
