//! `filmlab doctor`: is everything there that a service needs?

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::exit::{Exit, say};
use super::stoppable;
use super::table::{table, text};
use crate::app::doctor::cloud::CALL;
use crate::app::doctor::{Finding, Standing, examine, examine_cloud, is_cloud};
use crate::clock::{SharedClock, SystemClock};
use crate::config::Config;
use crate::job::{Code, Failure, Party};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Do once in Google Cloud what the service will do there, and name the roles that are missing.
    #[arg(long)]
    cloud: bool,
    /// A secret that the service is given, by its name; may be repeated.
    #[arg(long = "secret", value_name = "NAME", requires = "cloud", value_parser = secret)]
    secrets: Vec<String>,
}

/// Letters, digits, `-` and `_`, as Secret Manager has it.
fn secret(text: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 255 || !text.chars().all(known) {
        return Err("is no name of a secret".to_owned());
    }
    Ok(text.to_owned())
}

/// Faulty settings are told as always, all at once; the rest cannot be looked at without them.
pub(super) async fn run(args: DoctorArgs, config: Result<Config, Vec<String>>) -> Result<(), Exit> {
    let config = config.map_err(Exit::Usage)?;
    let clock: SharedClock = Arc::new(SystemClock);
    if args.cloud && !is_cloud(&config) {
        let fault = "--cloud: the settings name nothing of Google Cloud";
        return Err(Exit::Usage(vec![fault.to_owned()]));
    }
    let findings = stoppable::wait(async |stop| {
        let mut findings = Box::pin(examine(&config, &clock, &stop)).await;
        if args.cloud {
            let (secrets, now) = (&args.secrets, clock.now());
            let found = Box::pin(examine_cloud(&config, secrets, now, CALL, &stop)).await;
            findings.extend(found);
        }
        findings
    })
    .await?;
    let failed: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.standing == Standing::Fail)
        .collect();
    if args.json {
        say(&json!({"ok": failed.is_empty(), "findings": findings}).to_string());
    } else {
        let mut rows = table(&["", "WHAT", "HOW IT STANDS", "WHAT TO DO"]);
        for finding in &findings {
            rows.add_row([
                <&str>::from(finding.standing),
                finding.name,
                &finding.message,
                finding.advice.as_deref().unwrap_or_default(),
            ]);
        }
        say(&text(&rows));
        // Outside the table, where a line can be copied.
        let commands: Vec<&str> = findings
            .iter()
            .filter_map(|finding| finding.command.as_deref())
            .collect();
        if !commands.is_empty() {
            say(&format!("\nTo mend it:\n  {}", commands.join("\n  ")));
        }
    }
    let Some(first) = failed.first() else {
        return Ok(());
    };
    let names: Vec<&str> = failed.iter().map(|finding| finding.name).collect();
    let party = first.party.unwrap_or(Party::Service);
    let code = match party {
        Party::Provider => Code::ProviderUnavailable,
        Party::Caller | Party::Service => Code::InvalidConfig,
    };
    let message = format!("not ready: {}", names.join(", "));
    Err(Failure::new(code, message).by(party).into())
}
