//! The whole service as `filmlab serve` builds it, with the sandbox as its provider, over HTTP.

mod backups;
mod catalogue;
mod clocks;
#[cfg(target_os = "linux")]
mod disks;
#[cfg(target_os = "linux")]
mod edge;
mod fallbacks;
mod faults;
mod keys;
mod lab;
mod metrics;
mod models;
mod owners;
#[cfg(target_os = "linux")]
mod quarantine;
mod quotes;
#[cfg(target_os = "linux")]
mod remote;
mod segments;
mod signatures;
mod stops;
#[cfg(target_os = "linux")]
mod stuck;
#[cfg(target_os = "linux")]
mod traces;
#[cfg(target_os = "linux")]
mod upgrades;
