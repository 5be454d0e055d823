//! A ledger whose answers get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use filmlab::ledger::{Ledger, LedgerError, Result};

use crate::support::front::{Call, Front, Fronted};

/// On which side of the lost answer the commit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    CommitsThenErrs,
    ErrsInstead,
}

/// Loses the answer of its `nth` write, counted from 1. Reads always work.
pub(crate) type LosesAnswer = Fronted<Loss>;

#[derive(Debug)]
pub(crate) struct Loss {
    fault: Fault,
    left: AtomicU32,
    /// Planning anew fails for records whose id begins so.
    refuses: Option<&'static str>,
}

impl LosesAnswer {
    pub(crate) fn new(inner: Arc<dyn Ledger>, fault: Fault, nth: u32) -> Self {
        let left = AtomicU32::new(nth);
        let refuses = None;
        Self::over(
            inner,
            Loss {
                fault,
                left,
                refuses,
            },
        )
    }

    /// One that loses nothing, and plans no record anew whose id begins with `prefix`.
    pub(crate) fn refusing(inner: Arc<dyn Ledger>, prefix: &'static str) -> Self {
        let loss = Loss {
            fault: Fault::ErrsInstead,
            left: AtomicU32::new(0),
            refuses: Some(prefix),
        };
        Self::over(inner, loss)
    }
}

impl Front for Loss {
    async fn around<T: Send>(
        &self,
        _: &dyn Ledger,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match call {
            Call::Read => work.await,
            Call::Plan(id) if self.refuses.is_some_and(|prefix| id.starts_with(prefix)) => {
                Err(LedgerError::Unavailable("not this one".into()))
            }
            _ => self.write(work).await,
        }
    }
}

impl Loss {
    /// Whether the answer was lost by now.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn write<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match (before, self.fault) {
            (Ok(1), Fault::CommitsThenErrs) => {
                call.await?;
                Err(LedgerError::Unknown("the answer was lost".into()))
            }
            (Ok(1), Fault::ErrsInstead) => Err(LedgerError::Unknown("the request was lost".into())),
            _ => call.await,
        }
    }
}
