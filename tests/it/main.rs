//! One binary for all integration tests: libav's shared libraries are linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by panicking what is wrong"
)]

mod architecture;
mod http;
mod links;
mod notify;
mod support;
