//! `/files`: objects behind signed links, for deployments without a cloud's own signer.
//!
//! What was signed is served, in whole or one range of it. What a user uploaded may be anything,
//! so nothing is ever run by a browser: foreign types are downloads, and every answer is boxed
//! in by a content security policy.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::middleware;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::refusals::problems;
use super::routes::Routes;
use super::{HttpState, Problem, api};
use crate::fields::{Bounds, Described, Field, Query, Text, Whole, query_parameters};
use crate::job::Code;
use crate::range::Range;
use crate::storage::SignedLink;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(file))
        // Bounds finding the object; the body streams on after the answer's head.
        .layer(middleware::from_fn(api::in_time))
}

static EXP: Field<Whole<i64>> = Field::optional(
    "exp",
    Whole(Bounds::Any),
    "When the link ends, in seconds since 1970.",
);
static NAME: Field<Text> = Field::optional("name", Text("text"), "The name to save it under.");
/// The document has it among the ways to prove who one is.
static SIGNATURE: Field<Text> = Field::optional("sig", Text("text"), "");
static LINK: &[&dyn Described] = &[&EXP, &NAME, &SIGNATURE];

/// The parameters of a link, for the document.
struct LinkParameters;

impl utoipa::IntoParams for LinkParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        query_parameters(&[&EXP, &NAME])
    }
}

problems!(FileProblems: Unauthorized as FORBIDDEN, NotFound,
    InvalidRequest as RANGE_NOT_SATISFIABLE, StorageUnavailable, LedgerUnavailable);

/// Read an object behind a signed link
///
/// Links are made by reading a job, not by hand. `HEAD` and ranges are answered too.
#[utoipa::path(
    get,
    path = "/files/{*object}",
    operation_id = "getFile",
    tag = "files",
    security(("linkSignature" = [])),
    params(
        ("object" = String, Path, description = "The object's name; its slashes stand as they \
                                                are."),
        LinkParameters,
        ("Range" = Option<String>, Header, description = "One range of bytes."),
        ("If-Range" = Option<String>, Header, description = "The `ETag` the range belongs to."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that is there already."),
    ),
    responses(
        (status = 200, description = "The object.", content_type = "*/*",
            headers(("ETag" = String), ("Accept-Ranges" = String), ("Cache-Control" = String),
                    ("Content-Disposition" = String))),
        (status = 206, description = "The range of it.", content_type = "*/*",
            headers(("ETag" = String), ("Content-Range" = String))),
        (status = 304, description = "It is the same.", headers(("ETag" = String))),
        FileProblems,
    ),
)]
async fn file(
    State(state): State<HttpState>,
    Path(object): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (name, left_s) = open(&state, &object, query.as_deref().unwrap_or_default())?;
    let bytes = state.storage.head(&object).await?.bytes;
    let etag = etag(&object, bytes);
    let range = wanted_range(&headers, bytes, &etag)?;

    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    let (content_type, inline) = content_type(&object);
    put(out, header::CONTENT_TYPE, content_type);
    put(out, header::ETAG, &etag);
    put(out, header::ACCEPT_RANGES, "bytes");
    // Objects never change under their names, but a link's end must end it.
    put(
        out,
        header::CACHE_CONTROL,
        &format!("private, max-age={}", left_s.clamp(0, 3600)),
    );
    put(
        out,
        header::CONTENT_SECURITY_POLICY,
        "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
    );
    if let Some(disposition) = disposition(name.as_deref(), inline) {
        put(out, header::CONTENT_DISPOSITION, &disposition);
    }
    if matches(&headers, header::IF_NONE_MATCH, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let (start, end) = match range {
        Some((start, end)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let content_range = format!("bytes {start}-{}/{bytes}", end.saturating_sub(1));
            put(
                response.headers_mut(),
                header::CONTENT_RANGE,
                &content_range,
            );
            (start, end)
        }
        None => (0, bytes),
    };
    put(
        response.headers_mut(),
        header::CONTENT_LENGTH,
        &(end - start).to_string(),
    );
    if method != Method::HEAD && end > start {
        let stream = state.storage.read_range(&object, start..end).await?;
        *response.body_mut() = Body::from_stream(stream);
    }
    Ok(response)
}

/// Checks the link; gives its download name and how many seconds it still opens.
fn open(state: &HttpState, object: &str, query: &str) -> Result<(Option<String>, i64), Problem> {
    // 403, not 401: no credentials would help, only another link.
    let refuse = |detail: &str, log: String| {
        let mut problem = Problem::new(Code::Unauthorized)
            .status(StatusCode::FORBIDDEN)
            .detail(detail)
            .because(log);
        problem.headers.clear();
        problem
    };
    // Whoever has no good link learns no more than that.
    let mut faults = Vec::new();
    let given = Query::read(query, LINK, &mut faults);
    let exp = given.object().field(&EXP, &mut faults);
    let name = given.object().field(&NAME, &mut faults);
    let sig = given.object().field(&SIGNATURE, &mut faults);
    let sig = sig.filter(|_| faults.is_empty());
    let no_link = "The link is not valid, or has expired. Ask for a fresh one.";
    let (Some(links), Some(expires_at_s), Some(signature)) = (&state.links, exp, sig) else {
        return Err(refuse(no_link, "the link is incomplete".into()));
    };
    let now = state.clock.now();
    let link = SignedLink {
        object,
        expires_at_s,
        name: name.as_deref(),
        signature: &signature,
    };
    links
        .verify(&link, now)
        .map_err(|refused| refuse(no_link, refused.to_string()))?;
    Ok((name, expires_at_s.saturating_sub(now.as_second())))
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // Values are made here of ASCII; one that were not is left out rather than sent broken.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Objects are written once under a name, so the name and the size tell versions apart.
fn etag(object: &str, bytes: u64) -> String {
    let digest = hex::encode(Sha256::digest(object.as_bytes()));
    format!("\"{}-{bytes}\"", &digest[..16])
}

fn matches(headers: &HeaderMap, name: header::HeaderName, etag: &str) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.split(',').any(|one| {
                let one = one.trim();
                one == "*" || one.trim_start_matches("W/") == etag
            })
        })
}

/// The range asked for, as start and end (exclusive); `None` for the whole object.
fn wanted_range(
    headers: &HeaderMap,
    bytes: u64,
    etag: &str,
) -> Result<Option<(u64, u64)>, Problem> {
    let Some(text) = headers.get(header::RANGE).and_then(|v| v.to_str().ok()) else {
        return Ok(None);
    };
    // A range of another version is of no use: then the whole is sent (RFC 9110, 13.1.5).
    if headers.contains_key(header::IF_RANGE) && !matches(headers, header::IF_RANGE, etag) {
        return Ok(None);
    }
    match Range::of(text, bytes) {
        Range::Whole => Ok(None),
        Range::Part(start, end) => Ok(Some((start, end))),
        Range::Unsatisfiable => {
            let value = HeaderValue::from_str(&format!("bytes */{bytes}"))
                .unwrap_or_else(|_| HeaderValue::from_static("bytes */0"));
            Err(Problem::new(Code::InvalidRequest)
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .detail(format!("The file has {bytes} bytes."))
                .header(header::CONTENT_RANGE, value))
        }
    }
}

/// The type by the name's ending, and whether a browser may show it.
fn content_type(object: &str) -> (&'static str, bool) {
    let ending = object
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .unwrap_or_default();
    match ending.as_str() {
        "json" => ("application/json", true),
        "jpg" | "jpeg" => ("image/jpeg", true),
        "png" => ("image/png", true),
        "webp" => ("image/webp", true),
        "vtt" => ("text/vtt; charset=utf-8", true),
        _ => mime_guess::from_ext(&ending)
            .first_raw()
            .filter(|kind| kind.starts_with("video/"))
            .map_or(("application/octet-stream", false), |kind| (kind, true)),
    }
}

/// RFC 6266: a plain name for old clients, the true one beside it.
fn disposition(name: Option<&str>, inline: bool) -> Option<String> {
    /// RFC 8187's attr-char, beyond letters and digits.
    const NOT_ATTR: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'!')
        .remove(b'#')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b'-')
        .remove(b'.')
        .remove(b'^')
        .remove(b'_')
        .remove(b'`')
        .remove(b'|')
        .remove(b'~');
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return (!inline).then(|| "attachment".to_owned());
    };
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '/' | '%' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    let full = utf8_percent_encode(name, NOT_ATTR);
    Some(format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_media_is_shown_by_browsers() {
        assert_eq!(content_type("a/video.mp4"), ("video/mp4", true));
        assert_eq!(content_type("a/POSTER.JPG"), ("image/jpeg", true));
        assert_eq!(
            content_type("a/storyboard.vtt"),
            ("text/vtt; charset=utf-8", true)
        );
        for hostile in ["a.html", "a.svg", "a.js", "noending", "a.xml"] {
            assert_eq!(content_type(hostile), ("application/octet-stream", false));
        }
        assert_eq!(disposition(None, false).as_deref(), Some("attachment"));
        assert_eq!(disposition(None, true), None);
        assert_eq!(
            disposition(Some("ä \"b\".mp4"), true).as_deref(),
            Some("attachment; filename=\"_ _b_.mp4\"; filename*=UTF-8''%C3%A4%20%22b%22.mp4")
        );
    }
}
