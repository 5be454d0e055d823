//! `filmlab credits`: accounts in the configured ledger, beside a running service or without one.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::console::{Console, Stdio};
use super::table::{facts, table, text};
use crate::app;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::job::{Code, CreditEntry, Credits, EntryKind, Failure, Owner};
use crate::ledger::{Ledger, LedgerError};

#[derive(Debug, Clone, Args)]
pub struct CreditsArgs {
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: CreditsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum CreditsCommand {
    /// Show what an owner has.
    Show { owner: Owner },
    /// Give an owner credits; opens the account if there is none.
    Grant {
        owner: Owner,
        #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        amount: u64,
        /// Names this grant: the same name again gives nothing more.
        #[arg(long, value_name = "NAME", value_parser = name)]
        id: Option<String>,
    },
    /// List an owner's entries, newest first.
    Entries {
        owner: Owner,
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 100 letters, digits, '-', '_' and '.'".into())
    }
}

pub(super) async fn run(args: CreditsArgs, config: &Config) -> Result<(), Failure> {
    let ledger = app::open_ledger(config).await?;
    credits(&args, ledger.as_ref(), &Stdio).await
}

/// Does what the line says, on this ledger.
pub async fn credits(
    args: &CreditsArgs,
    ledger: &dyn Ledger,
    console: &dyn Console,
) -> Result<(), Failure> {
    match &args.command {
        CreditsCommand::Show { owner } => show(args, ledger, console, owner).await,
        CreditsCommand::Grant { owner, amount, id } => {
            grant(ledger, console, owner, *amount, id.as_deref()).await?;
            show(args, ledger, console, owner).await
        }
        CreditsCommand::Entries { owner, limit } => {
            let entries = ledger.entries(owner, *limit).await.map_err(failed)?;
            if args.json {
                console.say(&json!({"entries": entries}).to_string());
            } else if entries.is_empty() {
                console.say("no entries");
            } else {
                let mut rows = table(&["AT", "KIND", "AMOUNT", "JOB", "ID"]);
                for entry in &entries {
                    rows.add_row([
                        entry.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
                        entry.kind.as_str().to_owned(),
                        entry.amount.to_string(),
                        entry
                            .job
                            .as_ref()
                            .map(ToString::to_string)
                            .unwrap_or_default(),
                        entry.id.clone(),
                    ]);
                }
                console.say(&text(&rows));
            }
            Ok(())
        }
    }
}

async fn show(
    args: &CreditsArgs,
    ledger: &dyn Ledger,
    console: &dyn Console,
    owner: &Owner,
) -> Result<(), Failure> {
    let Some(account) = ledger.account(owner).await.map_err(failed)? else {
        let message = format!("{owner} has no account; a grant opens one");
        return Err(Failure::new(Code::NotFound, message));
    };
    if args.json {
        let mut answer = json!(account);
        answer["owner"] = Value::from(owner.as_str());
        console.say(&answer.to_string());
    } else {
        console.say(&text(&facts([
            ("owner", owner.to_string()),
            ("credits", account.credits.to_string()),
            ("held", account.credits_held.to_string()),
        ])));
    }
    Ok(())
}

async fn grant(
    ledger: &dyn Ledger,
    console: &dyn Console,
    owner: &Owner,
    amount: u64,
    id: Option<&str>,
) -> Result<(), Failure> {
    let name = id.map_or_else(|| ulid::Ulid::new().to_string(), str::to_owned);
    let entry = CreditEntry {
        id: format!("grant:{name}"),
        kind: EntryKind::Grant,
        amount: Credits(amount),
        job: None,
        at: SystemClock.now(),
    };
    let granted = match ledger.grant(owner, &entry).await {
        // The entry's name makes asking again safe, and says whether the first one came through:
        // either way it is there now.
        Err(LedgerError::Unknown(_)) => ledger.grant(owner, &entry).await.map(|_| true),
        other => other,
    };
    if !granted.map_err(failed)? {
        console.note(&format!("grant {name} was made before; nothing was added"));
    }
    Ok(())
}

fn failed(error: LedgerError) -> Failure {
    let message = format!("{} {error}", Code::LedgerUnavailable.about());
    Failure::new(Code::LedgerUnavailable, message).because(error)
}
