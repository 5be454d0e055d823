//! The page of one job.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue};
use url::Url;

use super::made::{self, Made};
use super::money::Money;
use super::poster::here;
use super::row::Row;
use super::shell::{Head, show};
use super::strip::Strip;
use super::time::Time;
use super::visitor::Visitor;
use super::waterfall::{self, Bar};
use super::words::{self, Moment};
use crate::http::jobs::NotificationView;
use crate::http::jobs::job::find;
use crate::http::jobs::link_cache::Links;
use crate::http::jobs::view::{ErrorView, JobView};
use crate::http::{HttpState, Problem};
use crate::job::{Code, Job, MediaRef, Party, Status};

/// Tells htmx to load the page anew.
const REFRESH: HeaderName = HeaderName::from_static("hx-refresh");

/// How a job stands.
#[derive(Template)]
#[template(path = "console/state.html")]
struct Standing {
    row: Row,
    /// For a person: why it waits, or why it failed.
    reason: String,
    until: Option<Moment>,
}

/// What happens to the job, and what it costs.
struct Going {
    facts: Vec<(&'static str, String)>,
    time: Option<Time>,
    waterfall: Vec<Bar>,
    money: Money,
}

/// What is sent again while the job runs, each in place of what the page has.
#[derive(Template)]
#[template(path = "console/now.html")]
struct Now {
    standing: Standing,
    going: Going,
    replaces: bool,
}

/// Why a job failed.
struct Failed {
    code: String,
    about: &'static str,
    message: String,
    party: &'static str,
    stage: &'static str,
    step: &'static str,
}

struct NoticeRow {
    view: NotificationView,
    round: String,
    event: String,
    state: String,
    made: Moment,
    next: Option<Moment>,
}

/// Addresses of what can be played.
#[derive(Default)]
struct Media {
    source: Option<String>,
    result: Option<String>,
    poster: Option<String>,
    metadata: Option<String>,
    storyboard: Option<String>,
    storyboard_vtt: Option<String>,
}

#[derive(Template)]
#[template(path = "console/one.html")]
struct Page {
    head: Head,
    id: String,
    standing: Standing,
    going: Going,
    replaces: bool,
    failed: Option<Failed>,
    media: Media,
    made: Option<Made>,
    strip: Option<Strip>,
    notices: Vec<NoticeRow>,
    can: Can,
    raw: String,
}

/// What may be done; why not, where it may not.
struct Can {
    cancel: Result<(), &'static str>,
    retry: Result<(), &'static str>,
    delete: Result<(), &'static str>,
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find(&state, &visitor.caller, &id).await?;
    let view = JobView::with_links(&job, &visitor.caller, &state).await?;
    let notices = state.ledger.notices(&job.id).await?;
    let made = made::read(&state, &job).await;
    let head = Head::new(
        format!("{} {}", words::kind(job.params.kind()), job.id),
        "jobs",
        &visitor,
    );
    let now = state.clock.now();
    let notices = notices.iter().rev().map(|notice| {
        let view = NotificationView::from(notice);
        NoticeRow {
            round: view
                .round
                .map_or_else(String::new, |round| round.to_string()),
            event: name_of(&view.event),
            state: name_of(&view.state),
            made: Moment::new(view.created_at, now),
            next: view.next_at.map(|at| Moment::new(at, now)),
            view,
        }
    });
    let media = media(&state, &job, &view).await;
    let info = made.as_ref().and_then(|made| made.storyboard.as_ref());
    let strip = info.zip(media.storyboard.clone());
    show(&Page {
        strip: strip.map(|(info, sprite)| Strip::of(info, sprite)),
        id: job.id.to_string(),
        standing: standing(&job, &state, head.is_operator()),
        going: going(&job, &state),
        replaces: false,
        failed: failed(&job),
        media,
        made,
        notices: notices.collect(),
        can: can(&job, &head),
        raw: raw(&view),
        head,
    })
}

/// The parts of the page that change while the job runs. Once it has ended the page is loaded
/// anew.
pub(super) async fn state(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find(&state, &visitor.caller, &id).await?;
    if job.status.is_ended() {
        let now = HeaderValue::from_static("true");
        return Ok(([(REFRESH, now)], "").into_response());
    }
    let shows_owner = visitor.caller.narrows_to().is_none();
    show(&Now {
        standing: standing(&job, &state, shows_owner),
        going: going(&job, &state),
        replaces: true,
    })
}

fn going(job: &Job, state: &HttpState) -> Going {
    let now = state.clock.now();
    Going {
        facts: facts(job, state),
        time: Time::of(job, now),
        waterfall: waterfall::of(job, state.settings.attempts, now),
        money: Money::of(job, now),
    }
}

fn standing(job: &Job, state: &HttpState, shows_owner: bool) -> Standing {
    let now = state.clock.now();
    let wait = job.wait(now);
    Standing {
        row: Row::new(job, state, shows_owner),
        until: wait
            .as_ref()
            .and_then(|wait| wait.until)
            .map(|at| Moment::new(at, now)),
        reason: wait
            .map(|wait| wait.reason.into_owned())
            .unwrap_or_default(),
    }
}

/// A word of a list of ours, as JSON names it.
fn name_of(word: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(word).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn facts(job: &Job, state: &HttpState) -> Vec<(&'static str, String)> {
    let now = state.clock.now();
    let moment = |at| {
        let moment = Moment::new(at, now);
        format!("{} ({})", moment.shown, moment.ago)
    };
    let mut facts = vec![
        ("Asked for", words::asked(&job.params)),
        ("Owner", job.owner.to_string()),
        ("Source", address(&job.source.video)),
    ];
    if let Some(image) = &job.source.image {
        facts.push(("Picture", address(image)));
    }
    facts.push(("Profile", job.output.profile.clone()));
    if let Some(model) = job.model() {
        facts.push(("Model", model.to_owned()));
    }
    facts.push(("Made", moment(job.created_at)));
    match job.completed_at {
        Some(at) => facts.push(("Ended", moment(at))),
        None => facts.push(("Deadline", moment(job.deadline_at))),
    }
    facts.push((
        "Attempt",
        format!(
            "{} of {}, round {}",
            job.attempt, state.settings.attempts, job.round
        ),
    ));
    if job.crashes > 0 {
        facts.push(("Crashes", job.crashes.to_string()));
    }
    facts
}

fn address(source: &MediaRef) -> String {
    match source {
        MediaRef::Web(url) => url.to_string(),
        MediaRef::Object(name) => name.clone(),
    }
}

fn failed(job: &Job) -> Option<Failed> {
    let error: ErrorView = job
        .error
        .as_ref()
        .filter(|_| job.status == Status::Failed)
        .map(ErrorView::from)?;
    Some(Failed {
        code: error.code.to_string(),
        about: error.code.about(),
        party: match error.party {
            Party::Caller => "whoever asked for the job",
            Party::Provider => "the provider",
            Party::Service => "this service and its operator",
        },
        stage: error.stage.map_or("", words::stage),
        step: next_step(error.code, error.party),
        message: error.message,
    })
}

/// What a person can do about a failure.
pub(super) fn next_step(code: Code, party: Party) -> &'static str {
    match (code, party) {
        (Code::InsufficientCredits, _) => {
            "Grant credits (filmlab credits grant OWNER N), then retry the job."
        }
        (Code::ProviderUnauthorized | Code::ProviderBalance, _) => {
            "Put the account at the provider in order, then retry the job."
        }
        (Code::ContentRefused, _) => "Use other inputs: the provider will refuse these again.",
        (Code::SourceMissing | Code::SourceUnreachable, _) => {
            "Make the input reachable again or upload it, then make the job anew."
        }
        (_, Party::Caller) => "Mend the input or the parameters and make the job anew.",
        (_, Party::Provider) => "Retry the job: what was paid for and is still good is used again.",
        (_, Party::Service) => "Look into the log of that time; mend it, then retry the job.",
    }
}

/// Links to what can be shown. What cannot be signed is left out, and the page stands.
async fn media(state: &HttpState, job: &Job, view: &JobView) -> Media {
    let links = view
        .result
        .as_ref()
        .and_then(|result| result.links.as_ref());
    let inputs = job.provider.inputs.as_ref();
    let own = inputs.map(|inputs| inputs.facts.video_object.as_str());
    let own = own.or(match &job.source.video {
        MediaRef::Object(name) => Some(name.as_str()),
        MediaRef::Web(_) => None,
    });
    let source = match own {
        Some(object) => state
            .storage
            .link(object, state.settings.link_ttl, None)
            .await
            .map_err(|error| tracing::info!(%error, "a source cannot be shown"))
            .ok(),
        None => None,
    };
    let beside =
        |which: fn(&Links) -> Option<&Url>| links.and_then(which).map(|link| here(state, link));
    Media {
        source: source.map(|link| here(state, &link)),
        result: links.map(|links| here(state, &links.video)),
        poster: links.map(|links| here(state, &links.poster)),
        metadata: links.map(|links| here(state, &links.metadata)),
        storyboard: beside(|links| links.storyboard.as_ref()),
        storyboard_vtt: beside(|links| links.storyboard_vtt.as_ref()),
    }
}

fn can(job: &Job, head: &Head) -> Can {
    let may = match head.may_change() {
        true => Ok(()),
        false => Err("A viewer changes nothing."),
    };
    let is_ended = job.status.is_ended();
    let only = |fits: bool, why: &'static str| if fits { Ok(()) } else { Err(why) };
    Can {
        cancel: may
            .and(only(!is_ended, "It has ended."))
            .and(only(!job.cancel_requested, "It is being cancelled.")),
        retry: may.and(only(is_ended, "It has not ended.")).and(only(
            job.status != Status::Completed,
            "It is completed: for another result make another job.",
        )),
        delete: may.and(only(is_ended, "It has not ended: cancel it first.")),
    }
}

fn raw(view: &JobView) -> String {
    serde_json::to_string_pretty(view).unwrap_or_default()
}
