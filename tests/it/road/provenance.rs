//! What the results of jobs say of how they were made, and what they do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use filmlab::job::{CreditsMode, Job, Kind, Label, Party, Provenance, Unsigned};
use filmlab::media::{
    self, Cancel, FileInput, Limits, LocalSigner, ProvenanceInfo, Signer, SourceType,
};
use serde_json::{Value, json};

use super::bench::Bench;
use super::outputs::{gives, made, result};
use super::rounds::failed_in_process;
use crate::media::support::{fixture, fresh, job, run};
use crate::support::gcs::Op;

fn told(bench: &Bench, job: &Job) -> Option<ProvenanceInfo> {
    let input = FileInput::new(result(bench, job));
    let probe = media::probe(&input, &Limits::default(), &Cancel::new());
    probe.unwrap().provenance
}

/// A copy of a video that somebody signs for.
async fn signed(video: &Path, signer: Arc<dyn Signer>) -> PathBuf {
    let mut render = job(video);
    render.profile.video.max_rate = None;
    render.provenance = Some(media::Provenance {
        source_type: Some(SourceType::DigitalCapture),
        id: media::Provenance::id_of(rand::random()),
        created_at: "2026-11-22T12:00:00Z".parse().unwrap(),
        provider: None,
        model: None,
        aigc_producer: None,
    });
    render.signer = Some(signer);
    let out = fresh("signed.mp4");
    let made = out.clone();
    let work = tokio::task::spawn_blocking(move || run(&render, &made).unwrap());
    work.await.unwrap();
    out
}

fn metadata(bench: &Bench, job: &Job) -> Value {
    let name = &job.result.as_ref().unwrap().metadata;
    let metadata = std::fs::read(bench.dir.path().join("objects").join(name)).unwrap();
    serde_json::from_slice(&metadata).unwrap()
}

fn signer(bench: &Bench) -> Arc<dyn Signer> {
    let file = bench.dir.path().join("signing.pem");
    Arc::new(LocalSigner::load_or_make(&file).unwrap())
}

/// What a result tells of the clip it was made from, and of what the provider gave.
fn says_of_its_inputs(told: &Value, kind: Kind, generated: bool) {
    let source = &told["inputs"][0];
    assert_eq!(source["input"], "source", "{kind:?}: {told}");
    assert_eq!(source["source_type"], "digitalCapture", "{kind:?}: {told}");
    let is_joined = kind == Kind::Extend;
    // All of it is read where it goes into the result.
    let state = if is_joined { "trusted" } else { "unchecked" };
    assert_eq!(source["state"], state, "{kind:?}: {told}");
    let relations = match is_joined {
        true => json!(["parentOf", "componentOf"]),
        false => json!(["parentOf"]),
    };
    let ingredients = told["ingredients"].as_array().unwrap();
    let found: Vec<_> = ingredients.iter().map(|one| &one["relationship"]).collect();
    assert_eq!(json!(found), relations, "{kind:?}: {told}");
    if generated {
        assert_eq!(told["inputs"][1]["input"], "generated", "{kind:?}: {told}");
        assert_eq!(told["inputs"][1]["state"], "valid", "{kind:?}: {told}");
        assert_eq!(ingredients[0]["state"], "valid", "{kind:?}: {told}");
    }
}

#[tokio::test]
async fn results_of_each_kind_say_what_they_are_and_nothing_of_their_owner() {
    let prompt = "a-prompt-that-nobody-may-read";
    for (kind, params, source_type) in [
        (
            Kind::CharacterReplace,
            json!({"prompt": prompt}),
            "compositeWithTrainedAlgorithmicMedia",
        ),
        (
            Kind::Extend,
            json!({"prompt": prompt, "seconds": 1}),
            "compositeWithTrainedAlgorithmicMedia",
        ),
        (
            Kind::Upscale,
            json!({"target": "720p"}),
            "algorithmicallyEnhanced",
        ),
    ] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        bench.settings.credits = CreditsMode::Off;
        bench.settings.signer = Some(signer(&bench));
        let encoded = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";
        let arguments = match kind {
            Kind::CharacterReplace => None,
            // The new part alone, which is joined.
            Kind::Extend => Some(format!("-vf trim=0:1 -an {encoded}")),
            Kind::Upscale => Some(format!("-vf scale=1280:720 -an {encoded}")),
        };
        bench.studio.segments.store(true, Ordering::Relaxed);
        let generated = arguments.is_some();
        let own = signer(&bench);
        if let Some(arguments) = arguments {
            let Some(file) = made(&bench, &arguments, "made.mp4") else {
                return;
            };
            let other = LocalSigner::load_or_make(&bench.dir.path().join("other.pem"));
            gives(&bench, &signed(&file, Arc::new(other.unwrap())).await);
        }
        // The sources of somebody else.
        let sources = bench.dir.path().join("objects/sources");
        let clip = sources.join("u1/clip.mp4");
        std::fs::copy(signed(&clip, own).await, &clip).unwrap();
        std::fs::rename(sources.join("u1"), sources.join("somebody-s-name")).unwrap();
        let id = bench
            .create_as("a-job-s-name", kind, params, |new| {
                new.owner = "somebody-s-name".parse().unwrap();
                let own = |name: &str| format!("sources/somebody-s-name/{name}").parse().unwrap();
                new.source.video = own("clip.mp4");
                if let Some(image) = &mut new.source.image {
                    *image = own("character.png");
                }
            })
            .await;
        let job = bench.drive(&bench.worker(), &id).await;
        assert!(job.result.is_some(), "{job:#?}");
        let info = told(&bench, &job).unwrap_or_else(|| panic!("{kind:?}: {job:#?}"));
        assert_eq!(info.source_type.as_deref(), Some(source_type), "{kind:?}");
        assert_eq!(info.model, job.provider.model, "{kind:?}");
        assert!(info.manifest.is_some(), "{kind:?}: {info:?}");
        assert!(info.model.is_some() && info.id.is_some() && info.created_at.is_some());
        let bytes = std::fs::read(result(&bench, &job)).unwrap();
        // The job says the same, and what its inputs said.
        let told = json!(job.result.as_ref().unwrap().provenance);
        assert_eq!(told["signed"], true, "{kind:?}: {told}");
        assert_eq!(told["state"], "unchecked", "{kind:?}: {told}");
        assert_eq!(told["id"], json!(info.id), "{kind:?}");
        assert_eq!(told["source_type"], source_type, "{kind:?}");
        says_of_its_inputs(&told, kind, generated);
        let notice = bench.letters.got.lock().unwrap()[0].payload.clone();
        assert_eq!(notice["data"]["result"]["provenance"], told, "{kind:?}");
        assert_eq!(metadata(&bench, &job)["provenance"], told, "{kind:?}");
        let said = told.to_string();
        assert!(said.len() < 4096, "{said}");
        let names = [
            "somebody-s-name",
            "a-job-s-name",
            "clip",
            "character.png",
            "sources/",
        ];
        for word in names.into_iter().chain([prompt, "http://127", "localhost"]) {
            let found = bytes
                .windows(word.len())
                .any(|window| window == word.as_bytes());
            assert!(!found, "{word} is in the result of {kind:?}");
            assert!(!said.contains(word), "{word} is told of {kind:?}: {said}");
        }
    }
}

#[tokio::test]
async fn what_was_agreed_on_at_the_creation_holds_in_every_round() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    bench.settings.signer = Some(signer(&bench));
    let agreed = Provenance {
        sign: false,
        model: false,
        provider: Some("the first".into()),
        aigc_producer: Some("its code".into()),
        label: Some(Label {
            words: "AI生成".into(),
            anchor: None,
            until_ms: Some(2000),
        }),
        ..Provenance::default()
    };
    let kind = Kind::CharacterReplace;
    let params = json!({});
    let id = bench
        .create_as("j", kind, params.clone(), |new| {
            new.provenance = Some(agreed);
        })
        .await;
    failed_in_process(&mut bench, &id).await;
    bench.settings.provenance = Provenance {
        provider: Some("the second".into()),
        ..Provenance::default()
    };
    bench.retry(&id).await;
    let job = bench.drive(&bench.worker(), &id).await;
    let info = told(&bench, &job).unwrap();
    assert_eq!(info.provider.as_deref(), Some("the first"));
    assert_eq!((job.round, info.model), (2, None));
    assert_eq!(info.manifest, None);
    assert!(info.aigc.unwrap().contains("its code"));
    // The metadata beside it say the same.
    let metadata = metadata(&bench, &job);
    assert_eq!(metadata["probe"]["provenance"]["provider"], "the first");
    // The operator's logo, and the label at the upper left.
    let marks = &metadata["processing"]["plan"]["watermarks"];
    assert_eq!(marks.as_array().map(Vec::len), Some(2), "{marks}");
    assert!(marks[1]["y"].as_u64() < marks[0]["y"].as_u64(), "{marks}");
    let why = |job: &Job| {
        job.result
            .as_ref()
            .unwrap()
            .provenance
            .as_ref()
            .unwrap()
            .unsigned
    };
    assert_eq!(why(&job), Some(Unsigned::Off));

    // Who does not say it gets what the settings say by then, which may be nothing.
    let id = bench.create_as("k", kind, params.clone(), |_| {}).await;
    let job = bench.drive(&bench.worker(), &id).await;
    let info = told(&bench, &job).unwrap();
    assert_eq!(info.provider.as_deref(), Some("the second"));
    assert!(info.manifest.is_some());
    assert_eq!(why(&job), None);
    bench.settings.signer = None;
    let id = bench.create_as("n", kind, params.clone(), |_| {}).await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(told(&bench, &job).unwrap().manifest, None);
    assert_eq!(why(&job), Some(Unsigned::NoKey));
    bench.settings.provenance.metadata = false;
    let id = bench.create_as("l", kind, params, |_| {}).await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(told(&bench, &job), None);
}

/// A job of another program has not been through the API's checks, and a font may be gone since.
#[tokio::test]
async fn a_label_that_cannot_be_drawn_is_laid_at_the_door_of_whose_words_it_has() {
    let label = |words: &str| {
        Some(Label {
            words: words.into(),
            anchor: None,
            until_ms: None,
        })
    };
    let with = |label| Provenance {
        label,
        ..Provenance::default()
    };
    for (agreed, party) in [
        (None, Party::Service),
        (Some(with(label("日本"))), Party::Service),
        (Some(with(label("本日"))), Party::Caller),
    ] {
        let Some(mut bench) = Bench::new().await else {
            return;
        };
        bench.settings.provenance = with(label("日本"));
        let id = bench
            .create_as("j", Kind::CharacterReplace, json!({}), |new| {
                new.provenance = agreed;
            })
            .await;
        let job = bench.drive(&bench.worker(), &id).await;
        bench
            .assert_ended_without_trace(&job, "invalid_watermark")
            .await;
        let error = job.error.as_ref().unwrap();
        assert_eq!(error.party, party, "{error:?}");
        assert!(
            error.message.contains("label") && error.message.contains("which no font here has")
        );
        assert_eq!(bench.studio.submitted(), 0);
    }
}

/// Digests are taken while the parts go up, and the head, which holds the manifest, goes up last.
#[tokio::test]
async fn a_signature_costs_no_reading_of_what_went_up_in_parts() {
    let Some(mut bench) = Bench::new().await else {
        return;
    };
    // A minute that does not compress: some 20 MB, which are copied.
    let minute = fixture(
        "minute.mp4",
        "-f lavfi -i nullsrc=size=128x96:rate=25:duration=60,geq=random(1)*255:128:128 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=60 \
         -c:v libx264 -preset ultrafast -crf 10 -pix_fmt yuv420p -c:a aac -movflags +faststart",
    );
    bench.settings.watermark.clear();
    let web = bench.settings.profiles.get_mut("web").unwrap();
    web.video.max_rate = None;
    let clip = bench.dir.path().join("objects/sources/u1/clip.mp4");
    std::fs::copy(&minute, clip).unwrap();
    gives(&bench, &minute);
    let gcs = bench.in_bucket().await;
    let mut read = Vec::new();
    for signer in [None, Some(signer(&bench))] {
        let (parts, is_signed) = (gcs.count(Op::Part), signer.is_some());
        bench.settings.signer = signer;
        let id = match is_signed {
            true => bench.create("signed").await,
            false => bench.create("bare").await,
        };
        let job = bench.drive(&bench.worker(), &id).await;
        let result = job.result.as_ref().unwrap_or_else(|| panic!("{job:#?}"));
        assert_eq!(result.provenance.as_ref().unwrap().signed, is_signed);
        let size = gcs.object(&result.video).unwrap().bytes.len() as u64;
        // The generated video goes up too.
        assert!(size > 3 * (5 << 20), "{size}");
        let parts = gcs.count(Op::Part) - parts;
        assert_eq!(parts as u64, 2 * size.div_ceil(5 << 20), "each part once");
        let generated = job.generated.as_ref().unwrap();
        read.push((gcs.sent(&result.video), gcs.sent(&generated.object), size));
    }
    let [(bare, from, least), (signed, signed_from, size)] = read[..] else {
        unreachable!()
    };
    // The manifest adds itself.
    assert!(size - least < 64 << 10, "{size} {least}");
    // What is read is read to verify it. How far ahead that is, differs by some blocks; to read the
    // media again would be all of them.
    let most = |bare: u64| bare + least / 2;
    assert!(signed < most(bare), "{signed}, {bare} without, of {size}");
    assert!(signed_from < most(from), "{signed_from}, {from} without");
}
