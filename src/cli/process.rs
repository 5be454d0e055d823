//! `filmlab process`: the media core alone, on one file.

mod args;
mod check;
mod marks;
mod publish;
pub(super) mod show;

use std::sync::Arc;

use super::exit::{Exit, say};
use super::figures::name;
use super::probe::media_failure;
use super::stoppable;
use crate::config::Config;
use crate::job::{Code, Failure, Party};
use crate::media::{self, Cancel, Event, Force, MediaCode, MediaError, Render, Report};
pub(super) use args::ProcessArgs;
use check::Task;
use publish::Staged;
use show::Bar;

impl ProcessArgs {
    /// What is wrong besides what the parser told when it took `left_out` out.
    pub(super) fn faults(
        &self,
        settings: Result<Config, Vec<String>>,
        left_out: &[String],
    ) -> Vec<String> {
        self.check(settings, left_out).err().unwrap_or_default()
    }
}

pub(super) async fn run(
    args: ProcessArgs,
    settings: Result<Config, Vec<String>>,
) -> Result<(), Exit> {
    let task = args.check(settings, &[]).map_err(Exit::Usage)?;
    let task = Arc::new(task);
    // Before any file exists.
    let report = stoppable::run({
        let task = Arc::clone(&task);
        move |cancel| work(&task, cancel)
    })
    .await?;
    say(&show::summary(&task, &report));
    Ok(())
}

/// Makes all files under hidden names, then publishes them together. Blocks.
fn work(task: &Task, cancel: &Cancel) -> Result<Report, Failure> {
    media::limit_allocations(task.max_allocation);
    for mark in &task.watermarks {
        check_logo(task, mark, cancel)?;
    }
    // All of them first: a place that cannot be written to is told before the work.
    let mut output = Staged::beside(&task.output)?;
    let poster = task.poster.as_deref().map(Staged::beside).transpose()?;
    let report_file = task.report.as_deref().map(Staged::beside).transpose()?;
    let render = Render {
        main: Arc::new(media::FileInput::new(&task.input)),
        before: None,
        audio_source: None,
        strict: false,
        main_is_silent: false,
        audio_track: task.audio_track.clone(),
        source_track: None,
        profile: task.profile.clone(),
        watermarks: task.watermarks.clone(),
        poster: poster
            .as_ref()
            .map(|staged| staged.path().to_path_buf().into()),
        storyboard: false,
        // Who asks for a quality does not want the input's.
        force: Force {
            video: task.wants_encode,
            ..Force::default()
        },
        checks: task.checks.clone(),
        limits: task.limits.clone(),
        threads: task.threads,
        provenance: task.provenance.clone(),
        audible: false,
        signer: task.signer.clone(),
        index_room: None,
    };
    let bar = Bar::new(&task.input);
    let mut copied = false;
    let result = media::render(&render, &mut output, cancel, &mut |event| match event {
        Event::Planned(plan) => copied = plan.is_remux(),
        Event::Progress(progress) => bar.show(&progress),
        Event::PosterWritten(_) | Event::Done => {}
    });
    bar.clear();
    let report = result.map_err(|error| explain(task, error, copied))?;
    if let Some(file) = &report_file {
        let json = serde_json::to_vec_pretty(&report)
            .map_err(|error| Failure::new(Code::Internal, format!("no report: {error}")))?;
        file.write(&json)?;
    }
    if cancel.is_cancelled() {
        return Err(Failure::new(Code::Cancelled, "the work was stopped"));
    }
    // Without any frame that could be decoded there is no poster.
    let poster = poster.filter(|_| report.poster.is_some());
    let files = [poster, report_file, Some(output)];
    publish::all(files.into_iter().flatten().collect(), task.overwrite)?;
    Ok(report)
}

/// A logo that cannot be used is told as such, before the video is touched.
fn check_logo(task: &Task, mark: &media::Watermark, cancel: &Cancel) -> Result<(), Failure> {
    match media::probe_picture(mark.image.as_ref(), &task.limits, cancel) {
        Ok(_) => Ok(()),
        Err(error) if error.code == MediaCode::Cancelled => Err(media_failure(error, "")),
        Err(error) => {
            let message = format!("--watermark {}: {}", mark.image.describe(), error.message);
            Err(Failure::new(Code::InvalidWatermark, message).because(error))
        }
    }
}

fn explain(task: &Task, error: MediaError, copied: bool) -> Failure {
    // What verification finds wrong was made here, unless the input was copied as it is.
    let ours = error.context.stage.as_deref() == Some("verify") && !copied;
    let failure = media_failure(error, &name(&task.input));
    if ours && failure.code != Code::Cancelled {
        failure.by(Party::Service)
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_verification_finds_is_laid_at_our_door() {
        let task = Task::of("in.mp4", "out.mp4");
        let error = |stage| MediaError::new(MediaCode::Truncated, "short").at(stage);
        let party = |stage, copied| explain(&task, error(stage), copied).party;
        assert_eq!(party("verify", false), Party::Service);
        assert_eq!(party("verify", true), Party::Caller);
        assert_eq!(party("decode", false), Party::Caller);
    }
}
