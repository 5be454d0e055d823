//! The media core, to be fuzzed: see `media::fuzzing`.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "what the service around the core uses is not here"
)]

pub mod media;
mod staging;
