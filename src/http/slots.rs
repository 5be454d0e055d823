//! Slots that are taken for a while: so many in all, and so many for one owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::job::Owner;

/// Cheap to clone; all clones share the slots.
#[derive(Debug, Clone)]
pub(super) struct OwnerSlots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    most_per_owner: usize,
    /// Owners with a slot, and how many they have.
    taken: Mutex<HashMap<Owner, usize>>,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSlot {
    /// All are taken.
    InAll,
    /// The owner has as many as one may.
    OfOwner,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct OwnerSlot {
    owner: Owner,
    inner: Arc<Inner>,
    _permit: OwnedSemaphorePermit,
}

impl OwnerSlots {
    pub(super) fn new(most: usize, most_per_owner: usize) -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most_per_owner,
            taken: Mutex::default(),
        }))
    }

    /// Never waits: who finds no slot is told so.
    pub(super) fn take(&self, owner: &Owner) -> Result<OwnerSlot, NoSlot> {
        let inner = &self.0;
        let mut taken = inner.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(owner).copied().unwrap_or(0);
        if own >= inner.most_per_owner {
            return Err(NoSlot::OfOwner);
        }
        let permit = Arc::clone(&inner.all)
            .try_acquire_owned()
            .map_err(|_| NoSlot::InAll)?;
        taken.insert(owner.clone(), own + 1);
        Ok(OwnerSlot {
            owner: owner.clone(),
            inner: Arc::clone(inner),
            _permit: permit,
        })
    }
}

impl Drop for OwnerSlot {
    fn drop(&mut self) {
        let mut taken = self
            .inner
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.owner) {
            Some(own) if *own > 1 => *own -= 1,
            // Nobody is kept in mind who has no slot.
            _ => {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_for_one_owner_and_come_back() {
        let slots = OwnerSlots::new(3, 2);
        let owner = |name: &str| name.parse::<Owner>().unwrap();
        let (alice, bob) = (owner("alice"), owner("bob"));
        let first = slots.take(&alice).unwrap();
        let _second = slots.take(&alice).unwrap();
        assert_eq!(slots.take(&alice).unwrap_err(), NoSlot::OfOwner);
        let bobs = slots.take(&bob).unwrap();
        assert_eq!(slots.take(&bob).unwrap_err(), NoSlot::InAll);
        drop(first);
        let _again = slots.take(&alice).unwrap();
        drop(bobs);
        assert_eq!(slots.take(&alice).unwrap_err(), NoSlot::OfOwner);
        assert_eq!(slots.0.taken.lock().unwrap().len(), 1);
    }
}
