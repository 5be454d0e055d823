//! What is done with several jobs of a list at once.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::filters::PAGE;
use super::shell::{Head, show};
use super::visitor::{Form, Visitor};
use super::words;
use crate::http::jobs::actions;
use crate::http::jobs::job::find;
use crate::http::{HttpState, Problem};
use crate::job::{Code, Job};

/// Characters of a file's name that are shown.
const MOST_CHARS: usize = 60;

/// One that is meant, by what a person knows it by.
struct Meant {
    id: String,
    /// Empty where there is no such job.
    name: String,
}

/// What became of one job.
struct Done {
    job: Meant,
    /// Why it was not done.
    refused: Option<String>,
    is_gone: bool,
}

#[derive(Template)]
#[template(path = "console/many.html")]
struct Page {
    head: Head,
    /// `cancel`, `retry` or `delete`.
    what: &'static str,
    word: &'static str,
    done: Vec<Done>,
    /// Deleting is asked about once more: what is to be written for it.
    asks: Option<String>,
    ids: Vec<Meant>,
}

/// Does it, one after the other, and says what became of each. Deleting asks first.
pub(super) async fn act(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Result<Response, Problem> {
    let (what, word) = match form.get("do") {
        "cancel" => ("cancel", "Cancel"),
        "retry" => ("retry", "Retry"),
        "delete" => ("delete", "Delete"),
        _ => return Err(Problem::fault("do", "must be cancel, retry or delete")),
    };
    let mut ids: Vec<String> = form.all("id").map(str::to_owned).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Err(Problem::new(Code::InvalidRequest)
            .detail("No job is chosen. Go back and tick those that are meant."));
    }
    if ids.len() > PAGE as usize {
        return Err(Problem::new(Code::InvalidRequest)
            .detail(format!("No more than {PAGE} jobs are changed at once.")));
    }
    let wanted = format!("delete {}", ids.len());
    let asks = (what == "delete" && form.get("confirm") != wanted).then_some(wanted);
    let caller = &visitor.caller;
    let mut meant = Vec::new();
    for id in ids {
        let job = find(&state, caller, &id).await.ok();
        let name = job.map_or_else(String::new, |job| named(&job));
        meant.push(Meant { id, name });
    }
    let mut done = Vec::new();
    if asks.is_none() {
        for job in meant.drain(..) {
            let id = &job.id;
            let ended = match what {
                "cancel" => actions::cancel(&state, caller, id).await.map(drop),
                "retry" => actions::retry(&state, caller, id, None).await.map(drop),
                _ => actions::delete(&state, caller, id).await,
            };
            done.push(Done {
                is_gone: what == "delete" && ended.is_ok(),
                refused: ended.err().map(|problem| problem.detail),
                job,
            });
        }
    }
    show(&Page {
        head: Head::new(format!("{word} jobs"), "jobs", &visitor),
        what,
        word,
        done,
        asks,
        ids: meant,
    })
}

fn named(job: &Job) -> String {
    let file: String = words::file(&job.source.video)
        .chars()
        .take(MOST_CHARS)
        .collect();
    format!("{} {file}", words::kind(job.params.kind()))
}
