//! The one integration binary: libav's shared libraries are linked once for all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test, a panic is the report; clippy's own exemption ends at #[test] functions"
)]

mod provider;
mod sandbox;
