//! What the results of jobs say of how they were made, and what they do not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use filmlab::job::{CreditsMode, Job, Kind, Provenance};
use filmlab::media::{Cancel, FileInput, Limits, LocalSigner, ProvenanceInfo, Signer};
use serde_json::json;

use super::bench::Bench;
use super::outputs::{gives, made, result};
use super::rounds::failed_in_process;

fn told(bench: &Bench, job: &Job) -> Option<ProvenanceInfo> {
    let input = FileInput::new(result(bench, job));
    let probe = filmlab::media::probe(&input, &Limits::default(), &Cancel::new());
    probe.unwrap().provenance
}

fn signer(bench: &Bench) -> Arc<dyn Signer> {
    let file = bench.dir.path().join("signing.pem");
    Arc::new(LocalSigner::load_or_make(&file).unwrap())
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
        if let Some(arguments) = arguments {
            let Some(file) = made(&bench, &arguments, "made.mp4") else {
                return;
            };
            gives(&bench, &file);
        }
        // The sources of somebody else.
        let sources = bench.dir.path().join("objects/sources");
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
    let name = &job.result.as_ref().unwrap().metadata;
    let metadata = std::fs::read(bench.dir.path().join("objects").join(name)).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["probe"]["provenance"]["provider"], "the first");

    // Who does not say it gets what the settings say by then, which may be nothing.
    let id = bench.create_as("k", kind, params.clone(), |_| {}).await;
    let job = bench.drive(&bench.worker(), &id).await;
    let info = told(&bench, &job).unwrap();
    assert_eq!(info.provider.as_deref(), Some("the second"));
    assert!(info.manifest.is_some());
    bench.settings.provenance.metadata = false;
    let id = bench.create_as("l", kind, params, |_| {}).await;
    let job = bench.drive(&bench.worker(), &id).await;
    assert_eq!(told(&bench, &job), None);
}
