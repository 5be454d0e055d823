//! What Prometheus reads of a service that has worked.

use std::collections::BTreeSet;

use filmlab::sandbox::SandboxConfig;
use filmlab::telemetry::metrics::METRICS;

use super::lab::Lab;

#[tokio::test]
async fn a_job_that_ran_shows_in_the_numbers() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create(&service).await;
    lab.assert_completed_once(&service, &id).await;
    let address = format!("http://{}/metrics", service.address);
    let answer = lab.http.get(&address).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let content_type = answer.headers()["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("text/plain"), "{content_type}");
    let text = answer.text().await.unwrap();
    let value = |series: &str| -> f64 {
        let line = text.lines().find(|line| {
            line.strip_prefix(series)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.unwrap_or_else(|| panic!("{series} is missing in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let one = [
        "filmlab_jobs_ended_total{code=\"none\",kind=\"character_replace\",status=\"completed\"}",
        "filmlab_provider_calls_total{call=\"submit\",outcome=\"ok\"}",
        "filmlab_provider_calls_total{call=\"download\",outcome=\"ok\"}",
        "filmlab_stage_seconds_count{kind=\"character_replace\",stage=\"process\"}",
    ];
    for series in one {
        assert!((value(series) - 1.0).abs() < 1e-9, "{series}\n{text}");
    }
    assert!(
        (value("filmlab_provider_calls_total{call=\"upload\",outcome=\"ok\"}") - 2.0).abs() < 1e-9
    );
    assert!((value("filmlab_provider_balance_usd") - 100.0).abs() < 1e-9);
    assert!(value("filmlab_visits_total{outcome=\"advanced\"}") >= 2.0);
    for idle in [
        "filmlab_media_slots_in_use",
        "filmlab_media_bytes_reserved",
        "filmlab_jobs{state=\"queued\"}",
        "filmlab_jobs{state=\"generating\"}",
        "filmlab_outbox{state=\"undeliverable\"}",
    ] {
        assert!(value(idle).abs() < 1e-9, "{idle}");
    }
    // Nothing that the page does not list, and nothing of a caller's.
    let told: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    let listed: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(told, listed, "{text}");
    for private in [id.as_str(), "local", "127.0.0.1"] {
        assert!(!text.contains(private), "{private}\n{text}");
    }
    service.stop().await;
}
