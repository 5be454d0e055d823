//! Watching a job to its end, and fetching what it made.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::client::{Client, ClientError};
use crate::cli::console::Console;
use crate::clock::{Clock as _, SystemClock, elapsed};
use crate::http::{JobView, WaitingView};
use crate::job::{Code, Failure, Stage, Timestamp, WaitsFor};

pub(super) const VIDEO: &str = "result.mp4";
pub(super) const POSTER: &str = "poster.jpg";
pub(super) const METADATA: &str = "metadata.json";

const POLL: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A service that is being replaced is back within this; afterwards somebody should look.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The service ends a job at its deadline; this long after it, it does not.
const OVERTIME: Duration = Duration::from_secs(15 * 60);
const DOWNLOAD_TRIES: u32 = 4;

/// Asks every second until the job has ended. A service that does not answer is asked more
/// rarely, for five minutes.
pub(in crate::cli) async fn follow(
    client: &Client,
    job: &JobView,
    console: &dyn Console,
) -> Result<JobView, Failure> {
    let mut display = Display::new(console);
    let mut job = job.clone();
    // From here on, so that the two machines' clocks need not agree.
    let longest = elapsed(job.created_at, job.deadline_at) + OVERTIME;
    let started = tokio::time::Instant::now();
    let mut answered = started;
    let mut pause = POLL;
    loop {
        display.show(&job);
        if job.status.is_ended() {
            return Ok(job);
        }
        if started.elapsed() > longest {
            return Err(Failure::new(
                Code::DeadlineExceeded,
                format!("job {} has not ended long after its deadline", job.id),
            ));
        }
        tokio::time::sleep(pause).await;
        match client.job(&job.id).await {
            Ok(seen) => {
                job = seen;
                pause = POLL;
                answered = tokio::time::Instant::now();
            }
            Err(error) if error.may_pass() && answered.elapsed() < PATIENCE => {
                display.tell(&format!("{error}; trying again"));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Downloads the result; a link that has gone stale or broke off is asked for anew.
pub(super) async fn download(
    client: &Client,
    mut job: JobView,
    folder: &Path,
) -> Result<JobView, Failure> {
    let mut tried = 1;
    loop {
        match download_all(client, &job, folder).await {
            Ok(()) => return Ok(job),
            Err(error) => {
                let stale = matches!(
                    error,
                    ClientError::Refused {
                        code: Code::Unauthorized,
                        ..
                    }
                );
                if tried >= DOWNLOAD_TRIES || !(stale || error.may_pass()) {
                    return Err(error.into());
                }
            }
        }
        tokio::time::sleep(POLL * tried).await;
        tried += 1;
        // Polled for once; a service that is away now is met by the next try.
        if let Ok(fresh) = client.job(&job.id).await {
            job = fresh;
        }
    }
}

/// All three or none: the files get their names once the last one is here.
async fn download_all(client: &Client, job: &JobView, folder: &Path) -> Result<(), ClientError> {
    let result = job.result.as_ref();
    let Some((result, links)) = result.and_then(|result| Some((result, result.links.as_ref()?)))
    else {
        return Err(ClientError::unavailable(
            Code::Internal,
            "the service gives no links to the result",
        ));
    };
    let video = client.download(&links.video, &folder.join(VIDEO)).await?;
    if video.bytes != result.bytes {
        return Err(ClientError::unavailable(
            Code::Internal,
            format!(
                "the video has {} bytes instead of {}",
                video.bytes, result.bytes
            ),
        ));
    }
    let poster = client.download(&links.poster, &folder.join(POSTER)).await?;
    let metadata = client
        .download(&links.metadata, &folder.join(METADATA))
        .await?;
    for part in [video, poster, metadata] {
        part.keep().await?;
    }
    Ok(())
}

/// How long each stage took, in the order of the road.
pub(in crate::cli) fn times(job: &JobView) -> String {
    use strum::IntoEnumIterator as _;
    let stages: Vec<String> = Stage::iter()
        .filter_map(|stage| {
            let ms = job.timings.stages_ms.get(stage.as_str())?;
            Some(format!("{} {:.1} s", stage.as_str(), *ms as f64 / 1000.0))
        })
        .collect();
    let end = job.completed_at.unwrap_or_else(|| SystemClock.now());
    let total = elapsed(job.created_at, end).as_secs_f64();
    if stages.is_empty() {
        format!("{total:.1} s")
    } else {
        format!("{total:.1} s: {}", stages.join(", "))
    }
}

/// What a job waits for, where that is worth a word: nothing that changes by itself, since each
/// change is a line.
pub(in crate::cli) fn waiting(wait: &WaitingView) -> Option<String> {
    let time = |at: Timestamp| at.strftime("%H:%M:%SZ").to_string();
    let since = time(wait.since);
    let reason = &wait.reason;
    Some(match wait.what {
        // A worker is on its way.
        WaitsFor::Worker => return None,
        WaitsFor::Provider => format!("the provider has had it since {since}"),
        WaitsFor::Attempt => {
            let (attempt, attempts) = (wait.attempt, wait.attempts);
            let until = wait
                .until
                .map_or_else(String::new, |at| format!(" at {}", time(at)));
            format!("attempt {attempt} of {attempts}{until}: {reason}")
        }
        what => format!(
            "{} since {since}: {reason}",
            what.as_str().replace('_', " ")
        ),
    })
}

/// A bar on a terminal, a line for each change elsewhere.
struct Display<'a> {
    console: &'a dyn Console,
    bar: Option<ProgressBar>,
    last: String,
}

impl<'a> Display<'a> {
    fn new(console: &'a dyn Console) -> Self {
        let bar = console.is_terminal().then(|| {
            // Tenths of a percent: what the service reports.
            let bar = ProgressBar::new(1000);
            // The template is a constant that indicatif takes; a default bar would do as well.
            if let Ok(style) =
                ProgressStyle::with_template("{bar:40} {percent:>3}% {msg} {elapsed:.dim}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self {
            console,
            bar,
            last: String::new(),
        }
    }

    fn show(&mut self, job: &JobView) {
        let stage = job.stage.map_or(job.status.as_str(), Stage::as_str);
        let stage = if job.status.is_ended() {
            job.status.as_str()
        } else {
            stage
        };
        let mut words = stage.to_owned();
        if let Some(seconds) = job.progress.eta_s.filter(|_| !job.status.is_ended()) {
            words.push_str(&format!(", about {seconds} s left"));
        }
        if let Some(wait) = job.waiting.as_ref().and_then(waiting) {
            words.push_str(&format!(", waiting: {wait}"));
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position((job.progress.percent.clamp(0.0, 100.0) * 10.0) as u64);
                bar.set_message(words);
                if job.status.is_ended() {
                    bar.finish();
                }
            }
            None => {
                let line = format!("{:>3.0} % {words}", job.progress.percent);
                if line != self.last {
                    self.console.note(&line);
                    self.last = line;
                }
            }
        }
    }

    fn tell(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.console.note(line),
        }
    }
}

impl Drop for Display<'_> {
    /// Whatever ends the watching, the cursor stands below the bar.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
