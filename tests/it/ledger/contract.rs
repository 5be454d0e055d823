//! What every ledger promises, as functions over a bench.

pub(crate) mod claims;
pub(crate) mod counting;
pub(crate) mod creation;
pub(crate) mod credits;
pub(crate) mod outbox;
pub(crate) mod planning;
pub(crate) mod rounds;
pub(crate) mod settlement;
pub(crate) mod sweep;
pub(crate) mod unknown;
pub(crate) mod writes;
