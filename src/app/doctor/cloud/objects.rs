//! An object is written, read, listed, signed for and deleted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use super::calls::{Calls, base};
use super::missing::{Account, failed};
use super::roles::Role;
use crate::app::doctor::finding::Finding;
use crate::config::{Bucket, Config, Storage};
use crate::google::GoogleAccess;

const STORAGE: &str = "https://storage.googleapis.com";
const IAM: &str = "https://iamcredentials.googleapis.com";
const API: &str = "storage.googleapis.com";
const CONTENT: &str = "filmlab doctor";

fn bucket(config: &Config) -> Option<&Bucket> {
    match &config.storage {
        Storage::Directory => None,
        Storage::Gcs(bucket) => Some(bucket),
    }
}

pub(super) fn roles(config: &Config, email: &str) -> Vec<Role> {
    let Some(bucket) = bucket(config) else {
        return Vec::new();
    };
    let signer = bucket.signer.as_deref().unwrap_or(email);
    vec![
        Role::Signatures {
            email: signer.to_owned(),
        },
        Role::Objects {
            bucket: bucket.name.clone(),
        },
    ]
}

pub(super) async fn objects(
    config: &Config,
    calls: &Calls,
    access: &GoogleAccess,
    account: &Account,
) -> Vec<Finding> {
    let Some(bucket) = bucket(config) else {
        return Vec::new();
    };
    let address = format!(
        "{}/{}",
        base(bucket.endpoint.as_ref(), STORAGE),
        bucket.name
    );
    // Under work/, which the service's own cleaning empties after a day.
    let object = format!("{address}/work/doctor/{}", ulid::Ulid::new());
    let list = format!("{address}?list-type=2&prefix=work%2Fdoctor%2F&max-keys=1");
    let role = Role::Objects {
        bucket: bucket.name.clone(),
    };
    let found = |name, what: &str, outcome: Result<Vec<u8>, _>| match outcome {
        Ok(_) => Finding::ok(name, what),
        Err(refusal) => failed(name, &refusal, &role, account, API),
    };
    let written = calls.plain(Method::PUT, &object, CONTENT).await;
    let is_there = written.is_ok();
    let mut findings = vec![found("bucket write", "an object was written", written)];
    let read = calls.plain(Method::GET, &object, "").await;
    findings.push(match read {
        Ok(body) if body == CONTENT.as_bytes() => Finding::ok("bucket read", "it was read"),
        Ok(_) => Finding::service(
            "bucket read",
            "it reads as something else than was written",
            "see whether something stands between here and the bucket",
        ),
        // That it is not there says that it may be looked for.
        Err(refusal) if refusal.is_absent() && !is_there => {
            Finding::ok("bucket read", "may be read")
        }
        Err(refusal) => failed("bucket read", &refusal, &role, account, API),
    });
    let listed = calls.plain(Method::GET, &list, "").await;
    findings.push(found("bucket list", "objects can be listed", listed));
    findings.push(signature(bucket, calls, access, account).await);
    // Also where the writing seemed to fail: its answer may have been lost.
    findings.push(match calls.plain(Method::DELETE, &object, "").await {
        Err(refusal) if refusal.is_absent() && !is_there => {
            Finding::ok("bucket delete", "may be deleted")
        }
        outcome => found("bucket delete", "the object was deleted", outcome),
    });
    findings
}

async fn signature(
    bucket: &Bucket,
    calls: &Calls,
    access: &GoogleAccess,
    account: &Account,
) -> Finding {
    const NAME: &str = "link signatures";
    if access.key().is_some() {
        return Finding::ok(NAME, "by the key file; no role is needed");
    }
    let signer = bucket.signer.as_ref().unwrap_or(&account.email);
    let base = base(bucket.iam_endpoint.as_ref(), IAM);
    let url = format!("{base}/v1/projects/-/serviceAccounts/{signer}:signBlob");
    let body = json!({"payload": STANDARD.encode(CONTENT)});
    let role = Role::Signatures {
        email: signer.clone(),
    };
    match calls.json(Method::POST, &url, &body).await {
        Ok(_) => Finding::ok(NAME, format!("by {signer}")),
        Err(refusal) => failed(
            NAME,
            &refusal,
            &role,
            account,
            "iamcredentials.googleapis.com",
        ),
    }
}
