//! What is wrong with the flags when they are looked at together, with the settings and with
//! the files they name.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::ProcessArgs;
use super::marks::Shown;
use crate::app::signer::{self, Key};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::job;
use crate::media::{
    Anchor, AudioTrack, Checks, FileInput, Fonts, Limits, Profile, Provenance, Signer, Watermark,
};

/// Flags and settings, found to be in order.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    pub(super) poster: Option<PathBuf>,
    pub(super) report: Option<PathBuf>,
    pub(super) watermarks: Vec<Watermark>,
    pub(super) profile: Profile,
    pub(super) checks: Checks,
    pub(super) limits: Limits,
    pub(super) max_allocation: u64,
    pub(super) threads: usize,
    pub(super) overwrite: bool,
    pub(super) audio_track: Option<AudioTrack>,
    /// What the result says of how it was made.
    pub(super) provenance: Option<Provenance>,
    /// Signs for the result.
    pub(super) signer: Option<Arc<dyn Signer>>,
    /// The quality was asked for by a flag.
    pub(super) wants_encode: bool,
}

impl ProcessArgs {
    /// Tells every fault at once. Those of an argument that is in `left_out` have been told.
    pub(super) fn check(
        &self,
        settings: Result<Config, Vec<String>>,
        left_out: &[String],
    ) -> Result<Task, Vec<String>> {
        let mut faults = Vec::new();
        let known = |flag: &str| left_out.iter().any(|name| name == flag);
        if self.input.is_none() && !known("<INPUT>") && !known("[INPUT]") {
            faults.push("<INPUT> is required".to_owned());
        }
        if self.output.is_none() && !known("--output") {
            faults.push("--output <FILE> is required".to_owned());
        }
        let config = settings.map_err(|more| faults.extend(more)).ok();
        let profile = config
            .as_ref()
            .and_then(|config| self.find_profile(config, &mut faults));
        self.check_targets(&mut faults);
        let built_in = Fonts::default();
        let fonts = config.as_ref().map_or(&built_in, |config| &config.fonts);
        let left_out = known("--watermark") || known("--text");
        let mut watermarks = self.watermarks(left_out, fonts, &mut faults);
        if let Some(config) = &config {
            watermarks.extend(self.label(config, &mut faults));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (Some(config), Some(profile)) = (config, profile) else {
            return Err(faults);
        };
        // A key is made only where all else is in order.
        let signer = self.signer(&config, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Task {
            input: self.input.clone().unwrap_or_default(),
            output: followed(self.output.as_deref().unwrap_or(Path::new(""))),
            poster: self.poster.as_deref().map(followed),
            report: self.report.as_deref().map(followed),
            watermarks,
            checks: config.verify.checks_of(&profile),
            profile,
            limits: config.limits.clone(),
            max_allocation: config.max_allocation,
            threads: self.threads.into(),
            overwrite: self.overwrite,
            audio_track: self.audio_track.clone(),
            provenance: self.provenance(&config.provenance),
            signer,
            wants_encode: self.crf.is_some() || self.preset.is_some(),
        })
    }

    /// Place and time are those of the settings.
    fn label(&self, config: &Config, faults: &mut Vec<String>) -> Option<Watermark> {
        let choice = job::LabelChoice::of(self.label.as_deref()?.trim());
        let label = choice.label(&config.label)?;
        let anchor = label.anchor.as_deref().and_then(|name| name.parse().ok());
        let anchor = anchor.unwrap_or(Anchor::TopLeft);
        match config.fonts.label(&label.words, anchor, label.until_ms) {
            Ok((drawn, placement)) => Some(Watermark {
                image: Arc::new(drawn.image),
                placement,
            }),
            Err(error) => {
                faults.push(format!("--label: “{}” {error}", label.words));
                None
            }
        }
    }

    /// As the settings want it. No model of ours made it, so that none is named.
    fn provenance(&self, settings: &job::Provenance) -> Option<Provenance> {
        settings.metadata.then(|| Provenance {
            source_type: self.source_type,
            id: Provenance::id_of(rand::random()),
            created_at: SystemClock.now(),
            provider: settings.provider.clone(),
            model: None,
            aigc_producer: settings.aigc_producer.clone(),
        })
    }

    fn signer(&self, config: &Config, faults: &mut Vec<String>) -> Option<Arc<dyn Signer>> {
        if !self.sign {
            return None;
        }
        let key = signer::key(config);
        if let Key::Off | Key::None = key {
            faults.push(
                "--sign: the settings have no key, or sign nothing: see [provenance]".to_owned(),
            );
            return None;
        }
        if key == Key::Kms {
            let why = "--sign: a key in Cloud KMS signs for the service only";
            faults.push(why.to_owned());
            return None;
        }
        if let Key::Own(file) = &key
            && let Err(error) = fs::create_dir_all(directory(file))
        {
            faults.push(format!("--sign: {} {}", file.display(), reason(&error)));
            return None;
        }
        let signer = signer::signer(config, &key, SystemClock.now());
        let signer = signer.and_then(|signer| {
            let signer = signer.map(|signer| signer::stamping(config, signer as Arc<dyn Signer>));
            signer.transpose()
        });
        match signer {
            Ok(signer) => signer,
            Err(failure) => {
                faults.push(format!("--sign: {}", failure.message));
                None
            }
        }
    }

    fn find_profile(&self, config: &Config, faults: &mut Vec<String>) -> Option<Profile> {
        let Some(profile) = config.profiles.get(&self.profile) else {
            let names: Vec<&str> = config.profiles.keys().map(String::as_str).collect();
            faults.push(format!(
                "--profile: there is no “{}”; there are {}",
                self.profile,
                names.join(", ")
            ));
            return None;
        };
        let mut profile = profile.clone();
        profile.video.crf = self.crf.unwrap_or(profile.video.crf);
        profile.video.preset = self.preset.unwrap_or(profile.video.preset);
        Some(profile)
    }

    fn watermarks(
        &self,
        left_out: bool,
        fonts: &Fonts,
        faults: &mut Vec<String>,
    ) -> Vec<Watermark> {
        for flag in self.marks.loose.iter().filter(|_| !left_out) {
            faults.push(format!(
                "{flag} places a watermark: name it with --watermark <LOGO>, or --text <WORDS>"
            ));
        }
        faults.extend(self.marks.faults.iter().cloned());
        let mut looked_at: Vec<&Path> = Vec::new();
        for (shown, _) in &self.marks.layers {
            let Shown::Picture(image) = shown else {
                continue;
            };
            // One logo may stand in several places.
            if looked_at.contains(&image.as_path()) {
                continue;
            }
            looked_at.push(image);
            match fs::metadata(image) {
                Ok(found) if found.is_file() => {}
                Ok(_) => faults.push(format!("--watermark: {} is not a file", image.display())),
                Err(error) => faults.push(format!(
                    "--watermark: {} {}",
                    image.display(),
                    reason(&error)
                )),
            }
        }
        let mut layers = Vec::new();
        for (shown, placement) in &self.marks.layers {
            let mark = match shown {
                Shown::Picture(image) => Watermark {
                    image: Arc::new(FileInput::new(image)),
                    placement: placement.clone(),
                },
                Shown::Text(mark) => match fonts.draw(mark) {
                    Ok(drawn) => Watermark {
                        placement: drawn.placed(mark, placement),
                        image: Arc::new(drawn.image),
                    },
                    Err(error) => {
                        faults.push(format!("--text: {shown} {error}"));
                        continue;
                    }
                },
            };
            layers.push(mark);
        }
        layers
    }

    /// Where files will be written: no two at one place, none over an input, each possible.
    fn check_targets(&self, faults: &mut Vec<String>) {
        let logos = self.marks.layers.iter();
        let mut taken: Vec<(&str, PathBuf)> = self
            .input
            .iter()
            .map(|input| ("the input", input))
            .chain(logos.filter_map(|(shown, _)| match shown {
                Shown::Picture(image) => Some(("the watermark", image)),
                Shown::Text(_) => None,
            }))
            .filter_map(|(name, path)| Some((name, place(path)?)))
            .collect();
        let targets = [
            ("--output", &self.output, &["mp4", "m4v"][..]),
            ("--poster", &self.poster, &["jpg", "jpeg"]),
            ("--report", &self.report, &["json"]),
        ];
        for (flag, path, endings) in targets {
            let Some(path) = path else { continue };
            let other = place(path).and_then(|place| {
                let other = taken.iter().find(|(_, taken)| *taken == place);
                let name = other.map(|(name, _)| *name);
                taken.push((flag, place));
                name
            });
            if let Some(other) = other {
                faults.push(format!("{flag}: {} is {other} as well", path.display()));
            } else if let Some(fault) = self.unfit(path, endings) {
                faults.push(format!("{flag}: {fault}"));
            }
        }
    }

    /// Why `path` cannot be written.
    fn unfit(&self, path: &Path, endings: &[&str]) -> Option<String> {
        let shown = path.display();
        if path.file_name().is_none() {
            return Some(format!("{shown} names no file"));
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Some(format!("{shown} is a directory")),
            // A device or a pipe would be replaced by a file of that name.
            Ok(found) if !found.is_file() => return Some(format!("{shown} is not a plain file")),
            Ok(_) if !self.overwrite => {
                return Some(format!("{shown} exists; --overwrite replaces it"));
            }
            Ok(_) => {}
            Err(_) => match fs::metadata(directory(path)) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Some(format!("{} is not a directory", directory(path).display())),
                Err(error) => {
                    let directory = directory(path).display();
                    return Some(format!("the directory {directory} {}", reason(&error)));
                }
            },
        }
        // A name that promises another format would be a lie.
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        let fits = ending.is_none_or(|ending| endings.iter().any(|known| ending == *known));
        (!fits).then(|| format!("{shown} must end in .{}", endings.join(" or .")))
    }
}

/// An I/O error as the end of a sentence about a path.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be used: permission denied".to_owned(),
        _ => format!("cannot be used: {error}"),
    }
}

pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// One name for one place, whether or not a file is there.
fn place(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok().or_else(|| {
        let directory = fs::canonicalize(directory(path)).ok()?;
        Some(directory.join(path.file_name().unwrap_or(OsStr::new(""))))
    })
}

/// A link to a file is written through, not replaced.
fn followed(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
impl Task {
    pub(super) fn of(input: &str, output: &str) -> Self {
        Self {
            input: input.into(),
            output: output.into(),
            poster: None,
            report: None,
            watermarks: Vec::new(),
            profile: Profile::default(),
            checks: Checks::default(),
            limits: Limits::default(),
            max_allocation: crate::media::DEFAULT_MAX_ALLOCATION,
            threads: 0,
            overwrite: false,
            audio_track: None,
            provenance: None,
            signer: None,
            wants_encode: false,
        }
    }
}
