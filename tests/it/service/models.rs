//! Models that understand a parameter in another way than most, from the request to the result.

use filmlab::job::DurationMeaning;
use filmlab::sandbox::SandboxConfig;
use serde_json::{Value, json};

use super::lab::Lab;

/// It takes no 720p by that name, and one of them takes the length of the whole video. The clip
/// lasts two seconds.
#[tokio::test]
async fn an_extension_is_as_long_as_was_asked_for_whatever_its_model_calls_it() {
    let models = [
        (
            "wavespeed-ai/minimax-h3/video-extend",
            DurationMeaning::Added,
            json!(4),
        ),
        (
            "alibaba/wan-2.7/video-extend",
            DurationMeaning::Whole,
            json!(6),
        ),
    ];
    for (model, meaning, duration) in models {
        let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
            return;
        };
        lab.set("PROVIDER__MODELS__EXTEND__ID", model);
        lab.set("PROVIDER__MODELS__EXTEND__USUAL_BASE_S", "0");
        lab.set("PROVIDER__MODELS__EXTEND__USUAL_PER_SECOND_S", "0");
        let service = lab.start().await;
        let video = lab.upload(&service, &lab.clip).await;
        let body = json!({"kind": "extend", "params": {"prompt": "on", "seconds": 4},
            "source": {"video": video}});
        let address = format!("http://{}/v1/jobs", service.address);
        let answer = lab.http.post(address).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let id = answer.json::<Value>().await.unwrap()["id"].clone();
        let id = id.as_str().unwrap();
        lab.assert_completed_once(&service, id).await;
        let job = lab.ended(&service, id).await;
        let sent = &lab.sandbox.submissions()[0];
        assert_eq!(sent.model, model);
        assert_eq!(sent.body["duration"], duration);
        let terms = job.intents[0].terms.unwrap();
        assert_eq!(terms.duration, meaning);
        let result = job.result.unwrap();
        assert!(result.duration_ms.abs_diff(6000) <= 50, "{result:?}");
        service.stop().await;
    }
}
