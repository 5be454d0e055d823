//! Does in Google Cloud what the service will do there, once, and says which role is missing.
//!
//! Every step is a call of its own with a limit of its own, and each is tried whatever became of
//! the others. What was written is deleted again, also where the writing seemed to fail. What could
//! not be deleted is bounded: the object and the document are marks that the service's own cleaning
//! removes after a day, and the task goes to `/livez`, which answers anybody.
//!
//! The calls are REST, so that an answer tells a missing role (403) from a missing bucket (404).
//! The service's own clients for ledger, queue and objects are tried by the ordinary look.

mod calls;
pub mod database;
mod missing;
mod objects;
pub mod roles;
mod secrets;
mod tasks;

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::finding::Finding;
use crate::config::{self, Config};
use crate::google::{GoogleAccess, Identity};
use crate::job::Timestamp;
use calls::Calls;
use missing::{Account, failed};
use roles::{Granted, Role};

/// For one call, its answer included.
pub const CALL: Duration = Duration::from_secs(10);

/// Whether the settings name anything of Google's.
#[must_use]
pub fn is_cloud(config: &Config) -> bool {
    config.storage != config::Storage::Directory
        || config.queue != config::Queue::Embedded
        || config.ledger != config::Ledger::Sqlite
        || config.notify.fcm_project.is_some()
}

/// Tries everything of Google's that `config` names. `secrets` are read too.
/// Each call ends within `longest`. Once it is to `stop`, nothing more is tried, and what was
/// written is deleted.
pub async fn examine_cloud(
    config: &Config,
    secrets: &[String],
    now: Timestamp,
    longest: Duration,
    stop: &CancellationToken,
) -> Vec<Finding> {
    let identity = match &config.cloud.credentials {
        Some(file) => Identity::KeyFile(file.clone()),
        None => Identity::Metadata {
            endpoint: config.cloud.metadata.clone(),
        },
    };
    const NAME: &str = "cloud token";
    const ADVICE: &str = "run this where the service runs and as its account (docs/deploy.md says \
        how), or name its key file, cloud.credentials";
    let access = match GoogleAccess::new(&identity).await {
        Ok(access) => access,
        Err(error) => return vec![Finding::service(NAME, error, ADVICE)],
    };
    if let Err(error) = access.token().await {
        return vec![Finding::service(NAME, error, ADVICE)];
    }
    let calls = match Calls::new(&access, longest, stop) {
        Ok(calls) => calls,
        Err(error) => return vec![Finding::service(NAME, error, ADVICE)],
    };
    let mut findings = Vec::new();
    let email = match access.email().await {
        Ok(email) => {
            findings.push(Finding::ok(NAME, format!("given to {email}")));
            email
        }
        Err(error) => {
            findings.push(Finding::service(NAME, error, ADVICE));
            "ACCOUNT".to_owned()
        }
    };
    let account = Account {
        project: config
            .cloud
            .project
            .clone()
            .unwrap_or_else(|| "PROJECT".into()),
        email,
    };
    let (objects, tasks, documents, secrets, notices) = tokio::join!(
        objects::objects(config, &calls, &access, &account),
        tasks::tasks(config, &calls, &account, now),
        database::documents(config, &calls, &account, now),
        secrets::secrets(config, &calls, &account, secrets),
        notices(config, &calls, &account),
    );
    for found in [objects, tasks, documents, secrets, notices] {
        findings.extend(found);
    }
    findings
}

/// Has a message checked, and not sent.
async fn notices(config: &Config, calls: &Calls, account: &Account) -> Vec<Finding> {
    const NAME: &str = "cloud notices";
    const BASE: &str = "https://fcm.googleapis.com";
    let Some(project) = &config.notify.fcm_project else {
        return Vec::new();
    };
    let base = calls::base(config.notify.fcm_endpoint.as_ref(), BASE);
    let url = format!("{base}/v1/projects/{project}/messages:send");
    let body = json!({"validate_only": true, "message": {"token": "doctor"}});
    let role = Role::Notices {
        project: project.clone(),
    };
    vec![match calls.json(Method::POST, &url, &body).await {
        // There is no such device, and only somebody who may send is told so.
        Err(refusal) if refusal.status == Some(400) || refusal.is_absent() => {
            Finding::ok(NAME, format!("may be sent to devices of {project}"))
        }
        Ok(_) => Finding::ok(NAME, format!("may be sent to devices of {project}")),
        Err(refusal) => failed(NAME, &refusal, &role, account, "fcm.googleapis.com"),
    }]
}

/// The roles that a service with these settings needs, as this look knows them.
#[must_use]
pub fn needed(config: &Config, email: &str, secrets: &[String]) -> Vec<Granted> {
    let mut roles = Vec::new();
    if let config::Ledger::Firestore(database) = &config.ledger {
        roles.push(Role::Documents {
            project: database.project.clone(),
            database: database.name.clone(),
        });
    }
    if let Some(project) = &config.notify.fcm_project {
        roles.push(Role::Notices {
            project: project.clone(),
        });
    }
    roles.extend(tasks::roles(config));
    roles.extend(objects::roles(config, email));
    roles.extend(
        secrets
            .iter()
            .map(|name| Role::Secret { name: name.clone() }),
    );
    let project = config.cloud.project.clone().unwrap_or_default();
    roles
        .into_iter()
        .map(|role| Granted {
            role,
            project: project.clone(),
            account: email.to_owned(),
        })
        .collect()
}
