//! `filmlab demo`: sandbox and service on loopback, one job of each kind on a real clip.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::console::{Console as _, Stdio};
use super::exit::Exit;
use super::serve;
use super::signal::stop_signal;
use super::submit::{self, Outcome, SubmitArgs};
use crate::app::App;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Sources};
use crate::http::{JobView, LOCAL_OWNER};
use crate::job::{Code, CreditEntry, Credits, EntryKind, Failure, Kind, Owner};
use crate::ledger::Ledger;
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The video to work on.
    #[arg(long, value_name = "FILE", default_value = "fixtures/bigbuckbunny.mp4")]
    video: PathBuf,
    /// The character to put into it.
    #[arg(long, value_name = "FILE", default_value = "fixtures/character.png")]
    image: PathBuf,
    /// The watermark.
    #[arg(long, value_name = "FILE", default_value = "fixtures/logo.png")]
    watermark: PathBuf,
    /// Leave the watermark out, to compare.
    #[arg(long)]
    no_watermark: bool,
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "var/demo")]
    output: PathBuf,
    /// End once the results are there, also on a terminal.
    #[arg(long)]
    no_keep: bool,
}

/// Enough for one job of each kind on a short clip, by the default prices.
const GRANT: Credits = Credits(1_000);

pub(super) async fn run(args: DemoArgs) -> Result<(), Exit> {
    let missing: Vec<_> = [
        ("--video", &args.video),
        ("--image", &args.image),
        ("--watermark", &args.watermark),
    ]
    .into_iter()
    .filter(|(_, file)| !file.is_file())
    .map(|(flag, file)| format!("{flag}: {} is not a file", file.display()))
    .collect();
    if !missing.is_empty() {
        return Err(Exit::Usage(missing));
    }
    // What goes well would hide the progress; what does not is told.
    telemetry::start("warn", &telemetry::LogFormat::Text);
    let started = Instant::now();
    let data = args.output.join("service");
    for folder in kinds()
        .map(|kind| args.output.join(kind.as_str()))
        .chain([data.clone()])
    {
        remove(&folder)?;
    }

    let sandbox = Sandbox::bind(SandboxConfig::default())
        .await
        .map_err(|error| broken("the sandbox", &error))?;
    let provider = sandbox.handle().base_url();
    let (listener, address) = serve::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let config = config(&args, &data, provider.as_str(), address)?;
    let app = App::build(&config, address, Arc::new(SystemClock)).await?;
    let ledger = Arc::clone(&app.ledger);
    grant(&app).await?;
    Stdio.note(&format!(
        "provider  {provider} (a sandbox that really makes videos)"
    ));
    Stdio.note(&format!("service   http://{address}"));

    let stop = CancellationToken::new();
    let sandbox = tokio::spawn(sandbox.run(stop.clone().cancelled_owned()));
    let service = tokio::spawn(app.run(listener, stop.clone().cancelled_owned()));
    let outcome = tokio::select! {
        outcome = jobs(&args, address) => outcome,
        () = stop_signal() => Err(Failure::new(Code::Cancelled, "the demo was interrupted")),
    };
    if let Ok(jobs) = &outcome {
        told(&args, &ledger, jobs, started).await?;
        if !args.no_keep && std::io::stdout().is_terminal() {
            Stdio.say(&format!(
                "\nLook at it:  http://{address}/console\n(Ctrl-C ends the service)"
            ));
            stop_signal().await;
        }
    }
    stop.cancel();
    let (sandbox, service) = (sandbox.await, service.await);
    outcome?;
    if let Ok(Err(failure)) = service {
        return Err(failure.into());
    }
    if let Ok(Err(error)) = sandbox {
        return Err(broken("the sandbox", &error).into());
    }
    Ok(())
}

/// What came of it.
async fn told(
    args: &DemoArgs,
    ledger: &Arc<dyn Ledger>,
    jobs: &[JobView],
    started: Instant,
) -> Result<(), Failure> {
    let cost: u64 = jobs
        .iter()
        .filter_map(|job| job.credits.cost)
        .map(|cost| cost.0)
        .sum();
    let owner: Owner = LOCAL_OWNER
        .parse()
        .map_err(|error| broken("the owner", &error))?;
    let account = ledger
        .account(&owner)
        .await
        .ok()
        .flatten()
        .unwrap_or_default();
    Stdio.say("");
    Stdio.say(&format!("results   {}", args.output.display()));
    Stdio.say(&format!(
        "credits   {GRANT} granted, {cost} captured, {} left, {} held",
        account.credits, account.credits_held
    ));
    Stdio.say(&format!(
        "took      {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn kinds() -> impl Iterator<Item = Kind> {
    [Kind::CharacterReplace, Kind::Extend, Kind::Upscale].into_iter()
}

/// One job of each kind, one after the other.
async fn jobs(args: &DemoArgs, address: SocketAddr) -> Result<Vec<JobView>, Failure> {
    let mut jobs = Vec::new();
    for kind in kinds() {
        Stdio.say(&format!("\n{}", kind.as_str()));
        let submit = SubmitArgs {
            kind,
            video: args.video.display().to_string(),
            image: (kind == Kind::CharacterReplace).then(|| args.image.display().to_string()),
            prompt: (kind == Kind::Extend).then(|| "the scene goes on".to_owned()),
            seconds: (kind == Kind::Extend).then_some(4),
            resolution: None,
            target: (kind == Kind::Upscale).then(|| "1080p".to_owned()),
            seed: None,
            params: Vec::new(),
            max_price: None,
            tags: Vec::new(),
            profile: None,
            server: format!("http://{address}")
                .parse()
                .map_err(|error| broken("the address", &error))?,
            token: None,
            output: Some(args.output.join(kind.as_str())),
            idempotency_key: None,
            no_wait: false,
            quote: false,
        };
        match submit::submit(&submit, &Stdio, std::future::pending()).await? {
            Outcome::Done { job, .. } => jobs.push(*job),
            Outcome::Quoted(_) => {}
            Outcome::Left { job } => {
                return Err(Failure::new(
                    Code::Internal,
                    format!("job {} was left", job.id),
                ));
            }
        }
    }
    Ok(jobs)
}

/// The settings of a service like any other, but for its provider and its credits.
fn config(
    args: &DemoArgs,
    data: &Path,
    provider: &str,
    address: SocketAddr,
) -> Result<Config, Exit> {
    let mut settings = vec![
        ("FILMLAB_SERVER__LISTEN", address.to_string()),
        ("FILMLAB_DATA__DIR", data.display().to_string()),
        ("FILMLAB_PROVIDER__BASE_URL", provider.to_owned()),
        (
            "FILMLAB_PROVIDER__API_KEY",
            SandboxConfig::default().api_key,
        ),
        ("FILMLAB_CREDITS__MODE", "hold".to_owned()),
    ];
    if !args.no_watermark {
        let image = args.watermark.display().to_string();
        settings.push(("FILMLAB_WATERMARK__IMAGE", image));
        settings.push(("FILMLAB_WATERMARK__ANCHOR", "bottom-right".to_owned()));
    }
    let env: HashMap<_, _> = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Config::load(&Sources {
        file: None,
        no_default_file: true,
        env,
    })
    .map_err(|faults| Exit::Usage(faults.iter().map(ToString::to_string).collect()))
}

async fn grant(app: &App) -> Result<(), Failure> {
    let owner: Owner = LOCAL_OWNER
        .parse()
        .map_err(|error| broken("the owner", &error))?;
    let entry = CreditEntry {
        id: "grant:demo".into(),
        kind: EntryKind::Grant,
        amount: GRANT,
        job: None,
        at: SystemClock.now(),
    };
    match app.ledger.grant(&owner, &entry).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(Code::LedgerUnavailable, error.to_string())),
    }
}

fn remove(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::new(
            Code::OutputUnwritable,
            format!("{} cannot be removed: {error}", folder.display()),
        )),
        _ => Ok(()),
    }
}

fn broken(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Internal, format!("{what}: {error}"))
}
