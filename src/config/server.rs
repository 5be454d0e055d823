//! `[server]`: who may call us, where, and how tasks prove themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use strum::{EnumIter, EnumString, IntoStaticStr};
use url::Url;

use super::hidden::{Hidden, Unguessed};
use super::platform::Platform;
use super::reader::Reader;
use super::table::{Keyed as _, Nested, Open, Setting, settings};
use crate::fields::{Bounds, Flag, OneOf, Parsed, Size, Span, Text, Whole, Word};
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

/// What a task brings, so that [`TasksAuth`] lets it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought<'a> {
    /// No task comes from outside.
    Nothing,
    Token(&'a Secret),
    /// A token of Google's for that account, made for that audience.
    Identity {
        service_account: &'a str,
        audience: &'a str,
    },
}

impl TasksAuth {
    /// The one answer for whoever plans tasks, and whoever tries whether they may be planned.
    #[must_use]
    pub fn brought(&self) -> Brought<'_> {
        match self {
            Self::Closed => Brought::Nothing,
            Self::Token(token) => Brought::Token(token),
            Self::Verify {
                audience,
                service_account,
                ..
            }
            | Self::Iam {
                audience,
                service_account,
            } => Brought::Identity {
                service_account,
                audience,
            },
        }
    }
}

/// A caller of the jobs API.
#[derive(Debug, Clone)]
pub struct ApiToken {
    pub token: Secret,
    /// Whose jobs it sees; absent: everybody's.
    pub owner: Option<Owner>,
    /// What it may do.
    pub role: Role,
}

/// What a token's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Look, and change.
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

/// A browser opens six, an office behind one address some dozens.
const FEWEST_PER_PEER: usize = 64;

/// A number of places of which none at all serves nobody.
const PLACES: Whole<usize> = Whole(Bounds::Within(1, 1_000_000));

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

settings! { SERVER of "server" {
    LISTEN: Open<Parsed<SocketAddr>> = "listen", Parsed::new("address and port"),
        "`127.0.0.1:8080`; with `PORT`, all addresses and that port", "where requests come in";
    PUBLIC_URL: Open<Parsed<Url>> = "public_url", Parsed::new("address"), "none",
        "the https address at which callers and the provider reach the service. Required with Cloud Tasks";
    API_TOKENS: Open<Nested> = "api_tokens", Nested("list"), "none",
        "a list of `{ token = \"…\", owner = \"…\" }`. Required if others than this machine can reach the jobs API";
    API_TOKEN: Open<Unguessed> = "api_token", Unguessed, "none",
        "one operator's token; a list does not fit into the environment";
    API_OLD_TOKEN: Open<Unguessed> = "api_old_token", Unguessed, "none",
        "the operator's token before, while it is being changed";
    JOBS_API: Open<Flag> = "jobs_api", Flag, "on; with `PORT`, off", "whether `/v1/…` answers";
    DEFAULT_DEADLINE: Setting<Span> = "default_deadline", Span(Bounds::Any), secs(2 * 3600),
        "deadline of a job that names none";
    MAX_UPLOAD: Setting<Size> = "max_upload", Size(Bounds::Any), 2 << 30, "size of one upload";
    // In a cloud each holds up to three parts of 5 MiB in memory.
    MAX_UPLOADS: Setting<Whole<usize>> = "max_uploads", PLACES, 8, "uploads at once";
    MAX_UPLOADS_PER_OWNER: Open<Whole<usize>> = "max_uploads_per_owner", PLACES,
        "half of them; without tokens all", "of one owner";
    MAX_UPLOAD_TOTAL: Open<Size> = "max_upload_total", Size(Bounds::Any),
        "8 GiB, or `max_upload` if that is more",
        "bytes of all uploads under way; at least `max_upload`";
    // Reads of the ledger a second that nobody notices.
    MAX_EVENT_STREAMS: Setting<Whole<usize>> = "max_event_streams", Whole(Bounds::Any), 64,
        "event streams at once";
    MAX_EVENT_STREAMS_PER_OWNER: Open<Whole<usize>> = "max_event_streams_per_owner",
        Whole(Bounds::Any), "a quarter of them; without tokens all", "for the jobs of one owner";
    // 64 KiB each at the very most, which a small machine has.
    MAX_CONNECTIONS: Setting<Whole<usize>> = "max_connections", PLACES, 1024,
        "connections at once";
    MAX_CONNECTIONS_PER_PEER: Open<Whole<usize>> = "max_connections_per_peer",
        Whole(Bounds::Any), "off behind a proxy, otherwise a quarter and at least 64",
        "of one address; 0 turns it off. See [Behind a proxy](operations.md#what-is-bounded)";
    // Shorter, and a client's next request often finds a closed door; longer is no limit.
    IDLE_TIMEOUT: Setting<Span> = "idle_timeout", Span(Bounds::Within(secs(1), secs(3600))),
        secs(75), "how long a connection is kept between two requests";
    ALLOW_LOOPBACK: Setting<Flag> = "allow_loopback", Flag, false,
        "whether sources and webhooks may be on this machine; for development";
    TASKS_AUTH: Open<OneOf> = "tasks_auth", OneOf(&["closed", "token", "verify", "iam"]),
        "`closed`; with `task_token`, `token`; with Cloud Tasks, `verify`",
        "who may call `/tasks/…`: nobody, who has `task_token`, who has a token of Google's that filmlab checks (`verify`) or that Cloud Run has checked (`iam`)";
    TASK_TOKEN: Open<Hidden> = "task_token", Hidden, "none",
        "the token for `tasks_auth = \"token\"`, at least 16 characters";
    AUDIENCE: Open<Text> = "audience", Text("text"), "`public_url` without a slash at its end",
        "audience of the tasks' tokens";
    SERVICE_ACCOUNT: Open<Text> = "service_account", Text("text"), "none",
        "the account that sends tasks; required by `verify` and `iam`";
    CERTS_URL: Open<Parsed<Url>> = "certs_url", Parsed::new("address"), "Google's",
        "where the keys of Google's tokens are; for stand-ins";
}}

settings! { TOKENS of "server.api_tokens[]" {
    TOKEN: Open<Unguessed> = "token", Unguessed, "none; it is required",
        "what a caller sends";
    OWNER: Open<Parsed<Owner>> = "owner", Parsed::new("owner"), "everybody",
        "whose jobs it sees. Without it, it is an operator's token, which sees all jobs";
    ROLE: Setting<Word<Role>> = "role", Word::new(), Role::Editor,
        "a `viewer` may look and change nothing";
}}

settings! { CONSOLE of "console" {
    ENABLED: Open<Flag> = "enabled", Flag,
        "on where `server.listen` is loopback and there is no `server.public_url`, otherwise off",
        "whether there are pages under `/console`: [console.md](console.md). Elsewhere than on loopback it needs `server.api_tokens`";
    SESSION: Setting<Span> = "session", Span(Bounds::Within(secs(60), secs(7 * 24 * 3600))),
        secs(12 * 3600), "how long a session lasts";
}}

/// `sends_tasks`: whether the queue is one that sends its tasks to us.
pub(super) fn server(r: &mut Reader, platform: &Platform, sends_tasks: bool) -> Server {
    let server = read(r, platform, sends_tasks);
    let open = !server.listen.ip().is_loopback() && server.api_tokens.is_empty();
    for (reached, what) in [
        (server.jobs_api, "the jobs API"),
        (server.console.enabled, "the console"),
    ] {
        if open && reached {
            let message = format!("must be set where others than this machine can reach {what}");
            r.fault(&API_TOKENS.key(), message);
        }
    }
    if server.max_upload_total < server.max_upload_bytes {
        r.fault(
            &MAX_UPLOAD_TOTAL.key(),
            "must be at least server.max_upload, or no such upload could ever begin",
        );
    }
    server
}

fn read(r: &mut Reader, platform: &Platform, sends_tasks: bool) -> Server {
    let public_url = r.given(&PUBLIC_URL);
    let listen = r
        .given(&LISTEN)
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
    let max_upload_bytes = r.value(&MAX_UPLOAD);
    let max_uploads = r.value(&MAX_UPLOADS);
    let max_event_streams = r.value(&MAX_EVENT_STREAMS);
    let max_connections = r.value(&MAX_CONNECTIONS);
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
    let per_peer = r.given(&MAX_CONNECTIONS_PER_PEER).unwrap_or(per_peer);
    // Of itself the console is there for whoever sits at this machine, and nobody else.
    let alone = listen.ip().is_loopback() && public_url.is_none();
    Server {
        listen,
        tasks_auth: tasks_auth(r, public_url.as_ref(), sends_tasks),
        public_url,
        // On a platform the API is another service, unless somebody says so.
        jobs_api: r.given(&JOBS_API).unwrap_or(platform.port.is_none()),
        max_upload_bytes,
        max_uploads,
        max_uploads_per_owner: r
            .given(&MAX_UPLOADS_PER_OWNER)
            .unwrap_or_else(|| share(max_uploads, 2)),
        max_upload_total: r
            .given(&MAX_UPLOAD_TOTAL)
            .unwrap_or(max_upload_bytes.max(8 << 30)),
        default_deadline: r.value(&DEFAULT_DEADLINE),
        max_event_streams,
        max_event_streams_per_owner: r
            .given(&MAX_EVENT_STREAMS_PER_OWNER)
            .unwrap_or_else(|| share(max_event_streams, 4)),
        max_connections,
        max_connections_per_peer: Some(per_peer).filter(|most| *most > 0),
        idle_timeout: r.value(&IDLE_TIMEOUT),
        allow_loopback: r.value(&ALLOW_LOOPBACK),
        console: Console {
            enabled: r.given(&ENABLED).unwrap_or(alone),
            session: r.value(&SESSION),
        },
        api_tokens,
    }
}

/// `iam` is never a default: without the platform's own check anyone could forge a token.
fn tasks_auth(r: &mut Reader, public_url: Option<&Url>, sends_tasks: bool) -> TasksAuth {
    let token = r.given(&TASK_TOKEN);
    // A service's audience is its address without a slash at the end.
    let audience = r
        .given(&AUDIENCE)
        .or_else(|| public_url.map(|url| url.as_str().trim_end_matches('/').to_owned()));
    let service_account = r.given(&SERVICE_ACCOUNT);
    let certs = r.given(&CERTS_URL);
    let mode = r.given(&TASKS_AUTH);
    // A word that is none of them is told already, and needs no other setting.
    let wrong = r.is_faulty(&TASKS_AUTH.key());
    let mode = mode.unwrap_or(match (&token, sends_tasks) {
        _ if wrong => "closed",
        (Some(_), _) => "token",
        (None, true) => "verify",
        (None, false) => "closed",
    });
    let mut needs = |value: Option<String>, setting: String| {
        value.unwrap_or_else(|| {
            let message = format!("is required by server.tasks_auth = \"{mode}\"");
            r.fault(&setting, message);
            String::new()
        })
    };
    match mode {
        "token" => {
            let given = token.as_ref().map(|token| token.expose().to_owned());
            let given = Secret::new(needs(given, TASK_TOKEN.key()));
            if token.is_some() && !Unguessed::fits(&given) {
                r.fault(&TASK_TOKEN.key(), Unguessed::fault());
            }
            TasksAuth::Token(given)
        }
        "verify" => TasksAuth::Verify {
            audience: needs(audience, AUDIENCE.key()),
            service_account: needs(service_account, SERVICE_ACCOUNT.key()),
            certs,
        },
        "iam" => TasksAuth::Iam {
            audience: needs(audience, AUDIENCE.key()),
            service_account: needs(service_account, SERVICE_ACCOUNT.key()),
        },
        _ => TasksAuth::Closed,
    }
}

fn api_tokens(r: &mut Reader) -> Vec<ApiToken> {
    let listed = r.listed(&API_TOKENS, TOKENS).unwrap_or_default();
    let listed = listed.iter().map(|at| ApiToken {
        // Where it is missing nothing starts.
        token: r.needed_at(at, &TOKEN).unwrap_or_else(|| Secret::new("")),
        owner: r.given_at(at, &OWNER),
        role: r.value_at(at, &ROLE),
    });
    let mut tokens: Vec<ApiToken> = listed.collect();
    // A list does not fit into an environment variable; one token does, and the one before it,
    // while it is being changed.
    let single = [r.given(&API_TOKEN), r.given(&API_OLD_TOKEN)];
    tokens.extend(single.into_iter().flatten().map(|token| ApiToken {
        token,
        owner: None,
        role: Role::Editor,
    }));
    tokens
}
