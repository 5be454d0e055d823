//! The Firestore ledger on the official emulator: the contract, and what is its own.

mod creators;
mod outages;
mod owners;
mod rules;
mod schema;
mod sharing;

use std::sync::Arc;

use async_trait::async_trait;
use filmlab::ledger::firestore::{FirestoreConfig, FirestoreLedger};
use serde_json::Value;

use super::bench::{Bench, Others, World};
use super::careful::{Away, Losing};
use super::ledger_contract;
use crate::support::emulator::{self, Caller, Emulator};

/// A project of its own for each ledger.
pub(crate) struct FirestoreBench;

ledger_contract!(emulated, FirestoreBench);
ledger_contract!(losing, Losing(FirestoreBench));
ledger_contract!(away, Away(FirestoreBench));

#[async_trait]
impl Bench for FirestoreBench {
    fn is_there(&self) -> bool {
        emulator::host().is_some()
    }

    async fn fresh(&self) -> World {
        world(Emulator::fresh().unwrap()).await
    }
}

async fn world(emulator: Emulator) -> World {
    World {
        ledger: Arc::new(connect(&emulator).await),
        others: Box::new(emulator),
    }
}

fn config(emulator: &Emulator) -> FirestoreConfig {
    FirestoreConfig {
        emulator: Some(emulator.host.clone()),
        ..FirestoreConfig::new(&emulator.project)
    }
}

/// A ledger on a connection of its own, as another process would have it.
pub(crate) async fn connect(emulator: &Emulator) -> FirestoreLedger {
    FirestoreLedger::connect(config(emulator)).await.unwrap()
}

#[async_trait]
impl Others for Emulator {
    async fn write(&self, job: &str, fields: Value) {
        let path = format!("jobs/{job}");
        let status = Self::write(self, Caller::Owner, &path, &fields).await;
        assert_eq!(status, 200);
    }

    async fn write_notice(&self, notice: &str, fields: Value) {
        let path = format!("outbox/{notice}");
        let status = Self::write(self, Caller::Owner, &path, &fields).await;
        assert_eq!(status, 200);
    }

    async fn increment(&self, owner: &str, credits: i64) {
        Self::increment(self, &format!("users/{owner}"), "credits", credits).await;
    }
}
