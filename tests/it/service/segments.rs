//! A model that returns the new part only, from the request to the published file.

use filmlab::sandbox::SandboxConfig;
use serde_json::{Value, json};

use super::lab::Lab;
use crate::media::support::{ffprobe, frame_count, seconds, ssim, times};

#[tokio::test]
async fn a_new_part_by_itself_is_joined_to_its_source() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    lab.set("PROVIDER__MODELS__EXTEND__ID", "sandbox/segment-extend");
    lab.set("PROVIDER__MODELS__EXTEND__RETURNS", "segment");
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
    assert_eq!(lab.sandbox.submissions()[0].model, "sandbox/segment-extend");

    // Two seconds of source and four new ones, 24 frames a second throughout.
    let result = job.result.unwrap();
    let file = lab.object(&result.video);
    assert!(result.duration_ms.abs_diff(6000) <= 50, "{result:?}");
    assert_eq!(frame_count(&file), 144);
    let at = times(&file, "v");
    let even = |pair: &[f64]| (pair[1] - pair[0] - 1.0 / 24.0).abs() < 0.002;
    assert!(at.windows(2).all(even), "{at:?}");
    assert!((seconds(&file, "a") - 6.0).abs() < 0.05);
    assert_eq!(ffprobe(&file, "v", "stream=width,height"), ["320", "180"]);
    // Away from the mark: the source up to the seam, and its last frame goes on behind it.
    let corner = "scale=320:180,crop=160:90:0:0";
    let source = format!("trim=end_frame=48,{corner}");
    let same = ssim(&lab.clip, &file, &source);
    assert!(same > 0.95, "{same}");
    let still = |range: &str| format!("trim={range},setpts=PTS-STARTPTS,{corner}");
    let before = crate::media::support::fixture(
        "seam-before.mkv",
        &format!(
            "-i {} -vf {} -c:v ffv1 -an",
            file.display(),
            still("start_frame=47:end_frame=48")
        ),
    );
    let after = crate::media::support::fixture(
        "seam-after.mkv",
        &format!(
            "-i {} -vf {} -c:v ffv1 -an",
            file.display(),
            still("start_frame=48:end_frame=49")
        ),
    );
    let near = ssim(&before, &after, "null");
    assert!(near > 0.8, "{near}");
    let metadata = std::fs::read(lab.object(&result.metadata)).unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["processing"]["plan"]["continues_ms"], 2000);
    service.stop().await;
}
