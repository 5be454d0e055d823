//! Making a job by hand: give a video, choose what is to become of it, see what it costs, go.
//!
//! Each step is a form whose answer is the next, so it works without scripts.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{FromRequest as _, Multipart, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator as _;
use tokio::sync::mpsc;

use super::address;
use super::mark::Frame;
use super::poster::here;
use super::shell::{Head, show};
use super::visitor::{Form, Visitor};
use super::words;
use crate::http::api::AsItIs;
use crate::http::jobs::actions;
use crate::http::jobs::request;
use crate::http::jobs::sources::keep;
use crate::http::{HttpState, Problem, quotes};
use crate::job::kinds::{
    CHARACTER_REPLACE_RESOLUTIONS, EXTEND_RESOLUTIONS, EXTEND_SECONDS, UPSCALE_TARGETS,
};
use crate::job::{Code, Kind, Owner};
use crate::ledger::Created;
use crate::media::MOST_LABEL;
use crate::worker::Quote;

/// A piece of a file must come within this, and the whole within that.
const PIECE: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(2 * 3600);
/// Pieces that wait for the store.
const PIECES: usize = 4;

/// A kind as the form offers it.
struct Choice {
    name: &'static str,
    word: &'static str,
    about: &'static str,
    is_chosen: bool,
}

struct Priced {
    credits: String,
    price: String,
    is_floor: bool,
    model: String,
    source: String,
    billed: String,
    /// The marks over the video.
    frame: Option<Frame>,
}

#[derive(Template)]
#[template(path = "console/new.html")]
struct Page {
    head: Head,
    form: Form,
    choices: Vec<Choice>,
    chosen: Option<Kind>,
    resolutions: Vec<&'static str>,
    seconds: (u32, u32),
    profiles: Vec<String>,
    /// What the label says that the settings have, and the one that is switched on.
    label: Option<String>,
    label_on: String,
    /// Where the video can be looked at.
    video: Option<String>,
    image: Option<String>,
    faults: Vec<String>,
    priced: Option<Priced>,
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let form = Form::read(query.unwrap_or_default().as_bytes());
    draw(&state, &visitor, form, Vec::new(), None).await
}

async fn draw(
    state: &HttpState,
    visitor: &Visitor,
    form: Form,
    faults: Vec<String>,
    quote: Option<Quote>,
) -> Result<Response, Problem> {
    let chosen: Option<Kind> = form.get("kind").parse().ok();
    let resolutions = match chosen {
        Some(Kind::CharacterReplace) => CHARACTER_REPLACE_RESOLUTIONS,
        Some(Kind::Extend) => EXTEND_RESOLUTIONS,
        Some(Kind::Upscale) => UPSCALE_TARGETS,
        None => &[],
    };
    let is_bad = !faults.is_empty();
    let page = Page {
        head: Head::new("New job", "new", visitor),
        choices: Kind::iter()
            .map(|kind| Choice {
                name: kind.as_str(),
                word: words::kind(kind),
                about: about(kind),
                is_chosen: chosen == Some(kind),
            })
            .collect(),
        chosen,
        resolutions: resolutions.iter().map(|one| one.as_str()).collect(),
        seconds: (*EXTEND_SECONDS.start(), *EXTEND_SECONDS.end()),
        profiles: state.settings.profiles.clone(),
        label: (state.settings.provenance.label.as_ref()).map(|label| label.words.clone()),
        label_on: state.settings.label.words.clone(),
        video: look(state, visitor, form.get("video")).await,
        image: look(state, visitor, form.get("image")).await,
        faults,
        priced: quote.map(priced),
        form,
    };
    let mut response = show(&page)?;
    if is_bad {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.extensions_mut().insert(AsItIs);
    }
    Ok(response)
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::CharacterReplace => "Put a character from a picture into the video.",
        Kind::Extend => "Let the video go on.",
        Kind::Upscale => "Make the video larger.",
    }
}

fn priced(quote: Quote) -> Priced {
    Priced {
        credits: words::amount(quote.credits),
        price: words::usd(quote.provider.price),
        is_floor: quote.provider.is_floor,
        model: quote.model,
        frame: quote.preview.as_ref().map(Frame::from),
        source: format!("{:.1} s", quote.source_seconds),
        billed: format!("{:.1} s", quote.billed_seconds),
    }
}

/// A link to an upload of the visitor's own; what is another's is not shown.
async fn look(state: &HttpState, visitor: &Visitor, name: &str) -> Option<String> {
    let owner = owner(visitor).ok()?;
    if !name.starts_with(&format!("sources/{owner}/")) {
        return None;
    }
    let ttl = state.settings.link_ttl;
    let link = state.storage.link(name, ttl, None).await.ok()?;
    Some(here(state, &link))
}

fn owner(visitor: &Visitor) -> Result<Owner, Problem> {
    let owner = visitor.caller.owner_for(None);
    owner.map_err(|message| Problem::fault("owner", message))
}

/// Takes the files in, and goes on to what is to become of them.
pub(super) async fn upload(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Result<Response, Problem> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let most = announced.unwrap_or(state.settings.max_upload_bytes);
    let owner = owner(&visitor)?;
    let parts = Multipart::from_request(request, &state).await;
    let parts = parts.map_err(|error| Problem::of_status(error.status()).because(error))?;
    let taken = tokio::time::timeout(WHOLE, take(&state, &owner, most, parts)).await;
    let named = taken.map_err(|_| broke_off("the upload took too long"))??;
    if !named.iter().any(|(field, _)| *field == "video") {
        return Err(Problem::fault("video", "choose a file or give an address"));
    }
    let query: Vec<String> = named
        .iter()
        .map(|(field, name)| format!("{field}={}", address::value(name)))
        .collect();
    Ok(Redirect::to(&format!("/console/new?{}", query.join("&"))).into_response())
}

async fn take(
    state: &HttpState,
    owner: &Owner,
    most: u64,
    mut parts: Multipart,
) -> Result<Vec<(&'static str, String)>, Problem> {
    let mut named: Vec<(&'static str, String)> = Vec::new();
    while let Some(mut part) = parts.next_field().await.map_err(broke_off)? {
        let field = match part.name() {
            Some("video" | "video_url") => "video",
            Some("image" | "image_url") => "image",
            _ => continue,
        };
        // A field that was left empty comes without a name.
        let name = part.file_name().unwrap_or_default().to_owned();
        if part.file_name().is_none() {
            let mut text = Vec::new();
            while let Some(piece) = part.chunk().await.map_err(broke_off)? {
                text.extend_from_slice(&piece);
                if text.len() > 2_000 {
                    return Err(Problem::fault(field, "is longer than any address"));
                }
            }
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            if !text.is_empty() {
                named.push((field, text));
            }
            continue;
        }
        if name.is_empty() {
            continue;
        }
        let (send, receive) = mpsc::channel(PIECES);
        let stored = keep(state, owner, &name, most, Box::pin(pieces(receive)));
        // The sender goes with it: then the store sees the end, or that there was none.
        let sent = async move {
            loop {
                let piece = tokio::time::timeout(PIECE, part.chunk()).await;
                let piece = piece.map_err(|_| broke_off("it came too slowly"))?;
                let piece = piece.map_err(broke_off)?;
                let is_end = piece.is_none();
                // Who stores says himself why he takes no more.
                if send.send(piece).await.is_err() || is_end {
                    return Ok::<(), Problem>(());
                }
            }
        };
        let (stored, sent) = futures::join!(stored, sent);
        // What broke off is told before what it led to.
        sent?;
        named.push((field, stored?));
    }
    Ok(named)
}

/// Pieces of a file as they come. One that ends without its end broke off.
fn pieces(
    receive: mpsc::Receiver<Option<Bytes>>,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    futures::stream::unfold(Some(receive), |receive| async move {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(receive))),
            Some(None) => None,
            None => Some((Err(std::io::ErrorKind::UnexpectedEof.into()), None)),
        }
    })
}

fn broke_off(why: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidRequest)
        .detail("The upload broke off.")
        .because(why)
}

/// Says what it would cost; a form that chooses another kind only draws its fields.
pub(super) async fn quote(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Result<Response, Problem> {
    let asked = request::read(&body(&form), &visitor.caller, &state).await;
    let wanted = match asked {
        Ok(wanted) => wanted,
        Err(faults) => {
            let faults = faults.iter().map(ToString::to_string).collect();
            return draw(&state, &visitor, form, faults, None).await;
        }
    };
    match quotes::ask(&state, wanted).await {
        Ok(quote) => draw(&state, &visitor, form, Vec::new(), Some(quote)).await,
        Err(problem) => {
            let mut faults = vec![problem.detail];
            faults.extend(problem.errors.iter().map(ToString::to_string));
            faults.dedup();
            draw(&state, &visitor, form, faults, None).await
        }
    }
}

pub(super) async fn make(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Result<Response, Problem> {
    let wanted = match request::read(&body(&form), &visitor.caller, &state).await {
        Ok(wanted) => wanted,
        Err(faults) => {
            let faults = faults.iter().map(ToString::to_string).collect();
            return draw(&state, &visitor, form, faults, None).await;
        }
    };
    let created = actions::create(&state, &visitor.caller, wanted, None, None).await?;
    let (Created::New(job) | Created::Existing(job)) = created else {
        return Err(Problem::new(Code::Internal).because("a fresh job id was taken already"));
    };
    Ok(Redirect::to(&format!("/console/jobs/{}", job.id)).into_response())
}

/// The request that the API would be sent.
fn body(form: &Form) -> Value {
    let text = |name: &str| Some(form.get(name)).filter(|value| !value.is_empty());
    let mut params = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            params.insert(name.to_owned(), value);
        }
    };
    let kind = form.get("kind");
    let resolution = if kind == "upscale" {
        "target"
    } else {
        "resolution"
    };
    put(resolution, text("resolution").map(Value::from));
    if kind != "upscale" {
        put("prompt", text("prompt").map(Value::from));
    }
    if kind == "extend" {
        let seconds = text("seconds").map(|text| match text.parse::<u32>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(text),
        });
        put("seconds", seconds);
    }
    let mut body = json!({
        "kind": kind,
        "params": params,
        "source": {"video": form.get("video")},
        "output": {"profile": text("profile").unwrap_or("web")},
    });
    if let Some(image) = text("image").filter(|_| kind == "character_replace") {
        body["source"]["image"] = image.into();
    }
    match form.get("label") {
        "" => {}
        "own" => body["label"] = form.get("label_words").into(),
        choice => body["label"] = choice.into(),
    }
    body
}
