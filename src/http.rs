//! The ways in over HTTP: the jobs API, the queue's tasks, the provider's callbacks, signed
//! files, health.
//!
//! Every failure leaves as `application/problem+json` with one of our codes; the frame in `api`
//! turns the framework's own refusals into that form too. No handler does a job's work: it
//! records, plans a visit, or waits for one that runs on its own.

mod api;
mod audit;
mod auth;
mod bodies;
mod callbacks;
mod caller;
mod connections;
mod console;
mod files;
mod health;
mod jobs;
mod json;
mod limits;
mod metrics;
mod oidc;
mod openapi;
mod problem;
mod pulse;
mod quotes;
mod readiness;
mod refusals;
mod router;
mod routes;
mod serve;
mod session;
mod settings;
mod shared;
mod slots;
mod state;
mod tasks;
mod visits;

pub use jobs::{
    EventPace, EventStreams, JobPage, JobView, NotificationList, NotificationView, ResultView,
    WaitingView,
};
pub use limits::ConnectionLimits;
pub use oidc::{GOOGLE_CERTS, OidcCheck};
pub use problem::{Problem, status_of};
pub use router::router;
pub use serve::{Accept, serve};
pub use settings::{ApiToken, ConsoleSettings, HttpSettings, LOCAL_OWNER, Role, TasksAuth};
pub use shared::Shared;
pub use state::{CheckMarks, HttpState};
pub use visits::Visits;
