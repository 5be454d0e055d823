//! An input that is held against its manifest while it is worked on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::brought::Brought;
use super::terms::ManifestInfo;
use crate::media::input::Input;
use crate::media::limits::Guard;

/// What an input brings, for all who have to do with it.
pub(crate) type SharedBrought = Arc<Mutex<Brought>>;

/// An input, with what it brings.
#[derive(Clone)]
pub(crate) struct Following {
    brought: SharedBrought,
    input: Arc<dyn Input>,
    length: u64,
    /// The certificate by which what was signed here is known.
    own: Option<Vec<u8>>,
    guard: Arc<Guard>,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl Following {
    pub(crate) fn new(
        brought: SharedBrought,
        input: Arc<dyn Input>,
        length: u64,
        own: Option<&[u8]>,
        guard: &Arc<Guard>,
    ) -> Self {
        Self {
            brought,
            input,
            length,
            own: own.map(<[u8]>::to_vec),
            guard: Arc::clone(guard),
        }
    }

    /// The work is done: reads what it left out, and says what was found. Says it again when it is
    /// asked again.
    ///
    /// # Errors
    /// What keeps the input from being read.
    pub(crate) fn finish(&self) -> io::Result<ManifestInfo> {
        let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        if brought.awaited().is_some() {
            let mut reader = self.input.open()?;
            let own = self.own.as_deref();
            brought.hold(reader.as_mut(), self.length, own, &self.guard)?;
        }
        Ok(brought.info.clone())
    }

    /// The name of the input, for messages.
    pub(crate) fn describe(&self) -> String {
        self.input.describe()
    }
}
