//! The job's road, walked by a real worker over real SQLite, real files and real media.
//!
//! A scripted studio stands in the provider's place where exact faults are wanted; time is a
//! clock that the tests move.

pub(crate) mod bench;
mod breaker;
mod cancel;
mod cleaning;
mod crash;
mod credits;
mod deadlines;
mod fairness;
mod fallbacks;
mod faults;
mod flaky;
mod holding;
mod inputs;
mod leases;
mod limits;
mod lines;
mod outages;
mod outputs;
mod paying;
mod places;
mod power;
mod provenance;
#[cfg(target_os = "linux")]
mod quarantine;
mod quotes;
mod retention;
mod rounds;
mod sequences;
pub(crate) mod studio;
mod table;
mod trouble;
mod upgrade;
mod waiting;
mod waste;
