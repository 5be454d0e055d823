//! What a refused step means, and the command that mends it.

use super::calls::Refusal;
use super::roles::{Granted, Role, line};
use crate::app::doctor::finding::Finding;

/// What a step needs to say what is missing.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// The project that a command is about.
    pub(super) project: String,
    /// The service's account; a word to be replaced where nobody can say which it is.
    pub(super) email: String,
}

/// What a refused step means, and the command that mends it.
pub(super) fn failed(
    name: &'static str,
    refusal: &Refusal,
    role: &Role,
    account: &Account,
    api: &str,
) -> Finding {
    let finding = |advice: String| Finding::service(name, refusal, advice);
    if refusal.is_disabled() {
        let command = [
            "gcloud",
            "services",
            "enable",
            api,
            &format!("--project={}", account.project),
        ];
        return finding(format!("enable {api}")).command(line(&command));
    }
    if refusal.is_denied() {
        let granted = Granted {
            role: role.clone(),
            project: account.project.clone(),
            account: account.email.clone(),
        };
        return finding(format!("grant {} on {}", role.name(), role.target()))
            .command(granted.command());
    }
    finding(match refusal.status {
        Some(404) => {
            "see whether it exists; scripts/deploy/gcloud.sh plan says what is missing".into()
        }
        Some(401) => "the token is not accepted: see whose key cloud.credentials is".into(),
        Some(_) => "see what Google says, and its status page".into(),
        None => format!("see whether {api} can be reached from here"),
    })
}
