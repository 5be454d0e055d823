//! The hold on a child from outside the thread that serves it.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends the child when told to, now or as soon as there is one. Clones share one child.
#[derive(Debug, Clone, Default)]
pub struct Lifeline(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cut: bool,
    child: Option<Child>,
}

impl Lifeline {
    /// Ends the child; what it was asked for is given up.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        if let Some(child) = &mut state.child {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    /// Whether the child was ended from here.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.lock().cut
    }

    /// Takes hold of a child, unless there is to be none any more.
    pub(super) fn hold(&self, start: impl FnOnce() -> io::Result<Child>) -> io::Result<()> {
        let mut state = self.lock();
        if !state.cut {
            state.child = Some(start()?);
        }
        Ok(())
    }

    /// Does something with the child.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Child) -> T) -> Option<T> {
        self.lock().child.as_mut().map(work)
    }

    /// Ends the child if it has not ended, and says how it did.
    pub(super) fn reap(&self) -> Option<ExitStatus> {
        let mut child = self.lock().child.take()?;
        // A process that has ended, or is about to, keeps the reason it had.
        let _ = child.kill();
        child.wait().ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
