//! `filmlab jobs`: what a running service knows of its jobs, and what may be done about them.

mod show;

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Client;
use super::console::{Console, Stdio};
use super::server::ServerArgs;
use super::signal::stop_signal;
use super::submit::follow;
use crate::http::{JobPage, JobView};
use crate::job::{Code, Failure, JobId, Kind, Status, Timestamp};

#[derive(Debug, Clone, Args)]
pub struct JobsArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print what the service answers, as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: JobsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum JobsCommand {
    /// List jobs, newest first.
    List(Box<ListArgs>),
    /// Show one job.
    Show { id: JobId },
    /// Follow a job to its end; fails as the job does.
    Watch { id: JobId },
    /// Ask for a job to be ended.
    Cancel { id: JobId },
    /// Send an ended job on another round.
    Retry { id: JobId },
    /// Delete an ended job with its files, here and at the provider.
    Delete { id: JobId },
    /// Make fresh links to a job's result.
    Links {
        id: JobId,
        /// How long they open, such as 10m or 2h.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        ttl: Option<Duration>,
    },
    /// List what was told about a job.
    Notifications { id: JobId },
    /// Tell it again.
    Replay {
        id: JobId,
        /// Of which round; the last one without.
        #[arg(long)]
        round: Option<u32>,
    },
}

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// queued, processing, completed, failed or cancelled.
    #[arg(long)]
    pub status: Option<Status>,
    /// character_replace, extend or upscale.
    #[arg(long, value_parser = super::submit::kind)]
    pub kind: Option<Kind>,
    /// Whose jobs; for the operator's token.
    #[arg(long)]
    pub owner: Option<String>,
    /// Only jobs with this tag.
    #[arg(long)]
    pub tag: Option<String>,
    /// Only jobs made at or after this moment, such as 2026-11-23T12:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    pub created_after: Option<Timestamp>,
    /// Only jobs made before this moment.
    #[arg(long, value_name = "MOMENT")]
    pub created_before: Option<Timestamp>,
    /// Jobs on a page.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u32>,
    /// Where to go on, as the page before said.
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

/// Runs the command.
pub(super) async fn run(args: JobsArgs) -> Result<(), Failure> {
    jobs(&args, &Stdio, stop_signal()).await
}

/// Does what the line says. `stop` ends a watching, not the job.
pub async fn jobs(
    args: &JobsArgs,
    console: &dyn Console,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Failure> {
    let client = args.server.client()?;
    let call = Call {
        client: &client,
        json: args.json,
        console,
    };
    match &args.command {
        JobsCommand::List(list) => call.list(list).await,
        JobsCommand::Show { id } => call.job(Method::GET, &["v1", "jobs", id.as_str()]).await,
        JobsCommand::Watch { id } => call.watch(id, stop).await,
        JobsCommand::Cancel { id } => call.job(Method::POST, &of(id, &["cancel"])).await,
        JobsCommand::Retry { id } => call.job(Method::POST, &of(id, &["retry"])).await,
        JobsCommand::Delete { id } => {
            client.delete(&of(id, &[])).await?;
            call.told(&json!({"id": id, "deleted": true}), || {
                format!("{id} is deleted")
            });
            Ok(())
        }
        JobsCommand::Links { id, ttl } => {
            let body = ttl.map_or(Value::Null, |ttl| json!({"ttl_s": ttl.as_secs()}));
            let links = client
                .send(Method::POST, &of(id, &["links"]), &[], &body)
                .await?;
            call.told(&links, || show::links(&links));
            Ok(())
        }
        JobsCommand::Notifications { id } => {
            let path = of(id, &["notifications"]);
            let list = client.send(Method::GET, &path, &[], &Value::Null).await?;
            call.told(&list, || show::notifications(&list["notifications"]));
            Ok(())
        }
        JobsCommand::Replay { id, round } => {
            let body = round.map_or(Value::Null, |round| json!({"round": round}));
            let path = of(id, &["notifications", "replay"]);
            let notice = client.send(Method::POST, &path, &[], &body).await?;
            call.told(&notice, || show::notifications(&json!([notice])));
            Ok(())
        }
    }
}

/// The path of something of a job's.
fn of<'a>(id: &'a JobId, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["v1", "jobs", id.as_str()];
    path.extend_from_slice(rest);
    path
}

struct Call<'a> {
    client: &'a Client,
    json: bool,
    console: &'a dyn Console,
}

impl Call<'_> {
    /// The answer as it came, or in words.
    fn told(&self, answer: &Value, words: impl FnOnce() -> String) {
        if self.json {
            self.console.say(&answer.to_string());
        } else {
            self.console.say(&words());
        }
    }

    async fn list(&self, asked: &ListArgs) -> Result<(), Failure> {
        let query: Vec<(&str, String)> = [
            (
                "status",
                asked.status.map(|status| status.as_str().to_owned()),
            ),
            ("kind", asked.kind.map(|kind| kind.as_str().to_owned())),
            ("owner", asked.owner.clone()),
            ("tag", asked.tag.clone()),
            (
                "created_after",
                asked.created_after.map(|at| at.to_string()),
            ),
            (
                "created_before",
                asked.created_before.map(|at| at.to_string()),
            ),
            ("limit", asked.limit.map(|limit| limit.to_string())),
            ("page_token", asked.page_token.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let path = ["v1", "jobs"];
        let answer = self
            .client
            .send(Method::GET, &path, &query, &Value::Null)
            .await?;
        let page: JobPage = read(&answer)?;
        self.told(&answer, || show::list(&page.jobs));
        if let (Some(token), false) = (&page.next_page_token, self.json) {
            self.console
                .note(&format!("more with --page-token {token}"));
        }
        Ok(())
    }

    /// A call whose answer is the job.
    async fn job(&self, method: Method, path: &[&str]) -> Result<(), Failure> {
        let answer = self.client.send(method, path, &[], &Value::Null).await?;
        let job: JobView = read(&answer)?;
        self.told(&answer, || show::job(&job));
        Ok(())
    }

    async fn watch(
        &self,
        id: &JobId,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Failure> {
        let job = self.client.job(id).await?;
        let ended = tokio::select! {
            ended = follow::follow(self.client, &job, self.console) => ended?,
            () = stop => {
                self.console.note("the job goes on without you");
                return Ok(());
            }
        };
        let answer = serde_json::to_value(&ended)
            .map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        self.told(&answer, || show::job(&ended));
        super::submit::judge(&ended)
    }
}

fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    T::deserialize(answer).map_err(|error| {
        let message = format!("the service gives an answer that cannot be read: {error}");
        Failure::new(Code::Internal, message)
    })
}
