//! What the log says of a visit.

use serde_json::Value;

use super::bench::Bench;
use crate::telemetry::Lines;

#[tokio::test]
async fn every_line_of_a_visit_names_its_job_and_its_number() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let lines = Lines::default();
    // The worker's own tasks run on this thread too.
    let _logging = tracing::subscriber::set_default(lines.subscriber());
    let id = bench.create("j").await;
    let worker = bench.worker();
    let job = bench.drive(&worker, &id).await;
    bench.assert_completed_once(&job).await;

    let of_visits: Vec<Value> = lines
        .parsed()
        .into_iter()
        .filter(|line| {
            let target = line["target"].as_str().unwrap();
            [
                "filmlab::worker::visit",
                "filmlab::worker::stages",
                "filmlab::worker::end",
            ]
            .iter()
            .any(|module| target.starts_with(module))
        })
        .collect();
    assert!(!of_visits.is_empty());
    for line in &of_visits {
        let labels = &line["logging.googleapis.com/labels"];
        assert_eq!(labels["job"], id.as_str(), "{line}");
        assert!(labels["seq"].is_string(), "{line}");
    }
    let staged = |line: &&Value| line["target"].as_str().unwrap().contains("stages");
    for line in of_visits.iter().filter(staged) {
        let labels = &line["logging.googleapis.com/labels"];
        assert_eq!(labels["attempt"], "1", "{line}");
        assert!(labels["stage"].is_string(), "{line}");
    }
}
