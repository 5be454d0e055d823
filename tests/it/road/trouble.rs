//! A ledger in front of the real one that fails when it is told to.

use std::fmt::{self, Debug};
use std::sync::Arc;

use filmlab::ledger::{Ledger, LedgerError, Result};

use crate::support::front::{Call, Front, Fronted};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// It is not done.
    Unavailable,
    /// It is done, and its answer is lost.
    Unknown,
}

fn unavailable() -> LedgerError {
    LedgerError::Unavailable("an outage".into())
}

type Rule = dyn Fn(Call<'_>) -> Trouble + Send + Sync;

pub(super) struct Rules(Box<Rule>);

impl Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

pub(super) type Troubled = Fronted<Rules>;

impl Troubled {
    pub(super) fn new(
        inner: Arc<dyn Ledger>,
        rule: impl Fn(Call<'_>) -> Trouble + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::over(inner, Rules(Box::new(rule))))
    }
}

impl Front for Rules {
    async fn around<T: Send>(
        &self,
        _: &dyn Ledger,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match (self.0)(call) {
            Trouble::None => work.await,
            Trouble::Unavailable => Err(unavailable()),
            Trouble::Unknown => {
                work.await?;
                Err(LedgerError::Unknown("the answer was lost".into()))
            }
        }
    }
}
