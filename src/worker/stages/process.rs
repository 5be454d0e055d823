//! Makes the result: checks what the provider made, lays the mark on, compresses, reads the
//! metadata, makes the poster, verifies, and uploads under the final name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::super::context::{Context, Halt, Step, media_failure};
use super::{fetch, mark, prepare};
use crate::job::{
    Change, Code, Failure, Job, OrFailure as _, Params, Party, Progress, Published, SourceFacts,
    Stage,
};
use crate::media::{
    self, AudioExpectation, Event, Expectation, FileInput, FileOutput, Input, MediaError, Probe,
    Render, Report,
};

/// Encoders round to whole frames and audio to whole packets; ±50 ms is what the result may
/// differ by.
const TOLERANCE_MS: u64 = 50;
/// What the provider makes may differ a little more: models round to whole latent steps.
const GENERATED_TOLERANCE_MS: u64 = 250;
use crate::telemetry::metrics::MediaPass;

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
    let generated = generated_file(context, &job).await?;
    let Some(_slot) = slot(context).await? else {
        let until = context.after(context.settings().busy_pause);
        return Ok(Step::Wait {
            until,
            reason: None,
        });
    };
    let _pass = MediaPass::begun();
    let probe = match check(context, &job, &facts, &generated).await? {
        Ok(probe) => probe,
        Err(error) => {
            // A fresh copy may be whole; a second submission would be paid for.
            context.writer.record(&Change::GeneratedUnusable).await?;
            return Err(media_failure(error, Party::Provider).into());
        }
    };
    let source = if probe.audio.is_none() && facts.has_audio {
        let file = context.folder().join("source-video");
        if !tokio::fs::try_exists(&file).await.unwrap_or(false) {
            prepare::get(
                context,
                &facts.video_object,
                &file,
                context.settings().limits.max_bytes,
            )
            .await?;
        }
        Some(file)
    } else {
        None
    };
    let made = make(context, &job, &generated, source.as_deref()).await?;
    let verified = verify(context, &job, &facts, &probe, &made).await?;
    let published = publish(context, &job, &made, &verified).await?;
    context
        .writer
        .record(&Change::Processed(Box::new(published)))
        .await?;
    Ok(Step::Next)
}

/// The generated file: of this visit's download, or out of our store.
async fn generated_file(context: &Context<'_>, job: &Job) -> Result<PathBuf, Halt> {
    let file = context.folder().join(fetch::GENERATED_FILE);
    if !tokio::fs::try_exists(&file).await.unwrap_or(false) {
        let object = job
            .generated
            .as_ref()
            .map(|generated| generated.object.clone())
            .unwrap_or_default();
        match prepare::get(context, &object, &file, context.settings().limits.max_bytes).await {
            Err(Halt::Failed(failure)) if failure.code == Code::SourceMissing => {
                context.writer.record(&Change::GeneratedUnusable).await?;
                return Err(Failure::new(
                    Code::StorageUnavailable,
                    "The generated video is gone from our store.",
                )
                .into());
            }
            other => other?,
        }
    }
    Ok(file)
}

/// A place to work in, or `None` after waiting long enough.
async fn slot<'a>(
    context: &'a Context<'_>,
) -> Result<Option<tokio::sync::SemaphorePermit<'a>>, Halt> {
    let patience = context.settings().media_slot_patience;
    let acquire = tokio::time::timeout(patience, context.worker.media_slots.acquire());
    match context.interruptible(acquire).await? {
        Ok(Ok(permit)) => Ok(Some(permit)),
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

/// Looks at what the provider made: is it whole, and is it what was asked for?
async fn check(
    context: &Context<'_>,
    job: &Job,
    facts: &SourceFacts,
    file: &Path,
) -> Result<Result<Probe, MediaError>, Halt> {
    let mut expected = Expectation {
        audio: AudioExpectation::Any,
        ..Expectation::default()
    };
    match &job.params {
        Params::CharacterReplace(_) => {
            expected.duration_ms = Some((facts.duration_ms, GENERATED_TOLERANCE_MS));
        }
        Params::Upscale(upscale) => {
            expected.duration_ms = Some((facts.duration_ms, GENERATED_TOLERANCE_MS));
            let target = upscale.target.short_side();
            if facts.width >= facts.height {
                expected.height = Some(target);
            } else {
                expected.width = Some(target);
            }
        }
        // Half a second of the new part may be missing; the source may not.
        Params::Extend(extend) => {
            expected.min_duration_ms =
                Some((facts.duration_ms + u64::from(extend.seconds) * 1000).saturating_sub(500));
        }
    }
    let (input, limits, cancel) = (
        FileInput::new(file),
        context.settings().limits.clone(),
        context.stop.media(),
    );
    let checked = context
        .blocking(move || {
            media::verify(&input, &expected, &limits, &cancel).map(|verified| verified.probe)
        })
        .await?;
    Ok(checked)
}

/// Files made by this visit.
struct Made {
    video: PathBuf,
    poster: PathBuf,
    report: Report,
}

async fn make(
    context: &Context<'_>,
    job: &Job,
    generated: &Path,
    source: Option<&Path>,
) -> Result<Made, Halt> {
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
    let video = context.folder().join("video.mp4");
    let poster = context.folder().join("poster.jpg");
    let render = Render {
        main: Arc::new(FileInput::new(generated)),
        audio_source: source.map(|file| Arc::new(FileInput::new(file)) as Arc<dyn Input>),
        profile,
        watermarks: mark::of(context, job)
            .await?
            .into_iter()
            .map(|(mark, _)| mark)
            .collect(),
        poster: Some(poster.clone()),
        force: media::Force::default(),
        limits: settings.limits.clone(),
        threads: 0,
    };
    let (events, mut seen) = tokio::sync::watch::channel(0.0_f64);
    let (target, cancel) = (video.clone(), context.stop.media());
    let work = context.blocking(move || {
        let mut output = FileOutput::new(target);
        media::render(&render, &mut output, &cancel, &mut |event| {
            if let Event::Progress(at) = event {
                events.send_replace(at.out_time_ms as f64 / at.duration_ms.max(1) as f64);
            }
        })
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
    let report = made.map_err(|error| media_failure(error, Party::Provider))?;
    Ok(Made {
        video,
        poster,
        report,
    })
}

/// Reads the result back: what is published is what a player will see.
async fn verify(
    context: &Context<'_>,
    job: &Job,
    facts: &SourceFacts,
    generated: &Probe,
    made: &Made,
) -> Result<Probe, Halt> {
    let video = generated
        .require_video()
        .map_err(|error| media_failure(error, Party::Provider))?;
    let length = if video.duration_ms > 0 {
        video.duration_ms
    } else {
        generated.container.duration_ms
    };
    let has_audio = generated.audio.is_some() || facts.has_audio;
    let expected = Expectation {
        duration_ms: Some((length, TOLERANCE_MS)),
        audio: if has_audio {
            AudioExpectation::Required
        } else {
            AudioExpectation::Absent
        },
        video_codec: Some("h264".into()),
        ..Expectation::default()
    };
    let (input, limits, cancel) = (
        FileInput::new(&made.video),
        context.settings().limits.clone(),
        context.stop.media(),
    );
    let verified = context
        .blocking(move || media::verify(&input, &expected, &limits, &cancel))
        .await?;
    match verified {
        Ok(verified) => Ok(verified.probe),
        Err(error) => {
            tracing::error!(job = %job.id, %error, "our own result fails verification");
            Err(media_failure(error, Party::Service)
                .with(crate::job::Disposition::Retry)
                .by(Party::Service)
                .into())
        }
    }
}

async fn publish(
    context: &Context<'_>,
    job: &Job,
    made: &Made,
    probe: &Probe,
) -> Result<Published, Halt> {
    let video_info = probe
        .require_video()
        .map_err(|error| media_failure(error, Party::Service))?;
    let metadata = json!({
        "job": job.id,
        "kind": job.params.kind(),
        "model": job.provider.model,
        "source": job.provider.inputs.as_ref().map(|inputs| &inputs.facts),
        "probe": probe,
        "processing": made.report,
    });
    let bytes = serde_json::to_vec_pretty(&metadata).retry(Code::Internal)?;
    let folder = job.folder("results");
    let published = Published {
        video: format!("{folder}/video.mp4"),
        poster: format!("{folder}/poster.jpg"),
        metadata: format!("{folder}/metadata.json"),
        bytes: probe.container.bytes,
        duration_ms: video_info.duration_ms,
        width: video_info.display_width,
        height: video_info.display_height,
    };
    let storage = &context.services.storage;
    let upload = async {
        storage
            .put_file(&made.video, &published.video, "video/mp4")
            .await?;
        storage
            .put_file(&made.poster, &published.poster, "image/jpeg")
            .await?;
        storage.put_bytes(bytes.into(), &published.metadata).await
    };
    context
        .interruptible(upload)
        .await?
        .retry(Code::StorageUnavailable)?;
    context
        .writer
        .progress(Progress::within(Stage::Process, 1.0));
    Ok(published)
}
