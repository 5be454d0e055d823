//! Which watermark a job gets: its own layers, or the operator's.

use std::sync::Arc;

use super::super::context::Context;
use super::super::failures::{media_failure, unavailable};
use super::super::halt::{About, Halt};
use super::super::objects::ObjectInput;
use super::super::placement::{self, Meant, meant, place_of, text_fault, too_many_layers};
use super::super::settings::BrandMark;
use super::copy::copy;
use super::provenance;
use crate::job::{
    Code, Disposition, Failure, Fault, Job, Label, MediaRef, OrFailure as _, Party, Phase,
};
use crate::media::{DrawnText, Input, MAX_LAYERS, Placement, TextMark, Watermark};
use crate::storage::StorageError;

const MAX_MARK_BYTES: u64 = 16 << 20;

/// A layer and the size of its picture.
pub(super) type Layer = (Watermark, (u32, u32));

/// The layers, checked, in the order they are drawn; none where nobody asked for one. The visible
/// label is drawn over all others.
pub(super) async fn of(context: &Context<'_>, job: &Job) -> Result<Vec<Layer>, Halt> {
    let mut layers = wanted(context, job).await?;
    if let Some(label) = provenance::label(context, job) {
        let party = provenance::label_party(context, job);
        let (drawn, placement) = draw_label(context, label.clone(), party).await?;
        layers.push(layer_of(context, Picture::Text(drawn, party), placement).await?);
    }
    Ok(layers)
}

async fn wanted(context: &Context<'_>, job: &Job) -> Result<Vec<Layer>, Halt> {
    let brand = &context.settings().watermark;
    let wanted = &job.output.watermark;
    let mut layers = Vec::new();
    if wanted.is_empty() {
        for layer in brand {
            let placement = layer.mark.placed(&layer.placement);
            layers.push(layer_of(context, Picture::brand(&layer.mark), placement).await?);
        }
        return Ok(layers);
    }
    // Documents of other programs have not been through the API's checks.
    if wanted.len() > MAX_LAYERS {
        return Err(unusable("", &too_many_layers()).into());
    }
    // Words a job leaves out are those of the operator's first layer, and so is the logo.
    let base = brand.first();
    for (index, layer) in wanted.iter().enumerate() {
        let at = place_of(index, wanted.len());
        let (picture, placement) = match meant(layer, base).map_err(|faults| first(&at, &faults))? {
            Meant::Text(mark, placement) => {
                let drawn = draw(context, mark.clone(), &at).await?;
                let placement = drawn.placed(&mark, &placement);
                (Picture::Text(drawn, Party::Caller), placement)
            }
            Meant::Picture(placement) => match (&layer.image, base) {
                (Some(reference), _) => {
                    let picture = own(context, job, reference, index).await?;
                    (Picture::Own(picture), placement)
                }
                (None, Some(brand)) => (Picture::brand(&brand.mark), brand.mark.placed(&placement)),
                // `meant` refuses it.
                (None, None) => continue,
            },
        };
        layers.push(layer_of(context, picture, placement).await?);
    }
    Ok(layers)
}

/// Lays the text of a job out. Fonts are read for it, and it takes some milliseconds.
async fn draw(context: &Context<'_>, mark: TextMark, at: &str) -> Result<DrawnText, Halt> {
    let fonts = Arc::clone(&context.settings().fonts);
    let drawn = tokio::task::spawn_blocking(move || fonts.draw(&mark)).await;
    let drawn = drawn.retry(Code::Internal)?;
    Ok(drawn.map_err(|error| first(at, &[text_fault(&error)]))?)
}

/// The same of a label.
async fn draw_label(
    context: &Context<'_>,
    label: Label,
    party: Party,
) -> Result<(DrawnText, Placement), Halt> {
    let fonts = Arc::clone(&context.settings().fonts);
    let work = move || placement::label(&fonts, &label);
    let drawn = tokio::task::spawn_blocking(work).await;
    let drawn = drawn.retry(Code::Internal)?;
    Ok(drawn.map_err(|why| {
        let message = format!("The visible label is not usable: it {why}.");
        of_party(Failure::new(Code::InvalidWatermark, message), party)
    })?)
}

/// What the operator set may be mended while the job waits.
fn of_party(failure: Failure, party: Party) -> Failure {
    match party {
        Party::Service => failure.by(party).with(Disposition::Retry),
        Party::Caller | Party::Provider => failure.by(party),
    }
}

async fn layer_of(
    context: &Context<'_>,
    picture: Picture,
    placement: Placement,
) -> Result<Layer, Halt> {
    let image = picture.input();
    let party = match &picture {
        Picture::Own(_) => Party::Caller,
        Picture::Text(_, party) => *party,
        Picture::Brand(_) => Party::Service,
    };
    let about = About::new(Phase::Mark, party);
    let probed = context.picture(about, Arc::clone(&image)).await?;
    let found = probed.map_err(|error| {
        if let Picture::Own(input) = &picture
            && let Some(failure) = input.failure()
        {
            return failure;
        }
        let message = format!("The watermark's picture is not usable: {}", error.message);
        Failure {
            code: Code::InvalidWatermark,
            message,
            ..media_failure(error, party)
        }
    })?;
    let watermark = Watermark { image, placement };
    Ok((watermark, (found.width, found.height)))
}

/// Where a layer's picture comes from.
enum Picture {
    /// The job's, in our store.
    Own(ObjectInput),
    /// Laid out for the job, and whose words they are.
    Text(DrawnText, Party),
    /// The operator's.
    Brand(Arc<dyn Input>),
}

impl Picture {
    fn brand(mark: &BrandMark) -> Self {
        Self::Brand(mark.input())
    }

    fn input(&self) -> Arc<dyn Input> {
        match self {
            Self::Own(input) => Arc::new(input.clone()),
            Self::Text(drawn, _) => Arc::new(drawn.image.clone()),
            Self::Brand(input) => Arc::clone(input),
        }
    }
}

/// The job's own picture. One from the web is copied into our store first, once a visit.
async fn own(
    context: &Context<'_>,
    job: &Job,
    reference: &MediaRef,
    index: usize,
) -> Result<ObjectInput, Halt> {
    let object = match reference {
        MediaRef::Object(object) => object.clone(),
        MediaRef::Web(url) => {
            let role = format!("watermark-{index}");
            let object = format!("{}/{role}", job.folder("work"));
            match context.services.storage.head(&object).await {
                Ok(_) => {}
                Err(StorageError::NotFound(_)) => {
                    copy(context, job, url, &object, &role, MAX_MARK_BYTES)
                        .await
                        .map_err(as_mark)?;
                }
                Err(error) => return Err(unavailable(error).into()),
            }
            object
        }
    };
    ObjectInput::open(context, &object, MAX_MARK_BYTES).await
}

/// A picture that could not be had is the watermark's fault.
fn as_mark(halt: Halt) -> Halt {
    match halt {
        Halt::Failed(failure) if failure.code == Code::SourceUnreachable => Halt::Failed(Failure {
            code: Code::InvalidWatermark,
            ..failure
        }),
        other => other,
    }
}

fn first(at: &str, faults: &[Fault]) -> Failure {
    match faults.first() {
        Some(fault) if at.is_empty() || fault.field.is_empty() => {
            unusable(&format!("{at}{}", fault.field), &fault.message)
        }
        Some(fault) => unusable(&format!("{at}.{}", fault.field), &fault.message),
        None => Failure::new(Code::InvalidWatermark, Code::InvalidWatermark.about()),
    }
}

fn unusable(what: &str, why: &str) -> Failure {
    let what = if what.is_empty() { "it" } else { what };
    let message = format!("The watermark is not usable: {what} {why}");
    Failure::new(Code::InvalidWatermark, message)
}
