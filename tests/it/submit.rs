//! `filmlab submit` against the real routes over a real port.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use filmlab::cli::console::Console;
use filmlab::cli::submit::{Outcome, SubmitArgs, submit};
use filmlab::job::{
    Code, Credits, Failure, Job, JobError, Kind, Party, Progress, Published, Stage, Status,
};
use filmlab::worker::{ProviderQuote, Quote};

use crate::http::{App, until};

#[derive(Debug, Default, Clone)]
struct Lines(Arc<Mutex<(Vec<String>, Vec<String>)>>);

impl Lines {
    fn said(&self) -> String {
        self.0.lock().unwrap().0.join("\n")
    }

    fn noted(&self) -> String {
        self.0.lock().unwrap().1.join("\n")
    }
}

impl Console for Lines {
    fn say(&self, line: &str) {
        self.0.lock().unwrap().0.push(line.into());
    }
    fn note(&self, line: &str) {
        self.0.lock().unwrap().1.push(line.into());
    }
    fn is_terminal(&self) -> bool {
        false
    }
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: SubmitArgs,
}

/// A service of Alice's, and the command line that reaches it.
struct Lab {
    app: App,
    lines: Lines,
    server: String,
    folder: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let app = App::at(&server, |settings| settings.max_upload_bytes = 8 << 20);
        app.serve_on(listener);
        Self {
            app,
            lines: Lines::default(),
            server,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn output(&self) -> std::path::PathBuf {
        self.folder.path().join("out/deep")
    }

    fn args(&self, words: &[&str]) -> SubmitArgs {
        let output = self.output();
        let mut line = vec!["submit"];
        line.extend(words);
        line.extend([
            "--server",
            &self.server,
            "--token",
            "alice-token",
            "--output",
            output.to_str().unwrap(),
        ]);
        Line::try_parse_from(line).unwrap().args
    }

    async fn run(&self, words: &[&str]) -> Result<Outcome, Failure> {
        let never = std::future::pending();
        let args = self.args(words);
        let run = submit(&args, &self.lines, never);
        tokio::time::timeout(Duration::from_secs(30), run)
            .await
            .unwrap()
    }

    /// Waits for the job, then changes it.
    async fn job(&self, change: impl FnOnce(&mut Job)) {
        until("a job", || self.app.ledger.only().is_some()).await;
        let id = self.app.ledger.only().unwrap().id;
        self.app.change(&id, change);
    }

    async fn publish(&self, names: &[&str]) {
        for name in names {
            let bytes = format!("the {name}").into_bytes();
            let object = format!("results/{name}");
            let storage = &self.app.state.storage;
            storage.put_bytes(bytes.into(), &object).await.unwrap();
        }
        self.job(|job| {
            job.status = Status::Completed;
            job.stage = None;
            job.progress = Progress::done();
            job.credits.cost = Some(Credits(7));
            job.timings.stages_ms = [("generate".into(), 1500), ("submit".into(), 200)].into();
            job.completed_at = Some(job.created_at + Duration::from_secs(3));
            job.result = Some(Published {
                video: "results/video.mp4".into(),
                poster: "results/poster.jpg".into(),
                metadata: "results/metadata.json".into(),
                storyboard: None,
                storyboard_vtt: None,
                bytes: 13,
                duration_ms: 5280,
                width: 1920,
                height: 1080,
                provenance: None,
            });
        })
        .await;
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const ALL: [&str; 3] = ["video.mp4", "poster.jpg", "metadata.json"];

#[tokio::test]
async fn a_file_goes_in_and_the_result_comes_out() {
    let lab = Lab::new().await;
    let clip = lab.file("my clip.mp4", b"moving");
    let picture = lab.file("hero.png", b"still");
    let words = [
        "character-replace",
        "--video",
        &clip,
        "--image",
        &picture,
        "--prompt",
        "12",
        "--resolution",
        "480p",
        "--param",
        "seed=5",
        "--profile",
        "archive",
    ];
    let finish = async {
        lab.job(|job| {
            job.status = Status::Processing;
            job.stage = Some(Stage::Generate);
            job.progress = Progress::within(Stage::Generate, 0.5).with_eta(Some(40));
        })
        .await;
        until("the stage is told", || {
            lab.lines.noted().contains("generate")
        })
        .await;
        lab.publish(&ALL).await;
    };
    let (outcome, ()) = tokio::join!(lab.run(&words), finish);
    let Outcome::Done { folder, .. } = outcome.unwrap() else {
        panic!("left");
    };
    assert_eq!(folder, lab.output());
    assert_eq!(
        entries(&folder),
        ["metadata.json", "poster.jpg", "result.mp4"]
    );
    assert_eq!(
        std::fs::read(folder.join("result.mp4")).unwrap(),
        b"the video.mp4"
    );

    let job = lab.app.ledger.only().unwrap();
    let params = serde_json::to_value(&job.params).unwrap();
    let expected = serde_json::json!({"prompt": "12", "resolution": "480p", "seed": 5});
    assert_eq!(params["params"], expected);
    assert_eq!(job.output.profile, "archive");
    let video = job.source.video.to_string();
    assert!(video.ends_with("/my_clip.mp4"), "{video}");
    assert_eq!(
        std::fs::read(lab.app.dir.path().join(video)).unwrap(),
        b"moving"
    );
    assert!(job.source.image.is_some());

    let said = lab.lines.said();
    for words in [
        "result.mp4 (13 B, 5.3 s, 1920×1080)",
        "poster.jpg",
        "metadata.json",
        "7 credits",
        "3.0 s: submit 0.2 s, generate 1.5 s",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let noted = lab.lines.noted();
    assert!(noted.contains("38 % generate, about 40 s left"), "{noted}");
    assert!(noted.contains("100 % completed"), "{noted}");
}

#[tokio::test]
async fn a_failed_job_fails_the_command_at_the_same_door() {
    let lab = Lab::new().await;
    let fail = lab.job(|job| {
        job.status = Status::Failed;
        job.error = Some(JobError {
            code: Code::DamagedMedia,
            message: "the video is torn".into(),
            party: Party::Provider,
            stage: Some(Stage::Process),
            attempt: 3,
            at: job.created_at,
        });
    });
    let words = ["upscale", "--video", "https://a.example/v.mp4"];
    let (outcome, ()) = tokio::join!(lab.run(&words), fail);
    let failure = outcome.unwrap_err();
    assert_eq!(
        (failure.code, failure.party),
        (Code::DamagedMedia, Party::Provider)
    );
    assert_eq!(failure.message, "the video is torn");
    assert!(entries(&lab.output()).is_empty());
}

#[tokio::test]
async fn a_cancelled_job_is_no_success() {
    let lab = Lab::new().await;
    let cancel = lab.job(|job| job.status = Status::Cancelled);
    let words = ["upscale", "--video", "https://a.example/v.mp4"];
    let (outcome, ()) = tokio::join!(lab.run(&words), cancel);
    assert_eq!(outcome.unwrap_err().code, Code::Cancelled);
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_said_whole() {
    let lab = Lab::new().await;
    let words = [
        "extend",
        "--video",
        "ftp://x/y",
        "--param",
        "zoom=1",
        "--seconds",
        "99",
    ];
    let failure = lab.run(&words).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidRequest);
    for field in [
        "source.video: ",
        "params.zoom: ",
        "params.seconds: ",
        "params.prompt: ",
    ] {
        assert!(failure.message.contains(field), "{}", failure.message);
    }
    let missing = lab.run(&["upscale", "--video", "/nowhere/clip.mp4"]).await;
    let missing = missing.unwrap_err();
    assert_eq!(missing.code, Code::InputUnreadable);
    assert!(missing.message.contains("/nowhere/clip.mp4"));
    let folder = lab.folder.path().to_str().unwrap();
    let folder = lab.run(&["upscale", "--video", folder]).await.unwrap_err();
    assert_eq!(folder.code, Code::InputUnreadable);
    let empty = lab.file("empty.mp4", b"");
    let empty = lab.run(&["upscale", "--video", &empty]).await.unwrap_err();
    assert_eq!(empty.code, Code::EmptyFile);
    assert_eq!(lab.app.ledger.count(), 0);
}

#[tokio::test]
async fn too_large_a_file_is_refused_by_name() {
    let lab = Lab::new().await;
    let large = lab.file("large.mp4", &vec![1; 24 << 20]);
    for _ in 0..5 {
        let failure = lab.run(&["upscale", "--video", &large]).await.unwrap_err();
        assert_eq!(failure.code, Code::RequestTooLarge, "{failure}");
    }
}

#[tokio::test]
async fn a_wrong_token_and_an_absent_service_are_told_apart() {
    let lab = Lab::new().await;
    let words = ["upscale", "--video", "https://a.example/v.mp4", "--no-wait"];
    let mut args = lab.args(&words);
    args.token = Some("wrong".into());
    let never = std::future::pending;
    let failure = submit(&args, &lab.lines, never()).await.unwrap_err();
    assert_eq!(failure.code, Code::Unauthorized);
    args.server = "http://127.0.0.1:1".parse().unwrap();
    let failure = submit(&args, &lab.lines, never()).await.unwrap_err();
    assert!(failure.message.contains("cannot be reached"), "{failure}");
    assert_eq!(failure.code, Code::ServiceUnreachable);
    // A service that is there and busy, or away behind its proxy, is asked again.
    let away = move || async { (http::StatusCode::BAD_GATEWAY, "no upstream") };
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let proxy = axum::Router::new().fallback(move || {
        count.fetch_add(1, Ordering::Relaxed);
        away()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    args.server = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, proxy).await });
    let failure = submit(&args, &lab.lines, never()).await.unwrap_err();
    assert_eq!(failure.code, Code::ServiceUnreachable, "{failure}");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    serving.abort();
}

#[tokio::test]
async fn nobody_has_to_wait() {
    let lab = Lab::new().await;
    let words = [
        "upscale",
        "--video",
        "https://a.example/v.mp4",
        "--no-wait",
        "--idempotency-key",
        "once",
    ];
    for _ in 0..2 {
        lab.run(&words).await.unwrap();
    }
    let id = lab.app.ledger.only().unwrap().id.to_string();
    assert_eq!(lab.lines.said(), format!("{id}\n{id}"));
    assert_eq!(lab.app.ledger.count(), 1);
}

#[tokio::test]
async fn a_price_can_be_asked_for_first() {
    let lab = Lab::new().await;
    let quote = Quote {
        kind: Kind::Upscale,
        model: "a/upscaler".into(),
        source_seconds: 3.2,
        billed_seconds: 5.0,
        provider: ProviderQuote {
            price: 0.05,
            currency: "USD".into(),
            is_floor: true,
            list_price_usd: Some(0.025),
        },
        credits: Credits(7),
        preview: None,
    };
    *lab.app.worker.quote.lock().unwrap() = Some(Ok(quote));
    let clip = lab.file("clip.mp4", b"moving");
    let never = std::future::pending();
    let args = Line::try_parse_from([
        "submit",
        "upscale",
        "--video",
        &clip,
        "--quote",
        "--server",
        &lab.server,
        "--token",
        "alice-token",
    ]);
    let outcome = submit(&args.unwrap().args, &lab.lines, never)
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Quoted(_)), "{outcome:?}");
    assert_eq!(
        lab.lines.said(),
        "model     a/upscaler\nseconds   5.0 billed\n\
         provider  at least 0.0500 USD (0.0250 USD by the list)\ncost      7 credits"
    );
    assert_eq!(lab.app.ledger.count(), 0);
    let refused = lab
        .run(&["upscale", "--video", "ftp://x/y", "--no-wait"])
        .await;
    assert_eq!(refused.unwrap_err().code, Code::InvalidRequest);
    assert!(
        Line::try_parse_from(["submit", "upscale", "--video", "x", "--quote", "--no-wait"])
            .is_err()
    );
}

#[tokio::test]
async fn who_stops_waiting_leaves_the_job_running() {
    let lab = Lab::new().await;
    let args = lab.args(&["upscale", "--video", "https://a.example/v.mp4"]);
    let stop = async { until("a job", || lab.app.ledger.only().is_some()).await };
    let outcome = submit(&args, &lab.lines, stop).await.unwrap();
    let Outcome::Left { job } = outcome else {
        panic!("done");
    };
    let seen = lab.app.ledger.job(&job.id);
    assert!(!seen.cancel_requested && !seen.status.is_ended());
    let noted = lab.lines.noted();
    assert!(noted.contains(&format!("/v1/jobs/{}", job.id)), "{noted}");
}

#[tokio::test]
async fn a_service_that_stumbles_is_asked_again() {
    let lab = Lab::new().await;
    let stumble = async {
        until("a job", || lab.app.ledger.only().is_some()).await;
        lab.app.ledger.down.store(true, Ordering::SeqCst);
        until("it is told", || lab.lines.noted().contains("trying again")).await;
        lab.app.ledger.down.store(false, Ordering::SeqCst);
        lab.publish(&ALL).await;
    };
    let words = ["upscale", "--video", "https://a.example/v.mp4"];
    let (outcome, ()) = tokio::join!(lab.run(&words), stumble);
    outcome.unwrap();
    assert_eq!(entries(&lab.output()).len(), 3);
}

#[tokio::test]
async fn a_result_that_cannot_be_fetched_whole_leaves_no_file() {
    let lab = Lab::new().await;
    let words = ["upscale", "--video", "https://a.example/v.mp4"];
    let publish = lab.publish(&["video.mp4", "poster.jpg"]);
    let (outcome, ()) = tokio::join!(lab.run(&words), publish);
    assert_eq!(outcome.unwrap_err().code, Code::NotFound);
    assert!(entries(&lab.output()).is_empty());
}
