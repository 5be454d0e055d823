//! Signed links, checked by a verifier that shares no code with the signer.

use std::time::Duration;

use filmlab::google::{GoogleAccess, Identity};
use filmlab::job::{Published, Status};
use filmlab::storage::Storage;
use filmlab::storage::gcs::{self, GcsConfig};
use url::Url;

use crate::support::gcs::{BUCKET, FakeGcs};
use crate::support::google::{FakeGoogle, KEY, OTHER_KEY, SERVICE_ACCOUNT};
use crate::support::v4::verify;

async fn by_key(endpoint: Option<Url>) -> Storage {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key.json");
    std::fs::write(&file, KEY.file().to_string()).unwrap();
    let access = GoogleAccess::new(&Identity::KeyFile(file)).await.unwrap();
    let config = GcsConfig {
        endpoint,
        ..GcsConfig::new(BUCKET)
    };
    gcs::open(&config, &access).unwrap()
}

async fn by_iam(google: &FakeGoogle, signer: Option<&str>) -> Storage {
    let base = google.start().await;
    let identity = Identity::Metadata {
        endpoint: Some(base.clone()),
    };
    let access = GoogleAccess::new(&identity);
    let config = GcsConfig {
        iam_endpoint: Some(base),
        signer: signer.map(str::to_owned),
        ..GcsConfig::new(BUCKET)
    };
    gcs::open(&config, &access.await.unwrap()).unwrap()
}

fn expires(url: &Url) -> u64 {
    let pair = url.query_pairs().find(|(name, _)| name == "X-Goog-Expires");
    pair.unwrap().1.parse().unwrap()
}

const NAMES: [&str; 4] = [
    "results/j1/1-1/video.mp4",
    "sources/u1/with space/ü (1)'s.mp4",
    "sources/u1/a?b#c%41+d&e=f;g.mp4",
    "sources/u1/日本.mp4",
];

#[tokio::test]
async fn links_by_key_stand_up_to_an_independent_check() {
    let storage = by_key(None).await;
    let hour = Duration::from_secs(3600);
    for object in NAMES {
        for name in [None, Some("mein \"Film\" & mehr ü.mp4")] {
            let url = storage.link(object, hour, name).await.unwrap();
            let now = jiff::Timestamp::now();
            verify(&url, "GET", &KEY.public(), now).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!(expires(&url), 3600);
            let path = percent_encoding::percent_decode_str(url.path())
                .decode_utf8()
                .unwrap();
            assert_eq!(path, format!("/{BUCKET}/{object}"));
            // The verifier itself can say no.
            assert!(verify(&url, "PUT", &KEY.public(), now).is_err());
            assert!(verify(&url, "GET", &OTHER_KEY.public(), now).is_err());
            let late = now + jiff::SignedDuration::from_secs(3700);
            assert_eq!(
                verify(&url, "GET", &KEY.public(), late),
                Err("expired".into())
            );
            let mut other = url.clone();
            other.set_path(&format!("/{BUCKET}/results/j2/1-1/video.mp4"));
            assert!(verify(&other, "GET", &KEY.public(), now).is_err());
        }
    }
}

#[tokio::test]
async fn links_by_iam_need_no_key() {
    let google = FakeGoogle::default();
    let storage = by_iam(&google, None).await;
    for object in NAMES {
        let url = storage
            .link(object, Duration::from_secs(900), Some("x.mp4"))
            .await
            .unwrap();
        verify(&url, "GET", &KEY.public(), jiff::Timestamp::now()).unwrap();
        assert!(
            url.query()
                .unwrap()
                .contains("worker%40demo.iam.gserviceaccount.com%2F")
        );
    }
    let calls = google.calls();
    let count = |what: &str| calls.iter().filter(|call| call.as_str() == what).count();
    assert_eq!(count(&format!("{SERVICE_ACCOUNT}:signBlob")), NAMES.len());
    // Whose account it is does not change, and a token is kept.
    assert_eq!((count("metadata email"), count("metadata token")), (1, 1));

    let google = FakeGoogle::default();
    let storage = by_iam(&google, Some("links@demo.iam.gserviceaccount.com")).await;
    storage
        .link("results/a", Duration::from_secs(60), None)
        .await
        .unwrap();
    let calls = google.calls();
    assert!(
        calls.contains(&"links@demo.iam.gserviceaccount.com:signBlob".into()),
        "{calls:?}"
    );
    assert!(!calls.contains(&"metadata email".into()), "{calls:?}");
}

#[tokio::test]
async fn a_link_lasts_as_long_as_its_signature_holds() {
    let week = Duration::from_secs(7 * 24 * 3600);
    let url = by_key(None)
        .await
        .link("results/a", Duration::MAX, None)
        .await
        .unwrap();
    assert_eq!(expires(&url), week.as_secs());
    let storage = by_iam(&FakeGoogle::default(), None).await;
    let url = storage.link("results/a", week, None).await.unwrap();
    assert_eq!(expires(&url), 12 * 3600);
}

#[tokio::test]
async fn a_link_opens_at_the_stand_in_and_names_the_download() {
    let gcs = FakeGcs::default();
    gcs.trust_links(KEY.public());
    let storage = by_key(Some(gcs.start().await)).await;
    let object = NAMES[2];
    // The key signs its own tokens: no token server is asked.
    storage.put_bytes("film".into(), object).await.unwrap();
    let url = storage
        .link(object, Duration::from_secs(60), Some("ü.mp4"))
        .await
        .unwrap();
    let answer = reqwest::get(url.clone()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename=\"_.mp4\"; filename*=UTF-8''%C3%BC.mp4"
    );
    assert_eq!(answer.text().await.unwrap(), "film");
    let changed = url
        .as_str()
        .replace("X-Goog-Expires=60", "X-Goog-Expires=61");
    assert_eq!(reqwest::get(changed).await.unwrap().status(), 403);
}

#[tokio::test]
async fn unusable_credentials_are_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key.json");
    let open = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        let access = GoogleAccess::new(&Identity::KeyFile(file.clone())).await;
        match access {
            Ok(access) => gcs::open(&GcsConfig::new(BUCKET), &access)
                .map(drop)
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    };
    let mut key = KEY.file();
    assert_eq!(open(&key.to_string()).await, Ok(()));
    key["private_key"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----".into();
    for text in ["{", "{}", &key.to_string()] {
        assert!(open(text).await.is_err(), "{text}");
    }
    let missing = Identity::KeyFile(dir.path().join("none.json"));
    assert!(GoogleAccess::new(&missing).await.is_err());
}

/// What a client that polls a completed job costs at IAM.
#[tokio::test]
async fn fifty_reads_of_a_completed_job_are_three_signatures() {
    let google = FakeGoogle::default();
    let mut app = crate::http::App::new();
    app.state.storage = by_iam(&google, None).await;
    let id = app.create().await;
    app.change(&id, |job| {
        job.status = Status::Completed;
        job.result = Some(Published {
            video: "results/j/1-1/video.mp4".into(),
            poster: "results/j/1-1/poster.jpg".into(),
            metadata: "results/j/1-1/metadata.json".into(),
            storyboard: None,
            storyboard_vtt: None,
            bytes: 1,
            duration_ms: 1,
            width: 1,
            height: 1,
            provenance: None,
        });
    });
    for _ in 0..50 {
        let answer = app.get(&format!("/v1/jobs/{id}")).await;
        assert_eq!(answer.status, 200);
        let video = answer.json()["result"]["video"]
            .as_str()
            .unwrap()
            .to_owned();
        verify(
            &video.parse().unwrap(),
            "GET",
            &KEY.public(),
            jiff::Timestamp::now(),
        )
        .unwrap();
    }
    let signed = |call: &&String| call.ends_with(":signBlob");
    assert_eq!(google.calls().iter().filter(signed).count(), 3);
}
