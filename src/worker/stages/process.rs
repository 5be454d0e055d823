//! Makes the result: checks what the provider made, lays the mark on, compresses, reads the
//! metadata, makes poster and storyboard, uploads under the final name, and reads the result back once.

use std::sync::Arc;

use serde_json::json;

use super::super::context::Context;
use super::super::failures::{media_failure, unavailable};
use super::super::footprint;
use super::super::halt::{About, Halt, Step};
use super::super::objects::{ObjectInput, ObjectOutput};
use super::mark;
use super::provenance;
use super::recipe::{self, Recipe};
use crate::job::{
    Change, Code, Disposition, Failure, Job, OrFailure as _, Params, Party, Phase, Progress,
    Published, SourceFacts, Stage,
};
use crate::media::{
    self, DecodeDepth, Event, Input, MediaCode, MediaError, PosterTo, Preset, Render, Report,
    Verified, Watermark,
};
use crate::storage::UPLOAD_NOTE;

pub(super) async fn run(context: &Context<'_>, job: Job) -> Result<Step, Halt> {
    let Some(facts) = job
        .provider
        .inputs
        .as_ref()
        .map(|inputs| inputs.facts.clone())
    else {
        return Err(Failure::new(Code::Internal, Code::Internal.about())
            .because("no source facts")
            .into());
    };
    let Some(generated) = generated(context, &job).await? else {
        // One stage back: the provider may still have it. No attempt has failed.
        context.writer.record(&Change::GeneratedUnusable).await?;
        return Ok(Step::Next);
    };
    let expected = cost(
        context,
        &job,
        &facts,
        super::prepare::generated_pixels(&job.params, &facts) as u64,
    );
    let mut pass = context.pass(expected).await?;
    let layers = mark::of(context, &job).await?.into_iter();
    let marks: Vec<_> = layers.map(|(mark, _)| mark).collect();
    let mut depth = context.settings().checks.depth();
    // What gets a mark is encoded, and decoded whole for it. To look at its ends before would
    // decode these twice, and of a short clip they are all there is.
    if depth == DecodeDepth::Ends && !marks.is_empty() {
        depth = DecodeDepth::Packets;
    }
    let made = loop {
        let (found, recipe) = checked(context, &job, &facts, &generated, depth).await?;
        if let Some(video) = &found.probe.video {
            let pixels = u64::from(video.display_width) * u64::from(video.display_height);
            let real = cost(context, &job, &facts, pixels);
            // Larger than was asked for. What it has is given back first: two that wait for more
            // would wait for each other.
            if !pass.covers(real) {
                drop(pass);
                pass = context.pass(real).await?;
            }
        }
        let source = source(context, &facts, recipe).await?;
        let recipe = recipe.heard(context, &job, source.as_ref()).await?;
        let strict = depth == DecodeDepth::Packets;
        let made = make(context, &job, &generated, source, recipe, &marks, strict).await?;
        if let Some(made) = made {
            require_length(&made, recipe.length(&facts, found.duration_ms))?;
            break made;
        }
        // Damaged somewhere: how much of that is too much is for the look at its ends to say, and
        // for a pass that mends.
        depth = DecodeDepth::Ends;
    };
    drop(pass);
    let published = publish(context, &job, &made).await?;
    Ok(Step::done(Change::Processed(Box::new(published))))
}

/// The source, where something of it goes into the result.
async fn source(
    context: &Context<'_>,
    facts: &SourceFacts,
    recipe: Recipe,
) -> Result<Option<ObjectInput>, Halt> {
    if !recipe.needs_source {
        return Ok(None);
    }
    let max_bytes = context.settings().limits.max_bytes;
    let opened = ObjectInput::open(context, &facts.video_object, max_bytes).await;
    let opened = opened.map_err(|halt| without_source(halt, recipe))?;
    Ok(Some(opened))
}

/// What the provider made, in our store; `None` where it is gone.
async fn generated(context: &Context<'_>, job: &Job) -> Result<Option<ObjectInput>, Halt> {
    let object = job
        .generated
        .as_ref()
        .map(|generated| generated.object.clone())
        .unwrap_or_default();
    match ObjectInput::open(context, &object, context.settings().limits.max_bytes).await {
        Err(Halt::Failed(failure)) if failure.code == Code::SourceMissing => {
            tracing::warn!(object, "the generated video is gone from our store");
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

/// The source was there when the provider was paid: it went since then, as inputs do for their
/// age. Nothing brings it back, so that what to do is said.
fn without_source(halt: Halt, recipe: Recipe) -> Halt {
    match halt {
        Halt::Failed(failure) if failure.code == Code::SourceMissing => {
            let part = if recipe.joins { "pictures" } else { "sound" };
            let message = format!(
                "The source video has been deleted since the job began, and the result needs its \
                 {part}. A new job is needed."
            );
            Halt::Failed(Failure { message, ..failure })
        }
        other => other,
    }
}

/// What a pass over frames of so many pixels is expected to take; beside them the source's are
/// decoded, in a join, and a profile may make them smaller, which is not counted on.
fn cost(context: &Context<'_>, job: &Job, facts: &SourceFacts, generated: u64) -> u64 {
    let source = match &job.params {
        Params::Extend(_) => u64::from(facts.width) * u64::from(facts.height),
        Params::CharacterReplace(_) | Params::Upscale(_) => 0,
    };
    // What the profile lacks is refused where it is looked up.
    let preset = context.settings().profiles.get(&job.output.profile);
    let preset = preset.map_or(Preset::Veryslow, |profile| profile.video.preset);
    let threads = context.worker.media.cores();
    footprint::of_pass(generated.saturating_add(source), generated, threads, preset)
}

/// Looks at what the provider made: is it whole, and is it what was asked for?
async fn checked(
    context: &Context<'_>,
    job: &Job,
    facts: &SourceFacts,
    generated: &ObjectInput,
    depth: DecodeDepth,
) -> Result<(Verified, Recipe), Halt> {
    let expected = recipe::expected(context, job, facts, depth);
    let about = About::new(Phase::Check, Party::Provider);
    let found = context
        .verify(about, Arc::new(generated.clone()), expected)
        .await?;
    let found = found.and_then(|found| {
        let recipe = recipe::of(context, job, facts, &found)?;
        Ok((found, recipe))
    });

    let error = match found {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    if let Some(failure) = generated.failure() {
        return Err(failure.into());
    }
    // It is whole: a fresh copy is no better, and what the provider made of these inputs it would
    // most likely make again. The file stays for whoever looks into it.
    if matches!(error.code, MediaCode::WrongDuration | MediaCode::WrongSize) {
        let found = error.message.clone();
        let failure = media_failure(error, Party::Provider);
        let message = format!("{} It is {found}.", failure.code.about());
        return Err(Failure { message, ..failure }
            .with(Disposition::Abort)
            .into());
    }
    // A fresh copy may be whole; a second submission would be paid for.
    context.writer.record(&Change::GeneratedUnusable).await?;
    Err(media_failure(error, Party::Provider).into())
}

/// What this visit made.
struct Made {
    /// The name under which the video stands already.
    object: String,
    report: Report,
}

/// `None` where a strict pass met damage: all that it wrote is taken back.
async fn make(
    context: &Context<'_>,
    job: &Job,
    generated: &ObjectInput,
    source: Option<ObjectInput>,
    recipe: Recipe,
    marks: &[Watermark],
    strict: bool,
) -> Result<Option<Made>, Halt> {
    let settings = context.settings();
    let profile = settings
        .profiles
        .get(&job.output.profile)
        .cloned()
        .ok_or_else(|| {
            Failure::new(
                Code::InvalidProfile,
                format!("There is no profile “{}”.", job.output.profile),
            )
        })?;
    let object = format!("{}/video.mp4", job.folder("results"));
    let note = format!("{}/video.mp4{UPLOAD_NOTE}", job.folder("work"));
    let output = ObjectOutput::new(context, &object, "video/mp4", &note)?;
    let read_back = output.read_back();
    let limits = context.limits();
    let render = Render {
        main: Arc::new(generated.clone()),
        before: source
            .clone()
            .filter(|_| recipe.joins)
            .map(|source| Arc::new(source) as Arc<dyn Input>),
        audio_source: source
            .clone()
            .map(|source| Arc::new(source) as Arc<dyn Input>),
        strict,
        main_is_silent: recipe.silent,
        audio_track: None,
        source_track: recipe::track(&job.source)?,
        checks: recipe::checks(context, &profile),
        audible: recipe.audible,
        profile: recipe::profile(job, profile),
        watermarks: marks.to_vec(),
        poster: Some(PosterTo::Report),
        storyboard: settings.storyboard,
        force: media::Force::default(),
        threads: limits.threads,
        limits,
        provenance: provenance::of(context, job),
        signer: provenance::signer(context, job),
        index_room: None,
    };
    let (events, mut seen) = tokio::sync::watch::channel(0.0_f64);
    let work = context.render(render, output, move |event| {
        if let Event::Progress(at) = event {
            events.send_replace(at.out_time_ms as f64 / at.duration_ms.max(1) as f64);
        }
    });
    let follow = async {
        while seen.changed().await.is_ok() {
            let fraction = *seen.borrow_and_update();
            context
                .writer
                .progress(Progress::within(Stage::Process, fraction * 0.9));
        }
        std::future::pending::<()>().await;
    };
    let made = tokio::select! {
        made = work => made?,
        () = follow => return Err(Halt::Lost),
    };
    let error = match made {
        Ok(report) => return Ok(Some(Made { object, report })),
        Err(error) => error,
    };
    let read = [Some(generated), source.as_ref()];
    let unread = read.into_iter().flatten().find_map(ObjectInput::failure);
    if let Some(failure) = unread.or_else(|| read_back.failure()) {
        return Err(failure.into());
    }
    let stage = error.context.stage.as_deref();
    Err(match (error.code, stage) {
        (MediaCode::NotDecodable, Some("decode")) if strict => return Ok(None),
        // The only place it writes to is the store.
        (MediaCode::OutputUnwritable, _) => unavailable(error),
        // What is published is what a player will see: what is read back has to be right.
        (_, Some("verify")) => unfit(error),
        _ => media_failure(error, Party::Provider),
    }
    .into())
}

/// Holds the result, which was read back where it was written, against what the job wants. What
/// its own pass could know was verified by that pass.
fn require_length(made: &Made, wanted: (u64, u64)) -> Result<(), Failure> {
    media::require_length(made.report.duration_ms, wanted).map_err(unfit)
}

/// What is wrong with a result is of our making.
fn unfit(error: MediaError) -> Failure {
    tracing::error!(%error, "our own result fails verification");
    media_failure(error, Party::Service)
        .with(Disposition::Retry)
        .by(Party::Service)
}

/// As the WebVTT beside it names it.
const SPRITE: &str = "storyboard.jpg";

async fn publish(context: &Context<'_>, job: &Job, made: &Made) -> Result<Published, Halt> {
    let probe = &made.report.output;
    let video_info = probe
        .require_video()
        .map_err(|error| media_failure(error, Party::Service))?;
    let told = provenance::told(context, job, &made.report);
    let metadata = json!({
        "job": job.id,
        "kind": job.params.kind(),
        "model": job.provider.model,
        "source": job.provider.inputs.as_ref().map(|inputs| &inputs.facts),
        "probe": probe,
        "provenance": told,
        "processing": made.report,
    });
    let bytes = serde_json::to_vec_pretty(&metadata).retry(Code::Internal)?;
    let folder = job.folder("results");
    let storyboard = made.report.storyboard.as_ref();
    let storyboard = storyboard.zip(made.report.storyboard_jpeg.clone());
    let beside = |name: &str| storyboard.as_ref().map(|_| format!("{folder}/{name}"));
    let published = Published {
        video: made.object.clone(),
        poster: format!("{folder}/poster.jpg"),
        metadata: format!("{folder}/metadata.json"),
        storyboard: beside(SPRITE),
        storyboard_vtt: beside("storyboard.vtt"),
        bytes: probe.container.bytes,
        duration_ms: video_info.duration_ms,
        width: video_info.display_width,
        height: video_info.display_height,
        provenance: Some(Box::new(told)),
    };
    let storage = &context.services.storage;
    let poster = made.report.poster_jpeg.clone().ok_or_else(|| {
        Failure::new(Code::EncoderFailed, "No frame could be had for the poster.")
    })?;
    let upload = async {
        storage.put_bytes(poster.into(), &published.poster).await?;
        if let (Some((info, sprite)), Some(object), Some(vtt)) =
            (storyboard, &published.storyboard, &published.storyboard_vtt)
        {
            let text = info.vtt(SPRITE, video_info.duration_ms);
            storage.put_bytes(sprite.into(), object).await?;
            storage.put_bytes(text.into(), vtt).await?;
        }
        storage.put_bytes(bytes.into(), &published.metadata).await
    };
    context.interruptible(upload).await?.map_err(unavailable)?;
    context
        .writer
        .progress(Progress::within(Stage::Process, 1.0));
    Ok(published)
}
