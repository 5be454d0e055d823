//! Which watermark a job gets: its own layers, or the operator's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::context::{Context, Halt, media_failure};
use super::super::placement::{layer_faults, placement};
use super::prepare;
use crate::job::{Code, Failure, Job, MediaRef, Party, WatermarkSpec};
use crate::media::{self, FileInput, Placement, Watermark};

const MAX_MARK_BYTES: u64 = 16 << 20;

/// A layer and the size of its picture.
pub(super) type Layer = (Watermark, (u32, u32));

/// The layers, checked, in the order they are drawn; none where nobody asked for one.
pub(super) async fn of(context: &Context<'_>, job: &Job) -> Result<Vec<Layer>, Halt> {
    let brand = &context.settings().watermark;
    let wanted = &job.output.watermark;
    let mut layers = Vec::new();
    if wanted.is_empty() {
        for layer in brand {
            let placement = layer.placement.clone();
            layers.push(layer_of(context, &layer.image, placement, Party::Service).await?);
        }
        return Ok(layers);
    }
    // Documents of other programs have not been through the API's checks.
    if let Some(fault) = layer_faults(wanted).first() {
        return Err(unusable(&fault.field, &fault.message).into());
    }
    // Words a job leaves out are those of the operator's first layer, and so is the logo.
    let base = brand.first();
    let base_placement = base
        .map(|layer| layer.placement.clone())
        .unwrap_or_default();
    for (index, wanted) in wanted.iter().enumerate() {
        let (file, whose) = match (&wanted.image, base) {
            (Some(reference), _) => (own(context, reference, index).await?, Party::Caller),
            (None, Some(layer)) => (layer.image.clone(), Party::Service),
            (None, None) => {
                let message = "The job asks for a watermark, and neither it nor the service has a picture for it.";
                return Err(Failure::new(Code::InvalidWatermark, message).into());
            }
        };
        let placement = placed(wanted, &base_placement)?;
        layers.push(layer_of(context, &file, placement, whose).await?);
    }
    Ok(layers)
}

async fn layer_of(
    context: &Context<'_>,
    file: &Path,
    placement: Placement,
    whose: Party,
) -> Result<Layer, Halt> {
    let (input, limits, cancel) = (
        FileInput::new(file),
        context.settings().limits.clone(),
        context.stop.media(),
    );
    let probed = context
        .blocking(move || media::probe_picture(&input, &limits, &cancel))
        .await?;
    let picture = probed.map_err(|error| {
        let message = format!("The watermark's picture is not usable: {}", error.message);
        Failure {
            code: Code::InvalidWatermark,
            message,
            ..media_failure(error, whose)
        }
    })?;
    let watermark = Watermark {
        image: Arc::new(FileInput::new(file)),
        placement,
    };
    Ok((watermark, (picture.width, picture.height)))
}

/// The job's own picture as a file of this visit; the second call finds the first one's.
async fn own(context: &Context<'_>, reference: &MediaRef, index: usize) -> Result<PathBuf, Halt> {
    let file = context.folder().join(format!("watermark-{index}"));
    if tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Ok(file);
    }
    match reference {
        MediaRef::Object(object) => {
            prepare::get(context, object, &file, MAX_MARK_BYTES).await?;
        }
        MediaRef::Web(url) => {
            let fetch = context.services.fetcher.fetch(url, &file, MAX_MARK_BYTES);
            context.interruptible(fetch).await?.map_err(|error| {
                Failure::new(
                    Code::InvalidWatermark,
                    format!("The watermark's picture could not be fetched: {error}"),
                )
            })?;
        }
    }
    Ok(file)
}

fn placed(wanted: &WatermarkSpec, base: &Placement) -> Result<Placement, Failure> {
    placement(wanted, base).map_err(|faults| match faults.first() {
        Some(fault) => unusable(&fault.field, &fault.message),
        None => Failure::new(Code::InvalidWatermark, Code::InvalidWatermark.about()),
    })
}

fn unusable(what: &str, why: &str) -> Failure {
    let what = what.trim_start_matches('.');
    let message = format!("The watermark is not usable: {what} {why}");
    Failure::new(Code::InvalidWatermark, message)
}
