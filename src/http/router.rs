//! All routes together.

use axum::Router;

use super::settings::TasksAuth;
use super::state::HttpState;
use super::{api, callbacks, console, files, health, jobs, metrics, openapi, quotes, tasks};

/// All routes, framed. Serve it with a graceful shutdown: open visits are the worker's to drain.
pub fn router(state: HttpState) -> Router {
    let mut routes = openapi::about()
        .merge(health::routes())
        .merge(openapi::routes())
        .merge(callbacks::routes())
        .merge(metrics::routes());
    if !matches!(state.settings.tasks_auth, TasksAuth::Closed) {
        routes = routes.merge(tasks::routes(&state));
    }
    if state.settings.jobs_api {
        routes = routes.merge(jobs::routes()).merge(quotes::routes());
    }
    if state.links.is_some() {
        routes = routes.merge(files::routes());
    }
    let (routes, described) = routes.split_for_parts();
    let document = openapi::Document::new(described, &state.settings);
    let routes = routes.layer(axum::Extension(document));
    let routes = match &state.settings.console {
        Some(_) => routes.merge(console::routes(&state)),
        None => routes,
    };
    api::frame(routes).with_state(state)
}
