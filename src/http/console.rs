//! The console: pages for the person who runs the service, made here and whole without scripts.
//!
//! `visitor` says who looks and checks every form before a page sees it; each page is a file of
//! its own with its template beside it in `templates/console`. Nothing is loaded from anywhere
//! else. What a page may read is bounded: see `docs/console.md`.

mod act;
mod address;
mod assets;
mod failures;
mod figures;
mod filters;
mod health;
mod jobs;
mod leases;
mod live;
mod made;
mod many;
mod mark;
mod money;
mod new;
mod one;
mod poster;
mod row;
mod shell;
mod sign_in;
mod spending;
mod strip;
mod time;
mod visitor;
mod waterfall;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{any, get, post};

use super::{HttpState, Problem, api};
use crate::job::Code;

pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let known = middleware::from_fn_with_state(state.clone(), visitor::known);
    let pages = Router::new()
        .route("/console", get(jobs::page))
        .route("/console/failures", get(failures::page))
        .route("/console/money", get(spending::page))
        .route("/console/health", get(health::page))
        .route("/console/new", get(new::page).post(new::make))
        .route("/console/jobs/{id}", get(one::page))
        .route("/console/jobs/{id}/state", get(one::state))
        .route("/console/jobs/{id}/poster", get(poster::poster))
        .route("/console/new/mark/{place}", get(mark::picture))
        .route("/console/many", post(many::act))
        .route("/console/jobs/{id}/cancel", post(act::cancel))
        .route("/console/jobs/{id}/retry", post(act::retry))
        .route("/console/jobs/{id}/delete", post(act::delete))
        .route("/console/jobs/{id}/replay", post(act::replay))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/{*rest}", any(missing))
        .layer(middleware::from_fn(api::in_time))
        // A stream lasts as long as its page.
        .route("/console/live", get(live::jobs))
        .route("/console/new/quote", post(new::quote))
        .route(
            "/console/new/upload",
            // It has limits of its own.
            post(new::upload).layer(DefaultBodyLimit::disable()),
        )
        .layer(known);
    Router::new()
        .route(
            "/console/sign-in",
            get(sign_in::page).post(sign_in::sign_in),
        )
        .route("/console/assets/{name}", get(assets::asset))
        .merge(pages)
        .layer(middleware::from_fn_with_state(state.clone(), shell::wrap))
}

async fn missing() -> Problem {
    Problem::new(Code::NotFound)
}
