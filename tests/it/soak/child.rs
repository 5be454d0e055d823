//! The process that works on a batch: one line a step, so that whoever reads along
//! knows which file it died of.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use filmlab::media::{
    Cancel, DecodeDepth, Expectation, FileInput, FileOutput, Limits, MediaError, Placement, Preset,
    Render, Watermark, probe, probe_picture, render, verify,
};

use super::memory;

/// Names the file that lists the batch: first the sound video, then
/// `role<TAB>path` for each mutant.
pub(super) const BATCH: &str = "FILMLAB_SOAK_BATCH";
/// Begins every line that is for the parent.
pub(super) const MARK: &str = "soak:\t";

/// Not a test by itself: the other half of [`super::run`].
#[test]
#[ignore = "started by the soak itself"]
fn batch() {
    let list = crate::support::require::variable(BATCH);
    if list.is_empty() {
        return;
    }
    let list = std::fs::read_to_string(list).unwrap();
    let (main, files) = list.split_once('\n').unwrap();
    let folder = tempfile::tempdir().unwrap();
    for line in files.lines() {
        let (role, path) = line.split_once('\t').unwrap();
        println!("\n{MARK}begin\t{path}");
        memory::reset_peak();
        let started = Instant::now();
        let outcome = match work(
            role == "picture",
            path.as_ref(),
            main.as_ref(),
            folder.path(),
        ) {
            Ok(()) => "ok\t".to_owned(),
            Err((step, error)) => {
                format!(
                    "{step} {}\t{}",
                    error.code,
                    error.message.replace(['\n', '\t'], " ")
                )
            }
        };
        println!(
            "\n{MARK}end\t{path}\t{}\t{}\t{outcome}",
            started.elapsed().as_millis(),
            memory::peak_kib() / 1024,
        );
    }
}

type Refusal = (&'static str, MediaError);

/// Probe, process, and a look at every frame of what came of it.
fn work(picture: bool, path: &Path, main: &Path, folder: &Path) -> Result<(), Refusal> {
    let mutant: Arc<FileInput> = Arc::new(FileInput::new(path));
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let mut render_this = if picture {
        probe_picture(mutant.as_ref(), &limits, &cancel).map_err(|error| ("probe", error))?;
        let mut this = job(main);
        this.watermarks.push(Watermark {
            image: mutant,
            placement: Placement::default(),
        });
        this
    } else {
        probe(mutant.as_ref(), &limits, &cancel).map_err(|error| ("probe", error))?;
        job(path)
    };
    render_this.poster = Some(folder.join("poster.jpg").into());
    let out = folder.join("out.mp4");
    // As most jobs are, and then made anew: damage that copies is not seen by the first.
    for video in [false, true] {
        render_this.force.video = video;
        let step = if video { "encode" } else { "process" };
        render(
            &render_this,
            &mut FileOutput::new(&out),
            &cancel,
            &mut |_| {},
        )
        .map_err(|error| (step, error))?;
    }
    let expect = Expectation {
        depth: DecodeDepth::Full,
        ..Expectation::default()
    };
    verify(&FileInput::new(&out), &expect, &limits, &cancel)
        .map(|_| ())
        .map_err(|error| ("RESULT", error))
}

pub(super) fn job(main: &Path) -> Render {
    let mut job = crate::media::support::job(main);
    job.profile.video.preset = Preset::Ultrafast;
    job
}

/// This test binary, told to be the other half.
pub(super) fn command(test: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
}

/// One line of the child's, without the mark.
pub(super) fn fields(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix(MARK)?.split('\t').collect())
}

/// Where the batch of `name` is written down.
pub(super) fn list(folder: &Path, name: usize, main: &Path, files: &[(bool, PathBuf)]) -> PathBuf {
    let mut text = format!("{}\n", main.display());
    for (picture, path) in files {
        let role = if *picture { "picture" } else { "video" };
        text.push_str(&format!("{role}\t{}\n", path.display()));
    }
    let at = folder.join(format!("batch-{name}.txt"));
    std::fs::write(&at, text).unwrap();
    at
}
