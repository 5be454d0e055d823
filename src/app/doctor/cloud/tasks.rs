//! A task is planned, with the token that the service's tasks carry, and deleted.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::calls::{Calls, base};
use super::missing::{Account, failed};
use super::roles::Role;
use crate::app::doctor::finding::Finding;
use crate::clock::{later, whole_micros};
use crate::config::{Brought, Config, Queue, TaskQueue};
use crate::job::Timestamp;

const TASKS: &str = "https://cloudtasks.googleapis.com";
const API: &str = "cloudtasks.googleapis.com";
/// Time enough to delete it before it is brought.
const AHEAD: Duration = Duration::from_secs(120);

fn queue(config: &Config) -> Option<&TaskQueue> {
    match &config.queue {
        Queue::Embedded => None,
        Queue::CloudTasks(queue) => Some(queue),
    }
}

/// The account whose token tasks carry, and for whom the token is.
fn carried(config: &Config) -> Option<(&str, &str)> {
    match config.server.tasks_auth.brought() {
        Brought::Identity {
            service_account,
            audience,
        } => Some((service_account, audience)),
        Brought::Nothing | Brought::Token(_) => None,
    }
}

pub(super) fn roles(config: &Config) -> Vec<Role> {
    let Some(queue) = queue(config) else {
        return Vec::new();
    };
    let account = carried(config).map(|(email, _)| Role::TaskAccount {
        email: email.to_owned(),
    });
    let tasks = Role::Tasks {
        queue: queue.name.clone(),
    };
    account.into_iter().chain([tasks]).collect()
}

/// Deleting is tried for tidiness alone: the service never does it, and its account needs no role
/// for it. A task that stays asks `/livez` once, in two minutes.
pub(super) async fn tasks(
    config: &Config,
    calls: &Calls,
    account: &Account,
    now: Timestamp,
) -> Vec<Finding> {
    const NAME: &str = "queue tasks";
    let (Some(queue), Some(target)) = (queue(config), &config.server.public_url) else {
        return Vec::new();
    };
    let address = format!(
        "{}/v2/{}/tasks",
        base(queue.endpoint.as_ref(), TASKS),
        queue.name
    );
    let short = format!("doctor-{}", ulid::Ulid::new().to_string().to_lowercase());
    let target = target.as_str().trim_end_matches('/');
    let mut request = json!({"url": format!("{target}/livez"), "httpMethod": "GET"});
    if let Some((email, audience)) = carried(config) {
        request["oidcToken"] = json!({"serviceAccountEmail": email, "audience": audience});
    }
    let task = json!({"task": {
        "name": format!("{}/tasks/{short}", queue.name),
        "scheduleTime": whole_micros(later(now, AHEAD)).to_string(),
        "httpRequest": request,
    }});
    let planned = calls.json(Method::POST, &address, &task).await;
    let deleted = calls
        .plain(Method::DELETE, &format!("{address}/{short}"), "")
        .await;
    vec![match (planned, deleted) {
        (Ok(_), Ok(_)) => Finding::ok(NAME, "a task was planned and deleted"),
        (Ok(_), Err(refusal)) if refusal.is_denied() => Finding::ok(
            NAME,
            "a task was planned; it asks /livez in two minutes, since this account may not delete \
             it, which the service never does",
        ),
        (Ok(_), Err(refusal)) => Finding::warn(
            NAME,
            format!("a task was planned, and could not be deleted: {refusal}"),
            "it asks /livez in two minutes and is gone then",
        ),
        (Err(refusal), _) => {
            // Of the two roles that planning needs, Google names the permission that is missing.
            let role = match carried(config) {
                Some((email, _)) if refusal.says("actAs") => Role::TaskAccount {
                    email: email.to_owned(),
                },
                _ => Role::Tasks {
                    queue: queue.name.clone(),
                },
            };
            failed(NAME, &refusal, &role, account, API)
        }
    }]
}
