//! filmlab: a worker for AI video jobs.
//!
//! The map of the crate. `job` is the domain and pure; `ledger`, `provider`, `storage`, `queue`
//! and `notify` are ports, each with its adapters in its own folder; `media` is libav* linked
//! in-process; `worker` moves jobs along their road and knows the ports only; `http` and `cli`
//! are the ways in; `app` is the one place that names every adapter.
//!
//! What each module may know is written in `docs/architecture.md` and held by
//! `tests/it/architecture.rs`.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod fields;
pub mod google;
pub mod http;
pub mod job;
pub mod ledger;
pub mod media;
pub mod notify;
pub mod outgoing;
pub mod provider;
pub mod quarantine;
pub mod queue;
mod range;
pub mod retry;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod secret;
mod sqlite;
pub mod staging;
pub mod storage;
pub mod telemetry;
mod tls;
pub mod worker;
