//! What a job would cost, and what our account has.

use std::sync::Arc;
use std::time::Duration;

use filmlab::google::{GoogleAccess, Identity};
use filmlab::job::{Code, Credits, Label, MediaRef, Output, Params, Source};
use filmlab::ledger::{JobQuery, Ledger as _};
use filmlab::storage::gcs::{self, GcsConfig};
use filmlab::worker::{QuoteError, QuoteRequest};
use serde_json::json;

use super::bench::{Bench, OWNER};
use crate::support::gcs::{BUCKET, FakeGcs, Op};
use crate::support::objects::PutFile as _;
use crate::support::require;
use crate::telemetry::Lines;

fn upscale(video: &str, target: &str) -> QuoteRequest {
    let params = json!({"target": target});
    QuoteRequest {
        owner: OWNER.parse().unwrap(),
        params: Params::parse(filmlab::job::Kind::Upscale, &params).unwrap(),
        source: Source {
            video: MediaRef::Object(video.into()),
            image: None,
            audio_track: None,
        },
        output: Output::default(),
        label: None,
    }
}

const CLIP: &str = "sources/u1/clip.mp4";

#[tokio::test]
async fn a_quote_leaves_nothing_behind() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let (worker, before) = (bench.worker(), bench.objects());
    let quote = worker.quote(upscale(CLIP, "1080p")).await.unwrap();
    assert_eq!(quote.model, "studio/upscale");
    assert!(quote.source_seconds > 0.5 && quote.source_seconds < 10.0);
    assert!((quote.billed_seconds - quote.source_seconds).abs() < 1e-9);
    assert!((quote.provider.price - 0.25).abs() < 1e-9 && !quote.provider.is_floor);
    // One credit, and one for each second begun.
    let credits = Credits(1 + quote.source_seconds.ceil() as u64);
    assert_eq!(quote.credits, credits);

    let asked = bench.studio.priced.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].video.path().contains("clip.mp4"),
        "{}",
        asked[0].video
    );
    assert_eq!(bench.studio.submitted(), 0);
    assert_eq!(bench.objects(), before);
    let query = JobQuery {
        limit: 10,
        ..JobQuery::default()
    };
    assert!(bench.ledger.list(&query).await.unwrap().is_empty());
    let account = bench.account().await;
    assert_eq!(account.credits_held, 0);
}

#[tokio::test]
async fn the_label_is_previewed_as_it_will_be_drawn() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let worker = bench.worker();
    let plain = worker.quote(upscale(CLIP, "1080p")).await.unwrap();
    assert!(plain.preview.is_none_or(|preview| preview.label.is_none()));
    let label = |words: &str| {
        Some(Label {
            words: words.into(),
            anchor: Some("bottom-left".into()),
            until_ms: Some(2_000),
        })
    };
    let mut asked = upscale(CLIP, "1080p");
    asked.label = label("KI-generiert");
    let preview = worker.quote(asked).await.unwrap().preview.unwrap();
    let shown = preview.label.unwrap();
    let at = shown.at.at;
    let short = preview.width.min(preview.height);
    assert_eq!(short, 1080);
    // The height of its letters is 5 % of the short side at least; the box holds them all.
    assert!(at.height >= short / 20 && at.height < short / 8, "{at:?}");
    assert!(
        at.x < preview.width / 10 && at.y > preview.height / 2,
        "{at:?}"
    );
    assert_eq!((shown.at.from_ms, shown.at.until_ms), (0, Some(2_000)));
    assert_eq!(shown.words, "KI-generiert");
    let drawing = String::from_utf8(shown.drawing).unwrap();
    // Outlines: whoever shows it needs none of our fonts.
    assert!(drawing.starts_with("<svg") && drawing.contains("<path") && !drawing.contains("<text"));

    // One that cannot be drawn costs no quote: the job itself says why.
    let mut asked = upscale(CLIP, "1080p");
    asked.label = label(&"W".repeat(40));
    assert!(worker.quote(asked).await.unwrap().preview.is_none());
}

#[tokio::test]
async fn what_the_model_cannot_do_is_told_at_once_and_the_price_not_asked() {
    let Some(bench) = Bench::new().await else {
        return;
    };
    let worker = bench.worker();
    let mut asked = upscale(CLIP, "4k");
    asked.output.profile = "none".into();
    let Err(QuoteError::Faults(faults)) = worker.quote(asked).await else {
        panic!("quoted");
    };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["params.target", "output.profile"]);

    let missing = upscale("sources/u1/none.mp4", "1080p");
    let Err(QuoteError::Failed(failure)) = worker.quote(missing).await else {
        panic!("quoted");
    };
    assert_eq!(failure.code, Code::SourceMissing);
    let picture = upscale("sources/u1/character.png", "1080p");
    let Err(QuoteError::Failed(failure)) = worker.quote(picture).await else {
        panic!("quoted");
    };
    assert_eq!(failure.code, Code::NotAVideo);
    assert!(bench.studio.priced.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_goes_away_leaves_no_place_for_probing_taken() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let bucket = FakeGcs::default();
    let token = Identity::Token("token".into());
    let config = GcsConfig {
        endpoint: Some(bucket.start().await),
        ..GcsConfig::new(BUCKET)
    };
    let access = GoogleAccess::new(&token).await.unwrap();
    bench.storage = gcs::open(&config, &access).unwrap();
    let stored = bench.storage.put_file(&clip, CLIP, "video/mp4").await;
    stored.unwrap();
    // Shorter than the look at a source that is not given up.
    bench.settings.media_slot_patience = Duration::from_secs(20);
    let worker = bench.worker();
    bucket.hold(Op::Get, true);
    // There are two places.
    for _ in 0..3 {
        let worker = Arc::clone(&worker);
        let quote = tokio::spawn(async move { worker.quote(upscale(CLIP, "1080p")).await });
        bucket.until_held().await;
        quote.abort();
        assert!(quote.await.unwrap_err().is_cancelled());
        // The look ends with the caller, not with the store's answer.
        bucket.until_none_held().await;
    }
    bucket.hold(Op::Get, false);
    // The source was looked at: what this model cannot do is told by its size.
    let Err(QuoteError::Faults(faults)) = worker.quote(upscale(CLIP, "4k")).await else {
        panic!("not looked at");
    };
    assert_eq!(faults[0].field, "params.target");
}

#[tokio::test]
async fn a_low_balance_is_told_now_and_then() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.low_balance = Some(5.0);
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(lines.subscriber());
    let warnings = || {
        let lines = lines.parsed();
        let low = lines
            .iter()
            .filter(|line| line["severity"] == "WARNING" && line.to_string().contains("runs low"));
        low.count()
    };
    let worker = bench.worker();
    worker.sweep().await.unwrap();
    assert_eq!(warnings(), 0, "there is enough");
    *bench.studio.balance.lock().unwrap() = 4.99;
    worker.sweep().await.unwrap();
    assert_eq!(warnings(), 0, "it was looked at a moment ago");
    for expected in [1, 2] {
        bench.clock.advance(Duration::from_secs(600));
        worker.sweep().await.unwrap();
        worker.sweep().await.unwrap();
        assert_eq!(warnings(), expected);
    }
}
