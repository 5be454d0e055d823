use axum::body::Body;
use axum::http::{Method, Request};
use filmlab::http::{CheckMarks, JobView};
use filmlab::job::{
    CancelAfterSubmit, Code, Credits, IntentState, JobError, Origin, Party, Provenance, Published,
    ResultOrigin, Stage, Status, Unsigned,
};
use filmlab::media::{Fonts, Placement, TextMark};
use filmlab::worker::{BrandMark, BrandWatermark};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{App, upscale};

#[tokio::test]
async fn a_job_is_created_recorded_and_woken() {
    let app = App::new();
    let mut body = upscale();
    body["deadline_s"] = json!(600);
    body["notify"] = json!({"webhook": "https://hooks.example.com/x"});
    body["output"] = json!({"profile": "archive", "watermark": {
        "anchor": "top-left", "scale": "15%", "opacity": 0.5, "image": "sources/alice/1/logo.png"}});
    let answer = app.post("/v1/jobs", body).await;
    assert_eq!(answer.status, 201);
    let view: JobView = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(
        answer.header("location"),
        Some(format!("/v1/jobs/{}", view.id).as_str())
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        (view.status, view.owner.as_str()),
        (Status::Queued, "alice")
    );
    assert_eq!(app.queue.take(), [format!("{}-1-wake", view.id)]);
    let job = app.ledger.job(&view.id);
    assert_eq!(job.deadline_at.duration_since(app.now()).as_secs(), 600);
    assert_eq!(
        job.notify.webhook.unwrap().as_str(),
        "https://hooks.example.com/x"
    );
    assert_eq!(job.output.watermark[0].opacity, Some(0.5));
    // What is read back is the same.
    let read = app.get(&format!("/v1/jobs/{}", view.id)).await;
    assert_eq!((read.status.as_u16(), read.json()), (200, answer.json()));
}

#[tokio::test]
async fn a_new_job_says_what_a_late_cancellation_costs() {
    for (costs, word) in [
        (CancelAfterSubmit::Capture, "capture"),
        (CancelAfterSubmit::Release, "release"),
    ] {
        let app = App::with(|settings| settings.cancel_after_submit = costs);
        let answer = app.post("/v1/jobs", upscale()).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["credits"]["cancel_after_submit"], word);
        let view: JobView = serde_json::from_value(answer.json()).unwrap();
        let recorded = app.ledger.job(&view.id).credits.cancel_after_submit;
        assert_eq!(recorded, Some(costs));
    }
}

#[tokio::test]
async fn a_job_stands_although_its_visit_could_not_be_planned() {
    let app = App::new();
    app.queue.down.store(true, Ordering::SeqCst);
    let id = app.create().await;
    assert!(app.ledger.job(&id).next_visit_at.is_some());
    let answer = app
        .post(&format!("/v1/jobs/{id}/cancel"), Value::Null)
        .await;
    assert_eq!(answer.status, 202);
}

fn fields(problem: &Value) -> Vec<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (text(fault, "field"), text(fault, "message")))
        .collect()
}

/// What preparing would find is found before anything is paid.
#[tokio::test]
async fn text_that_cannot_be_drawn_is_refused_at_the_creation() {
    let mut app = App::new();
    let fonts = Fonts::default();
    let mark = TextMark::new("the service");
    let drawn = fonts.draw(&mark).unwrap();
    let brand = BrandWatermark {
        mark: BrandMark::Text(Box::new((mark, drawn))),
        placement: Placement {
            from_ms: 2000,
            ..Placement::default()
        },
    };
    app.state.check_marks = CheckMarks::new(move |layers, words| {
        filmlab::worker::mark_faults(&fonts, Some(&brand), layers, words)
    });
    let layer = |layer: Value| json!({"output": {"watermark": layer}});
    for (change, field, message) in [
        (
            json!({"label": "W".repeat(40)}),
            "label",
            "too long for a label",
        ),
        (json!({"label": "日本"}), "label", "“日” (U+65E5)"),
        (
            layer(json!({"text": "a日"})),
            "output.watermark.text",
            "U+65E5",
        ),
        (
            layer(json!([{"text": "a"}, {"text": "a", "font": "Comic"}])),
            "output.watermark[1].font",
            "not there",
        ),
        // As the layer is with what it leaves out, which the service has.
        (
            layer(json!({"scale": "9%"})),
            "output.watermark.scale",
            "is for pictures",
        ),
        (
            layer(json!({"until_ms": 900})),
            "output.watermark.until_ms",
            "behind from_ms",
        ),
    ] {
        let mut body = upscale();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        for at in ["/v1/jobs", "/v1/quotes"] {
            let problem = app
                .post(at, body.clone())
                .await
                .problem(400, "invalid_request");
            let faults = fields(&problem);
            assert_eq!(faults.len(), 1, "{problem}");
            assert_eq!(faults[0].0, field, "{problem}");
            assert!(faults[0].1.contains(message), "{problem}");
        }
    }
    assert_eq!(app.ledger.count(), 0);
    assert!(app.worker.quoted.lock().unwrap().is_empty());
    let mut body = upscale();
    body["label"] = "Made with a model".into();
    body["output"] = json!({"watermark": {"text": "@alice"}});
    assert_eq!(app.post("/v1/jobs", body).await.status, 201);
}

#[tokio::test]
async fn a_watermark_is_one_layer_or_a_list_of_them() {
    let app = App::new();
    let mut body = upscale();
    body["output"] = json!({"watermark": [
        {"anchor": "top-left", "offset_x": "8px", "from_ms": 500, "until_ms": 900},
        {"image": "sources/alice/1/logo.png", "fade_out_ms": 100},
    ]});
    let answer = app.post("/v1/jobs", body.clone()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.json()["output"]["watermark"],
        body["output"]["watermark"]
    );
    let view: JobView = serde_json::from_value(answer.json()).unwrap();
    let layers = app.ledger.job(&view.id).output.watermark;
    assert_eq!(
        (layers[0].until_ms, layers[1].fade_out_ms),
        (Some(900), Some(100))
    );

    body["output"] = json!({"watermark": [
        {"opacity": "thick", "offset_y": 3},
        {"fade_in_ms": -1, "image": "sources/bob/1/logo.png", "width": "3%"},
        "logo.png",
    ]});
    let problem = app
        .post("/v1/jobs", body.clone())
        .await
        .problem(400, "invalid_request");
    let mut got: Vec<String> = fields(&problem)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    got.sort();
    let expected = [
        "output.watermark[0].offset_y",
        "output.watermark[0].opacity",
        "output.watermark[1].fade_in_ms",
        "output.watermark[1].image",
        "output.watermark[1].width",
        "output.watermark[2]",
    ];
    assert_eq!(got, expected);
    body["output"] = json!({"watermark": []});
    app.post("/v1/jobs", body)
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn a_field_that_is_given_twice_is_refused_by_name() {
    let app = App::new();
    let body = r#"{"kind": "extend", "kind": "upscale", "params": {"target": "720p", "target": "4k"},
        "source": {"video": "https://example.com/clip.mp4"}}"#;
    let request = Request::post("/v1/jobs")
        .header("authorization", "Bearer alice-token")
        .header("content-type", "application/json")
        .body(Body::from(body));
    let answer = app.send(request.unwrap()).await;
    let problem = answer.problem(400, "invalid_request");
    let told: Vec<_> = fields(&problem);
    let twice = "is given twice".to_owned();
    assert_eq!(
        told,
        [
            ("kind".to_owned(), twice.clone()),
            ("params.target".to_owned(), twice)
        ]
    );
    assert_eq!(app.ledger.count(), 0);
}

#[tokio::test]
async fn an_answer_lists_so_many_faults_and_says_that_there_are_more() {
    let app = App::new();
    let mut body = upscale();
    for number in 0..8_000 {
        body[format!("x{number}")] = json!(1);
    }
    let answer = app.post("/v1/jobs", body.clone()).await;
    let problem = answer.problem(400, "invalid_request");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 32);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the first 32 are listed"), "{detail}");
    assert!(answer.bytes.len() < 10_000, "{}", answer.bytes.len());
    // The list's own reader is held to the same.
    let many: Vec<_> = (0..100).map(|number| format!("x{number}=1")).collect();
    let problem = app
        .get(&format!("/v1/jobs?{}", many.join("&")))
        .await
        .problem(400, "invalid_request");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 32);
}

#[tokio::test]
async fn an_owner_with_all_that_is_allowed_is_told_so_and_when_to_come_back() {
    let app = App::new();
    app.ledger.limited.store(true, Ordering::SeqCst);
    let answer = app.post("/v1/jobs", upscale()).await;
    let problem = answer.problem(429, "owner_limit");
    assert_eq!(answer.header("retry-after"), Some("60"));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("7 jobs of yours"), "{detail}");
}

#[tokio::test]
async fn tags_are_shown_and_lists_go_by_them() {
    let app = App::new();
    let mut body = upscale();
    body["tags"] = json!(["blue", "team:1"]);
    let answer = app.post("/v1/jobs", body.clone()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["tags"], body["tags"]);
    app.create().await;
    for (tag, found) in [("blue", 1), ("team:1", 1), ("red", 0)] {
        let list = app.get(&format!("/v1/jobs?tag={tag}")).await.json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), found, "{tag}");
    }
    body["tags"] = json!(["a", "a", "-x", 7, "x".repeat(33)]);
    let problem = app.post("/v1/jobs", body.clone()).await;
    let faults = fields(&problem.problem(400, "invalid_request"));
    let names: Vec<_> = faults.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(names, ["tags[1]", "tags[2]", "tags[3]", "tags[4]"]);
    for tags in [json!("blue"), json!(vec!["a"; 11])] {
        body["tags"] = tags;
        let problem = app.post("/v1/jobs", body.clone()).await;
        let faults = fields(&problem.problem(400, "invalid_request"));
        assert_eq!(faults[0].0, "tags");
    }
    let problem = app.get("/v1/jobs?tag=a%20b").await;
    let faults = fields(&problem.problem(400, "invalid_request"));
    assert_eq!(faults[0].0, "tag");
}

#[tokio::test]
async fn a_full_backlog_says_so_and_when_to_come_back() {
    let app = App::new();
    app.ledger.full.store(true, Ordering::SeqCst);
    let answer = app.post("/v1/jobs", upscale()).await;
    let problem = answer.problem(503, "overloaded");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("7 jobs wait already"),
        "{problem}"
    );
    assert_eq!(answer.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn every_fault_is_told_at_once() {
    let app = App::new();
    let body = json!({
        "kind": "extend",
        "colour": "red",
        "params": {"seconds": 0, "zoom": 1},
        "source": {"video": "http://169.254.169.254/token", "image": "ftp://x/y", "sound": "z"},
        "output": {"profile": "huge", "size": 1, "watermark": {
            "anchor": "middle", "opacity": 7, "scale": 3, "image": "sources/bob/1/logo.png"}},
        "notify": {"webhook": "gopher://x", "mail": "a@b"},
        "deadline_s": -1,
        "owner": "bob",
    });
    let answer = app
        .call(
            "alice",
            Method::POST,
            "/v1/jobs",
            Some(body),
            &[("idempotency-key", &"k".repeat(256))],
        )
        .await;
    let problem = answer.problem(400, "invalid_request");
    let mut got: Vec<String> = fields(&problem)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    got.sort();
    let mut expected = [
        "Idempotency-Key",
        "colour",
        "deadline_s",
        "notify.mail",
        "notify.webhook",
        "output.profile",
        "output.size",
        "output.watermark.anchor",
        "output.watermark.image",
        "output.watermark.opacity",
        "output.watermark.scale",
        "owner",
        "params.prompt",
        "params.seconds",
        "params.zoom",
        "source.image",
        "source.image",
        "source.sound",
        "source.video",
    ];
    expected.sort_unstable();
    assert_eq!(got, expected);
    assert_eq!(app.ledger.count(), 0);
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one line a fault")]
async fn each_fault_names_its_field_and_reason() {
    let app = App::new();
    let with = |field: &str, value: Value| {
        let mut body = upscale();
        body[field] = value;
        body
    };
    let cases = [
        (json!([]), "body", "must be an object"),
        (
            json!({"source": {"video": "https://a.example/v"}}),
            "kind",
            "is required and must be one of",
        ),
        (
            with("kind", json!("shrink")),
            "kind",
            "must be one of character_replace, extend, upscale",
        ),
        (with("params", json!(3)), "params", "must be an object"),
        (with("source", Value::Null), "source", "is required"),
        (with("source", json!({})), "source.video", "is required"),
        (
            with("source", json!({"video": 3})),
            "source.video",
            "must be text",
        ),
        (
            with("source", json!({"video": "clip.mp4"})),
            "source.video",
            "an input is",
        ),
        (
            with("source", json!({"video": "http://a.example/v"})),
            "source.video",
            "only https addresses are called",
        ),
        (
            with("source", json!({"video": "https://localhost/v"})),
            "source.video",
            "the address does not lead to the public internet",
        ),
        (
            with("source", json!({"video": "sources/bob/1/v.mp4"})),
            "source.video",
            "must be an upload of yours, under sources/alice/",
        ),
        (
            with("source", json!({"video": "sources/alice/../bob/v.mp4"})),
            "source.video",
            "an object name must not",
        ),
        (
            with("kind", json!("character_replace")),
            "source.image",
            "is required",
        ),
        (
            with(
                "source",
                json!({"video": "https://a.example/v", "image": "https://a.example/i"}),
            ),
            "source.image",
            "is not used by upscale",
        ),
        (
            with(
                "source",
                json!({"video": "https://a.example/v", "audio_track": "0"}),
            ),
            "source.audio_track",
            "must be the number of a track of sound",
        ),
        (
            with(
                "source",
                json!({"video": "https://a.example/v", "audio_track": 2}),
            ),
            "source.audio_track",
            "must be text",
        ),
        (
            with("output", json!({"profile": "x"})),
            "output.profile",
            "must be one of web, archive",
        ),
        (with("notify", json!("x")), "notify", "must be an object"),
        (
            with("deadline_s", json!(5)),
            "deadline_s",
            "must be a whole number from 10 to 86400",
        ),
        (with("owner", json!("a/b")), "owner", "an owner must be"),
    ];
    for (body, field, message) in cases {
        let mut body = body;
        if body["kind"] == "character_replace" {
            body["params"] = json!({});
        }
        let text = body.to_string();
        let problem = app
            .post("/v1/jobs", body)
            .await
            .problem(400, "invalid_request");
        let faults = fields(&problem);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        assert_eq!(faults[0].0, field, "{text}");
        assert!(faults[0].1.starts_with(message), "{text}: {faults:?}");
    }
}

#[tokio::test]
async fn a_picture_is_taken_where_it_is_needed() {
    let app = App::new();
    let body = json!({
        "kind": "character_replace",
        "source": {"video": "sources/alice/1/v.mp4", "image": "https://a.example/i.png"},
    });
    assert_eq!(app.post("/v1/jobs", body).await.status, 201);
}

#[tokio::test]
async fn the_same_key_is_the_same_job() {
    let app = App::new();
    let create = async |who: &str, key: &str, body: Value| {
        app.call(
            who,
            Method::POST,
            "/v1/jobs",
            Some(body),
            &[("idempotency-key", key)],
        )
        .await
    };
    let first = create("alice", "k1", upscale()).await;
    assert_eq!(first.status, 201);
    let again = create("alice", "k1", upscale()).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.header("location"), None);
    assert_eq!(app.ledger.count(), 1);

    let mut other = upscale();
    other["params"]["target"] = json!("4k");
    create("alice", "k1", other.clone())
        .await
        .problem(422, "idempotency_conflict");
    // Another owner's key is another key.
    assert_eq!(create("bob", "k1", other.clone()).await.status, 201);
    assert_eq!(create("alice", "k2", other).await.status, 201);
    assert_eq!(app.ledger.count(), 3);
}

#[tokio::test]
async fn tokens_decide_whose_jobs_one_sees() {
    let app = App::new();
    let id = app.create().await;
    let path = format!("/v1/jobs/{id}");
    let as_bob = app.call("bob", Method::GET, &path, None, &[]).await;
    as_bob.problem(404, "not_found");
    let cancel = format!("{path}/cancel");
    let as_bob = app.call("bob", Method::POST, &cancel, None, &[]).await;
    as_bob.problem(404, "not_found");
    assert!(!app.ledger.job(&id).cancel_requested);
    let as_operator = app.call("operator", Method::GET, &path, None, &[]).await;
    assert_eq!(as_operator.status, 200);
    for who in ["wrong", "", "alice-token "] {
        let answer = app.call(who, Method::GET, &path, None, &[]).await;
        answer.problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").is_some());
    }
    for unknown in ["nothing", "a%2Fb", &"x".repeat(200)] {
        let answer = app.get(&format!("/v1/jobs/{unknown}")).await;
        answer.problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_operator_creates_for_whom_it_names() {
    let app = App::new();
    for (owner, expected) in [(json!("carol"), "carol"), (Value::Null, "local")] {
        let mut body = upscale();
        body["owner"] = owner;
        let answer = app
            .call("operator", Method::POST, "/v1/jobs", Some(body), &[])
            .await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["owner"], expected);
    }
}

#[tokio::test]
async fn without_tokens_the_api_is_open_to_this_machine_alone() {
    let app = App::with(|settings| settings.api_tokens.clear());
    let host = |host| [("host", host)];
    let create = async |headers: &[(&str, &str)]| {
        app.call("no", Method::POST, "/v1/jobs", Some(upscale()), headers)
            .await
    };
    let answer = create(&host("127.0.0.1:8080")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["owner"], "local");
    create(&host("rebound.example:8080"))
        .await
        .problem(401, "unauthorized");
    create(&[
        ("host", "localhost:8080"),
        ("origin", "https://evil.example"),
    ])
    .await
    .problem(401, "unauthorized");

    let closed = App::with(|settings| {
        settings.api_tokens.clear();
        settings.api_open_on_loopback = false;
    });
    let answer = closed
        .call("no", Method::GET, "/v1/jobs", None, &host("127.0.0.1"))
        .await;
    answer.problem(401, "unauthorized");

    let off = App::with(|settings| settings.jobs_api = false);
    off.get("/v1/jobs").await.problem(404, "not_found");
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    let app = App::new();
    let mut ids = Vec::new();
    for n in 0..5 {
        // Two share a creation time: the id decides between them.
        if n != 2 {
            app.clock.advance(Duration::from_secs(1));
        }
        ids.push(app.create().await);
    }
    let bobs = app
        .call("bob", Method::POST, "/v1/jobs", Some(upscale()), &[])
        .await;
    assert_eq!(bobs.status, 201);
    let mut seen = Vec::new();
    let mut path = "/v1/jobs?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = app.get(&path).await.json();
        pages += 1;
        for job in page["jobs"].as_array().unwrap() {
            seen.push(job["id"].as_str().unwrap().parse().unwrap());
        }
        match page["next_page_token"].as_str() {
            Some(token) => path = format!("/v1/jobs?limit=2&page_token={token}"),
            None => break,
        }
    }
    let mut expected = ids.clone();
    expected.sort_by_key(|id| {
        let job = app.ledger.job(id);
        std::cmp::Reverse((job.created_at, job.id))
    });
    assert_eq!((pages, seen), (3, expected));

    app.change(&ids[1], |job| job.status = Status::Failed);
    let page = app.get("/v1/jobs?status=failed&kind=upscale").await.json();
    assert_eq!(page["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(page["jobs"][0]["id"], ids[1].as_str());
    let page = app.get("/v1/jobs?kind=extend").await.json();
    assert_eq!(page["jobs"], json!([]));

    let problem = app
        .get("/v1/jobs?status=done&kind=x&limit=101&page_token=%21&sort=up")
        .await
        .problem(400, "invalid_request");
    let names: Vec<String> = fields(&problem)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(names, ["status", "kind", "limit", "page_token", "sort"]);
}

/// What is said twice has two meanings, and readers differ in which of them counts.
#[tokio::test]
async fn a_parameter_that_is_given_twice_is_refused() {
    let app = App::new();
    for (path, field) in [
        ("/v1/jobs?status=failed&status=queued", "status"),
        ("/v1/jobs?limit=2&limit=2", "limit"),
    ] {
        let problem = app.get(path).await.problem(400, "invalid_request");
        let told = vec![(field.to_owned(), "is given twice".to_owned())];
        assert_eq!(fields(&problem), told, "{path}");
    }
    let twice = "/v1/sources?name=a.mp4&name=b.mp4&nme=c.mp4";
    let answer = app.call("alice", Method::POST, twice, None, &[]).await;
    let problem = answer.problem(400, "invalid_request");
    let told = [
        ("name", "is given twice"),
        ("nme", "is not a parameter of an upload"),
    ];
    let told = told.map(|(field, message)| (field.to_owned(), message.to_owned()));
    assert_eq!(fields(&problem), told);
}

#[tokio::test]
async fn cancelling_is_noted_once_and_refused_after_the_end() {
    let app = App::new();
    let id = app.create().await;
    app.queue.take();
    let path = format!("/v1/jobs/{id}/cancel");
    for _ in 0..2 {
        let answer = app.call("alice", Method::POST, &path, None, &[]).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json()["cancel_requested"], true);
        assert_eq!(app.queue.take(), [format!("{id}-1-cancel")]);
    }
    app.change(&id, |job| job.status = Status::Cancelled);
    let answer = app.call("alice", Method::POST, &path, None, &[]).await;
    assert_eq!(answer.status, 202);
    assert!(app.queue.take().is_empty());
    for ended in [Status::Completed, Status::Failed] {
        app.change(&id, |job| job.status = ended);
        let answer = app.call("alice", Method::POST, &path, None, &[]).await;
        answer.problem(409, "conflict");
    }
}

#[tokio::test]
async fn the_view_shows_results_and_hides_the_works() {
    let app = App::new();
    let id = app.create().await;
    let secrets = |job: &mut filmlab::job::Job| {
        job.provider.prediction_id = Some("secret-prediction".into());
        job.provider.model = Some("made/by".into());
        job.lease.holder = Some("secret-holder".into());
        job.intents.push(filmlab::job::Intent {
            id: "1-1".into(),
            model: "made/by".into(),
            at: job.created_at,
            state: IntentState::Accepted,
            prediction_id: Some("secret-prediction".into()),
            unknown_until: None,
            terms: None,
            counted: None,
        });
        job.extra.insert("billing".into(), json!("secret-note"));
        job.generated = Some(filmlab::job::Generated {
            object: "work/secret-object".into(),
            bytes: 1,
        });
        job.result = Some(Published {
            video: "results/j/1-1/video.mp4".into(),
            poster: "results/j/1-1/poster.jpg".into(),
            metadata: "results/j/1-1/metadata.json".into(),
            storyboard: None,
            storyboard_vtt: None,
            bytes: 1234,
            duration_ms: 5280,
            width: 1920,
            height: 1080,
            provenance: Some(Box::new(ResultOrigin {
                id: Some("urn:uuid:1".into()),
                said: Origin {
                    source_type: Some("algorithmicallyEnhanced".into()),
                    ..Origin::default()
                },
                signed: false,
                unsigned: Some(Unsigned::NoKey),
                inputs: Vec::new(),
            })),
        });
        job.credits.cost = Some(Credits(12));
        job.timings.stages_ms.insert("generate".into(), 900);
    };
    app.change(&id, secrets);
    app.change(&id, |job| {
        job.status = Status::Processing;
        job.stage = Some(Stage::Settle);
    });
    let path = format!("/v1/jobs/{id}");
    let view = app.get(&path).await.json();
    assert!(view.get("result").is_none(), "not published yet: {view}");

    app.change(&id, |job| job.status = Status::Completed);
    let answer = app.get(&path).await;
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let view = answer.json();
    assert_eq!(view["credits"]["cost"], 12);
    assert_eq!(view["timings"]["stages_ms"]["generate"], 900);
    assert_eq!(view["model"], "made/by");
    let result = &view["result"];
    assert_eq!(
        (&result["width"], &result["bytes"]),
        (&json!(1920), &json!(1234))
    );
    let said = json!({"id": "urn:uuid:1", "source_type": "algorithmicallyEnhanced",
        "signed": false, "unsigned": "no_key"});
    assert_eq!(result["provenance"], said);
    let expires: filmlab::clock::Timestamp =
        serde_json::from_value(result["expires_at"].clone()).unwrap();
    assert_eq!(expires.duration_since(app.now()).as_secs(), 3600);
    for (field, ending) in [("video", "mp4"), ("poster", "jpg"), ("metadata", "json")] {
        let link = result[field].as_str().unwrap();
        assert!(link.contains(&format!("name={id}.{ending}")), "{link}");
    }
    // The client reads the same form.
    let typed: JobView = serde_json::from_value(view.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), view);
    // Lists sign nothing.
    let page = app.get("/v1/jobs").await.json();
    assert_eq!(page["jobs"][0]["result"]["bytes"], 1234);
    assert!(page["jobs"][0]["result"].get("video").is_none());
    assert!(page["jobs"][0]["result"].get("provenance").is_none());

    app.change(&id, |job| {
        job.status = Status::Failed;
        job.error = Some(JobError {
            code: Code::ContentRefused,
            message: "no".into(),
            party: Party::Caller,
            stage: Some(Stage::Generate),
            attempt: 1,
            at: job.created_at,
        });
    });
    let view = app.get(&path).await.json();
    let error =
        json!({"code": "content_refused", "message": "no", "party": "caller", "stage": "generate"});
    assert_eq!(view["error"], error);
    assert!(view.get("result").is_none());
}

#[tokio::test]
async fn a_silent_ledger_is_our_fault_and_says_nothing_of_the_inside() {
    let app = App::new();
    app.ledger.down.store(true, Ordering::SeqCst);
    for answer in [
        app.post("/v1/jobs", upscale()).await,
        app.get("/v1/jobs").await,
        app.get("/v1/jobs/j1").await,
    ] {
        let problem = answer.problem(503, "ledger_unavailable");
        assert!(!problem.to_string().contains("db-7"), "{problem}");
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_owner_and_time() {
    let app = App::new();
    let mut made = Vec::new();
    for who in ["alice", "bob", "alice"] {
        let answer = app
            .call(who, Method::POST, "/v1/jobs", Some(upscale()), &[])
            .await;
        made.push((answer.json()["id"].clone(), app.now()));
        app.clock.advance(Duration::from_secs(60));
    }
    let list = async |who: &str, query: &str| {
        let path = format!("/v1/jobs?{query}");
        let answer = app.call(who, Method::GET, &path, None, &[]).await;
        assert_eq!(answer.status, 200, "{query}: {:?}", answer.bytes);
        let page = answer.json();
        let jobs = page["jobs"].as_array().unwrap().clone();
        let ids = jobs.iter().map(|job| job["id"].clone());
        ids.collect::<Vec<_>>()
    };
    let [(one, first), (two, second), (three, third)] = made.try_into().unwrap();
    assert_eq!(list("operator", "").await.len(), 3);
    assert_eq!(list("operator", "owner=bob").await, vec![two.clone()]);
    assert_eq!(
        list("alice", "owner=alice").await,
        [three.clone(), one.clone()]
    );
    let span = format!("created_after={second}&created_before={third}");
    assert_eq!(list("operator", &span).await, vec![two.clone()]);
    assert_eq!(list("alice", &span).await, Vec::<Value>::new());
    let from = format!("created_after={second}&kind=upscale&status=queued");
    assert_eq!(list("operator", &from).await, [three, two]);
    assert_eq!(
        list("alice", &format!("created_before={second}")).await,
        [one]
    );

    for query in [
        "owner=bob".to_owned(),
        "owner=a/b".to_owned(),
        "created_after=yesterday".to_owned(),
        "created_before=2026-01-31".to_owned(),
        format!("created_after={third}&created_before={first}"),
    ] {
        let answer = app.get(&format!("/v1/jobs?{query}")).await;
        answer.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_new_job_keeps_what_its_result_is_to_say() {
    let said = Provenance {
        provider: Some("a provider".into()),
        ..Provenance::default()
    };
    let app = App::with(|settings| settings.provenance = said.clone());
    let answer = app.post("/v1/jobs", upscale()).await;
    assert_eq!(answer.status, 201);
    let view: JobView = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(app.ledger.job(&view.id).provenance, Some(said));
}
