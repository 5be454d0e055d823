//! The Google Cloud adapters, each against a stand-in on loopback.

mod app;
mod doctor;
mod fcm;
mod links;
mod oidc;
mod storage;
mod tasks;
