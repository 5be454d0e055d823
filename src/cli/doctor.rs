//! `filmlab doctor`: is everything there that a service needs?

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::exit::{Exit, say};
use super::table::{table, text};
use crate::app::doctor::{Finding, Standing, examine};
use crate::clock::{SharedClock, SystemClock};
use crate::config::Config;
use crate::job::{Code, Failure, Party};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Faulty settings are told as always, all at once; the rest cannot be looked at without them.
pub(super) async fn run(args: DoctorArgs, config: Result<Config, Vec<String>>) -> Result<(), Exit> {
    let config = config.map_err(Exit::Usage)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let findings = Box::pin(examine(&config, &clock)).await;
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
                finding.advice.unwrap_or_default(),
            ]);
        }
        say(&text(&rows));
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
