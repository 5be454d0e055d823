//! What a job costs, in each mode.

use filmlab::job::{CreditState, CreditsMode, Status};

use super::bench::{Bench, GRANT};

#[tokio::test]
async fn a_hold_fails_before_anything_is_paid() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench
        .create_as(
            "j",
            filmlab::job::Kind::Upscale,
            serde_json::json!({"target": "720p"}),
            |new| {
                new.cost = Some(filmlab::job::Credits(GRANT + 1));
            },
        )
        .await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(bench.studio.submitted(), 0);
    bench
        .assert_ended_without_trace(&job, "insufficient_credits")
        .await;
    let message = &job.error.as_ref().unwrap().message;
    assert!(
        message.contains("1001") && message.contains("1000"),
        "{message}"
    );
}

#[tokio::test]
async fn an_owner_without_an_account_cannot_hold() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let id = bench
        .create_as(
            "j",
            filmlab::job::Kind::Upscale,
            serde_json::json!({"target": "720p"}),
            |new| {
                new.owner = "stranger".parse().unwrap();
            },
        )
        .await;
    let job = bench.drive(&bench.worker(), &id).await;
    bench
        .assert_ended_without_trace(&job, "insufficient_credits")
        .await;
}

#[tokio::test]
async fn without_credits_nothing_is_counted() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.credits = CreditsMode::Off;
    let id = bench.create("j").await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(
        (job.status, job.credits.state),
        (Status::Completed, CreditState::None)
    );
    assert!(job.credits.cost.is_some(), "the price is told all the same");
    assert_eq!(bench.account().await.credits, GRANT as i64);
}

#[tokio::test]
async fn deducting_takes_at_the_end_and_only_then() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.credits = CreditsMode::DeductOnCompletion;
    let id = bench.create("j").await;
    let worker = bench.worker();
    while bench.studio.submitted() == 0 {
        assert!(bench.step(&worker).await);
    }
    assert_eq!(bench.account().await.credits, GRANT as i64);
    let job = bench.drive(&worker, &id).await;
    assert_eq!(job.credits.state, CreditState::Captured);
    let cost = job.credits.cost.unwrap().0 as i64;
    let account = bench.account().await;
    assert_eq!(
        (account.credits, account.credits_held),
        (GRANT as i64 - cost, 0)
    );
}
