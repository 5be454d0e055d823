//! `filmlab process`: the media core alone, on one file.

mod check;
mod marks;
mod publish;
pub(super) mod show;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::probe::media_failure;
use super::signal::StopSignals;
use super::{Exit, say};
use crate::config::Config;
use crate::job::{Code, Failure, Party};
use crate::media::{
    self, AudioTrack, Cancel, CancelReason, Event, Force, MediaCode, MediaError, Preset, Render,
    Report,
};
use check::Task;
use marks::Marks;
use publish::Staged;
use show::Bar;

#[derive(Debug, Args)]
#[command(
    override_usage = "filmlab process [OPTIONS] <INPUT> --output <FILE>",
    after_help = EXIT_STATUS
)]
pub(super) struct ProcessArgs {
    // Optional for the parser alone, so that their absence is told with all other faults.
    /// The video.
    #[arg(value_name = "INPUT")]
    input: Option<PathBuf>,
    /// Where the result goes: an MP4 of H.264 and AAC that starts fast.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    marks: Marks,
    /// Encoding settings: web, small, archive, or one of the settings file.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "web",
        help_heading = "Encoding"
    )]
    profile: String,
    /// Instead of the profile's quality: 1 (finest) to 51 (coarsest).
    #[arg(long, value_name = "1-51", value_parser = crf, help_heading = "Encoding")]
    crf: Option<f32>,
    /// Instead of the profile's: x264's speed against size.
    #[arg(long, value_name = "PRESET", value_parser = preset(), help_heading = "Encoding")]
    preset: Option<Preset>,
    /// Threads of the codecs; 0 is one a core.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Encoding",
          value_parser = clap::value_parser!(u16).range(0..=128))]
    threads: u16,
    /// The track of sound to take: its number from 1, or its language.
    #[arg(long, value_name = "N|LANG", help_heading = "Encoding")]
    audio_track: Option<AudioTrack>,
    /// Also write a poster: one good frame as JPEG.
    #[arg(long, value_name = "FILE")]
    poster: Option<PathBuf>,
    /// Also write what was done and why, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace files that exist.
    #[arg(short = 'y', long)]
    overwrite: bool,
}

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

const EXIT_STATUS: &str = "\
Exit status: 0 done; 64 flags or settings are wrong; 65 the input is not usable; 70 a fault of \
this program or machine; 130 or 143 stopped by Ctrl-C or SIGTERM. Whatever it is but 0, no file \
was written or replaced.";

fn preset() -> impl clap::builder::TypedValueParser<Value = Preset> {
    PossibleValuesParser::new([
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
    ])
    .try_map(|name| name.parse::<Preset>())
}

/// Below 1, x264 is lossless, which the H.264 that browsers play (High) does not know.
fn crf(text: &str) -> Result<f32, String> {
    within(text, 1.0, 51.0)
}

/// A number in a range; "nan" is none.
fn within(text: &str, least: f32, most: f32) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("write a number from {least} to {most}"))
}

pub(super) async fn run(
    args: ProcessArgs,
    settings: Result<Config, Vec<String>>,
) -> Result<(), Exit> {
    let task = args.check(settings, &[]).map_err(Exit::Usage)?;
    let task = Arc::new(task);
    // Before any file exists: from here on a signal stops the work, which cleans up.
    let mut signals = StopSignals::listen();
    let cancel = Cancel::new();
    let mut work = tokio::task::spawn_blocking({
        let (task, cancel) = (Arc::clone(&task), cancel.clone());
        move || work(&task, &cancel)
    });
    let mut stopped = None;
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended,
            signal = signals.next(), if stopped.is_none() => {
                stopped = Some(signal);
                cancel.cancel(CancelReason::Requested);
            }
        }
    };
    let report = match ended {
        Ok(Ok(report)) => report,
        Ok(Err(failure)) => {
            return Err(match stopped {
                Some(signal) if failure.code == Code::Cancelled => Exit::Stopped(signal),
                _ => Exit::Failed(failure),
            });
        }
        Err(error) => {
            return Err(Failure::new(Code::Internal, "the work panicked")
                .because(error)
                .into());
        }
    };
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
        main_is_silent: false,
        audio_track: task.audio_track.clone(),
        profile: task.profile.clone(),
        watermarks: task.watermarks.clone(),
        poster: poster
            .as_ref()
            .map(|staged| staged.path().to_path_buf().into()),
        // Who asks for a quality does not want the input's.
        force: Force {
            video: task.wants_encode,
            ..Force::default()
        },
        checks: task.checks.clone(),
        limits: task.limits.clone(),
        threads: task.threads,
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
    let failure = media_failure(error, &show::name(&task.input));
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
    fn every_preset_that_help_offers_is_one() {
        let presets = offered(&preset());
        assert_eq!(presets.len(), 9);
        for name in presets {
            assert_eq!(name.parse().map(Preset::as_str), Ok(name.as_str()));
        }
    }

    fn offered(parser: &impl clap::builder::TypedValueParser) -> Vec<String> {
        let values = parser.possible_values().into_iter().flatten();
        values.map(|value| value.get_name().to_owned()).collect()
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(crf("18.5"), Ok(18.5));
        for bad in ["52", "0", "nan", "", "low"] {
            assert!(crf(bad).is_err(), "{bad}");
        }
    }

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
