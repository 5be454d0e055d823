//! The worker as it runs in the cloud: real processes of the real binary, the official Firestore
//! emulator, and stand-ins for Cloud Storage, Cloud Tasks and Google's tokens.

mod breaker;
mod costs;
mod front;
mod gate;
mod kinds;
mod pages;
mod plant;
mod sharing;
mod stopping;
