//! What the routes are told once, at the start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::oidc::OidcCheck;
use crate::job::{CancelAfterSubmit, Label, Owner, Provenance};
use crate::media::Input;

/// Whose the jobs are on a single machine without tokens, and the operator's own.
pub const LOCAL_OWNER: &str = "local";

/// How callers of `/tasks` prove themselves.
#[derive(Clone)]
pub enum TasksAuth {
    /// The routes do not exist: an embedded queue calls the worker directly.
    Closed,
    /// A secret of our own.
    Token(String),
    /// A token that Google signed, checked in full.
    Verify(Arc<OidcCheck>),
    /// A token that the platform in front has checked; only whose it is is looked at.
    Platform { service_account: String },
}

impl fmt::Debug for TasksAuth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Closed"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Verify(check) => write!(f, "Verify({check:?})"),
            Self::Platform { service_account } => write!(f, "Platform({service_account})"),
        }
    }
}

/// What somebody with a token may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Look, and change.
    #[default]
    Editor,
    /// Look, and change nothing.
    Viewer,
}

/// What the console needs to be told.
#[derive(Clone)]
pub struct ConsoleSettings {
    /// Signs sessions; the same at every instance.
    pub key: Vec<u8>,
    /// How long a session lasts.
    pub session: Duration,
    /// Where links to results lead, if not to this service itself: `https://host`.
    pub media_origin: Option<String>,
    /// Pictures of the operator's marks, in the order of the settings.
    pub marks: Vec<Arc<dyn Input>>,
}

impl fmt::Debug for ConsoleSettings {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSettings")
            .field("session", &self.session)
            .field("media_origin", &self.media_origin)
            .finish_non_exhaustive()
    }
}

/// A token of the jobs API.
#[derive(Clone)]
pub struct ApiToken {
    pub token: String,
    /// Whose jobs it is for. Absent: the operator's own, for everybody's jobs.
    pub owner: Option<Owner>,
    pub role: Role,
}

impl fmt::Debug for ApiToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken")
            .field("owner", &self.owner)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub struct HttpSettings {
    pub api_tokens: Vec<ApiToken>,
    /// Without any token configured the jobs API is open, and jobs belong to [`LOCAL_OWNER`].
    /// For a service that listens on loopback only.
    pub api_open_on_loopback: bool,
    pub tasks_auth: TasksAuth,
    /// Whether `/v1` is served at all.
    pub jobs_api: bool,
    pub default_deadline: Duration,
    /// Attempts that a job has.
    pub attempts: u32,
    /// What a cancellation of a new job costs once the provider is paid.
    pub cancel_after_submit: CancelAfterSubmit,
    /// What results of new jobs say of how they were made.
    pub provenance: Provenance,
    /// The visible label of a job that asks for one in no words of its own.
    pub label: Label,
    pub max_upload_bytes: u64,
    /// How long a body may take that is read whole.
    pub body_time: Duration,
    /// Uploads at once, in all and of one owner.
    pub max_uploads: usize,
    pub max_uploads_per_owner: usize,
    /// Bytes of uploads under way, in all.
    pub max_upload_total: u64,
    /// Whether a proxy stands in front: then what is not plainly from this machine is from
    /// anywhere.
    pub behind_proxy: bool,
    /// Names of the output profiles.
    pub profiles: Vec<String>,
    /// How long links to results open.
    pub link_ttl: Duration,
    /// How long they may be asked to open: what the signer keeps.
    pub longest_link: Duration,
    /// Inputs and webhooks may be on loopback, by http too.
    pub allow_loopback: bool,
    /// Absent: there is no console.
    pub console: Option<ConsoleSettings>,
}

impl fmt::Debug for HttpSettings {
    /// Without the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("api_tokens", &self.api_tokens.len())
            .field("api_open_on_loopback", &self.api_open_on_loopback)
            .field("tasks_auth", &self.tasks_auth)
            .field("jobs_api", &self.jobs_api)
            .field("default_deadline", &self.default_deadline)
            .field("attempts", &self.attempts)
            .field("cancel_after_submit", &self.cancel_after_submit)
            .field("provenance", &self.provenance)
            .field("label", &self.label)
            .field("max_upload_bytes", &self.max_upload_bytes)
            .field("body_time", &self.body_time)
            .field("max_uploads", &self.max_uploads)
            .field("max_uploads_per_owner", &self.max_uploads_per_owner)
            .field("max_upload_total", &self.max_upload_total)
            .field("behind_proxy", &self.behind_proxy)
            .field("profiles", &self.profiles)
            .field("link_ttl", &self.link_ttl)
            .field("longest_link", &self.longest_link)
            .field("allow_loopback", &self.allow_loopback)
            .field("console", &self.console)
            .finish()
    }
}
