//! One row: so many passes at once, several times, and what they took.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{Row, Task};
use crate::media::{
    self, Cancel, FileInput, FileOutput, Force, Input, MediaCode, MediaError, Output, Placement,
    PosterTo, Render, Report, Watermark, WriteSeek, likeness,
};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    version: u32,
    program: &'static str,
    revision: &'static str,
    pub(super) cores: usize,
    pub(super) jobs: usize,
    runs: usize,
    threads: usize,
    pub(super) rows: Vec<Figures>,
    pub(super) advice: String,
}

/// Medians of the runs of a row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) clip: String,
    pub(super) profile: String,
    pub(super) preset: String,
    crf: f32,
    /// Whether the picture was encoded; else it was copied.
    pub(super) encoded: bool,
    width: u32,
    height: u32,
    frames: u64,
    pub(super) duration_ms: u64,
    /// Of all passes at once, from the first's start to the last's end.
    pub(super) wall_ms: f64,
    /// Of the process, all passes together.
    pub(super) cpu_ms: f64,
    /// Length of what was made over the time it took.
    pub(super) realtime: f64,
    pub(super) clips_per_minute: f64,
    /// Absent where the system does not tell.
    pub(super) peak_memory_bytes: Option<u64>,
    page_faults: Option<u64>,
    source_bytes: u64,
    pub(super) bytes: u64,
    pub(super) ssim: Option<f64>,
    pub(super) stages: Stages,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Stages {
    /// Opening, probing, planning.
    pub(super) open: Spent,
    /// Decoding, mark, encoding, writing.
    pub(super) pass: Spent,
    /// Reading back, and the poster.
    pub(super) verify: Spent,
}

/// Of one pass. The processor's time is known where there is one at a time.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Spent {
    pub(super) wall_ms: f64,
    pub(super) cpu_ms: Option<f64>,
}

impl Measured {
    pub(super) fn of(task: &Task, rows: Vec<Figures>, advice: String) -> Self {
        Self {
            version: 1,
            program: env!("FILMLAB_VERSION"),
            revision: env!("FILMLAB_REVISION"),
            cores: task.cores,
            jobs: task.jobs,
            runs: task.runs,
            threads: task.threads,
            rows,
            advice,
        }
    }
}

/// When, by both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Moment {
    fn now() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Self {
            at: Instant::now(),
            cpu: Duration::try_from(cpu).unwrap_or_default(),
        }
    }

    fn since(self, before: Self, alone: bool) -> Spent {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        Spent {
            wall_ms: ms(self.at.saturating_duration_since(before.at)),
            cpu_ms: alone.then(|| ms(self.cpu.saturating_sub(before.cpu))),
        }
    }
}

/// A file that notes when it was begun, finished and published.
#[derive(Debug)]
struct Noted {
    file: FileOutput,
    seen: Arc<Mutex<Vec<Moment>>>,
}

impl Noted {
    fn note(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(Moment::now());
    }
}

impl Output for Noted {
    fn create(&mut self) -> io::Result<Box<dyn WriteSeek>> {
        // What was tried before and given up belongs to the pass.
        let begun = !self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        if !begun {
            self.note();
        }
        self.file.create()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.note();
        self.file.finish()
    }

    fn staged(&self) -> Arc<dyn Input> {
        self.file.staged()
    }

    fn commit(&mut self) -> io::Result<()> {
        self.note();
        self.file.commit()
    }

    fn discard(&mut self) {
        self.file.discard();
    }

    fn describe(&self) -> String {
        self.file.describe()
    }
}

/// One pass.
struct Passed {
    report: Report,
    stages: Stages,
}

/// All passes of one run.
struct Ran {
    passed: Vec<Passed>,
    spent: Spent,
    page_faults: Option<u64>,
}

pub(super) fn row(
    task: &Task,
    row: &Row,
    cancel: &Cancel,
    one_more: &(dyn Fn() + Sync),
) -> Result<Figures, MediaError> {
    let folder = tempfile::tempdir().map_err(|error| {
        MediaError::new(
            MediaCode::OutputUnwritable,
            format!("there is no place for results: {error}"),
        )
    })?;
    let peaks = forget_peak();
    let runs = (0..task.runs).map(|_| run(task, row, folder.path(), cancel, one_more));
    let runs = runs.collect::<Result<Vec<Ran>, MediaError>>()?;
    let peak_memory_bytes = peaks.then(peak).flatten();
    let Some(first) = runs.first().and_then(|run| run.passed.first()) else {
        return Err(MediaError::new(MediaCode::Internal, "nothing was measured"));
    };
    let report = &first.report;
    let encoded = !report.plan.is_remux();
    let ssim = if task.ssim && encoded {
        let result = FileInput::new(folder.path().join("0.mp4"));
        let marks = &report.plan.watermarks;
        likeness(
            &FileInput::new(&row.clip),
            &result,
            marks,
            &task.limits,
            cancel,
        )?
    } else {
        None
    };
    let wall_ms = median(runs.iter().map(|run| run.spent.wall_ms));
    let video = report.output.video.as_ref();
    let stage = |pick: fn(&Stages) -> Spent| {
        let all = || {
            runs.iter()
                .flat_map(|run| &run.passed)
                .map(|it| pick(&it.stages))
        };
        Spent {
            wall_ms: median(all().map(|spent| spent.wall_ms)),
            cpu_ms: (task.jobs == 1).then(|| median(all().filter_map(|spent| spent.cpu_ms))),
        }
    };
    let minutes = wall_ms.max(1e-3) / 60_000.0;
    Ok(Figures {
        clip: row.name.clone(),
        profile: row.profile.name.clone(),
        preset: row.profile.video.preset.as_str().to_owned(),
        crf: row.profile.video.crf,
        encoded,
        width: video.map_or(0, |video| video.width),
        height: video.map_or(0, |video| video.height),
        frames: report.frames,
        duration_ms: report.duration_ms,
        wall_ms,
        cpu_ms: median(runs.iter().filter_map(|run| run.spent.cpu_ms)),
        realtime: report.duration_ms as f64 * task.jobs as f64 / wall_ms.max(1e-3),
        clips_per_minute: task.jobs as f64 / minutes,
        peak_memory_bytes,
        page_faults: runs
            .iter()
            .map(|run| run.page_faults)
            .collect::<Option<Vec<_>>>()
            .map(|faults| median(faults.into_iter().map(|faults| faults as f64)) as u64),
        source_bytes: report.source.container.bytes,
        bytes: report.bytes,
        ssim,
        stages: Stages {
            open: stage(|stages| stages.open),
            pass: stage(|stages| stages.pass),
            verify: stage(|stages| stages.verify),
        },
    })
}

/// All passes at once, each on a thread of its own.
fn run(
    task: &Task,
    row: &Row,
    folder: &Path,
    cancel: &Cancel,
    one_more: &(dyn Fn() + Sync),
) -> Result<Ran, MediaError> {
    let (begun, faults) = (Moment::now(), page_faults());
    let passed = std::thread::scope(|scope| {
        let passes: Vec<_> = (0..task.jobs)
            .map(|number| {
                scope.spawn(move || {
                    let passed = pass(task, row, &folder.join(format!("{number}.mp4")), cancel);
                    one_more();
                    passed
                })
            })
            .collect();
        passes
            .into_iter()
            .map(|pass| {
                let panicked = |_| MediaError::new(MediaCode::Internal, "a pass panicked");
                pass.join().map_err(panicked)?
            })
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(Ran {
        passed,
        spent: Moment::now().since(begun, true),
        page_faults: page_faults()
            .zip(faults)
            .map(|(now, before)| now.saturating_sub(before)),
    })
}

fn pass(task: &Task, row: &Row, target: &Path, cancel: &Cancel) -> Result<Passed, MediaError> {
    let mark = task.watermark.as_ref().map(|image| Watermark {
        image: Arc::new(FileInput::new(image)),
        placement: Placement::default(),
    });
    let render = Render {
        main: Arc::new(FileInput::new(&row.clip)),
        before: None,
        audio_source: None,
        strict: false,
        main_is_silent: false,
        audio_track: None,
        source_track: None,
        profile: row.profile.clone(),
        watermarks: mark.into_iter().collect(),
        poster: task.poster.then_some(PosterTo::Report),
        // A job's has both.
        storyboard: task.poster,
        force: Force {
            video: !task.copy,
            ..Force::default()
        },
        checks: media::Checks::default(),
        audible: false,
        limits: task.limits.clone(),
        threads: task.threads,
        provenance: None,
        signer: None,
        index_room: None,
    };
    let seen = Arc::default();
    let mut output = Noted {
        file: FileOutput::new(target),
        seen: Arc::clone(&seen),
    };
    let begun = Moment::now();
    let report = media::render(&render, &mut output, cancel, &mut |_| {})?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let [created, .., finished, published] = seen[..] else {
        return Err(MediaError::new(
            MediaCode::Internal,
            "a pass left a stage out",
        ));
    };
    let alone = task.jobs == 1;
    Ok(Passed {
        report,
        stages: Stages {
            open: created.since(begun, alone),
            pass: finished.since(created, alone),
            verify: published.since(finished, alone),
        },
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// Sets the peak of this process's resident memory back to what is resident now; `false` where the
/// system keeps no such figure.
fn forget_peak() -> bool {
    // The number is that of proc(5).
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The peak, in bytes, since it was forgotten.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Page faults of this process so far that needed no disk.
fn page_faults() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name, which may hold anything, the eighth field: proc(5).
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
