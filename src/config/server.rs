//! `[server]`: who may call us, where, and how tasks prove themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::platform::Platform;
use super::reader::Reader;
use crate::job::Owner;
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// Where callers and, if it can be reached, the provider find us.
    pub public_url: Option<Url>,
    pub api_tokens: Vec<ApiToken>,
    pub tasks_auth: TasksAuth,
    pub jobs_api: bool,
    pub max_upload_bytes: u64,
    /// Uploads at once, and of one owner.
    pub max_uploads: usize,
    pub max_uploads_per_owner: usize,
    /// Bytes of uploads under way.
    pub max_upload_total: u64,
    pub default_deadline: Duration,
    /// Event streams at once; each reads the ledger once a second.
    pub max_event_streams: usize,
    pub max_event_streams_per_owner: usize,
    /// Connections at once; lowered to what the limit of open files allows.
    pub max_connections: usize,
    /// Of one address; absent where all come from a proxy's.
    pub max_connections_per_peer: Option<usize>,
    /// How long a connection is kept between two requests.
    pub idle_timeout: Duration,
    /// Whether sources and webhooks may lie on this machine.
    pub allow_loopback: bool,
    pub console: Console,
}

/// Who may call `/tasks/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TasksAuth {
    /// Nobody: an embedded queue needs no door.
    Closed,
    /// Who brings this token.
    Token(Secret),
    /// The service account, by a token of Google's that is checked in full.
    Verify {
        audience: String,
        service_account: String,
        /// Other keys than Google's own, for stand-ins.
        certs: Option<Url>,
    },
    /// The service account, by a token that Cloud Run has checked (“require authentication”).
    Iam {
        /// What Cloud Run compares the token's audience with.
        audience: String,
        service_account: String,
    },
}

/// A caller of the jobs API.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    pub token: Secret,
    /// Whose jobs it sees; absent: everybody's.
    pub owner: Option<Owner>,
    /// What it may do.
    #[serde(default)]
    pub role: Role,
}

/// What a token's holder may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look, and change.
    #[default]
    Editor,
    /// Look, and change nothing.
    Viewer,
}

/// The pages for people.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    pub enabled: bool,
    pub session: Duration,
}

/// Reads of the ledger a second that nobody notices.
const EVENT_STREAMS: usize = 64;
/// In a cloud each holds up to three parts of 5 MiB in memory.
const UPLOADS: usize = 8;
/// 64 KiB each at the very most, which a small machine has.
const CONNECTIONS: usize = 1024;
/// A browser opens six, an office behind one address some dozens.
const FEWEST_PER_PEER: usize = 64;

pub(super) fn server(r: &mut Reader, platform: &Platform) -> Server {
    let server = read(r, platform);
    if !server.listen.ip().is_loopback() && server.jobs_api && server.api_tokens.is_empty() {
        r.fault(
            "server.api_tokens",
            "must be set where others than this machine can reach the jobs API",
        );
    }
    if !server.listen.ip().is_loopback() && server.console.enabled && server.api_tokens.is_empty() {
        r.fault(
            "server.api_tokens",
            "must be set where others than this machine can reach the console",
        );
    }
    if server.max_upload_total < server.max_upload_bytes {
        r.fault(
            "server.max_upload_total",
            "must be at least server.max_upload, or no such upload could ever begin",
        );
    }
    server
}

fn read(r: &mut Reader, platform: &Platform) -> Server {
    let secs = Duration::from_secs;
    let public_url: Option<Url> = r.parse("server.public_url");
    let listen = r
        .parse("server.listen")
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
    let listen = platform
        .port
        // Whoever sets PORT sends requests there and nowhere else.
        .map_or(listen, |port| (Ipv4Addr::UNSPECIFIED, port).into());
    let api_tokens = api_tokens(r);
    // Without tokens there is one owner, who is not to be kept from anything.
    let share = |most: usize, of: usize| match api_tokens.is_empty() {
        true => most,
        false => most.div_ceil(of),
    };
    let max_upload_bytes = r.bytes("server.max_upload", 2 << 30);
    let max_uploads = places(r, "server.max_uploads", UPLOADS);
    let max_event_streams = r.get_or("server.max_event_streams", EVENT_STREAMS);
    let max_connections = places(r, "server.max_connections", CONNECTIONS);
    // We speak no TLS: where the world comes by https, it comes through a proxy.
    let proxied = listen.ip().is_loopback()
        || platform.port.is_some()
        || public_url
            .as_ref()
            .is_some_and(|url| url.scheme() == "https");
    let per_peer = if proxied {
        0
    } else {
        (max_connections / 4).max(FEWEST_PER_PEER)
    };
    let per_peer = r.get_or("server.max_connections_per_peer", per_peer);
    let alone = listen.ip().is_loopback() && public_url.is_none();
    Server {
        listen,
        tasks_auth: tasks_auth(r, public_url.as_ref()),
        public_url,
        // On a platform the API is another service, unless somebody says so.
        jobs_api: r.get_or("server.jobs_api", platform.port.is_none()),
        max_upload_bytes,
        max_uploads,
        max_uploads_per_owner: places(r, "server.max_uploads_per_owner", share(max_uploads, 2)),
        max_upload_total: r.bytes("server.max_upload_total", max_upload_bytes.max(8 << 30)),
        default_deadline: r.duration("server.default_deadline", secs(2 * 3600)),
        max_event_streams,
        max_event_streams_per_owner: r.get_or(
            "server.max_event_streams_per_owner",
            share(max_event_streams, 4),
        ),
        max_connections,
        max_connections_per_peer: Some(per_peer).filter(|most| *most > 0),
        idle_timeout: idle_timeout(r),
        allow_loopback: r.get_or("server.allow_loopback", false),
        console: console(r, alone),
        api_tokens,
    }
}

/// Of itself the console is there for whoever sits at this machine, and nobody else.
fn console(r: &mut Reader, alone: bool) -> Console {
    const KEY: &str = "console.session";
    let session = r.duration(KEY, Duration::from_secs(12 * 3600));
    if !(Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600)).contains(&session) {
        r.fault(KEY, "must be from 1m to 7days");
    }
    Console {
        enabled: r.get_or("console.enabled", alone),
        session,
    }
}

/// A number of places of which none at all serves nobody.
fn places(r: &mut Reader, key: &str, default: usize) -> usize {
    r.within(key, 1..=1_000_000).unwrap_or(default)
}

fn idle_timeout(r: &mut Reader) -> Duration {
    const KEY: &str = "server.idle_timeout";
    let idle = r.duration(KEY, Duration::from_secs(75));
    // Shorter, and a client's next request often finds a closed door; longer is no limit.
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&idle) {
        r.fault(KEY, "must be from 1s to 1h");
    }
    idle
}

/// `iam` is never a default: without the platform's own check anyone could forge a token.
fn tasks_auth(r: &mut Reader, public_url: Option<&Url>) -> TasksAuth {
    let token: Option<Secret> = r.get("server.task_token");
    let audience: Option<String> = r.get("server.audience");
    // A service's audience is its address without a slash at the end.
    let audience =
        audience.or_else(|| public_url.map(|url| url.as_str().trim_end_matches('/').to_owned()));
    let service_account: Option<String> = r.get("server.service_account");
    let certs = r.parse("server.certs_url");
    let by_queue = r.get::<String>("queue.backend").as_deref() == Some("cloud_tasks");
    let mode: Option<String> = r.get("server.tasks_auth");
    let mode = mode.unwrap_or_else(|| {
        let default = match (&token, by_queue) {
            (Some(_), _) => "token",
            (None, true) => "verify",
            (None, false) => "closed",
        };
        default.to_owned()
    });
    let mut needs = |value: Option<String>, key: &str| {
        value.unwrap_or_else(|| {
            r.fault(
                key,
                format!("is required by server.tasks_auth = \"{mode}\""),
            );
            String::new()
        })
    };
    match mode.as_str() {
        "closed" => TasksAuth::Closed,
        "token" => {
            let token = needs(
                token.map(|token| token.expose().to_owned()),
                "server.task_token",
            );
            if !token.is_empty() && token.len() < SHORTEST_TOKEN {
                r.fault("server.task_token", "must have at least 16 characters");
            }
            TasksAuth::Token(Secret::new(token))
        }
        "verify" => TasksAuth::Verify {
            audience: needs(audience, "server.audience"),
            service_account: needs(service_account, "server.service_account"),
            certs,
        },
        "iam" => TasksAuth::Iam {
            audience: needs(audience, "server.audience"),
            service_account: needs(service_account, "server.service_account"),
        },
        other => {
            let message = format!("“{other}” is not one of closed, token, verify, iam");
            r.fault("server.tasks_auth", message);
            TasksAuth::Closed
        }
    }
}

/// What nobody guesses.
const SHORTEST_TOKEN: usize = 16;

fn api_tokens(r: &mut Reader) -> Vec<ApiToken> {
    let mut tokens: Vec<ApiToken> = r.get_or("server.api_tokens", Vec::new());
    // A list does not fit into an environment variable; one token does.
    if let Some(token) = r.get("server.api_token") {
        tokens.push(ApiToken {
            token,
            owner: None,
            role: Role::Editor,
        });
    }
    if tokens
        .iter()
        .any(|known| known.token.expose().len() < SHORTEST_TOKEN)
    {
        r.fault(
            "server.api_tokens",
            "a token must have at least 16 characters",
        );
    }
    tokens
}
