//! What the console's pages take of Firestore where there are ten thousand jobs, counted at the door.

use std::time::Instant;

use filmlab::job::counts::day_of;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::gate::{Gate, Operated};
use super::plant::{API_TOKEN, Plant};
use crate::docs::{assert_exact, with_part};
use crate::support::gcs::BUCKET;

const JOBS: usize = 10_000;
/// Documents of one commit, as Firestore takes them.
const AT_ONCE: usize = 500;
/// Days of a page, and documents of each.
const DAYS: i64 = 14;
const SHARDS: i64 = 5;

/// A job as the service makes it, which the others are made of.
async fn model(plant: &Plant) -> Value {
    let job = json!({
        "owner": "u1", "kind": "upscale",
        "source": {"video": format!("gs://{BUCKET}/sources/u1/clip.mp4")},
    });
    let address = format!("{}v1/jobs", plant.address);
    let made = plant.client.post(address).bearer_auth(API_TOKEN).json(&job);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let id = made["id"].as_str().unwrap();
    plant.emulator.stored(&format!("jobs/{id}")).await.unwrap()
}

/// The fields of another one: most have ended, one way or the other.
fn another(model: &Value, number: usize) -> Value {
    let text = |text: &str| json!({"stringValue": text});
    let minute = |minute: usize| {
        let (day, of_day) = (minute / 1_440, minute % 1_440);
        let time = format!(
            "2026-01-{:02}T{:02}:{:02}:00Z",
            day + 1,
            of_day / 60,
            of_day % 60
        );
        json!({"timestampValue": time})
    };
    let mut job = model.clone();
    job["owner"] = text(["u1", "u2", "u3"][number % 3]);
    job["created_at"] = minute(number);
    job["updated_at"] = minute(number + 1);
    match number % 4 {
        0 => {
            job["status"] = text("failed");
            job["error"] = json!({"mapValue": {"fields": {
                "code": text("provider_failed"), "message": text("The provider failed."),
                "party": text("provider"), "attempt": {"integerValue": "3"}, "at": minute(number),
            }}});
        }
        1 | 2 => {
            job["status"] = text("completed");
            let number = |number: usize| json!({"integerValue": number.to_string()});
            job["result"] = json!({"mapValue": {"fields": {
                "video": text("results/v.mp4"), "poster": text("results/p.jpg"),
                "metadata": text("results/m.json"), "bytes": number(1), "duration_ms": number(1),
                "width": number(2), "height": number(2),
            }}});
        }
        _ => return job,
    }
    job["completed_at"] = minute(number + 1);
    if let Some(fields) = job.as_object_mut() {
        fields.remove("next_visit_at");
    }
    job
}

/// What ended on each day of a page, and on one before: three rounds of everybody's, in each
/// document, and one of each owner's.
fn counters() -> Vec<(String, Value)> {
    let integer = |number: i64| json!({"integerValue": number.to_string()});
    let map = |fields: Value| json!({"mapValue": {"fields": fields}});
    let sums = |rounds: i64| {
        json!({"models": map(json!({"acme/up": map(json!({
            "completed": integer(2 * rounds), "failed": integer(rounds),
            "failed:provider_failed:provider": integer(rounds),
            "captured": integer(5 * rounds), "usd_micros": integer(250_000 * rounds),
        }))}))})
    };
    let today = day_of(Timestamp::now());
    let days = (0..=DAYS).map(|back| today.checked_sub(jiff::Span::new().days(back)).unwrap());
    let of_day = days.flat_map(|day| {
        let all = (0..SHARDS).map(move |shard| (format!("counters/{day}:{shard}"), 1));
        let owners = ["u1", "u2", "u3"];
        all.chain(owners.map(|owner| (format!("users/{owner}/counters/{day}"), 1)))
    });
    of_day.map(|(path, rounds)| (path, sums(rounds))).collect()
}

/// Documents read for a page, and how long its first byte took.
async fn asked(plant: &Plant, gate: &Gate, cookie: &str, path: &str) -> (usize, u128, String) {
    gate.take();
    let started = Instant::now();
    let address = format!("{}{path}", plant.worker(0));
    let answer = plant.client.get(address).header("cookie", cookie);
    let answer = answer.send().await.unwrap();
    let took = started.elapsed().as_millis();
    assert_eq!(answer.status(), 200, "{path}");
    let page = answer.text().await.unwrap();
    let reads = gate.take();
    let reads = reads.iter().filter(|one| matches!(one, Operated::Read(_)));
    (reads.count(), took, page)
}

const HEAD: &str = "\
| page | records read |
|---|---|
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_reads_more_than_a_hundred_of_ten_thousand_jobs() {
    let Some((plant, gate)) = Plant::counted(600).await else {
        return;
    };
    plant.sandbox.hold(true);
    let model = model(&plant).await;
    let started = Instant::now();
    let numbers: Vec<usize> = (0..JOBS).collect();
    let commits = numbers.chunks(AT_ONCE).map(|part| {
        let documents = part.iter().map(|number| {
            let id = format!("job-{number:05}");
            let mut job = another(&model, *number);
            job["id"] = json!({"stringValue": id});
            (format!("jobs/{id}"), job)
        });
        plant.emulator.put_all(documents.collect())
    });
    let () = futures::stream::iter(commits)
        .buffer_unordered(4)
        .collect()
        .await;
    plant.emulator.put_all(counters()).await;
    println!("filled in {} s", started.elapsed().as_secs());

    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let address = format!("{}/console/sign-in", plant.worker(0));
    let form = [("token", API_TOKEN), ("next", "/console")];
    let signed = client.post(address).form(&form).send().await.unwrap();
    let cookie = signed.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let mut pages = vec![
        "/console".to_owned(),
        "/console?status=failed".to_owned(),
        "/console?owner=u2&kind=upscale&status=completed".to_owned(),
        "/console?text=job-00017".to_owned(),
        "/console?status=failed&code=provider_failed".to_owned(),
        "/console?model=acme%2Fup".to_owned(),
        "/console/failures".to_owned(),
        "/console/money".to_owned(),
        "/console/money?owner=u2".to_owned(),
        "/console/health".to_owned(),
        "/console/new".to_owned(),
        "/console/jobs/job-09998".to_owned(),
        "/console/jobs/job-09999/state".to_owned(),
    ];
    let mut table = HEAD.to_owned();
    let mut at = 0;
    while at < pages.len() {
        let path = pages[at].clone();
        let (reads, ms, page) = asked(&plant, &gate, &cookie, &path).await;
        println!("| `{path}` | {reads} | {ms} ms |");
        assert!(reads <= 100, "{path} reads {reads}");
        let shown = path.split("page=").next().unwrap();
        let more = if shown == path { "" } else { "page=…" };
        table.push_str(&format!("| `{shown}{more}` | {reads} |\n"));
        // Of the days that are shown: $0.25 a round, and a failure.
        let sum = match &*path {
            "/console/money" => Some("$17.50"),
            "/console/money?owner=u2" => Some("$3.50"),
            "/console/failures" => Some("70 <span"),
            _ => None,
        };
        assert!(sum.is_none_or(|sum| page.contains(sum)), "{path}: {page}");
        // An id is found by its beginning however old its job is: this one is far from the newest.
        if path == "/console?text=job-00017" {
            assert!(page.contains("<tr id=\"job-job-00017\""), "{page}");
        }
        // The next page of the first list.
        if at == 0 {
            assert_eq!(page.matches("<tr id=\"job-").count(), 25);
            let next = page.split("rel=\"next\"").next().unwrap();
            let next = next.rsplit("href=\"").next().unwrap().split('"').next();
            pages.push(next.unwrap().replace("&#38;", "&").replace("&amp;", "&"));
        }
        at += 1;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/console.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert_exact("console.md", &with_part(&page, "reads", &table));
}
