//! A file that ends the process that reads it, among others: in processes of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use filmlab::clock::{Clock as _, SystemClock};
use filmlab::job::{CreditEntry, Credits, EntryKind, Job, Status};
use filmlab::ledger::Ledger as _;
use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::sandbox::SandboxConfig;
use rustix::process::Signal;
use tokio::net::TcpListener;

use super::lab::{GRANT, Lab};
use super::remote::Remote;
use crate::support::quarantine::{broken, caught, children, kill, until_gone};
use crate::support::require;

/// A service in a process of its own, started again whenever it has died.
pub(super) struct Kept<'a> {
    lab: &'a Lab,
    address: SocketAddr,
    pub(super) child: Child,
    deaths: u32,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Kept<'a> {
    pub(super) async fn start(lab: &'a Lab) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let mut kept = Self {
            child: spawn(lab, address),
            lab,
            address,
            deaths: 0,
        };
        kept.until_up().await;
        kept
    }

    /// Starts it again if it has died, as whoever runs services does.
    async fn keep(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            self.deaths += 1;
            self.child = spawn(self.lab, self.address);
            self.until_up().await;
        }
    }

    async fn until_up(&mut self) {
        let began = Instant::now();
        let livez = format!("{}/livez", self.remote().base());
        while self.lab.http.get(&livez).send().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "not up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is asked of it over HTTP.
    pub(super) fn remote(&self) -> Remote<'a> {
        Remote::new(self.lab, &self.address)
    }

    /// Its ledger, beside the service.
    fn ledger(&self) -> SqliteLedger {
        SqliteLedger::open(self.lab.data().join("filmlab.sqlite")).unwrap()
    }

    /// Gives the owner of all jobs credits.
    pub(super) async fn grant(&self) {
        let entry = CreditEntry {
            id: "grant:test".into(),
            kind: EntryKind::Grant,
            amount: Credits(GRANT as u64),
            job: None,
            at: SystemClock.now(),
        };
        let owner = "local".parse().unwrap();
        self.ledger().grant(&owner, &entry).await.unwrap();
    }

    async fn job(&self, id: &str) -> Job {
        let ledger = self.ledger();
        ledger.read(&id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Waits for the end of all of them, starting the service again where it dies.
    pub(super) async fn ended(&mut self, ids: &[String]) -> Vec<Job> {
        let began = Instant::now();
        loop {
            self.keep().await;
            let mut jobs = Vec::new();
            for id in ids {
                jobs.push(self.job(id).await);
            }
            if jobs.iter().all(|job| job.status.is_ended()) {
                return jobs;
            }
            assert!(began.elapsed() < Duration::from_secs(240), "{jobs:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn spawn(lab: &Lab, address: SocketAddr) -> Child {
    lab.program(address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn lab() -> Option<Lab> {
    let mut lab = Lab::new(SandboxConfig::default()).await?;
    // Deaths are noticed soon; a machine that is busy still keeps its leases.
    lab.set("WORKER__LEASE", "12s");
    lab.set("WORKER__HEARTBEAT", "2s");
    lab.set("WORKER__SWEEP_EVERY", "1s");
    Some(lab)
}

#[tokio::test]
async fn a_clip_that_ends_the_process_fails_alone_among_eight_good_ones() {
    let Some(lab) = lab().await else { return };
    let Some(character) = require::fixture("character.png") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let bad = broken(&lab.clip, "abort@source", &dir.path().join("bad.mp4"));
    let mut service = Kept::start(&lab).await;
    service.grant().await;
    let (good, bad) = (
        service.remote().upload(&lab.clip).await,
        service.remote().upload(&bad).await,
    );
    let image = service.remote().upload(&character).await;
    let mut ids = Vec::new();
    for video in [&good; 8].into_iter().chain([&bad]) {
        ids.push(service.remote().create(video, &image).await);
    }
    // It takes the service with it, and with that the jobs that are under way.
    let began = Instant::now();
    while service.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "it lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut beside = 0;
    for id in &ids[..8] {
        beside += u32::from(service.job(id).await.lease.holder.is_some());
    }
    assert!(beside >= 1, "nobody was under way");

    let mut jobs = service.ended(&ids).await;
    assert_eq!(service.deaths, 1, "the second time it is alone");
    let bad = jobs.remove(8);
    let error = bad.error.as_ref().unwrap();
    assert_eq!(error.code.as_str(), "media_crashed");
    assert_eq!((error.party.as_str(), bad.crashes), ("caller", 3));
    assert_eq!((bad.status, bad.attempt), (Status::Failed, 1), "{bad:#?}");
    for job in &jobs {
        let became = (job.status, job.attempt);
        assert_eq!(became, (Status::Completed, 1), "{job:#?}");
    }
    // One submission for each good one, and none for the bad one; each is paid for once.
    assert_eq!(lab.sandbox.submissions().len(), 8);
    let (ledger, owner) = (service.ledger(), "local".parse().unwrap());
    let account = ledger.account(&owner).await.unwrap().unwrap();
    let cost: u64 = jobs.iter().map(|job| job.credits.cost.unwrap().0).sum();
    let left = (account.credits, account.credits_held);
    assert_eq!(left, (GRANT - cost as i64, 0));
    assert_eq!(children(service.child.id()), []);
}

/// Kills, by force, the service or the child of a job in each phase, and looks at what becomes of
/// the job.
async fn killed(whom: Whom) {
    let Some(mut lab) = lab().await else { return };
    let Some(character) = require::fixture("character.png") else {
        return;
    };
    lab.set("WORKER__QUARANTINE", "always");
    lab.set("CREDITS__MODE", "off");
    let mut service = Kept::start(&lab).await;
    let image = service.remote().upload(&character).await;
    let video = service.remote().upload(&lab.clip).await;
    let mut made = 0;
    for phase in ["source", "check", "render"] {
        let (id, pid) = loop {
            let id = service.remote().create(&video, &image).await;
            made += 1;
            let parent = service.child.id();
            let (data, name) = (lab.data(), id.clone());
            let pid = tokio::task::spawn_blocking(move || {
                caught(parent, phase, || has_ended(&data, &name))
            });
            // One that was through before it was seen is followed by another.
            if let Some(pid) = pid.await.unwrap() {
                break (id, pid);
            }
        };
        kill(
            match whom {
                Whom::Child => pid,
                Whom::Parent => service.child.id(),
            },
            Signal::KILL,
        );
        until_gone(pid);
        let job = service.ended(&[id]).await.remove(0);
        assert_eq!(job.status, Status::Completed, "{phase}: {job:#?}");
        let expected = match whom {
            Whom::Child => (1, 1),
            // That may have been anything.
            Whom::Parent => (0, 2),
        };
        assert_eq!((job.crashes, job.attempt), expected, "{phase}: {job:#?}");
        assert_eq!(lab.sandbox.submissions().len(), made, "{phase}");
        assert_eq!(children(service.child.id()), []);
    }
}

fn has_ended(data: &Path, id: &str) -> bool {
    let file = rusqlite::Connection::open(data.join("filmlab.sqlite")).unwrap();
    let status: String = file
        .query_row("SELECT status FROM jobs WHERE id = ?1", [id], |row| {
            row.get(0)
        })
        .unwrap();
    status != "queued" && status != "processing"
}

#[derive(Clone, Copy)]
enum Whom {
    Child,
    Parent,
}

#[tokio::test]
async fn a_child_killed_in_any_phase_is_followed_by_another() {
    killed(Whom::Child).await;
}

#[tokio::test]
async fn a_service_killed_in_any_phase_takes_its_child_with_it() {
    killed(Whom::Parent).await;
}
