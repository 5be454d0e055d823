//! The console's pages through the real router: who may, what they show, and that no form but
//! its own changes anything.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{Method, Request};
use filmlab::http::{ApiToken, Role};
use filmlab::job::{
    Code, CreditState, Credits, DurationMeaning, Intent, IntentState, JobError, JobId, Kind,
    NewJob, Notify, Output, Params, Party, Published, Source, Stage, Status, Terms, TimelineEntry,
    WaitsFor,
};
use filmlab::media::Rectangle;
use filmlab::worker::{
    LabelPreview, MarkPreview, Preview, ProviderLimits, ProviderQuote, ProviderUse, Quote,
};
use serde_json::json;
use tower::ServiceExt as _;

use super::{Answer, App, upscale};
use crate::telemetry::Lines;

const HOST: &str = "127.0.0.1:8080";

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// The address it leads to.
    fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text());
        self.header("location").unwrap()
    }
}

/// A browser with a session.
pub(super) struct Browser {
    router: Router,
    cookie: String,
}

impl Browser {
    pub(super) async fn signed_in(app: &App, token: &str) -> Self {
        let answer = sign_in(app, token, "").await;
        assert_eq!(answer.leads_to(), "/console");
        let set = answer.header("set-cookie").unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Self::with(app, &cookie)
    }

    fn with(app: &App, cookie: &str) -> Self {
        Self {
            router: app.router(),
            cookie: cookie.to_owned(),
        }
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: to_bytes(body, 1 << 20).await.unwrap(),
        }
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let request = Request::builder().method(method).uri(path);
        request.header("host", HOST).header("cookie", &self.cookie)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).body(Body::empty());
        self.ask(request.unwrap()).await
    }

    /// A page that is there.
    pub(super) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text().to_owned()
    }

    async fn form_token(&self) -> String {
        let page = self.page("/console").await;
        let after = page.split("name=\"form_token\" value=\"").nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    }

    async fn send(&self, path: &str, form: &str) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Body::from(form.to_owned()));
        self.ask(request.unwrap()).await
    }

    /// As a form of the page would.
    pub(super) async fn submit(&self, path: &str, fields: &str) -> Answer {
        let token = self.form_token().await;
        self.send(path, &format!("form_token={token}&{fields}"))
            .await
    }
}

async fn sign_in(app: &App, token: &str, next: &str) -> Answer {
    let form = format!("token={token}&next={next}");
    let request = Request::post("/console/sign-in")
        .header("host", HOST)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form));
    app.send(request.unwrap()).await
}

fn failed(app: &App, id: &JobId, message: &str) {
    let at = app.now();
    app.change(id, |job| {
        job.status = Status::Failed;
        job.error = Some(JobError {
            code: Code::ProviderFailed,
            message: message.into(),
            party: Party::Provider,
            stage: None,
            attempt: 3,
            at,
        });
    });
}

fn completed(app: &App, id: &JobId) {
    let folder = format!("results/{id}/1-1");
    app.change(id, |job| {
        job.status = Status::Completed;
        job.result = Some(Published {
            video: format!("{folder}/video.mp4"),
            poster: format!("{folder}/poster.jpg"),
            metadata: format!("{folder}/metadata.json"),
            storyboard: None,
            storyboard_vtt: None,
            bytes: 1,
            duration_ms: 1,
            width: 1,
            height: 1,
            provenance: None,
        });
    });
}

#[tokio::test]
async fn a_session_is_no_copy_of_the_token_and_ends_in_every_way_it_should() {
    let app = App::new();
    let stranger = Request::get("/console?status=failed").body(Body::empty());
    let answer = app.send(stranger.unwrap()).await;
    assert_eq!(
        answer.leads_to(),
        "/console/sign-in?next=%2Fconsole%3Fstatus%3Dfailed"
    );
    for wrong in ["", "alice", "alice-toke", "Alice-token"] {
        let answer = sign_in(&app, wrong, "").await;
        assert_eq!(answer.status, 403);
        assert!(answer.header("set-cookie").is_none());
        assert!(answer.text().contains("No such token"), "{}", answer.text());
    }
    let answer = sign_in(&app, "alice-token", "/console?status=failed").await;
    assert_eq!(answer.leads_to(), "/console?status=failed");
    let cookie = answer.header("set-cookie").unwrap();
    for part in [
        "filmlab_console_8080=1.",
        "; HttpOnly",
        "; SameSite=Strict",
        "; Path=/console",
        "; Max-Age=43200",
    ] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    assert!(
        !cookie.contains("alice") && !cookie.contains("Secure"),
        "{cookie}"
    );

    // Signed out: also a copy of the cookie opens no more.
    let alice = Browser::signed_in(&app, "alice-token").await;
    let other = Browser::signed_in(&app, "alice-token").await;
    let out = alice.submit("/console/sign-out", "").await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(alice.get("/console").await.status, 303);
    other.page("/console").await;

    // Its token is gone: the next service does not know the session.
    let changed = App::with(|settings| drop(settings.api_tokens.remove(0)));
    let kept = Browser::with(&changed, &other.cookie);
    assert_eq!(kept.get("/console").await.status, 303);

    app.clock.advance(Duration::from_secs(12 * 3600 - 1));
    other.page("/console").await;
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(other.get("/console").await.status, 303);
}

#[tokio::test]
async fn away_from_this_machine_a_session_is_for_https() {
    let app = App::new();
    let ask = |origin: &'static str| {
        let request = Request::post("/console/sign-in")
            .header("host", "films.example")
            .header("origin", origin)
            .body(Body::from("token=alice-token"));
        app.send(request.unwrap())
    };
    let answer = ask("https://films.example").await;
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
    // A browser would drop the cookie without a word.
    let answer = ask("http://films.example").await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("over https only"),
        "{}",
        answer.text()
    );
    // Nobody is signed in by another site's form.
    assert_eq!(ask("https://evil.example").await.status, 403);
    assert!(
        ask("https://evil.example")
            .await
            .header("set-cookie")
            .is_none()
    );
}

#[tokio::test]
async fn signing_in_leads_to_no_other_host() {
    let app = App::new();
    for next in [
        "//evil.example",
        "https://evil.example",
        "/console//evil.example",
    ] {
        assert_eq!(
            sign_in(&app, "alice-token", next).await.leads_to(),
            "/console"
        );
    }
}

#[tokio::test]
async fn only_the_consoles_own_forms_change_anything() {
    let app = App::new();
    let id = app.create().await;
    let alice = Browser::signed_in(&app, "alice-token").await;
    let bob = Browser::signed_in(&app, "bob-token").await;
    let cancel = format!("/console/jobs/{id}/cancel");
    let token = alice.form_token().await;
    let foreign = bob.form_token().await;
    for form in [
        String::new(),
        "form_token=".into(),
        format!("form_token={foreign}"),
        format!("form_token={token}x"),
    ] {
        let answer = alice.send(&cancel, &form).await;
        assert_eq!(answer.status, 403, "{form}");
        assert!(answer.text().contains("not from this session"));
    }
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        let request = alice.request(Method::POST, &cancel).header(name, value);
        let request = request.body(Body::from(format!("form_token={token}")));
        assert_eq!(app.send(request.unwrap()).await.status, 403, "{name}");
    }
    assert_eq!(alice.get(&cancel).await.status, 405);
    assert!(!app.ledger.job(&id).cancel_requested);

    let answer = alice.submit(&cancel, "").await;
    assert_eq!(answer.leads_to(), format!("/console/jobs/{id}"));
    assert!(app.ledger.job(&id).cancel_requested);
}

#[tokio::test]
async fn a_job_is_retried_and_deleted_by_a_person() {
    let app = App::new();
    let id = app.create().await;
    let operator = Browser::signed_in(&app, "operator-token").await;
    let at = |what: &str| format!("/console/jobs/{id}/{what}");
    let page = operator.page(&format!("/console/jobs/{id}")).await;
    assert!(
        page.contains("It has not ended: cancel it first."),
        "{page}"
    );
    assert_eq!(
        operator
            .submit(&at("delete"), &format!("confirm={id}"))
            .await
            .status,
        409
    );

    failed(&app, &id, "it failed");
    let page = operator.page(&format!("/console/jobs/{id}")).await;
    for part in [
        "provider_failed",
        "it failed",
        "Next step:",
        "what was paid for and is still good",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    operator.submit(&at("retry"), "").await.leads_to();
    assert_eq!(app.ledger.job(&id).round, 2);

    failed(&app, &id, "again");
    let answer = operator.submit(&at("delete"), "confirm=yes").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Nothing was deleted."));
    let answer = operator
        .submit(&at("delete"), &format!("confirm={id}"))
        .await;
    assert_eq!(answer.leads_to(), "/console");
    assert_eq!(*app.worker.deleted.lock().unwrap(), [id.to_string()]);
}

#[tokio::test]
async fn several_jobs_are_changed_at_once_and_each_says_what_became_of_it() {
    let app = App::new();
    let mine = [app.create().await, app.create().await];
    for id in &mine {
        failed(&app, id, "boom");
    }
    let running = app.create().await;
    let others = app.create().await;
    app.change(&others, |job| job.owner = "bob".parse().unwrap());
    failed(&app, &others, "boom");
    let alice = Browser::signed_in(&app, "alice-token").await;
    let fields = |what: &str, ids: &[&JobId]| {
        let ids: Vec<String> = ids.iter().map(|id| format!("id={id}")).collect();
        format!("do={what}&{}", ids.join("&"))
    };
    let all = [&mine[0], &mine[1], &running, &others];
    let page = alice.submit("/console/many", &fields("retry", &all)).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(page.text().matches("begins another round").count(), 2);
    // One goes on, one is not there for her.
    assert_eq!(page.text().matches("not done:").count(), 2);
    for (id, round) in [(&mine[0], 2), (&mine[1], 2), (&running, 1), (&others, 1)] {
        assert_eq!(app.ledger.job(id).round, round);
    }
    for id in &mine {
        failed(&app, id, "boom");
    }
    let both = fields("delete", &[&mine[0], &mine[1]]);
    for confirm in ["", "&confirm=delete+1"] {
        let asked = alice
            .submit("/console/many", &format!("{both}{confirm}"))
            .await;
        assert!(asked.text().contains("delete 2"), "{}", asked.text());
        assert_eq!(app.worker.deleted.lock().unwrap().len(), 0);
    }
    let gone = format!("{both}&confirm=delete+2");
    let gone = alice.submit("/console/many", &gone).await;
    assert_eq!(
        gone.text().matches("is deleted").count(),
        2,
        "{}",
        gone.text()
    );
    for wrong in ["do=delete", "do=shout&id=x"] {
        let wrong = alice.submit("/console/many", wrong).await;
        assert_eq!(wrong.status, 400);
    }
    let many: Vec<String> = (0..26).map(|at| format!("id=j{at}")).collect();
    let many = format!("do=cancel&{}", many.join("&"));
    assert_eq!(alice.submit("/console/many", &many).await.status, 400);
}

#[tokio::test]
async fn an_owner_sees_no_other_owners_job() {
    let app = App::new();
    let id = app.create().await;
    completed(&app, &id);
    let bob = Browser::signed_in(&app, "bob-token").await;
    assert!(!bob.page("/console").await.contains(id.as_str()));
    for path in ["", "/poster", "/state"] {
        let answer = bob.get(&format!("/console/jobs/{id}{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("upscale"));
    }
    for act in ["cancel", "retry", "delete", "replay"] {
        let form = format!("confirm={id}");
        let answer = bob
            .submit(&format!("/console/jobs/{id}/{act}"), &form)
            .await;
        assert_eq!(answer.status, 404, "{act}");
    }
    assert_eq!(bob.get("/console?owner=alice").await.status, 400);
    assert_eq!(bob.get("/console/live?owner=alice").await.status, 400);

    for whose in ["alice-token", "operator-token"] {
        let browser = Browser::signed_in(&app, whose).await;
        assert!(browser.page("/console").await.contains(id.as_str()));
        let answer = browser.get(&format!("/console/jobs/{id}/poster")).await;
        assert_eq!(answer.status, 302);
        // Where the page lies, whatever name it was called by.
        let to = answer.header("location").unwrap();
        assert!(to.starts_with(&format!("/files/results/{id}/")), "{to}");
    }
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let app = App::with(|settings| {
        settings.api_tokens.push(ApiToken {
            token: "viewer-token".into(),
            owner: None,
            role: Role::Viewer,
        });
    });
    let id = app.create().await;
    let viewer = Browser::signed_in(&app, "viewer-token").await;
    let page = viewer.page(&format!("/console/jobs/{id}")).await;
    assert!(page.contains("A viewer changes nothing.") && !page.contains("/cancel\""));
    let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let answer = viewer
        .send(
            &format!("/console/jobs/{id}/cancel"),
            &format!("form_token={token}"),
        )
        .await;
    assert_eq!(answer.status, 403);
    // The same through the API.
    let cancel = format!("/v1/jobs/{id}/cancel");
    let answer = app.call("viewer", Method::POST, &cancel, None, &[]).await;
    answer.problem(403, "unauthorized");
    let answer = app
        .call("viewer", Method::POST, "/v1/jobs", Some(upscale()), &[])
        .await;
    answer.problem(403, "unauthorized");
    let path = format!("/v1/jobs/{id}");
    let read = app.call("viewer", Method::GET, &path, None, &[]).await;
    assert_eq!(read.status, 200);
    assert!(!app.ledger.job(&id).cancel_requested);
    // But it may leave.
    let out = viewer
        .send("/console/sign-out", &format!("form_token={token}"))
        .await;
    assert_eq!(out.status, 303);
}

#[tokio::test]
async fn without_tokens_the_console_is_for_this_machine_alone() {
    let app = App::with(|settings| settings.api_tokens.clear());
    let ask = |host: &'static str| {
        let request = Request::get("/console").header("host", host);
        app.send(request.body(Body::empty()).unwrap())
    };
    // By a name whose answer turned to this machine.
    assert_eq!(ask("rebound.example:8080").await.status, 401);
    let proxied = Request::get("/console").header("host", HOST);
    let proxied = proxied.header("x-forwarded-for", "203.0.113.9");
    assert_eq!(
        app.send(proxied.body(Body::empty()).unwrap()).await.status,
        401
    );

    let answer = ask(HOST).await;
    assert_eq!(answer.status, 200);
    let cookie = answer
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let browser = Browser::with(&app, cookie);
    let again = browser.get("/console").await;
    assert!(
        again.header("set-cookie").is_none(),
        "one session is enough"
    );
    let id = app.create().await;
    // A form that was sent without having seen a page.
    let cancel = format!("/console/jobs/{id}/cancel");
    assert_eq!(browser.send(&cancel, "").await.status, 403);
    assert_eq!(browser.submit(&cancel, "").await.status, 303);
}

#[tokio::test]
async fn there_is_no_console_unless_it_is_wanted() {
    let app = App::with(|settings| settings.console = None);
    for path in [
        "/console",
        "/console/sign-in",
        "/console/assets/console.css",
    ] {
        app.get(path).await.problem(404, "not_found");
    }
}

/// Words that would do something if a page took them for its own.
fn hostile() -> String {
    let words =
        "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u{202e}gnp.exe&amp;";
    words.chars().cycle().take(4_000).collect()
}

#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let app = App::new();
    let body = json!({
        "kind": "extend",
        "params": {"prompt": hostile(), "seconds": 5},
        "source": {"video": "https://example.com/%3Cscript%3E.mp4?q=\"><script>"},
    });
    let answer = app.post("/v1/jobs", body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.bytes);
    let id: JobId = answer.json()["id"].as_str().unwrap().parse().unwrap();
    failed(&app, &id, &hostile());
    let alice = Browser::signed_in(&app, "alice-token").await;
    let text = "%3Cscript%3Ealert(3)%3C/script%3E%22";
    for path in [
        "/console".to_owned(),
        format!("/console/jobs/{id}"),
        format!("/console?text={text}&model={text}"),
    ] {
        let page = alice.page(&path).await;
        assert!(
            !page.contains("<script>alert") && !page.contains("<img src=x"),
            "{page}"
        );
        assert!(!page.contains("\"><script"), "{page}");
    }
    let page = alice.page("/console").await;
    assert!(
        page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"),
        "{page}"
    );
    // A faulty filter is told, and is text as well.
    for path in [
        format!("/console?status={text}"),
        format!("/console?owner={text}"),
        format!("/console?code={text}"),
        format!("/console/jobs/{text}"),
    ] {
        let answer = alice.get(&path).await;
        assert!(answer.status.is_client_error());
        assert!(!answer.text().contains("<script>alert"), "{path}");
    }
}

#[tokio::test]
async fn pages_run_no_script_but_their_own() {
    let app = App::new();
    let id = app.create().await;
    let alice = Browser::signed_in(&app, "alice-token").await;
    for path in [
        "/console".to_owned(),
        format!("/console/jobs/{id}"),
        "/console/sign-in".into(),
        "/console/none".into(),
    ] {
        let answer = alice.get(&path).await;
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        let page = answer.text();
        for inline in [" style=\"", " onclick=", "<style", "javascript:"] {
            assert!(!page.contains(inline), "{path}: {inline}");
        }
        // Every script and style is a file of ours that is there.
        for named in page.split("=\"/console/assets/").skip(1) {
            let name = named.split('"').next().unwrap();
            let asset = alice.get(&format!("/console/assets/{name}")).await;
            assert_eq!(asset.status, 200, "{name}");
            assert!(asset.header("cache-control").unwrap().contains("immutable"));
        }
        for script in page.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/console/assets/"), "{path}");
        }
    }
    for missing in ["/console/assets/../console.rs", "/console/assets/none.js"] {
        assert_eq!(alice.get(missing).await.status, 404);
    }
}

/// A thousand jobs of two owners, each of them with a prompt of the usual length.
async fn thousand(app: &App) {
    for number in 0..1_000 {
        let prompt = format!("the camera moves on over the hills, take {number}");
        let extend = json!({"prompt": prompt, "seconds": 5});
        let at = app.now();
        let video = format!("https://example.com/clip-{number}.mp4");
        let new = NewJob {
            id: JobId::generate(),
            owner: if number % 2 == 0 { "alice" } else { "bob" }
                .parse()
                .unwrap(),
            params: Params::parse(Kind::Extend, &extend).unwrap(),
            source: Source {
                video: video.parse().unwrap(),
                image: None,
                audio_track: None,
            },
            output: Output::default(),
            notify: Notify::default(),
            cost: None,
            tags: Vec::new(),
            max_price: None,
            traceparent: None,
            cancel_after_submit: None,
            provenance: None,
            deadline_at: at,
            created_at: at,
            idempotency: None,
        };
        app.state.ledger.create(new).await.unwrap();
        app.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_page_of_a_thousand_jobs_is_small_and_reads_few() {
    let app = App::new();
    thousand(&app).await;
    let operator = Browser::signed_in(&app, "operator-token").await;
    let mut seen = 0;
    let mut path = "/console".to_owned();
    for _ in 0..3 {
        app.ledger.reads.store(0, Ordering::SeqCst);
        let started = Instant::now();
        let page = operator.page(&path).await;
        let took = started.elapsed();
        let rows = page.matches("<tr id=\"job-").count();
        assert_eq!(rows, 25);
        seen += rows;
        assert!(page.len() < 100_000, "{} bytes", page.len());
        assert!(app.ledger.reads.load(Ordering::SeqCst) <= 100);
        assert!(
            took < Duration::from_millis(250),
            "{took:?} in a debug build"
        );
        let next = page.split("rel=\"next\"").next().unwrap();
        let next = next.rsplit("href=\"").next().unwrap();
        path = next
            .split('"')
            .next()
            .unwrap()
            .replace("&amp;", "&")
            .replace("&#38;", "&");
        assert!(page.contains(&format!("take {}", 1_000 - seen)), "{path}");
    }
    // What has no index is looked for within the same bound, and the page says so.
    app.ledger.reads.store(0, Ordering::SeqCst);
    let page = operator.page("/console?text=take+990").await;
    assert!(page.contains("take 990") && page.matches("<tr id=\"job-").count() == 1);
    assert!(page.contains("Looked through 50 jobs") && page.contains("Look further"));
    assert!(app.ledger.reads.load(Ordering::SeqCst) <= 60);
    // The beginning of an id finds the oldest of all, for whoever may see it.
    let oldest = app
        .ledger
        .all()
        .into_iter()
        .min_by_key(|job| job.created_at);
    let oldest = oldest.unwrap();
    assert_eq!(oldest.owner.as_str(), "alice");
    let beginning = &oldest.id.as_str()[..24];
    for (token, path, is_found) in [
        ("operator-token", format!("/console?text={beginning}"), true),
        ("alice-token", format!("/console?text={}", oldest.id), true),
        (
            "operator-token",
            format!("/console?text={beginning}&status=failed"),
            false,
        ),
        ("bob-token", format!("/console?text={}", oldest.id), false),
    ] {
        let browser = Browser::signed_in(&app, token).await;
        app.ledger.reads.store(0, Ordering::SeqCst);
        let page = browser.page(&path).await;
        let shown = page.contains(&format!("<tr id=\"job-{}\"", oldest.id));
        assert_eq!(shown, is_found, "{token} {path}");
        assert!(app.ledger.reads.load(Ordering::SeqCst) <= 60, "{path}");
    }
    // Everybody's own.
    let page = operator
        .page("/console?owner=bob&status=queued&kind=extend")
        .await;
    assert!(page.contains("take 999") && !page.contains("take 998"));
}

#[tokio::test]
async fn changes_of_the_list_are_told_while_somebody_looks() {
    use futures::StreamExt as _;
    let app = App::new();
    let id = app.create().await;
    let alice = Browser::signed_in(&app, "alice-token").await;
    let live = format!(
        "/console/live?status=queued&since={}",
        app.now().as_microsecond()
    );
    let request = alice
        .request(Method::GET, &live)
        .body(Body::empty())
        .unwrap();
    let response = app.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut events = response.into_body().into_data_stream();
    let mut next = async || loop {
        let chunk = tokio::time::timeout(Duration::from_secs(5), events.next());
        let chunk = String::from_utf8(chunk.await.unwrap().unwrap().unwrap().to_vec()).unwrap();
        if chunk.contains("event:") {
            return chunk;
        }
    };
    // What is there already is brought up to date.
    let first = next().await;
    assert!(first.contains(&format!("id=\"job-{id}\"")), "{first}");
    // A new one comes on top.
    let new = app.create().await;
    let second = next().await;
    assert!(
        second.contains("afterbegin:#rows") && second.contains(new.as_str()),
        "{second}"
    );
    assert!(!second.contains(id.as_str()), "it has not changed");
    // One that is no more of this status is shown as it is.
    failed(&app, &id, "why");
    let third = next().await;
    assert!(
        third.contains("hx-swap-oob=\"true\"") && third.contains("Failed"),
        "{third}"
    );
    app.state.events.close();
    let end = tokio::time::timeout(Duration::from_secs(5), async {
        while events.next().await.is_some() {}
    });
    end.await.unwrap();
}

#[tokio::test]
async fn failures_are_grouped_with_what_to_do() {
    let app = App::new();
    let alice = Browser::signed_in(&app, "alice-token").await;
    assert!(
        alice
            .page("/console/failures")
            .await
            .contains("Nothing has failed")
    );
    for number in 0..7 {
        let id = app.create().await;
        failed(&app, &id, &format!("take {number} {}", hostile()));
    }
    app.ledger.reads.store(0, Ordering::SeqCst);
    let page = alice.page("/console/failures").await;
    assert!(app.ledger.reads.load(Ordering::SeqCst) <= 100);
    assert_eq!(page.matches("<code>provider_failed</code>").count(), 1);
    for part in [
        "7 <span",
        "100 %",
        "the provider",
        "Retry the job",
        "and <a href=\"/console?status=failed&amp;code=provider_failed\">more",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script>alert"));
    let bob = Browser::signed_in(&app, "bob-token").await;
    assert!(
        bob.page("/console/failures")
            .await
            .contains("Nothing has failed")
    );
}

#[tokio::test]
async fn money_is_added_up_by_day_and_model() {
    let app = App::new();
    let terms = Terms {
        revision: 1,
        duration: DurationMeaning::Added,
        usd: Some(0.25),
    };
    for (model, state) in [
        ("acme/one", IntentState::Accepted),
        ("acme/one", IntentState::Accepted),
        ("acme/<b>two</b>", IntentState::Wasted),
    ] {
        let id = app.create().await;
        let at = app.now();
        app.change(&id, |job| {
            job.status = Status::Cancelled;
            job.completed_at = Some(at);
            job.credits.cost = Some(Credits(12));
            job.credits.state = CreditState::Captured;
            job.intents.push(Intent {
                id: "1-1".into(),
                model: model.into(),
                at,
                state,
                prediction_id: None,
                unknown_until: None,
                terms: Some(terms),
                counted: None,
            });
        });
    }
    let alice = Browser::signed_in(&app, "alice-token").await;
    app.ledger.reads.store(0, Ordering::SeqCst);
    let page = alice.page("/console/money").await;
    assert!(app.ledger.reads.load(Ordering::SeqCst) <= 100);
    for part in [
        "$0.50",
        ">36<",
        "acme/one",
        "<svg class=\"chart\"",
        "Possible waste",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<b>two"), "{page}");
    let bob = Browser::signed_in(&app, "bob-token").await;
    assert!(
        bob.page("/console/money")
            .await
            .contains("Nothing has ended yet.")
    );
}

#[tokio::test]
async fn health_shows_what_answers_and_counts_for_the_operator_alone() {
    let app = App::new();
    app.queue.down.store(true, Ordering::SeqCst);
    let operator = Browser::signed_in(&app, "operator-token").await;
    let page = operator.page("/console/health").await;
    assert!(
        page.contains("does not answer") && page.contains("What there is to do"),
        "{page}"
    );
    let alice = Browser::signed_in(&app, "alice-token").await;
    assert!(
        !alice
            .page("/console/health")
            .await
            .contains("What there is to do")
    );
}

#[tokio::test]
async fn health_shows_who_holds_what_and_what_the_provider_lets_through() {
    let app = App::new();
    let operator = Browser::signed_in(&app, "operator-token").await;
    let page = operator.page("/console/health").await;
    assert!(page.contains("No worker holds a job.") && page.contains("No limits are set"));

    let now = app.now();
    let ids = [app.create().await, app.create().await, app.create().await];
    for (id, holder, until) in [
        (&ids[0], "w-other-7", now - Duration::from_secs(125)),
        (&ids[1], "w-this-12", now + Duration::from_secs(30)),
    ] {
        app.change(id, |job| {
            job.status = Status::Processing;
            job.stage = Some(Stage::Process);
            job.lease.holder = Some(holder.to_owned());
            job.lease.expires_at = Some(until);
            job.next_visit_at = Some(until);
        });
    }
    *app.worker.provider_use.lock().unwrap() = Some(ProviderUse {
        limits: ProviderLimits {
            max_concurrent: 100.try_into().unwrap(),
            max_per_minute: 30.try_into().unwrap(),
        },
        submitting: 1,
        next_at: Some(now + Duration::from_millis(1_500)),
    });
    app.ledger.reads.store(0, Ordering::SeqCst);
    let page = operator.page("/console/health").await;
    for part in [
        "2 leases, 1 overdue",
        "<code>w-other</code>",
        "overdue for 2 min 5 s",
        "<code>w-this</code><span class=\"sub\">this process",
        "Working on the video",
        " of 100</dd>",
        "30 by each process, one each 2.0 s",
        "in 1.5 s",
        "Being submitted here",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches("overdue for").count(), 1);
    assert!(!page.contains(ids[2].as_str()), "nobody holds it");
    // However many there are, no more are looked at; those that are overdue come first.
    for number in 0..60 {
        let id = app.create().await;
        let due = now + Duration::from_secs(number);
        app.change(&id, |job| job.next_visit_at = Some(due));
    }
    app.ledger.reads.store(0, Ordering::SeqCst);
    let page = operator.page("/console/health").await;
    assert!(page.contains("1 overdue") && page.contains("Of the 40 jobs that are due first"));
    assert!(app.ledger.reads.load(Ordering::SeqCst) <= 41);
    let alice = Browser::signed_in(&app, "alice-token").await;
    let page = alice.page("/console/health").await;
    assert!(!page.contains("w-other") && !page.contains("of 100"));
}

#[tokio::test]
async fn what_goes_on_in_a_job_is_told_again_with_how_it_stands() {
    let app = App::new();
    let id = app.create().await;
    let alice = Browser::signed_in(&app, "alice-token").await;
    let path = format!("/console/jobs/{id}");
    let page = alice.page(&path).await;
    assert!(page.contains("<div id=\"going\"") && !page.contains("hx-swap-oob"));
    assert!(page.contains("The provider was not asked."));

    let at = app.now();
    app.change(&id, |job| {
        job.status = Status::Processing;
        job.stage = Some(Stage::Generate);
        job.timings.timeline.push(TimelineEntry {
            at,
            stage: Some(Stage::Generate),
            waits_for: Some(WaitsFor::Provider),
            attempt: 1,
            code: None,
            shortened: false,
        });
        job.intents.push(Intent {
            id: "1-1".into(),
            model: "acme/up".into(),
            at,
            state: IntentState::Accepted,
            prediction_id: Some("prediction-7".into()),
            unknown_until: None,
            terms: None,
            counted: None,
        });
    });
    app.clock.advance(Duration::from_secs(3));
    let part = alice.page(&format!("{path}/state")).await;
    for told in [
        "<section id=\"standing\"",
        "<div id=\"going\" class=\"going\" hx-swap-oob=\"true\"",
        "Waits for the provider <span class=\"pill busy\">now",
        "3.0 s",
        "prediction-7",
    ] {
        assert!(part.contains(told), "{told}: {part}");
    }
    assert!(!part.contains("<html"), "no page of its own");
}

/// A form with a file in it, as a browser sends it.
fn with_file(name: &str, content: &[u8], ends: bool) -> Vec<u8> {
    let mut body = format!(
        "--x\r\ncontent-disposition: form-data; name=\"video\"; filename=\"{name}\"\r\n\
         content-type: video/mp4\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    if ends {
        body.extend_from_slice(
            b"\r\n--x\r\ncontent-disposition: form-data; name=\"image_url\"\r\n\r\n\r\n--x--\r\n",
        );
    }
    body
}

/// A price, with a mark in the lower right corner.
fn quoted() -> Quote {
    Quote {
        kind: Kind::Upscale,
        model: "acme/up".into(),
        source_seconds: 5.0,
        billed_seconds: 5.0,
        provider: ProviderQuote {
            price: 0.125,
            currency: "USD".into(),
            is_floor: false,
            list_price_usd: None,
        },
        credits: Credits(6),
        preview: Some(Preview {
            width: 1920,
            height: 1080,
            marks: vec![MarkPreview {
                at: Rectangle {
                    x: 1600,
                    y: 960,
                    width: 216,
                    height: 64,
                },
                opacity: 0.85,
                from_ms: 1_000,
                until_ms: None,
            }],
            label: None,
        }),
    }
}

/// The same with a visible label.
fn quoted_with_label() -> Quote {
    let mut quote = quoted();
    let preview = quote.preview.as_mut().unwrap();
    preview.label = Some(LabelPreview {
        at: MarkPreview {
            at: Rectangle {
                x: 32,
                y: 32,
                width: 420,
                height: 54,
            },
            opacity: 1.0,
            from_ms: 0,
            until_ms: Some(2_000),
        },
        words: "<made> by AI".into(),
        drawing: b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(),
    });
    quote
}

#[tokio::test]
async fn the_label_is_seen_where_it_will_be() {
    let app = App::new();
    let alice = Browser::signed_in(&app, "alice-token").await;
    let fields = "kind=upscale&video=sources/alice/a.mp4&resolution=1080p\
                  &profile=web&label=own&label_words=%3Cmade%3E+by+AI";
    *app.worker.quote.lock().unwrap() = Some(Ok(quoted_with_label()));
    let answer = alice.submit("/console/new/quote", fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = app.worker.quoted.lock().unwrap()[0].label.clone();
    assert_eq!(
        asked.map(|label| label.words).as_deref(),
        Some("<made> by AI")
    );
    let page = answer.text();
    let drawn = "<image href=\"data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=\" \
                 x=\"32\" y=\"32\" width=\"420\" height=\"54\" opacity=\"1.00\"";
    assert!(page.contains(drawn), "{page}");
    assert!(
        page.contains("The label “&#60;made&#62; by AI” and the watermark lie as in the result")
    );
    assert!(
        page.contains("The label is shown for the first 2.0 s."),
        "{page}"
    );
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("img-src 'self' data:"), "{policy}");
}

#[tokio::test]
async fn a_person_gives_a_video_sees_the_price_and_makes_a_job() {
    let app = App::new();
    let alice = Browser::signed_in(&app, "alice-token").await;
    let token = alice.form_token().await;
    let upload = async |token: &str, body: Vec<u8>| {
        let request = alice
            .request(
                Method::POST,
                &format!("/console/new/upload?form_token={token}"),
            )
            .header("content-type", "multipart/form-data; boundary=x");
        alice.ask(request.body(Body::from(body)).unwrap()).await
    };
    let content = vec![7; 300_000];
    // Not from its own form; broken off; nothing in it.
    assert_eq!(
        upload("", with_file("a.mp4", &content, true)).await.status,
        403
    );
    assert_eq!(
        upload(&token, with_file("a.mp4", &content, false))
            .await
            .status,
        400
    );
    assert_eq!(
        upload(&token, with_file("a.mp4", b"", true)).await.status,
        422
    );
    assert_eq!(upload(&token, with_file("", b"", true)).await.status, 400);
    assert!(app.files().is_empty(), "{:?}", app.files());

    let answer = upload(&token, with_file("../my <clip>.mp4", &content, true)).await;
    let next = answer.leads_to().to_owned();
    let video = next.split("video=").nth(1).unwrap().replace("%2F", "/");
    assert!(
        video.starts_with("sources/alice/") && video.ends_with("/my__clip_.mp4"),
        "{video}"
    );
    assert_eq!(app.files().len(), 1);
    let page = alice.page(&next).await;
    assert!(
        page.contains("<video class=\"preview\" src=\"/files/sources/alice/"),
        "{page}"
    );
    // Another's upload is not shown, nor quoted.
    let bob = Browser::signed_in(&app, "bob-token").await;
    assert!(!bob.page(&next).await.contains("<video"));
    let fields = format!("kind=upscale&video={video}&resolution=1080p&profile=web");
    let refused = bob.submit("/console/new/quote", &fields).await;
    assert_eq!(refused.status, 400);

    // What is wrong is told at once, and stays in the form.
    let wrong = alice
        .submit(
            "/console/new/quote",
            &format!("kind=extend&video={video}&seconds=99"),
        )
        .await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("params.prompt") && wrong.text().contains("params.seconds"));
    assert!(app.worker.quoted.lock().unwrap().is_empty());

    *app.worker.quote.lock().unwrap() = Some(Ok(quoted()));
    let page = alice.submit("/console/new/quote", &fields).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("6 credits") && page.text().contains("$0.125"));
    let mark = "<svg viewBox=\"0 0 1920 1080\"";
    let laid = "x=\"1600\" y=\"960\" width=\"216\" height=\"64\" opacity=\"0.85\"";
    assert!(
        page.text().contains(mark) && page.text().contains(laid),
        "{}",
        page.text()
    );
    assert!(
        page.text()
            .contains("The watermark lies as in the result of about 1920×1080.")
    );
    assert_eq!(app.worker.quoted.lock().unwrap()[0].label, None);
    let picture = alice.get("/console/new/mark/0").await;
    assert_eq!(picture.header("content-type"), Some("image/png"));
    // Opened by itself it is no page of the console's.
    let policy = picture.header("content-security-policy").unwrap();
    assert!(policy.contains("sandbox"), "{policy}");
    assert_eq!(alice.get("/console/new/mark/1").await.status, 404);
    assert_eq!(app.ledger.count(), 0, "nothing is made yet");
    let made = alice.submit("/console/new", &fields).await;
    let to = made.leads_to();
    let job = app.ledger.only().unwrap();
    // Nothing said of a label: as the settings have it.
    assert_eq!(job.provenance.as_ref().unwrap().label, None);
    assert_eq!(to, format!("/console/jobs/{}", job.id));
    assert_eq!(
        (job.owner.as_str(), job.source.video.to_string()),
        ("alice", video)
    );
    alice.page(to).await;
}

#[tokio::test]
async fn a_label_is_chosen_in_the_form() {
    for (label, words, says) in [
        ("", "left", None),
        ("off", "left", None),
        ("on", "left", Some("AI-generated")),
        ("own", "Made+with+a+model", Some("Made with a model")),
    ] {
        let app = App::new();
        let alice = Browser::signed_in(&app, "alice-token").await;
        *app.worker.quote.lock().unwrap() = Some(Ok(quoted()));
        let fields = format!(
            "kind=upscale&video=sources/alice/1/a.mp4&resolution=1080p&label={label}&label_words={words}"
        );
        let answer = alice.submit("/console/new/quote", &fields).await;
        let page = answer.text();
        // What was chosen stays chosen, and goes along.
        assert!(
            page.contains(&format!("name=\"label\" value=\"{label}\"")),
            "{page}"
        );
        let chosen = format!("<option value=\"{label}\" selected>");
        assert_eq!(page.contains(&chosen), !label.is_empty(), "{page}");
        assert!(page.contains("As usual: none") && page.contains("“AI-generated”"));
        alice.submit("/console/new", &fields).await.leads_to();
        let job = app.ledger.only().unwrap();
        let label = job.provenance.as_ref().unwrap().label.as_ref();
        assert_eq!(label.map(|label| label.words.as_str()), says);
    }
    let app = App::new();
    let alice = Browser::signed_in(&app, "alice-token").await;
    let fields = "kind=upscale&video=sources/alice/1/a.mp4&resolution=1080p&label=own&label_words=";
    let page = alice.submit("/console/new/quote", fields).await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("<li>label: "), "{}", page.text());
}

#[tokio::test]
async fn every_change_is_written_down_with_who_made_it() {
    let app = App::new();
    let lines = Lines::default();
    let _written = tracing::subscriber::set_default(lines.subscriber());
    let id = app.create().await;
    let operator = Browser::signed_in(&app, "operator-token").await;
    operator
        .submit(&format!("/console/jobs/{id}/cancel"), "")
        .await;
    failed(&app, &id, "why");
    operator
        .submit(&format!("/console/jobs/{id}/retry"), "")
        .await;
    failed(&app, &id, "why");
    let confirm = format!("confirm={id}");
    operator
        .submit(&format!("/console/jobs/{id}/delete"), &confirm)
        .await;
    let written: Vec<(String, String)> = lines
        .parsed()
        .iter()
        .filter(|line| line.to_string().contains("filmlab::audit"))
        .map(|line| {
            let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (word("who"), word("what"))
        })
        .collect();
    let made = |who: &str, what: &str| (who.to_owned(), what.to_owned());
    assert_eq!(
        written,
        [
            made("alice", "create"),
            made("operator", "sign in"),
            made("operator", "cancel"),
            made("operator", "retry"),
            made("operator", "delete"),
        ]
    );
}
