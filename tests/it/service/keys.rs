//! Keys are changed without closing the door on what the old ones opened.

use filmlab::sandbox::SandboxConfig;
use serde_json::Value;
use url::Url;

use super::lab::{Lab, Running};

async fn opens(lab: &Lab, service: &Running, link: &str) -> u16 {
    // Each start has a port of its own; the signature does not cover it.
    let mut link: Url = link.parse().unwrap();
    link.set_port(Some(service.address.port())).unwrap();
    lab.http.get(link).send().await.unwrap().status().as_u16()
}

async fn link(lab: &Lab, service: &Running, id: &str) -> String {
    let address = format!("http://{}/v1/jobs/{id}", service.address);
    let job: Value = lab
        .http
        .get(address)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    job["result"]["video"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_opens_while_the_key_is_changed_and_no_longer() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let service = lab.start().await;
    let id = lab.create(&service).await;
    lab.assert_completed_once(&service, &id).await;
    let first = link(&lab, &service, &id).await;
    assert_eq!(opens(&lab, &service, &first).await, 200);
    service.stop().await;

    // The key in the data folder: its file is renamed, and a new one is made.
    let file = |name: &str| lab.data().join(name);
    std::fs::rename(file("secret.key"), file("secret.key.old")).unwrap();
    let service = lab.start().await;
    let second = link(&lab, &service, &id).await;
    assert_ne!(
        std::fs::read(file("secret.key")).unwrap(),
        std::fs::read(file("secret.key.old")).unwrap()
    );
    for link in [&first, &second] {
        assert_eq!(opens(&lab, &service, link).await, 200, "{link}");
    }
    service.stop().await;
    std::fs::remove_file(file("secret.key.old")).unwrap();
    let service = lab.start().await;
    assert_eq!(opens(&lab, &service, &first).await, 403);
    assert_eq!(opens(&lab, &service, &second).await, 200);
    service.stop().await;

    // Keys in the settings.
    lab.set("LINKS__KEY", "the-first-key-of-links");
    let service = lab.start().await;
    let third = link(&lab, &service, &id).await;
    assert_eq!(opens(&lab, &service, &second).await, 403);
    service.stop().await;
    lab.set("LINKS__KEY", "the-second-key-of-links");
    lab.set("LINKS__OLD_KEY", "the-first-key-of-links");
    let service = lab.start().await;
    assert_eq!(opens(&lab, &service, &third).await, 200);
    service.stop().await;
}
