//! The list of jobs.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use strum::IntoEnumIterator as _;

use super::filters::{Filters, Found};
use super::row::Row;
use super::shell::{Head, show};
use super::visitor::Visitor;
use super::words;
use crate::http::api::AsItIs;
use crate::http::{HttpState, Problem};
use crate::job::{Kind, Status};

/// A link above the list, and whether it is where we are.
struct Tab {
    word: &'static str,
    to: String,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "console/jobs.html")]
struct Page {
    head: Head,
    filters: Filters,
    tabs: Vec<Tab>,
    /// Names and words.
    kinds: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
    faults: Vec<String>,
    /// Jobs that were read to find these, where they were looked for.
    looked_at: usize,
    next: Option<String>,
    first: String,
    /// Where changes are told from; a list that is not the newest is not followed.
    live: Option<String>,
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filters = Filters::read(query.as_deref().unwrap_or_default());
    let head = Head::new("Jobs", "jobs", &visitor);
    let (asked, faults) = match filters.query(&visitor) {
        Ok(asked) => (Some(asked), Vec::new()),
        Err(faults) => (None, faults.iter().map(ToString::to_string).collect()),
    };
    let now = state.clock.now();
    let found = match &asked {
        Some(asked) => filters.find(&*state.ledger, asked).await?,
        None => Found::default(),
    };
    let shows_owner = head.is_operator();
    let rows: Vec<Row> = found
        .jobs
        .iter()
        .map(|job| Row::new(job, &state, shows_owner).for_change(head.may_change()))
        .collect();
    let tab = |word, name: &str| Tab {
        word,
        to: filters.with("status", name),
        is_here: filters.status == name,
    };
    let tabs = std::iter::once(tab("All", ""))
        .chain(Status::iter().map(|status| tab(words::status(status), status.as_str())))
        .collect();
    let here = filters.here();
    let amp = if here.is_empty() { "" } else { "&" };
    let live = format!("/console/live?{here}{amp}since={}", now.as_microsecond());
    let is_bad = !faults.is_empty();
    let page = Page {
        tabs,
        kinds: Kind::iter()
            .map(|kind| (kind.as_str(), words::kind(kind)))
            .collect(),
        rows,
        faults,
        looked_at: found.looked_at,
        next: found.next.map(|place| filters.next(&place)),
        first: filters.with("", ""),
        live: (!is_bad && filters.is_first()).then_some(live),
        head,
        filters,
    };
    let mut response = show(&page)?;
    if is_bad {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.extensions_mut().insert(AsItIs);
    }
    Ok(response)
}
