//! What a test asks of a service that runs in a process of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::lab::Lab;

pub(super) struct Remote<'a> {
    lab: &'a Lab,
    /// Where it answers: host and port.
    place: String,
}

async fn answer(request: RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

impl<'a> Remote<'a> {
    pub(super) fn new(lab: &'a Lab, place: &impl ToString) -> Self {
        let place = place.to_string();
        Self { lab, place }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.place)
    }

    pub(super) async fn upload(&self, file: &Path) -> String {
        let name = file.file_name().unwrap().to_string_lossy();
        let address = format!("{}/v1/sources?name={name}", self.base());
        let bytes = std::fs::read(file).unwrap();
        let source = answer(self.lab.http.post(address).body(bytes)).await;
        source["source"].as_str().unwrap().to_owned()
    }

    /// Has the character of a picture put into a video; both are uploads.
    pub(super) async fn create(&self, video: &str, image: &str) -> String {
        let body = json!({"kind": "character_replace", "source": {"video": video, "image": image}});
        let address = format!("{}/v1/jobs", self.base());
        let job = answer(self.lab.http.post(address).json(&body)).await;
        let id = job["id"].as_str();
        id.unwrap_or_else(|| panic!("{job}")).to_owned()
    }

    pub(super) async fn job(&self, id: &str) -> Value {
        let address = format!("{}/v1/jobs/{id}", self.base());
        answer(self.lab.http.get(address)).await
    }

    pub(super) async fn until(&self, id: &str, fits: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        loop {
            let job = self.job(id).await;
            if fits(&job) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{job:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
