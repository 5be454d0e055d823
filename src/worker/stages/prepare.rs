//! Gets the inputs, checks them against every limit, and puts them where the provider can read
//! them: all of it before any money is spent.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::context::Context;
use super::super::failures::{media_failure, provider_said, unavailable};
use super::super::halt::{About, Halt};
use super::super::objects::{ObjectBody, ObjectInput};
use super::super::origin::origin;
use super::copy::copy;
use super::{credit, mark, recipe};
use crate::clock::{elapsed, later};
use crate::job::{
    Change, Code, Failure, Job, MediaRef, Params, Party, Phase, ProviderInputs, SourceFacts,
    Timestamp, inputs,
};
use crate::media::{self, AudioTrack, Input as _, MAX_PICTURE_BYTES, PictureProbe, Probe};
use crate::outgoing;
use crate::provider::ProviderError;

/// Pixels of a 1080p frame, which the configured time factor speaks of.
const FULL_HD_PIXELS: f64 = 1920.0 * 1080.0;

/// The inputs as recorded, or made anew where they are missing or about to expire.
pub(super) async fn inputs(context: &Context<'_>, job: &Job) -> Result<ProviderInputs, Halt> {
    if let Some(inputs) = recorded(job, context.now()) {
        return Ok(inputs.clone());
    }
    credit::look_first(context, job).await?;
    let video = obtain(
        context,
        job,
        &job.source.video,
        "video",
        context.settings().limits.max_bytes,
    )
    .await?;
    let image = match &job.source.image {
        Some(reference) => Some(obtain(context, job, reference, "image", MAX_PICTURE_BYTES).await?),
        None => None,
    };
    let track = recipe::track(&job.source)?;
    let probe = probe(context, &video.input, track).await?;
    let picture = match &image {
        Some(image) => Some(picture(context, &image.input).await?),
        None => None,
    };
    let mut facts = facts(&probe, &video.object)?;
    facts.image_object = image.as_ref().map(|image| image.object.clone());
    check(context, job, &facts, &probe).await?;
    // Before anything is sent to the provider. What is written for it says too that native work
    // is over.
    credit::hold(context, &facts).await?;
    context.native_over().await?;

    let content_type = content_type(&probe.container.format);
    let (video_url, mut expires_at) = place(context, job, &video, content_type).await?;
    let image_url = match (&image, &picture) {
        (Some(image), Some(picture)) => {
            let content_type = format!("image/{}", picture.format);
            let (url, until) = place(context, job, image, &content_type).await?;
            expires_at = expires_at.min(until);
            Some(url)
        }
        _ => None,
    };
    let inputs = ProviderInputs {
        video: video_url.to_string(),
        image: image_url.map(|url| url.to_string()),
        expires_at,
        facts,
    };
    context
        .writer
        .record(&Change::InputsReady(Box::new(inputs.clone())))
        .await?;
    Ok(inputs)
}

/// The inputs on record, where the provider can still read them.
pub(super) fn recorded(job: &Job, now: Timestamp) -> Option<&ProviderInputs> {
    let inputs = job.provider.inputs.as_ref()?;
    // The provider reads them some time after the submission: they have to outlive that.
    (inputs.expires_at > job.deadline_at.max(now)).then_some(inputs)
}

/// Whether anything that it is made from lies behind an address.
pub(super) fn comes_from_the_web(job: &Job) -> bool {
    let marks = job
        .output
        .watermark
        .iter()
        .filter_map(|mark| mark.image.as_ref());
    std::iter::once(&job.source.video)
        .chain(&job.source.image)
        .chain(marks)
        .any(|reference| matches!(reference, MediaRef::Web(_)))
}

/// Past its deadline a job asks for nothing; clocks differ.
const LINK_MARGIN: Duration = Duration::from_secs(3600);

/// Where the provider reads an input, and until when: a copy with it or, of what it takes no copy
/// of, ours by a signed link. That needs links that open from outside.
async fn place(
    context: &Context<'_>,
    job: &Job,
    input: &Obtained,
    content_type: &str,
) -> Result<(Url, Timestamp), Halt> {
    let provider = &context.services.provider;
    let now = context.now();
    let body = input.body(context);
    let upload = provider.upload(&body, content_type);
    let upload = context.awaited.during(Code::ProviderUnavailable, upload);
    let limit = match context.interruptible(upload).await? {
        Ok(url) => return Ok((url, later(now, provider.uploads_kept_for()))),
        Err(ProviderError::TooLarge { limit }) => limit,
        Err(error) => {
            return Err(body
                .failure()
                .unwrap_or_else(|| upload_failure(error))
                .into());
        }
    };
    let ttl = elapsed(now, job.deadline_at) + LINK_MARGIN;
    let link = context.services.storage.link(&input.object, ttl, None);
    let link = context.interruptible(link).await?.map_err(unavailable)?;
    if outgoing::check_url(&link, false).is_err() {
        let message = format!("The provider takes uploads of at most {limit} bytes.");
        return Err(Failure::new(Code::InputTooLarge, message).into());
    }
    Ok((link, later(now, ttl)))
}

/// An input in our store, open.
struct Obtained {
    input: ObjectInput,
    object: String,
}

impl Obtained {
    fn body(&self, context: &Context<'_>) -> ObjectBody {
        ObjectBody::new(
            context.services.storage.clone(),
            self.object.clone(),
            self.input.len().unwrap_or_default(),
        )
    }
}

/// Opens an input. One from the web is copied into our store first: later stages need it, and
/// what lies behind an address may change.
async fn obtain(
    context: &Context<'_>,
    job: &Job,
    reference: &MediaRef,
    role: &str,
    max_bytes: u64,
) -> Result<Obtained, Halt> {
    let object = match reference {
        MediaRef::Object(object) => object.clone(),
        MediaRef::Web(url) => {
            let object = inputs::object(&job.owner, job.id.as_str(), role);
            copy(context, job, url, &object, role, max_bytes).await?;
            object
        }
    };
    let input = ObjectInput::open(context, &object, max_bytes).await?;
    Ok(Obtained { input, object })
}

fn upload_failure(error: ProviderError) -> Failure {
    match error {
        ProviderError::Unauthorized { .. } => Failure::new(
            Code::ProviderUnauthorized,
            Code::ProviderUnauthorized.about(),
        ),
        ProviderError::Busy { .. } => Failure::new(Code::ProviderBusy, Code::ProviderBusy.about()),
        ProviderError::Rejected { ref words, .. } => provider_said(Code::ProviderRejected, words),
        _ => Failure::new(Code::ProviderUnavailable, Code::ProviderUnavailable.about()),
    }
    .because(error)
}

async fn probe(
    context: &Context<'_>,
    input: &ObjectInput,
    track: Option<AudioTrack>,
) -> Result<Probe, Halt> {
    let probed = context.probe(input, track).await?;
    Ok(probed.map_err(|error| {
        input
            .failure()
            .unwrap_or_else(|| media_failure(error, Party::Caller))
    })?)
}

async fn picture(context: &Context<'_>, input: &ObjectInput) -> Result<PictureProbe, Halt> {
    let about = About::new(Phase::Picture, Party::Caller);
    let probed = context.picture(about, Arc::new(input.clone())).await?;
    // No model takes a drawing.
    let probed = probed.and_then(PictureProbe::require_pixels);
    Ok(probed.map_err(|error| {
        if let Some(failure) = input.failure() {
            return failure;
        }
        let message = format!("The source image is not usable: {}", error.message);
        Failure {
            message,
            ..media_failure(error, Party::Caller)
        }
    })?)
}

pub(in crate::worker) fn facts(probe: &Probe, object: &str) -> Result<SourceFacts, Failure> {
    let video = probe
        .require_video()
        .map_err(|error| media_failure(error, Party::Caller))?;
    Ok(SourceFacts {
        video_object: object.to_owned(),
        image_object: None,
        duration_ms: if video.duration_ms > 0 {
            video.duration_ms
        } else {
            probe.container.duration_ms
        },
        width: video.display_width,
        height: video.display_height,
        fps: video.fps,
        frames: video.frames,
        has_audio: probe.audio.is_some(),
        provenance: probe.provenance.as_ref().map(origin).map(Box::new),
    })
}

/// Everything that would fail later, and is known now.
async fn check(
    context: &Context<'_>,
    job: &Job,
    facts: &SourceFacts,
    probe: &Probe,
) -> Result<(), Halt> {
    let settings = context.settings();
    let model = context.services.provider.model(job.params.kind());
    if let Err(faults) = model.check(&job.params, facts) {
        let list: Vec<_> = faults.iter().map(ToString::to_string).collect();
        return Err(Failure::new(Code::InvalidRequest, list.join("; ")).into());
    }
    let profile = settings.profiles.get(&job.output.profile).ok_or_else(|| {
        Failure::new(
            Code::InvalidProfile,
            format!("There is no profile “{}”.", job.output.profile),
        )
    })?;
    let needed = processing_time(settings.media_time_factor, &job.params, facts);
    if needed > settings.budget {
        let message = format!(
            "Processing would take about {} s; a visit has {} s.",
            needed.as_secs(),
            settings.budget.as_secs()
        );
        return Err(Failure::new(Code::TooLongToProcess, message).into());
    }
    // The same plan that will be made of the generated video, on the source: an unusable mark or
    // profile shows now.
    let marks = mark::of(context, job).await?;
    let profile = recipe::profile(job, profile.clone());
    let request = media::PlanRequest {
        source_is_silent: false,
        source_is_asked_for: false,
        main: probe,
        audio_from: None,
        main_is_silent: false,
        before: None,
        profile: &profile,
        watermarks: marks
            .iter()
            .map(|(mark, size)| (&mark.placement, *size))
            .collect(),
        limits: &settings.limits,
        force: media::Force::default(),
    };
    media::plan(&request).map_err(|error| media_failure(error, Party::Caller))?;
    Ok(())
}

/// How long processing the generated video is assumed to take at worst.
pub(in crate::worker) fn processing_time(
    factor: f64,
    params: &Params,
    facts: &SourceFacts,
) -> Duration {
    let source_s = facts.duration_ms as f64 / 1000.0;
    let seconds = match params {
        Params::Extend(extend) => source_s + f64::from(extend.seconds),
        _ => source_s,
    };
    let total = factor * seconds * (generated_pixels(params, facts) / FULL_HD_PIXELS);
    Duration::try_from_secs_f64(total).unwrap_or(Duration::MAX)
}

/// Pixels of a frame the provider is expected to make.
pub(super) fn generated_pixels(params: &Params, facts: &SourceFacts) -> f64 {
    let (short, long) = (
        facts.width.min(facts.height).max(1),
        facts.width.max(facts.height).max(1),
    );
    let aspect = f64::from(long) / f64::from(short);
    let short_side = generated_short_side(params, facts);
    f64::from(short_side) * f64::from(short_side) * aspect
}

/// Their shorter side.
pub(in crate::worker) fn generated_short_side(params: &Params, facts: &SourceFacts) -> u32 {
    let short = facts.width.min(facts.height).max(1);
    match params {
        Params::Upscale(upscale) => upscale.target.short_side().max(short),
        Params::CharacterReplace(_) => short,
        Params::Extend(extend) => extend.resolution.short_side().max(short),
    }
}

fn content_type(format: &str) -> &'static str {
    match format {
        "webm" => "video/webm",
        "matroska" => "video/x-matroska",
        "mov" => "video/quicktime",
        "avi" => "video/x-msvideo",
        "mpegts" => "video/mp2t",
        "gif" => "image/gif",
        _ => "video/mp4",
    }
}
