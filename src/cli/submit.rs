//! `filmlab submit`: create a job, follow it, download what it made.

mod args;
pub(super) mod follow;
mod request;

use std::path::PathBuf;
use std::time::Duration;

use super::client::{Client, ClientError};
use super::console::{Console, Stdio};
use super::signal::stop_signal;
use crate::http::JobView;
use crate::job::{Code, Failure, Status};
use crate::worker::Quote;
pub use args::SubmitArgs;
pub(super) use args::kind;

/// How a submission went, where it did not fail.
#[derive(Debug)]
pub enum Outcome {
    /// The result lies in the folder.
    Done { job: Box<JobView>, folder: PathBuf },
    /// The job goes on by itself: nobody wanted to wait, or somebody stopped waiting.
    Left { job: Box<JobView> },
    /// Only the price was asked for.
    Quoted(Box<Quote>),
}

/// Runs the command. Ctrl-C leaves the job running and says how to follow it.
pub async fn run(args: SubmitArgs) -> Result<(), Failure> {
    submit(&args, &Stdio, stop_signal()).await?;
    Ok(())
}

/// Creates the job, follows it and downloads its result. `stop` ends the waiting, not the job.
pub async fn submit(
    args: &SubmitArgs,
    console: &dyn Console,
    stop: impl Future<Output = ()> + Send,
) -> Result<Outcome, Failure> {
    let client = Client::new(args.server.clone(), args.token.clone())?;
    if let Some(folder) = &args.output {
        // Before anything is paid for.
        prepare(folder).await?;
    }
    let body = request::body(args, &client, console).await?;
    if args.quote {
        let quote = client.quote(&body).await?;
        show(&quote, console);
        return Ok(Outcome::Quoted(Box::new(quote)));
    }
    let job = create(&client, &body, args).await?;
    if args.no_wait {
        console.say(job.id.as_str());
        return Ok(Outcome::Left { job: Box::new(job) });
    }
    console.note(&format!("job {}", job.id));
    let folder = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(job.id.as_str()));
    let rest = async {
        let ended = follow::follow(&client, &job, console).await?;
        judge(&ended)?;
        prepare(&folder).await?;
        follow::download(&client, ended, &folder).await
    };
    let id = job.id.clone();
    tokio::select! {
        ended = rest => {
            let job = ended?;
            report(&job, &folder, console);
            Ok(Outcome::Done { job: Box::new(job), folder })
        }
        () = stop => {
            console.note(&format!(
                "the job goes on without you; see how it stands at {}",
                client.address(&["v1", "jobs", id.as_str()]),
            ));
            console.say(id.as_str());
            Ok(Outcome::Left { job: Box::new(job) })
        }
    }
}

async fn prepare(folder: &PathBuf) -> Result<(), Failure> {
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(|error| ClientError::File {
            path: folder.clone(),
            error,
            writing: true,
        })?;
    Ok(())
}

const CREATE_TRIES: u32 = 4;

/// The idempotency key makes one job of all tries.
async fn create(
    client: &Client,
    body: &serde_json::Value,
    args: &SubmitArgs,
) -> Result<JobView, Failure> {
    let key = args
        .idempotency_key
        .clone()
        .unwrap_or_else(|| ulid::Ulid::new().to_string());
    let mut tried = 1;
    loop {
        match client.create(body, &key).await {
            Ok(job) => return Ok(job),
            // Where nothing was ever there, nothing will come back: that is told at once.
            Err(error) if error.may_pass() && client.has_met() && tried < CREATE_TRIES => {
                tokio::time::sleep(Duration::from_millis(250 << tried)).await;
                tried += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A job that ended without a result is a failure of the command, at the same party's door.
pub(super) fn judge(job: &JobView) -> Result<(), Failure> {
    match (job.status, &job.error) {
        (Status::Failed, Some(error)) => {
            Err(Failure::new(error.code, error.message.clone()).by(error.party))
        }
        (Status::Failed, None) => Err(Failure::new(Code::Internal, Code::Internal.about())),
        (Status::Cancelled, _) => Err(Failure::new(Code::Cancelled, Code::Cancelled.about())),
        _ => Ok(()),
    }
}

fn show(quote: &Quote, console: &dyn Console) {
    console.say(&format!("model     {}", quote.model));
    console.say(&format!("seconds   {:.1} billed", quote.billed_seconds));
    let provider = &quote.provider;
    let at_least = if provider.is_floor { "at least " } else { "" };
    let list = provider.list_price_usd.map_or_else(String::new, |price| {
        format!(" ({price:.4} USD by the list)")
    });
    console.say(&format!(
        "provider  {at_least}{:.4} {}{list}",
        provider.price, provider.currency
    ));
    console.say(&format!("cost      {} credits", quote.credits));
}

fn report(job: &JobView, folder: &std::path::Path, console: &dyn Console) {
    if let Some(result) = &job.result {
        console.say(&format!(
            "video     {} ({}, {:.1} s, {}×{})",
            folder.join(follow::VIDEO).display(),
            bytesize::ByteSize(result.bytes),
            result.duration_ms as f64 / 1000.0,
            result.width,
            result.height,
        ));
    }
    for (title, name) in [("poster", follow::POSTER), ("metadata", follow::METADATA)] {
        console.say(&format!("{title:<9} {}", folder.join(name).display()));
    }
    let cost = job
        .credits
        .cost
        .map_or_else(|| "nothing".to_owned(), |cost| format!("{cost} credits"));
    console.say(&format!("cost      {cost}"));
    console.say(&format!("time      {}", follow::times(job)));
}
