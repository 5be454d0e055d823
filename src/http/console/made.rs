//! What was done to make a result, and why, told from its `metadata.json`.
//!
//! The file is read as it is: one of an earlier release lacks what is newer, and its page shows
//! what there is.

use std::time::Duration;

use futures::StreamExt as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::{figures, words};
use crate::http::HttpState;
use crate::job::{Job, Status};
use crate::media::StoryboardInfo;

/// One of filmlab's has some 10 KiB.
const MOST_BYTES: u64 = 256 * 1024;

pub(super) struct Made {
    /// What was done, a sentence each.
    pub(super) sentences: Vec<String>,
    pub(super) figures: Vec<figures::Row>,
    /// How the storyboard is put together, where there is one.
    pub(super) storyboard: Option<StoryboardInfo>,
}

pub(super) async fn read(state: &HttpState, job: &Job) -> Option<Made> {
    let result = job.result.as_ref()?;
    if job.status != Status::Completed {
        return None;
    }
    let told = match text(state, &result.metadata).await {
        Ok(told) => told,
        Err(error) => {
            tracing::info!(job = %job.id, error, "what was done is not shown");
            return None;
        }
    };
    let told: Value = serde_json::from_str(&told).ok()?;
    Some(Made {
        sentences: sentences(&told["processing"])
            .into_iter()
            .chain(provenance(&told["processing"]["output"]["provenance"]))
            .collect(),
        figures: figures::of(&told),
        storyboard: StoryboardInfo::deserialize(&told["processing"]["storyboard"]).ok(),
    })
}

async fn text(state: &HttpState, object: &str) -> Result<String, String> {
    let storage = &state.storage;
    let bytes = storage.head(object).await.map_err(|e| e.to_string())?.bytes;
    let range = 0..bytes.min(MOST_BYTES);
    let stream = storage.read_range(object, range).await;
    let mut stream = stream.map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    while let Some(chunk) = stream.next().await {
        text.extend_from_slice(&chunk.map_err(|e| e.to_string())?);
    }
    String::from_utf8(text).map_err(|e| e.to_string())
}

fn sentences(made: &Value) -> Vec<String> {
    let mut said = Vec::new();
    let plan = &made["plan"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let because = |part: &Value| match part["reason"].as_str() {
        Some(reason) => format!(", because {reason}"),
        None => String::new(),
    };
    let video = &plan["video"];
    match video["action"].as_str() {
        Some("copy") => said.push(format!("The pictures were copied{}.", because(video))),
        Some("encode") => said.push(format!(
            "The pictures were encoded anew at quality {} ({}) with the profile {}{}.",
            video["crf"],
            word(&video["preset"]),
            word(&plan["profile"]),
            because(video),
        )),
        _ => {}
    }
    if let Some(peak) = video["max_rate"].as_f64() {
        said.push(format!("At most {} were spent.", words::bit_rate(peak)));
    }
    if let Some(fps) = video["fps"].as_f64() {
        said.push(format!(
            "They were thinned to {} a second.",
            words::two(fps)
        ));
    }
    if video["tone_map"] == true {
        said.push("HDR was brought to the range of usual screens.".to_owned());
    }
    let audio = &plan["audio"];
    match audio["action"].as_str() {
        Some("none" | "drop") => said.push(format!("There is no sound{}.", because(audio))),
        Some("copy") => said.push(format!("The sound was copied{}.", because(audio))),
        Some(_) => said.push(format!("The sound was encoded anew{}.", because(audio))),
        None => {}
    }
    for mark in plan["watermarks"].as_array().into_iter().flatten().take(16) {
        said.push(format!(
            "A watermark of {}×{} pixels was laid on at {}, {}.",
            mark["width"], mark["height"], mark["x"], mark["y"]
        ));
    }
    if let (Some(width), Some(height), Some(at)) = (
        made["poster"]["width"].as_u64(),
        made["poster"]["height"].as_u64(),
        made["poster"]["time_ms"].as_u64(),
    ) {
        let at = words::span(Duration::from_millis(at));
        said.push(format!(
            "The poster shows the picture at {at}, {width}×{height}."
        ));
    }
    if made["faststart"] == true {
        said.push("Players can begin before the file is whole (faststart).".to_owned());
    }
    let damage = &made["damage"];
    let count = |name: &str| damage[name].as_u64().unwrap_or_default();
    let bad = count("bad_frames") + count("bad_packets") + count("dropped_frames");
    if bad > 0 {
        said.push(format!(
            "{bad} pictures or packets were damaged and passed over."
        ));
    }
    if damage["truncated"] == true {
        said.push("The file ended before it said it would.".to_owned());
    }
    let took = |name: &str| made["timings"][name].as_u64().map(Duration::from_millis);
    if let (Some(all), Some(verify)) = (took("total_ms"), took("verify_ms")) {
        said.push(format!(
            "It took {}, {} of it to check the result.",
            words::span(all),
            words::span(verify)
        ));
    }
    said
}

/// What the result says of how it was made, and whether that is signed.
fn provenance(says: &Value) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(word) = says["source_type"].as_str() {
        // An address of IPTC's, of which the last part counts.
        let how = match word.rsplit('/').next().unwrap_or(word) {
            "trainedAlgorithmicMedia" => "it was made by a model",
            "compositeWithTrainedAlgorithmicMedia" => "it was made in part by a model",
            "algorithmicallyEnhanced" => "it was enhanced by an algorithm",
            other => other,
        };
        let model = match says["model"].as_str() {
            Some(model) => format!(", {model}"),
            None => String::new(),
        };
        said.push(format!("The file says of itself: {how}{model}."));
    }
    let manifest = &says["manifest"];
    match manifest["state"].as_str() {
        Some(state) => {
            let signer = match manifest["signer"].as_str() {
                Some(signer) => format!(" by {signer}"),
                None => String::new(),
            };
            let state = state.replace('_', " ");
            said.push(format!("It is signed{signer} (C2PA); read back: {state}."));
        }
        None if says.is_object() => said.push("It is not signed (C2PA).".to_owned()),
        None => {}
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_said_is_not_told() {
        assert_eq!(sentences(&Value::Null), Vec::<String>::new());
        assert_eq!(provenance(&Value::Null), Vec::<String>::new());
        let copied = json!({"plan": {"video": {"action": "copy", "reason": "it fits"}}});
        assert_eq!(
            sentences(&copied),
            ["The pictures were copied, because it fits."]
        );
    }

    #[test]
    fn it_is_told_what_the_file_says_of_itself_and_whether_it_is_signed() {
        let says = json!({
            "source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
            "model": "acme/up",
            "manifest": {"bytes": 1, "state": "valid", "signer": "lab"},
        });
        assert_eq!(
            provenance(&says),
            [
                "The file says of itself: it was made by a model, acme/up.",
                "It is signed by lab (C2PA); read back: valid."
            ]
        );
        assert_eq!(provenance(&json!({})), ["It is not signed (C2PA)."]);
    }
}
