//! The one integration binary: libav's shared libraries are linked once for all.
//!
//! Needs of a test that a machine may lack (fixtures, the `ffmpeg` program, …) go
//! through [`support::require`], so that nothing is skipped in silence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in a test, a panic is the report; clippy's own exemption ends at #[test] functions"
)]
#![allow(
    clippy::disallowed_types,
    reason = "tests start the ffmpeg program as a reference, and the binary itself"
)]

mod architecture;
mod cli;
mod cloud;
#[cfg(target_os = "linux")]
mod corpus;
mod demo;
mod docs;
mod gcp;
mod http;
mod ledger;
mod links;
mod media;
mod notify;
mod provider;
#[cfg(target_os = "linux")]
mod quarantine;
mod queue;
mod road;
mod sandbox;
mod service;
mod soak;
mod streams;
mod submit;
mod support;
mod telemetry;
#[cfg(vendored)]
mod vendor;
