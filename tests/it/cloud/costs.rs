//! What a job costs in operations of the platform, counted, and the page that says so.

use std::ops::AddAssign;
use std::time::Duration;

use serde_json::{Value, json};

use super::gate::{Gate, Operated};
use super::plant::{API_TOKEN, Plant};
use crate::docs::{assert_exact, with_part};
use crate::support::emulator::Caller;
use crate::support::gcs::{BUCKET, Op};

/// What is billed, or bounded by a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    reads: usize,
    /// Of documents; deletions too.
    writes: usize,
    /// Of the bucket: class A (writing, listing) and class B (reading). Deletions are free.
    a: usize,
    b: usize,
    tasks: usize,
    signatures: usize,
}

impl Cost {
    fn row(self, name: &str) -> String {
        let Self {
            reads,
            writes,
            a,
            b,
            tasks,
            signatures,
        } = self;
        format!("| {name} | {reads} | {writes} | {a} | {b} | {tasks} | {signatures} |\n")
    }
}

/// US dollars for a million, as the page says from where: of documents, of requests to a bucket in
/// one region, of calls to the queue.
const READ: f64 = 0.30;
const WRITE: f64 = 0.90;
const CLASS_A: f64 = 5.0;
const CLASS_B: f64 = 0.40;
const TASK_CALL: f64 = 0.40;

impl Cost {
    /// What a million of them cost.
    fn price(self, name: &str) -> String {
        let of = |number: usize, dollars: f64| number as f64 * dollars;
        let documents = of(self.reads, READ) + of(self.writes, WRITE);
        let bucket = of(self.a, CLASS_A) + of(self.b, CLASS_B);
        // A task is made, and brought.
        let tasks = of(2 * self.tasks, TASK_CALL);
        let sum = documents + bucket + tasks;
        format!("| {name} | ${documents:.2} | ${bucket:.2} | ${tasks:.2} | **${sum:.2}** |\n")
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.a += other.a;
        self.b += other.b;
        self.tasks += other.tasks;
        self.signatures += other.signatures;
    }
}

struct Meter {
    plant: Plant,
    gate: Gate,
    /// What was counted, of what only grows, when it was looked at last.
    seen: Cost,
}

impl Meter {
    /// What was done since the last time.
    fn take(&mut self) -> Cost {
        let of = |ops: &[Op]| ops.iter().map(|op| self.plant.gcs.count(*op)).sum();
        let signed = |call: &&String| call.ends_with(":signBlob");
        let now = Cost {
            a: of(&[Op::Put, Op::Create, Op::Part, Op::Complete, Op::List]),
            b: of(&[Op::Get, Op::Head]),
            tasks: self.plant.tasks.creations() as usize,
            signatures: self.plant.google.calls().iter().filter(signed).count(),
            ..Cost::default()
        };
        let seen = std::mem::replace(&mut self.seen, now);
        let operated = self.gate.take();
        let is_read = |one: &&Operated| matches!(one, Operated::Read(_));
        let reads = operated.iter().filter(is_read).count();
        Cost {
            reads,
            writes: operated.len() - reads,
            a: now.a - seen.a,
            b: now.b - seen.b,
            tasks: now.tasks - seen.tasks,
            signatures: now.signatures - seen.signatures,
        }
    }

    /// What it takes to bring what is due: one task.
    async fn visit(&mut self) -> Cost {
        let brought = self.plant.tasks.deliver_due(Duration::from_secs(60)).await;
        assert_eq!(brought, 1, "{:#?}", self.plant.tasks.waiting());
        self.take()
    }

    async fn stage(&self, job: &str) -> Value {
        let path = format!("jobs/{job}");
        self.plant.field(&path, "stage").await["stringValue"].clone()
    }

    /// The provider shows what it made, and calls back.
    async fn called_back(&mut self) -> Cost {
        self.plant.sandbox.hold(false);
        for _ in 0..1200 {
            let waiting = self.plant.tasks.waiting();
            if waiting.keys().any(|name| name.ends_with("-callback")) {
                return self.take();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no callback came");
    }

    /// As if the model's usual time had passed without a callback.
    async fn let_usual_time_pass(&self, job: &str) {
        let long_ago = json!({"timestampValue": "2026-01-01T00:00:00Z"});
        let fields = json!({
            "next_visit_at": long_ago,
            "provider": {"mapValue": {"fields": {"submitted_at": long_ago}}},
        });
        let names = ["next_visit_at".to_owned(), "provider.submitted_at".into()];
        let path = format!("jobs/{job}");
        let emulator = &self.plant.emulator;
        let written = emulator.write_typed(Caller::Owner, &path, names.iter(), fields);
        assert_eq!(written.await, 200);
        self.plant.tasks.hasten();
    }

    async fn read(&mut self, job: &str) -> Cost {
        let address = format!("{}v1/jobs/{job}", self.plant.address);
        let asked = self.plant.client.get(address).bearer_auth(API_TOKEN).send();
        assert_eq!(asked.await.unwrap().status(), 200);
        self.take()
    }

    async fn create(&mut self) -> Cost {
        let address = format!("{}v1/jobs", self.plant.address);
        let job = json!({
            "owner": "u1", "kind": "upscale",
            "source": {"video": format!("gs://{BUCKET}/sources/u1/clip.mp4")},
        });
        let asked = self.plant.client.post(address).bearer_auth(API_TOKEN);
        let made = asked.json(&job).send().await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        self.take()
    }
}

fn params(kind: &str) -> Value {
    match kind {
        "character_replace" => json!({"resolution": "480p"}),
        "extend" => json!({"prompt": "it goes on", "seconds": 4, "resolution": "480p"}),
        _ => json!({"target": "720p"}),
    }
}

const PRICES: &str = "\
| a million jobs | documents | bucket | tasks | together |
|---|---|---|---|---|
";

const HEAD: &str = "\
| | documents read | documents written | bucket, class A | bucket, class B | tasks | signatures |
|---|---|---|---|---|---|---|
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_costs_what_the_page_says() {
    let Some((plant, gate)) = Plant::counted(600).await else {
        return;
    };
    let mut meter = Meter {
        plant,
        gate,
        seen: Cost::default(),
    };
    meter.take();
    let (mut kinds, mut steps) = (HEAD.to_owned(), HEAD.to_owned());
    let mut prices = PRICES.to_owned();
    for kind in ["upscale", "extend", "character_replace"] {
        meter.plant.sandbox.hold(true);
        meter.plant.push(kind, kind, params(kind)).await;
        let paid = meter.visit().await;
        assert_eq!(meter.stage(kind).await, "generate");
        let called_back = meter.called_back().await;
        let made = meter.visit().await;
        assert_eq!(meter.plant.status(kind).await, "completed");
        let told = meter.visit().await;
        meter.plant.tasks.hasten();
        let late = meter.visit().await;
        let read = meter.read(kind).await;
        let again = meter.read(kind).await;

        let mut all = Cost {
            // What its creator does: the document, and the first task.
            writes: 1,
            ..Cost::default()
        };
        for part in [paid, called_back, made, told, late, read] {
            all += part;
        }
        kinds.push_str(&all.row(&format!("`{kind}`")));
        prices.push_str(&all.price(&format!("`{kind}`")));
        if kind == "character_replace" {
            for (name, part) in [
                ("the visit that pays", paid),
                ("the provider's callback", called_back),
                ("the visit that makes the result", made),
                ("the notice", told),
                ("the planned look that is not needed any more", late),
                ("the first read of the completed job", read),
                ("each further read while its links last", again),
            ] {
                steps.push_str(&part.row(name));
            }
        }
    }

    meter.plant.sandbox.hold(true);
    meter
        .plant
        .push("looked-at", "upscale", params("upscale"))
        .await;
    meter.visit().await;
    meter.let_usual_time_pass("looked-at").await;
    let look = meter.visit().await;
    assert_eq!(meter.stage("looked-at").await, "generate");
    steps.push_str(&look.row("each further look at a prediction"));
    steps.push_str(
        &meter
            .create()
            .await
            .row("creation over the HTTP API, instead of your own"),
    );
    meter.plant.sweep().await;
    meter.take();
    meter.plant.sweep().await;
    steps.push_str(&meter.take().row("a sweep that finds nothing"));

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scale.md");
    let page = std::fs::read_to_string(path).unwrap();
    let page = with_part(&page, "kinds", &kinds);
    let page = with_part(&page, "prices", &prices);
    assert_exact("scale.md", &with_part(&page, "steps", &steps));
}
