//! The places of one kind, dealt out by the three rules of [`super`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::job::Owner;

/// The places of one kind.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: usize,
    waiting: usize,
    share: f64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By owner; none is zero.
    held: HashMap<Owner, usize>,
    taken: usize,
    /// Owners that wait, the one served longest ago first.
    order: VecDeque<Owner>,
    /// By owner, first come first; none is empty.
    lines: HashMap<Owner, VecDeque<Waiter>>,
    waiting: usize,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    place: oneshot::Sender<Place>,
}

/// A place that is held until this is dropped.
#[derive(Debug)]
pub(in crate::worker) struct Place {
    owner: Owner,
    /// Absent once it was given back.
    of: Option<Arc<Shared>>,
    waited: bool,
}

impl Place {
    /// Whether time has passed since it was asked for.
    pub(in crate::worker) fn waited(&self) -> bool {
        self.waited
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(of) = self.of.take() {
            of.lock().give_back(&self.owner);
            of.deal();
        }
    }
}

/// Leaves the line when whoever waits goes away.
struct InLine<'a> {
    of: &'a Shared,
    owner: &'a Owner,
    number: u64,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        // What leaves is dropped after the lock: it is nobody's place, but may wake a task.
        let left = self.of.lock().leave(self.owner, self.number);
        drop(left);
    }
}

impl Places {
    /// So many places, with room for so many to wait.
    pub(in crate::worker) fn new(places: usize, waiting: usize, share: f64) -> Self {
        Self(Arc::new(Shared {
            places: places.max(1),
            waiting,
            share,
            state: Mutex::default(),
        }))
    }

    /// A place for `owner`; `None` where none came free within `patience`, or as many wait as may.
    pub(in crate::worker) async fn get(&self, owner: &Owner, patience: Duration) -> Option<Place> {
        let shared = &*self.0;
        let (line, place) = {
            let mut state = shared.lock();
            if state.may_hold(owner, shared) {
                state.take(owner);
                return Some(Place {
                    owner: owner.clone(),
                    of: Some(Arc::clone(&self.0)),
                    waited: false,
                });
            }
            if patience.is_zero() || !state.may_wait(owner, shared) {
                return None;
            }
            let (sender, place) = oneshot::channel();
            let number = state.join(owner, sender);
            let line = InLine {
                of: shared,
                owner,
                number,
            };
            (line, place)
        };
        let place = tokio::time::timeout(patience, place).await;
        drop(line);
        place.ok()?.ok()
    }

    /// How many wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.0.lock().waiting
    }
}

impl Shared {
    /// A panic elsewhere leaves numbers, not invariants, behind: going on is sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rule 1: the most an owner may have of what others leave.
    fn most_of(&self, left: usize) -> usize {
        let share = (left as f64 * self.share).ceil() as usize;
        if self.share >= 1.0 || left < 2 {
            left
        } else {
            share.clamp(1, left - 1)
        }
    }

    /// Gives free places to those who wait, as far as the rules allow.
    fn deal(self: &Arc<Self>) {
        loop {
            let Some((owner, waiter)) = self.lock().next(self) else {
                return;
            };
            let place = Place {
                owner,
                of: Some(Arc::clone(self)),
                waited: true,
            };
            // Outside of the lock: where nobody waits any more it comes back, and is given back
            // here rather than by its drop, which would deal in turn.
            if let Err(mut place) = waiter.place.send(place) {
                place.of = None;
                self.lock().give_back(&place.owner);
            }
        }
    }
}

impl State {
    fn may_hold(&self, owner: &Owner, of: &Shared) -> bool {
        let held = self.held.get(owner).copied().unwrap_or_default();
        let others = self.taken.saturating_sub(held);
        self.taken < of.places && held < of.most_of(of.places.saturating_sub(others))
    }

    fn may_wait(&self, owner: &Owner, of: &Shared) -> bool {
        let own = self.lines.get(owner).map_or(0, VecDeque::len);
        let others = self.waiting.saturating_sub(own);
        self.waiting < of.waiting && own < of.most_of(of.waiting.saturating_sub(others))
    }

    fn take(&mut self, owner: &Owner) {
        *self.held.entry(owner.clone()).or_default() += 1;
        self.taken += 1;
    }

    fn give_back(&mut self, owner: &Owner) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(held) = self.held.get_mut(owner) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(owner);
            }
        }
    }

    fn join(&mut self, owner: &Owner, place: oneshot::Sender<Place>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        let line = self.lines.entry(owner.clone()).or_default();
        if line.is_empty() {
            self.order.push_back(owner.clone());
        }
        line.push_back(Waiter { number, place });
        number
    }

    /// Takes who waits under `number` out of the line, if still there.
    fn leave(&mut self, owner: &Owner, number: u64) -> Option<Waiter> {
        let line = self.lines.get_mut(owner)?;
        let at = line.iter().position(|waiter| waiter.number == number)?;
        let left = line.remove(at);
        self.waiting = self.waiting.saturating_sub(1);
        if line.is_empty() {
            self.lines.remove(owner);
            self.order.retain(|other| other != owner);
        }
        left
    }

    /// Rule 2: whose turn it is, the place taken; `None` where there is none for anybody.
    fn next(&mut self, of: &Shared) -> Option<(Owner, Waiter)> {
        let owner = self
            .order
            .iter()
            .filter(|owner| self.may_hold(owner, of))
            // The first of those with the least.
            .min_by_key(|owner| self.held.get(*owner).copied().unwrap_or_default())?
            .clone();
        let first = self.lines.get(&owner)?.front()?.number;
        let waiter = self.leave(&owner, first)?;
        if self.lines.contains_key(&owner) {
            self.order.retain(|other| *other != owner);
            self.order.push_back(owner.clone());
        }
        self.take(&owner);
        Some((owner, waiter))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;
    use tokio::task::{JoinSet, yield_now};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const NONE: Duration = Duration::ZERO;

    fn owner(name: &str) -> Owner {
        name.parse().unwrap()
    }

    /// As many as there are at once.
    fn all_of(places: &Places, name: &str) -> Vec<Place> {
        let one = || places.get(&owner(name), NONE).now_or_never().flatten();
        std::iter::from_fn(one).collect()
    }

    #[tokio::test]
    async fn one_owner_never_takes_the_last_place_and_each_later_one_finds_one() {
        let places = Places::new(16, 0, 0.75);
        let (alice, bob) = (all_of(&places, "alice"), all_of(&places, "bob"));
        assert_eq!((alice.len(), bob.len()), (12, 3));
        let carol = all_of(&places, "carol");
        assert_eq!(carol.len(), 1);
        // By now all are taken, by three of them.
        assert_eq!(all_of(&places, "dave").len(), 0);
        drop(alice);
        assert_eq!(all_of(&places, "dave").len(), 9);
    }

    #[tokio::test]
    async fn one_place_is_for_whoever_comes_and_the_whole_may_be_shared_by_none() {
        assert_eq!(all_of(&Places::new(1, 0, 0.5), "alice").len(), 1);
        assert_eq!(all_of(&Places::new(2, 0, 0.9), "alice").len(), 1);
        assert_eq!(all_of(&Places::new(4, 0, 1.0), "alice").len(), 4);
        assert_eq!(all_of(&Places::new(4, 0, 0.01), "alice").len(), 1);
    }

    #[tokio::test]
    async fn a_free_place_goes_to_who_holds_least_then_to_who_was_served_longest_ago() {
        let places = Places::new(4, 100, 1.0);
        let mut held = all_of(&places, "alice");
        let mut waiting = JoinSet::new();
        // Alice waits first, with many; the others come later.
        for name in ["alice", "alice", "alice", "bob", "carol", "bob", "carol"] {
            let before = places.waiting();
            let places = places.clone();
            let asked = places.clone();
            waiting.spawn(async move { (name, places.get(&owner(name), LONG).await.unwrap()) });
            while asked.waiting() == before {
                yield_now().await;
            }
        }
        let mut order = Vec::new();
        let mut kept = Vec::new();
        while let Some(place) = held.pop() {
            drop(place);
            let (name, place) = waiting.join_next().await.unwrap().unwrap();
            order.push(name);
            kept.push(place);
        }
        // Alice has 3 of hers left by then, 2, 1 and none: the third goes to her among equals.
        assert_eq!(order, ["bob", "carol", "alice", "bob"]);
        assert!(kept.iter().all(Place::waited));
        drop(kept);
        assert_eq!(waiting.join_all().await.len(), 3);
        assert_eq!(places.0.lock().taken, 0);
    }

    #[tokio::test]
    async fn the_list_of_those_who_wait_is_bounded_and_shared_out_too() {
        let places = Places::new(1, 8, 0.75);
        let held = all_of(&places, "alice");
        let mut waiting = JoinSet::new();
        for name in ["alice", "bob", "carol"] {
            for _ in 0..10 {
                let places = places.clone();
                let a_while = Duration::from_millis(500);
                waiting.spawn(async move { (name, places.get(&owner(name), a_while).await) });
            }
        }
        let mut refused = HashMap::<_, usize>::new();
        for _ in 0..22 {
            let (name, place) = waiting.join_next().await.unwrap().unwrap();
            assert!(place.is_none());
            *refused.entry(name).or_default() += 1;
        }
        assert_eq!(
            refused,
            HashMap::from([("alice", 4), ("bob", 9), ("carol", 9)])
        );
        // The rest waits as long as it may, then holds nothing.
        assert_eq!(places.waiting(), 8);
        for (_, place) in waiting.join_all().await {
            assert!(place.is_none());
        }
        assert_eq!(places.waiting(), 0);
        drop(held);
        assert_eq!(all_of(&places, "bob").len(), 1);
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_no_place_taken() {
        let places = Places::new(1, 8, 0.75);
        let held = all_of(&places, "alice");
        let waits = {
            let places = places.clone();
            tokio::spawn(async move { places.get(&owner("bob"), LONG).await.map(drop) })
        };
        while places.waiting() == 0 {
            yield_now().await;
        }
        // Dealt a place, and gone before it looked.
        drop(held);
        waits.abort();
        let _ = waits.await;
        assert_eq!(all_of(&places, "carol").len(), 1);
    }

    proptest! {
        /// Whatever comes and goes: never more than there are, nobody above the share, nobody
        /// waits for a place that is there for the taking.
        #[test]
        fn the_rules_hold_for_any_sequence(
            count in 1_usize..12,
            share in 0.05_f64..1.0,
            steps in prop::collection::vec((0_u8..5, 0_usize..3), 1..80),
        ) {
            let places = Places::new(count, 6, share);
            let names = ["alice", "bob", "carol", "dave", "eve"].map(owner);
            let mut held: Vec<Place> = Vec::new();
            let mut waits = Vec::new();
            for (who, what) in steps {
                let name = &names[usize::from(who)];
                if what == 0 && !held.is_empty() {
                    let at = usize::from(who) % held.len();
                    drop(held.swap_remove(at));
                } else {
                    let mut state = places.0.lock();
                    if state.may_hold(name, &places.0) {
                        state.take(name);
                        let of = Some(Arc::clone(&places.0));
                        held.push(Place { owner: name.clone(), of, waited: false });
                    } else if state.may_wait(name, &places.0) {
                        let (sender, receiver) = oneshot::channel();
                        state.join(name, sender);
                        waits.push(receiver);
                    }
                }
                waits.retain_mut(|receiver| match receiver.try_recv() {
                    Ok(place) => {
                        held.push(place);
                        false
                    }
                    Err(_) => true,
                });
                let state = places.0.lock();
                prop_assert_eq!(state.taken, held.len());
                prop_assert_eq!(state.waiting, waits.len());
                prop_assert!(state.taken <= count && state.waiting <= 6);
                for name in &state.order {
                    prop_assert!(!state.may_hold(name, &places.0));
                }
                if count > 1 {
                    prop_assert!(state.held.values().all(|held| *held < count));
                }
            }
        }
    }
}
