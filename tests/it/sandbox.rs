//! The sandbox, spoken to without our client, so that one misreading of the API cannot hide
//! another.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use filmlab::job::Kind;
use filmlab::sandbox::{CopyMaker, Fault, FaultRule, Maker, Sandbox, SandboxConfig, SandboxHandle};
use http::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::Url;

/// A sandbox that runs as long as the test and gives sources back as they came.
pub(crate) async fn start(config: SandboxConfig) -> SandboxHandle {
    start_with(config, Arc::new(CopyMaker)).await
}

/// A sandbox that runs as long as the test.
pub(crate) async fn start_with(config: SandboxConfig, maker: Arc<dyn Maker>) -> SandboxHandle {
    let bound = Sandbox::bind_with(config, maker).await.expect("a port");
    let handle = bound.handle();
    tokio::spawn(bound.run(std::future::pending()));
    handle
}

pub(crate) type Call = (String, HeaderMap, Bytes);

/// A place to call back at, and what came in there.
pub(crate) async fn receiver() -> (Url, mpsc::UnboundedReceiver<Call>) {
    let (sender, received) = mpsc::unbounded_channel();
    let app = axum::Router::new().fallback(
        async move |uri: http::Uri, headers: HeaderMap, body: Bytes| {
            let _ = sender.send((uri.path().to_owned(), headers, body));
        },
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(axum::serve(listener, app).into_future());
    (
        format!("http://{address}").parse().expect("address"),
        received,
    )
}

struct Caller {
    http: Client,
    sandbox: SandboxHandle,
}

impl Caller {
    async fn new(config: SandboxConfig) -> Self {
        Self {
            http: Client::new(),
            sandbox: start(config).await,
        }
    }

    fn url(&self, path: &str) -> String {
        self.sandbox.base_url().join(path).expect("path").into()
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path)).bearer_auth("sandbox")
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http
            .post(self.url(path))
            .bearer_auth("sandbox")
            .json(body)
    }

    async fn answer(request: RequestBuilder) -> (u16, Value) {
        let response = request.send().await.expect("an answer");
        (
            response.status().as_u16(),
            response.json().await.unwrap_or(Value::Null),
        )
    }

    /// Puts text here as if it were a video; with the copying maker any bytes will do.
    async fn input(&self, text: &str) -> String {
        let form = reqwest::multipart::Form::new().part(
            "file",
            reqwest::multipart::Part::text(text.to_owned()).file_name("v.mp4"),
        );
        let request = self
            .http
            .post(self.url("/api/v3/media/upload/binary"))
            .bearer_auth("sandbox")
            .multipart(form);
        let (status, answer) = Self::answer(request).await;
        assert_eq!(status, 200, "{answer}");
        answer["data"]["download_url"]
            .as_str()
            .expect("address")
            .to_owned()
    }

    async fn submit(&self, text: &str) -> String {
        let video = self.input(text).await;
        let request = self.post(
            "/api/v3/wavespeed-ai/video-upscaler",
            &json!({"video": video, "target_resolution": "720p"}),
        );
        let (status, answer) = Self::answer(request).await;
        assert_eq!(status, 200, "{answer}");
        answer["data"]["id"].as_str().expect("id").to_owned()
    }

    async fn look(&self, id: &str) -> Value {
        let request = self.get(&format!("/api/v3/predictions/{id}/result"));
        Self::answer(request).await.1["data"].clone()
    }

    async fn completed(&self, id: &str) -> Value {
        for _ in 0..500 {
            let data = self.look(id).await;
            if !matches!(data["status"].as_str(), Some("created" | "processing")) {
                return data;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{id} does not end");
    }
}

#[tokio::test]
async fn answers_have_the_documented_shape() {
    let caller = Caller::new(SandboxConfig::default()).await;
    let video = caller.input("abc").await;
    let request = caller.post(
        "/api/v3/wavespeed-ai/video-upscaler",
        &json!({"video": video}),
    );
    let (status, answer) = Caller::answer(request).await;
    assert_eq!(
        (status, &answer["code"], &answer["message"]),
        (200, &json!(200), &json!("success"))
    );
    let data = &answer["data"];
    let id = data["id"].as_str().expect("id");
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(data["status"], "created");
    assert_eq!(data["outputs"], json!([]));
    assert_eq!(data["error"], "");
    assert_eq!(data["model"], "wavespeed-ai/video-upscaler");
    assert_eq!(
        data["urls"]["get"],
        caller.url(&format!("/api/v3/predictions/{id}/result"))
    );
    let done = caller.completed(id).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(done["has_nsfw_contents"], json!([false]));
    assert!(done["executionTime"].is_u64() && done["timings"]["inference"].is_u64());
    let output = done["outputs"][0].as_str().expect("address");
    assert_eq!(
        reqwest::get(output)
            .await
            .expect("sent")
            .text()
            .await
            .expect("text"),
        "abc"
    );
}

#[tokio::test]
async fn wrong_keys_parameters_and_models_are_refused() {
    let caller = Caller::new(SandboxConfig::default()).await;
    let model = "/api/v3/wavespeed-ai/video-upscaler";
    let unauthorized = caller
        .http
        .post(caller.url(model))
        .bearer_auth("wrong")
        .json(&json!({}));
    assert_eq!(Caller::answer(unauthorized).await.0, 401);
    let table = [
        (model, json!({}), 400, "1400"),
        (model, json!({"video": "x"}), 400, "1401"),
        (
            model,
            json!({"video": "https://a.example/v", "target_resolution": "8k"}),
            400,
            "1401",
        ),
        ("/api/v3/nobody/nothing", json!({}), 404, ""),
    ];
    for (path, body, status, code) in table {
        let (got, answer) = Caller::answer(caller.post(path, &body)).await;
        assert_eq!(got, status, "{body}");
        assert_eq!(answer["code"], status);
        assert_eq!(
            answer["error_code"].as_str().unwrap_or_default(),
            code,
            "{answer}"
        );
    }
    assert_eq!(caller.sandbox.submissions(), []);
}

#[tokio::test]
async fn a_prediction_is_done_after_as_many_looks_as_set() {
    let caller = Caller::new(SandboxConfig {
        polls_until_done: 2,
        ..SandboxConfig::default()
    })
    .await;
    let id = caller.submit("abc").await;
    while !caller.sandbox.is_made(&id) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(caller.look(&id).await["status"], "processing");
    assert_eq!(caller.look(&id).await["status"], "processing");
    assert_eq!(caller.look(&id).await["status"], "completed");
    assert_eq!(caller.look(&id).await["status"], "completed");
}

#[tokio::test]
async fn a_held_prediction_waits() {
    let caller = Caller::new(SandboxConfig::default()).await;
    caller.sandbox.hold(true);
    let id = caller.submit("abc").await;
    while !caller.sandbox.is_made(&id) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(caller.look(&id).await["status"], "processing");
    caller.sandbox.hold(false);
    assert_eq!(caller.look(&id).await["status"], "completed");
}

#[tokio::test]
async fn too_many_at_once_are_refused() {
    let caller = Caller::new(SandboxConfig {
        max_running: 2,
        ..SandboxConfig::default()
    })
    .await;
    caller.sandbox.hold(true);
    caller.submit("a").await;
    caller.submit("b").await;
    let request = caller.post(
        "/api/v3/wavespeed-ai/video-upscaler",
        &json!({"video": "https://a.example/v"}),
    );
    let (status, answer) = Caller::answer(request).await;
    assert_eq!(status, 429);
    assert_eq!(answer["message"], "You have reached your concurrency limit");
    assert_eq!(caller.sandbox.submissions().len(), 2);
}

#[tokio::test]
async fn an_upload_takes_what_its_address_was_signed_for() {
    let caller = Caller::new(SandboxConfig::default()).await;
    let ask = caller.post(
        "/api/v3/media/uploads",
        &json!({"filename": "a b.mp4", "size": 3, "content_type": "video/mp4"}),
    );
    let (_, answer) = Caller::answer(ask).await;
    let upload = &answer["data"]["upload"];
    assert_eq!(upload["method"], "PUT");
    let put = |content_type: &str, condition: bool, body: &'static str| {
        let mut request = caller
            .http
            .put(upload["url"].as_str().expect("address"))
            .header("content-type", content_type)
            .body(body);
        if condition {
            request = request.header("if-none-match", "*");
        }
        async { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!(put("video/webm", true, "abc").await, 403);
    assert_eq!(put("video/mp4", false, "abc").await, 403);
    assert_eq!(put("video/mp4", true, "ab").await, 400);
    assert_eq!(put("video/mp4", true, "abcd").await, 400);
    assert_eq!(put("video/mp4", true, "abc").await, 200);
    assert_eq!(put("video/mp4", true, "abc").await, 412, "once only");
    let url = answer["data"]["download_url"].as_str().expect("address");
    assert!(url.ends_with("/ab.mp4"), "{url}");
    assert_eq!(
        reqwest::get(url)
            .await
            .expect("sent")
            .text()
            .await
            .expect("text"),
        "abc"
    );
}

#[tokio::test]
async fn outputs_are_served_by_range() {
    let caller = Caller::new(SandboxConfig::default()).await;
    let id = caller.submit("0123456789").await;
    let done = caller.completed(&id).await;
    let output = done["outputs"][0].as_str().expect("address");
    let response = caller
        .http
        .get(output)
        .header("range", "bytes=2-4")
        .send()
        .await
        .expect("sent");
    assert_eq!(response.status(), 206);
    assert_eq!(response.headers()["content-range"], "bytes 2-4/10");
    assert_eq!(response.content_length(), Some(3));
    assert_eq!(response.text().await.expect("text"), "234");
    let response = caller
        .http
        .get(output)
        .header("range", "bytes=10-")
        .send()
        .await
        .expect("sent");
    assert_eq!(response.status(), 416);
}

#[tokio::test]
async fn an_answer_is_lost_without_a_byte() {
    let caller = Caller::new(SandboxConfig::default()).await;
    caller.sandbox.add_fault(FaultRule::once(Fault::AnswerLost));
    let video = caller.input("abc").await;
    let request = caller.post(
        "/api/v3/wavespeed-ai/video-upscaler",
        &json!({"video": video}),
    );
    let error = request.send().await.expect_err("no answer");
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    let submissions = caller.sandbox.submissions();
    assert_eq!(submissions.len(), 1);
    let done = caller.completed(&submissions[0].prediction_id).await;
    assert_eq!(done["status"], "completed");
}

#[tokio::test]
async fn faults_are_set_over_http() {
    let caller = Caller::new(SandboxConfig::default()).await;
    let one = json!({"fault": "no_funds", "kind": "upscale", "times": 1});
    let many = json!([{"fault": "too_many_requests", "retry_after": 7, "kind": "extend"}]);
    assert_eq!(
        Caller::answer(caller.post("/sandbox/faults", &one)).await.0,
        200
    );
    let (_, rules) = Caller::answer(caller.post("/sandbox/faults", &many)).await;
    assert_eq!(rules.as_array().map(Vec::len), Some(2));
    let bad = json!({"fault": "gremlin"});
    assert_eq!(
        Caller::answer(caller.post("/sandbox/faults", &bad)).await.0,
        400
    );

    let body = json!({"video": "https://a.example/v", "prompt": "on"});
    let upscale = || caller.post("/api/v3/wavespeed-ai/video-upscaler", &body);
    let extend = || caller.post("/api/v3/wavespeed-ai/minimax-h3/video-extend", &body);
    assert_eq!(Caller::answer(upscale()).await.0, 402);
    let response = extend().send().await.expect("an answer");
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "7");
    let gone = caller.http.delete(caller.url("/sandbox/faults"));
    assert_eq!(Caller::answer(gone).await.0, 204);
    assert_eq!(Caller::answer(extend()).await.0, 200);

    let twice = json!({"fault": "poll_errors", "polls": 1, "times": 2});
    let (_, rules) = Caller::answer(caller.post("/sandbox/faults", &twice)).await;
    assert_eq!(rules[0]["times"], 2, "{rules}");
    assert_eq!(Caller::answer(extend()).await.0, 200);
    let told = caller.http.get(caller.url("/sandbox/submissions"));
    let (_, told) = Caller::answer(told).await;
    let known = caller.sandbox.submissions();
    assert_eq!(told, serde_json::to_value(&known).unwrap());
    let fault = json!([{"fault": "poll_errors", "polls": 1, "status": 502, "retry_after": null}]);
    assert_eq!(told[1]["faults"], fault, "{told}");
}

#[tokio::test]
async fn chances_and_ids_repeat_with_a_seed() {
    let run = async || {
        let caller = Caller::new(SandboxConfig {
            seed: Some(7),
            ..SandboxConfig::default()
        })
        .await;
        caller.sandbox.add_fault(FaultRule {
            probability: Some(0.5),
            ..FaultRule::always(Fault::NoFunds).of(Kind::Upscale)
        });
        let mut statuses = Vec::new();
        for _ in 0..12 {
            let request = caller.post(
                "/api/v3/wavespeed-ai/video-upscaler",
                &json!({"video": "http://127.0.0.1:9/v"}),
            );
            statuses.push(Caller::answer(request).await.0);
        }
        let ids: Vec<_> = caller
            .sandbox
            .submissions()
            .into_iter()
            .map(|submission| submission.prediction_id)
            .collect();
        (statuses, ids)
    };
    let first = run().await;
    assert_eq!(first, run().await);
    assert!(
        first.0.contains(&402) && first.0.contains(&200),
        "{first:?}"
    );
}

#[tokio::test]
async fn webhooks_are_tried_three_times_and_doubled_on_demand() {
    let caller = Caller::new(SandboxConfig {
        webhook_backoff: Duration::from_millis(1),
        ..SandboxConfig::default()
    })
    .await;
    let (address, mut received) = receiver().await;
    let submit = async |webhook: &str| {
        let video = caller.input("abc").await;
        let mut url: Url = caller
            .url("/api/v3/wavespeed-ai/video-upscaler")
            .parse()
            .expect("address");
        url.query_pairs_mut().append_pair("webhook", webhook);
        let request = caller
            .http
            .post(url)
            .bearer_auth("sandbox")
            .json(&json!({"video": video}));
        assert_eq!(Caller::answer(request).await.0, 200);
    };
    submit(&format!("{address}hook?t=1")).await;
    let (path, headers, body) = received.recv().await.expect("called");
    assert_eq!(path, "/hook");
    assert!(
        headers["webhook-signature"]
            .to_str()
            .expect("text")
            .starts_with("v3,")
    );
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["status"], "completed");
    assert!(
        body["input"]["video"].is_string() && body["code"].is_null(),
        "{body}"
    );

    caller
        .sandbox
        .add_fault(FaultRule::once(Fault::WebhookDuplicate));
    submit(address.as_str()).await;
    let first = received.recv().await.expect("called");
    let second = received.recv().await.expect("called again");
    assert_eq!(first.2, second.2);

    submit("http://127.0.0.1:9/nobody").await;
    let failed = |handle: &SandboxHandle| {
        let tries = handle.deliveries();
        tries
            .iter()
            .filter(|delivery| delivery.status.is_none())
            .count()
    };
    while failed(&caller.sandbox) < 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(failed(&caller.sandbox), 3);
}

#[tokio::test]
async fn history_models_balance_and_deletion() {
    let caller = Caller::new(SandboxConfig::default()).await;
    let id = caller.submit("abc").await;
    caller.completed(&id).await;
    let page = |body: Value| Caller::answer(caller.post("/api/v3/predictions", &body));
    assert_eq!(page(json!({"page": 1})).await.0, 400);
    let (_, found) = page(json!({"page": 1, "page_size": 10, "status": "completed"})).await;
    assert_eq!(found["data"]["items"][0]["id"], id.as_str());
    let (_, models) = Caller::answer(caller.get("/api/v3/models")).await;
    assert!(
        models["data"]
            .as_array()
            .is_some_and(|models| models.len() >= 3)
    );
    let (_, balance) = Caller::answer(caller.get("/api/v3/balance")).await;
    assert!(balance["data"]["balance"].is_number());
    let delete = caller.post("/api/v3/predictions/delete", &json!({"ids": [id, "none"]}));
    let (_, deleted) = Caller::answer(delete).await;
    assert_eq!(deleted["data"]["deleted_count"], 1);
    let gone = caller.get(&format!("/api/v3/predictions/{id}"));
    assert_eq!(Caller::answer(gone).await.0, 404);
}

#[tokio::test]
async fn it_ends_when_told_and_leaves_no_file() {
    let bound = Sandbox::bind(SandboxConfig::default())
        .await
        .expect("a port");
    let handle = bound.handle();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(bound.run(async {
        let _ = stopped.await;
    }));
    let caller = Caller {
        http: Client::new(),
        sandbox: handle,
    };
    caller.sandbox.hold(true);
    caller.submit("abc").await;
    stop.send(()).expect("running");
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await;
    ended
        .expect("in time")
        .expect("no panic")
        .expect("no error");
    assert!(caller.get("/api/v3/balance").send().await.is_err());
}
