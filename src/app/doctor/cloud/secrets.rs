//! The secrets are read, as Cloud Run reads them for the service. No value is kept or shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;

use super::calls::{Calls, base};
use super::missing::{Account, failed};
use super::roles::Role;
use crate::app::doctor::finding::Finding;
use crate::config::Config;

const SECRETS: &str = "https://secretmanager.googleapis.com";
const API: &str = "secretmanager.googleapis.com";

pub(super) async fn secrets(
    config: &Config,
    calls: &Calls,
    account: &Account,
    names: &[String],
) -> Vec<Finding> {
    const NAME: &str = "secret";
    let base = base(config.cloud.secrets.as_ref(), SECRETS);
    let mut findings = Vec::new();
    for name in names {
        let project = &account.project;
        let url = format!("{base}/v1/projects/{project}/secrets/{name}/versions/latest:access");
        findings.push(match calls.plain(Method::GET, &url, "").await {
            Ok(body) => match fault(&body) {
                None => Finding::ok(NAME, format!("{name} was read")),
                Some(fault) => Finding::service(
                    NAME,
                    format!("{name}: {fault}"),
                    "give it again: scripts/deploy/gcloud.sh secret",
                ),
            },
            Err(refusal) => {
                let role = Role::Secret { name: name.clone() };
                failed(NAME, &refusal, &role, account, API)
            }
        });
    }
    findings
}

/// What would make a value unusable, in words that do not hold it.
fn fault(body: &[u8]) -> Option<&'static str> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let data = answer.pointer("/payload/data").and_then(Value::as_str);
    let value = data.and_then(|data| STANDARD.decode(data).ok());
    match value {
        None => Some("the answer holds no value"),
        Some(value) if value.is_empty() => Some("the value is empty"),
        Some(value) if value.iter().any(u8::is_ascii_whitespace) => {
            Some("the value has blanks or line breaks in it")
        }
        Some(_) => None,
    }
}
