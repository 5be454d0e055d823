//! What is to be measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::Args;

use crate::cli::figures::name;
use crate::config::Config;
use crate::media::{Limits, Preset, Profile};

/// The clip that the repository has, for whoever names none.
const USUAL: &str = "fixtures/bigbuckbunny.mp4";

#[derive(Debug, Args)]
#[command(after_help = "\
One pass is what a job's result takes: probe, mark, encode, poster, write, verify. CPU is that of \
all threads. Memory is the process's peak while the row is measured, what it had before included. \
SSIM is that of the picture outside the mark against the source. It starts no other program.")]
pub(in crate::cli) struct BenchArgs {
    /// Clips of the kind that is asked about [default: fixtures/bigbuckbunny.mp4].
    #[arg(value_name = "CLIP")]
    clips: Vec<PathBuf>,
    /// Encoding settings: web, small, archive, or one of the settings file. Again for more.
    #[arg(long, value_name = "NAME", default_value = "web")]
    profile: Vec<String>,
    /// x264's speed against size, in place of the profile's. Again for more, which are compared.
    #[arg(long, value_name = "PRESET")]
    preset: Vec<Preset>,
    /// In place of the profile's quality.
    #[arg(long, value_name = "1-51")]
    crf: Option<f32>,
    /// Picture to lay over the frames.
    #[arg(long, value_name = "LOGO")]
    watermark: Option<PathBuf>,
    /// Passes at once, in this one process; they share the cores.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Each row so many times; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=99))]
    runs: u16,
    /// Threads of the codecs; 0 shares the cores among the passes.
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u16).range(0..=128))]
    threads: u16,
    /// Copy what need not be encoded, as a job does; else everything is encoded.
    #[arg(long)]
    copy: bool,
    /// Without a poster.
    #[arg(long)]
    no_poster: bool,
    /// Without SSIM, which costs decoding both videos after each row.
    #[arg(long)]
    no_ssim: bool,
    /// Print every figure as JSON; their names do not change.
    #[arg(long)]
    pub(super) json: bool,
}

/// Flags and settings, found to be in order.
#[derive(Debug)]
pub(super) struct Task {
    clips: Vec<PathBuf>,
    profiles: Vec<Profile>,
    presets: Vec<Preset>,
    pub(super) watermark: Option<PathBuf>,
    pub(super) jobs: usize,
    pub(super) runs: usize,
    pub(super) threads: usize,
    pub(super) cores: usize,
    pub(super) copy: bool,
    pub(super) poster: bool,
    pub(super) ssim: bool,
    pub(super) limits: Limits,
    pub(super) max_allocation: u64,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) clip: PathBuf,
    pub(super) name: String,
    pub(super) profile: Profile,
}

impl BenchArgs {
    /// Tells every fault at once.
    pub(super) fn check(&self, settings: Result<Config, Vec<String>>) -> Result<Task, Vec<String>> {
        let mut faults = Vec::new();
        let mut clips = self.clips.clone();
        if clips.is_empty() {
            clips.push(PathBuf::from(USUAL));
        }
        for file in clips.iter().chain(&self.watermark) {
            if !fs::metadata(file).is_ok_and(|found| found.is_file()) {
                faults.push(format!(
                    "{} is no file: name a clip of yours",
                    file.display()
                ));
            }
        }
        let config = settings.map_err(|more| faults.extend(more)).ok();
        let mut profiles = Vec::new();
        if let Some(config) = &config {
            for wanted in &self.profile {
                match config.profiles.get(wanted) {
                    Some(profile) => profiles.push(profile.clone()),
                    None => faults.push(format!("--profile: there is no “{wanted}”")),
                }
            }
        }
        for profile in &mut profiles {
            profile.video.crf = self.crf.unwrap_or(profile.video.crf);
            faults.extend(
                profile
                    .faults()
                    .iter()
                    .map(|(field, why)| format!("{field} {why}")),
            );
        }
        let Some(config) = config.filter(|_| faults.is_empty()) else {
            return Err(faults);
        };
        let cores = available_parallelism().map_or(1, usize::from);
        let jobs = usize::from(self.jobs);
        Ok(Task {
            clips,
            profiles,
            presets: self.preset.clone(),
            watermark: self.watermark.clone(),
            jobs,
            runs: self.runs.into(),
            threads: match usize::from(self.threads) {
                0 => (cores / jobs).max(1),
                threads => threads,
            },
            cores,
            copy: self.copy,
            poster: !self.no_poster,
            ssim: !self.no_ssim,
            limits: config.limits,
            max_allocation: config.max_allocation,
        })
    }
}

impl Task {
    /// Every clip with every profile and preset.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.clips.iter().flat_map(move |clip| {
            self.profiles.iter().flat_map(move |profile| {
                let own = self.presets.is_empty().then_some(profile.video.preset);
                let presets = self.presets.iter().copied().chain(own);
                presets.map(move |preset| row(clip, profile, preset))
            })
        })
    }

    /// Passes in all.
    pub(super) fn passes(&self) -> u64 {
        (self.rows().count() * self.jobs * self.runs) as u64
    }
}

fn row(clip: &Path, profile: &Profile, preset: Preset) -> Row {
    let mut profile = profile.clone();
    profile.video.preset = preset;
    Row {
        clip: clip.to_owned(),
        name: name(clip),
        profile,
    }
}
