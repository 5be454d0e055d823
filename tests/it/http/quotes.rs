//! What a job would cost, asked of the routes.

use axum::http::Method;
use filmlab::job::{Code, Credits, Failure, Fault, Kind};
use filmlab::worker::{ProviderQuote, Quote, QuoteError};
use serde_json::json;

use super::{App, upscale};

fn quote() -> Quote {
    Quote {
        kind: Kind::Upscale,
        model: "a/b".into(),
        source_seconds: 3.2,
        billed_seconds: 5.0,
        provider: ProviderQuote {
            price: 0.05,
            currency: "USD".into(),
            is_floor: false,
            list_price_usd: None,
        },
        credits: Credits(7),
        preview: None,
    }
}

#[tokio::test]
async fn a_quote_is_given_and_no_job_made() {
    let app = App::new();
    *app.worker.quote.lock().unwrap() = Some(Ok(quote()));
    let answer = app.post("/v1/quotes", upscale()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"kind": "upscale", "model": "a/b", "source_seconds": 3.2, "billed_seconds": 5.0,
            "provider": {"price": 0.05, "currency": "USD", "is_floor": false}, "credits": 7})
    );
    assert_eq!((app.ledger.count(), app.queue.take()), (0, Vec::new()));
    let asked = app.worker.quoted.lock().unwrap().remove(0);
    assert_eq!(
        (asked.owner.as_str(), asked.params.kind()),
        ("alice", Kind::Upscale)
    );
}

#[tokio::test]
async fn a_quote_refuses_what_a_creation_refuses() {
    let app = App::new();
    let body = json!({
        "kind": "extend",
        "colour": "red",
        "params": {"seconds": 0},
        "source": {"video": "http://169.254.169.254/token"},
        "output": {"profile": "huge"},
        "owner": "bob",
    });
    let quoted = app.post("/v1/quotes", body.clone()).await;
    let created = app.post("/v1/jobs", body).await;
    let quoted = quoted.problem(400, "invalid_request");
    assert_eq!(quoted["errors"].as_array().unwrap().len(), 6, "{quoted}");
    assert_eq!(
        quoted["errors"],
        created.problem(400, "invalid_request")["errors"]
    );
    assert!(app.worker.quoted.lock().unwrap().is_empty());
    let nobody = app
        .call("nobody", Method::POST, "/v1/quotes", Some(upscale()), &[])
        .await;
    nobody.problem(401, "unauthorized");
    app.get("/v1/quotes")
        .await
        .problem(405, "method_not_allowed");
}

#[tokio::test]
async fn what_the_source_shows_is_told_as_well() {
    let app = App::new();
    let faults = vec![
        Fault::new("source.video", "is too long"),
        Fault::new("params.target", "is not offered"),
    ];
    *app.worker.quote.lock().unwrap() = Some(Err(QuoteError::Faults(faults)));
    let problem = app.post("/v1/quotes", upscale()).await;
    let problem = problem.problem(400, "invalid_request");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);

    let failure = Failure::new(Code::SourceUnreachable, "it is gone");
    *app.worker.quote.lock().unwrap() = Some(Err(QuoteError::Failed(failure)));
    let problem = app.post("/v1/quotes", upscale()).await;
    assert_eq!(
        problem.problem(422, "source_unreachable")["detail"],
        "it is gone"
    );
}
