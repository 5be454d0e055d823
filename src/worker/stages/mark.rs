//! Which watermark a job gets: its own, or the operator's.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::context::{Context, Halt, media_failure};
use super::prepare;
use crate::job::{Code, Failure, Job, Party, WatermarkSpec};
use crate::media::{self, FileInput, Placement, Watermark};

const MAX_MARK_BYTES: u64 = 16 << 20;

/// The watermark and the size of its picture, checked; `None` where nobody asked for one.
pub(super) async fn of(
    context: &Context<'_>,
    job: &Job,
) -> Result<Option<(Watermark, (u32, u32))>, Halt> {
    let brand = context.settings().watermark.as_ref();
    let wanted = job.output.watermark.as_ref();
    let (file, whose) = match (wanted.and_then(|wanted| wanted.image.as_ref()), brand) {
        (Some(reference), _) => (own(context, reference).await?, Party::Caller),
        (None, Some(brand)) => (brand.image.clone(), Party::Service),
        (None, None) if wanted.is_some() => {
            let message = "The job asks for a watermark, and neither it nor the service has a picture for it.";
            return Err(Failure::new(Code::InvalidWatermark, message).into());
        }
        (None, None) => return Ok(None),
    };
    let empty = WatermarkSpec {
        image: None,
        anchor: None,
        scale: None,
        opacity: None,
    };
    let placement = placement(
        wanted.unwrap_or(&empty),
        brand.map_or(&empty, |brand| &brand.spec),
    )?;
    let (input, limits, cancel) = (
        FileInput::new(&file),
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
    Ok(Some((watermark, (picture.width, picture.height))))
}

async fn own(context: &Context<'_>, reference: &crate::job::MediaRef) -> Result<PathBuf, Halt> {
    let file = context.folder().join("watermark");
    if tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Ok(file);
    }
    match reference {
        crate::job::MediaRef::Object(object) => {
            prepare::get(context, object, &file, MAX_MARK_BYTES).await?;
        }
        crate::job::MediaRef::Web(url) => {
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

/// The job's words where it has any, else the operator's, else the engine's defaults.
fn placement(wanted: &WatermarkSpec, brand: &WatermarkSpec) -> Result<Placement, Failure> {
    let mut placement = Placement::default();
    let refused = |what: &str, why: String| {
        Failure::new(
            Code::InvalidWatermark,
            format!("The watermark's {what} is not usable: {why}"),
        )
    };
    if let Some(anchor) = wanted.anchor.as_ref().or(brand.anchor.as_ref()) {
        placement.anchor = anchor
            .parse()
            .map_err(|_| refused("anchor", format!("there is no “{anchor}”")))?;
    }
    if let Some(scale) = wanted.scale.as_ref().or(brand.scale.as_ref()) {
        placement.size = scale
            .parse()
            .map_err(|error: media::LengthError| refused("scale", error.to_string()))?;
    }
    if let Some(opacity) = wanted.opacity.or(brand.opacity) {
        placement.opacity = opacity;
    }
    // Whether it fits the frame is the plan's to say.
    Ok(placement)
}
