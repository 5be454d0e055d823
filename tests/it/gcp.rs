//! The Google Cloud adapters, each against a stand-in on loopback.

mod links;
mod storage;
