//! From a submission that was taken to an outcome that shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use url::Url;

use super::catalog::{self, SEGMENT};
use super::faults::Fault;
use super::length;
use super::maker::{Make, Task};
use super::state::{Outcome, State, prediction_folder};
use super::webhook;
use crate::job::{Kind, Resolution};

/// How much of a cut file is left: past the index of a faststart file, short of its media's end.
const CUT_TO: f64 = 0.6;

/// Makes the prediction's video, waits until its outcome may show, and calls back.
pub(super) async fn run(state: Arc<State>, id: String) {
    let Ok(slot) = state.slots.acquire().await else {
        return;
    };
    let began = Instant::now();
    let Some(order) = start(&state, &id) else {
        return;
    };
    let outcome = match planned(&order.faults) {
        Some(outcome) => outcome,
        None => make(&state, &id, &order)
            .await
            .unwrap_or_else(|(code, message)| Outcome::Failed {
                code,
                message,
                flagged: false,
            }),
    };
    {
        let mut inner = state.lock();
        let Some(prediction) = inner.predictions.get_mut(&id) else {
            return;
        };
        prediction.outcome = Some(outcome);
        prediction.took = began.elapsed();
    }
    // The slot is for making; waiting to be looked at needs none.
    drop(slot);
    until_shown(&state, &id).await;
    webhook::deliver(&state, &id).await;
}

/// What a prediction was ordered with.
struct Order {
    kind: Kind,
    model: String,
    input: Value,
    faults: Vec<Fault>,
}

fn start(state: &State, id: &str) -> Option<Order> {
    let mut inner = state.lock();
    let prediction = inner.predictions.get_mut(id)?;
    prediction.started = true;
    Some(Order {
        kind: prediction.kind,
        model: prediction.model.clone(),
        input: prediction.input.clone(),
        faults: prediction.faults.clone(),
    })
}

/// An outcome that needs no video.
fn planned(faults: &[Fault]) -> Option<Outcome> {
    faults.iter().find_map(|fault| match fault {
        Fault::FailedPrediction { code, message } => Some(Outcome::Failed {
            code: *code,
            message: message.clone(),
            flagged: false,
        }),
        Fault::ContentRefused => Some(Outcome::Failed {
            code: 1200,
            message: "The content was refused by moderation.".into(),
            flagged: true,
        }),
        Fault::Status { status } => Some(Outcome::Status(status.clone())),
        Fault::NoOutput => Some(Outcome::NoOutput),
        _ => None,
    })
}

pub(super) type Failure = (i64, String);

async fn make(state: &Arc<State>, id: &str, order: &Order) -> Result<Outcome, Failure> {
    let Order {
        kind,
        model,
        input,
        faults,
    } = order;
    let kind = *kind;
    let folder = prediction_folder(&state.folder, id);
    let internal = |error: std::io::Error| (5000, format!("Internal error: {error}."));
    // Not its parents: once the sandbox has ended they are gone and are to stay so.
    tokio::fs::create_dir(&folder).await.map_err(internal)?;

    let video = obtain(state, input, "video", &folder).await?;
    let mut make = match kind {
        Kind::Upscale => Make::Upscale {
            short_side: short_side(input),
        },
        Kind::Extend if model == SEGMENT => Make::Segment {
            seconds: input["duration"].as_f64().unwrap_or(5.0),
        },
        Kind::Extend => Make::Extend {
            seconds: added_seconds(model, input, &video).await,
        },
        Kind::CharacterReplace => Make::CharacterReplace {
            picture: obtain(state, input, "image", &folder).await?,
        },
    };
    let (mut audio, mut squeezed) = (state.config.audio, false);
    for fault in faults {
        match fault {
            Fault::SilentVideo => audio = false,
            Fault::WithAudio => audio = true,
            Fault::WrongDuration => {
                make = Make::Extend {
                    // An extension is wrong where hardly anything was added, the rest where
                    // anything was.
                    seconds: if kind == Kind::Extend { 0.2 } else { 2.0 },
                };
            }
            // Smaller than anything that may be asked for; where no size is asked for, of another
            // shape than the source.
            Fault::WrongSize if kind == Kind::Upscale => make = Make::Upscale { short_side: 240 },
            Fault::WrongSize => squeezed = true,
            _ => {}
        }
    }

    let video = if squeezed {
        let to = folder.join("squeezed.mp4");
        let make = Make::Squeeze;
        made(state, Task { video, make, audio }, to).await?
    } else {
        video
    };
    let out = made(state, Task { video, make, audio }, folder.join("1.mp4")).await?;
    if faults.contains(&Fault::CutFile) {
        cut(&out).await.map_err(internal)?;
    }
    Ok(Outcome::Video(out))
}

/// Seconds of the new part. A model that is told the whole length of less than the source adds
/// nothing, as a real one may.
async fn added_seconds(model: &str, input: &Value, video: &Path) -> f64 {
    let asked = input["duration"].as_f64().unwrap_or(5.0);
    if !catalog::find(model).is_some_and(|model| model.whole) {
        return asked;
    }
    let file = video.to_owned();
    let source = tokio::task::spawn_blocking(move || length::seconds(&file)).await;
    let source = source.ok().flatten().unwrap_or_default();
    // Makers make one frame at least.
    (asked - source).max(0.05)
}

async fn made(state: &State, task: Task, out: PathBuf) -> Result<PathBuf, Failure> {
    let (maker, cancel, to) = (Arc::clone(&state.maker), state.cancel.clone(), out.clone());
    tokio::task::spawn_blocking(move || maker.make(&task, &to, &cancel))
        .await
        .map_err(|_| (5000, "Internal error.".to_owned()))?
        .map_err(|error| (1403, format!("Task execution failed: {error}.")))?;
    Ok(out)
}

fn short_side(input: &Value) -> u32 {
    input["target_resolution"]
        .as_str()
        .and_then(|text| text.parse::<Resolution>().ok())
        .unwrap_or(Resolution::P1080)
        .short_side()
}

async fn cut(file: &Path) -> std::io::Result<()> {
    let length = tokio::fs::metadata(file).await?.len();
    let file = tokio::fs::OpenOptions::new().write(true).open(file).await?;
    file.set_len((length as f64 * CUT_TO) as u64).await
}

/// The input as a file: our own upload as it lies there, anything else fetched.
pub(super) async fn obtain(
    state: &State,
    input: &Value,
    name: &str,
    folder: &Path,
) -> Result<PathBuf, Failure> {
    let what = if name == "image" { "image" } else { "video" };
    let unreachable = || {
        (
            1402,
            format!("Failed to download {what} from the provided URL."),
        )
    };
    let url: Url = input[name]
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(unreachable)?;
    if let Some(own) = own_file(state, url.as_str()) {
        return own.ok_or_else(unreachable);
    }
    let to = folder.join(format!("input-{name}"));
    match fetch(state, url, &to).await {
        Ok(()) => Ok(to),
        Err(reason) => {
            tracing::debug!(name, reason, "sandbox could not fetch an input");
            Err(unreachable())
        }
    }
}

/// `None`: not an address of ours. `Some(None)`: ours, but nothing lies there.
fn own_file(state: &State, url: &str) -> Option<Option<PathBuf>> {
    let prefix = state.url("");
    let path = url.strip_prefix(&prefix)?;
    let mut parts = path.split('/');
    let inner = state.lock();
    Some(match (parts.next(), parts.next()) {
        (Some("files"), Some(id)) => inner
            .uploads
            .get(id)
            .filter(|upload| upload.done)
            .map(|upload| upload.path.clone()),
        (Some("outputs"), Some(id)) => {
            inner
                .predictions
                .get(id)
                .and_then(|prediction| match &prediction.outcome {
                    Some(Outcome::Video(path)) if prediction.shown => Some(path.clone()),
                    _ => None,
                })
        }
        _ => None,
    })
}

async fn fetch(state: &State, url: Url, to: &Path) -> Result<(), String> {
    let response = state
        .client
        .get(url)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| error.without_url().to_string())?;
    let mut file = tokio::fs::File::create(to)
        .await
        .map_err(|error| error.to_string())?;
    let mut left = state.config.max_upload_bytes;
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| error.without_url().to_string())?;
        left = left
            .checked_sub(part.len() as u64)
            .ok_or("it is too large")?;
        file.write_all(&part)
            .await
            .map_err(|error| error.to_string())?;
    }
    file.flush().await.map_err(|error| error.to_string())
}

async fn until_shown(state: &State, id: &str) {
    let min_time = state.config.min_time;
    loop {
        let changed = state.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let left = {
            let mut inner = state.lock();
            let held = inner.held;
            let Some(prediction) = inner.predictions.get_mut(id) else {
                return;
            };
            if prediction.show_if_due(held, min_time) {
                return;
            }
            min_time.saturating_sub(prediction.accepted.elapsed())
        };
        if left.is_zero() {
            changed.await;
        } else {
            let _ = tokio::time::timeout(left, changed).await;
        }
    }
}
