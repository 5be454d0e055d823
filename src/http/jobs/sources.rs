//! `/v1/sources`: inputs that lie on the caller's own machine.
//!
//! The body is the file, streamed into the store in parts; memory stays flat, and a broken
//! upload leaves no object.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::texts::{OwnerName, owner};
use super::uploads::{Chunks, LINGER_BYTES, LINGER_BYTES_OF_STRANGERS, Taken, Uploads};
use crate::fields::{Described, Field, Query, Scalar, query_parameters, text};
use crate::http::caller::Caller;
use crate::http::refusals::problems;
use crate::http::routes::Routes;
use crate::http::{HttpState, Problem};
use crate::job::{Code, Owner, inputs};
use crate::storage::StorageError;

/// How fast an upload must come.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// For the whole.
    whole: Duration,
    /// So many bytes must come within so much waiting for them, whatever their pieces.
    least: usize,
    within: Duration,
}

/// The largest file over a slow line may take its time. One that brings less than 4 KiB a second
/// holds a place for nothing: the two hours would end before 30 MiB are there.
const PACE: Pace = Pace {
    whole: Duration::from_secs(2 * 3600),
    least: 240 * 1024,
    within: Duration::from_secs(60),
};
const MAX_NAME_CHARS: usize = 100;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(upload))
}

/// An upload that is in the store.
#[derive(Debug, Serialize, ToSchema)]
struct Uploaded {
    /// What a job's `source` names.
    #[schema(example = "sources/alice/01jd8z6q4mxv7v0q4w3k5t2c9e/clip.mp4")]
    source: String,
    #[schema(minimum = 1)]
    bytes: u64,
}

problems!(UploadProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, RequestTooLarge, EmptyFile,
    StorageUnavailable, Overloaded);

/// Upload an input
///
/// The body is the file, as it is (`curl -T clip.mp4 …`); no form, no JSON. At most
/// `server.max_upload`. So many at once, and so many bytes; more are refused with `overloaded`.
#[utoipa::path(
    method(post, put),
    path = "/v1/sources",
    operation_id = "uploadSource",
    tag = "sources",
    security(("apiToken" = [])),
    params(
        UploadParameters,
    ),
    request_body(content_type = "application/octet-stream",
        description = "The file, of any type."),
    responses(
        (status = 201, description = "The file is stored.", body = Uploaded),
        UploadProblems,
    ),
)]

async fn upload(
    State(state): State<HttpState>,
    caller: Result<Caller, Problem>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let stream: Chunks = Box::pin(chunks(body.into_data_stream(), PACE));
    let max_bytes = state.settings.max_upload_bytes;
    let query = query.unwrap_or_default();
    let uploads = state.shared.uploads.clone();
    let (object, taken) = match admit(caller, &query, &headers, max_bytes, &uploads) {
        Ok(admitted) => admitted,
        Err(problem) => {
            let most = match problem.code {
                Code::Unauthorized => LINGER_BYTES_OF_STRANGERS,
                _ => LINGER_BYTES,
            };
            uploads.linger(stream, most);
            return Err(problem);
        }
    };
    let bytes = store(&state, &object, stream, max_bytes, taken).await?;
    let answer = Uploaded {
        source: object,
        bytes,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

/// Puts a file of that name into the store, whichever way it came; gives what a job calls it.
/// `most`: what the upload may come to.
pub(in crate::http) async fn keep(
    state: &HttpState,
    owner: &Owner,
    name: &str,
    most: u64,
    stream: Chunks,
) -> Result<String, Problem> {
    let max_bytes = state.settings.max_upload_bytes;
    let taken = state.shared.uploads.take(owner, most.min(max_bytes))?;
    let object = object(owner, &safe_name(name));
    store(state, &object, stream, max_bytes, taken).await?;
    Ok(object)
}

async fn store(
    state: &HttpState,
    object: &str,
    mut stream: Chunks,
    max_bytes: u64,
    taken: Taken,
) -> Result<u64, Problem> {
    let storage = state.storage.clone();
    let uploads = state.shared.uploads.clone();
    let target = object.to_owned();
    // On its own task: were it dropped with the connection, parts already sent would stay in
    // the store. There it sees the body break off, and takes them back.
    let stored = tokio::spawn(async move {
        let stored = storage.put_stream(&mut stream, &target, max_bytes).await;
        match &stored {
            Ok(0) => storage.delete(&target).await?,
            Ok(_) => {}
            Err(_) => uploads.linger(stream, LINGER_BYTES),
        }
        drop(taken);
        stored
    });
    let bytes = match stored.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(StorageError::TooLarge { .. })) => return Err(too_large(max_bytes)),
        Ok(Err(StorageError::Stream(error))) => {
            return Err(Problem::new(Code::InvalidRequest)
                .detail("The upload broke off.")
                .because(error));
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(error) => return Err(Problem::new(Code::Internal).because(error)),
    };
    if bytes == 0 {
        return Err(Problem::new(Code::EmptyFile));
    }
    Ok(bytes)
}

/// Names the object for an upload that may be made.
fn admit(
    caller: Result<Caller, Problem>,
    query: &str,
    headers: &HeaderMap,
    max_bytes: u64,
    uploads: &Uploads,
) -> Result<(String, Taken), Problem> {
    let (name, owner) = read_query(query, &caller?)?;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let taken = uploads.take(&owner, announced.unwrap_or(max_bytes))?;
    Ok((object(&owner, &name), taken))
}

fn object(owner: &Owner, name: &str) -> String {
    let folder = ulid::Ulid::new().to_string().to_lowercase();
    inputs::object(owner, &folder, name)
}

fn too_large(max_bytes: u64) -> Problem {
    Problem::new(Code::RequestTooLarge)
        .detail(format!("An input may have at most {max_bytes} bytes."))
}

/// The body's pieces, with a limit on slowness and on the whole. Only waiting for the client counts
/// as slowness; the store may take its time.
fn chunks(body: BodyDataStream, pace: Pace) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let coming = Coming {
        body,
        pace,
        end: tokio::time::Instant::now() + pace.whole,
        waited: Duration::ZERO,
        bytes: 0,
    };
    futures::stream::unfold(Some(coming), move |coming| async move {
        let mut coming = coming?;
        match coming.next().await {
            Ok(None) => None,
            Ok(Some(chunk)) => Some((Ok(chunk), Some(coming))),
            // After a failure there is nothing more to say.
            Err(error) => Some((Err(error), None)),
        }
    })
    // Who lingers over a body does not know whether the store has read it to its end.
    .fuse()
}

/// A body, and how well it comes.
struct Coming {
    body: BodyDataStream,
    pace: Pace,
    end: tokio::time::Instant,
    /// What was waited for the bytes that came since there were enough.
    waited: Duration,
    bytes: usize,
}

impl Coming {
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        let began = tokio::time::Instant::now();
        let limit = self.pace.within.saturating_sub(self.waited);
        let chunk = tokio::time::timeout_at(self.end.min(began + limit), self.body.next());
        let chunk = chunk.await.map_err(|_| std::io::ErrorKind::TimedOut)?;
        let Some(chunk) = chunk.transpose().map_err(std::io::Error::other)? else {
            return Ok(None);
        };
        self.waited += began.elapsed();
        self.bytes += chunk.len();
        if self.bytes >= self.pace.least {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
        Ok(Some(chunk))
    }
}

static NAME: Field<FileName> =
    Field::needed("name", FileName, "The file's name; its ending is kept.");
static OWNER: Field<OwnerName> = Field::optional(
    "owner",
    OwnerName,
    "Whose upload it is; with an operator's token anybody's.",
);
static UPLOAD: &[&dyn Described] = &[&NAME, &OWNER];

/// The parameters of an upload, for the document.
struct UploadParameters;

impl utoipa::IntoParams for UploadParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        query_parameters(UPLOAD)
    }
}

fn read_query(query: &str, caller: &Caller) -> Result<(String, Owner), Problem> {
    let mut faults = Vec::new();
    let given = Query::read(query, UPLOAD, &mut faults);
    let given = given.object();
    let name = given.field(&NAME, &mut faults);
    let owner = owner(given, caller, &mut faults);
    given.only(UPLOAD, "is not a parameter of an upload", &mut faults);
    match (name, owner) {
        (Some(name), Some(owner)) if faults.is_empty() => Ok((name, owner)),
        _ => Err(Problem::faults(faults)),
    }
}

struct FileName;

impl Scalar for FileName {
    type Value = String;

    fn of_json(&self, value: &Value) -> Result<String, String> {
        Ok(safe_name(text(value)?))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "examples": ["clip.mp4"]})
    }
}

/// The last part of the name with none but harmless characters; the ending is kept, since it
/// tells a person what the file is.
fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: Vec<char> = last
        .chars()
        .map(|c| match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '_',
        })
        .collect();
    // From the end, where the ending is.
    let start = safe.len().saturating_sub(MAX_NAME_CHARS);
    let safe: String = safe.into_iter().skip(start).collect();
    let safe = safe.trim_start_matches('.');
    if safe.is_empty() {
        "source".to_owned()
    } else {
        safe.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of so many bytes each two milliseconds.
    fn dripping(bytes: usize, pieces: usize) -> BodyDataStream {
        let pieces = futures::stream::unfold(0, move |sent| async move {
            (sent < pieces).then_some(())?;
            tokio::time::sleep(Duration::from_millis(2)).await;
            Some((Ok::<_, std::io::Error>(vec![b'x'; bytes]), sent + 1))
        });
        Body::from_stream(pieces).into_data_stream()
    }

    #[tokio::test]
    async fn an_upload_that_drips_ends_and_one_over_a_slow_line_does_not() {
        let pace = Pace {
            whole: Duration::from_secs(60),
            least: 1_000,
            within: Duration::from_secs(1),
        };
        // Never silent for long: without an end it would hold its place for a minute.
        let drip: Vec<_> = chunks(dripping(1, usize::MAX), pace).collect().await;
        let (last, before) = drip.split_last().unwrap();
        let error = last.as_ref().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(before.len() < 1_000 && before.iter().all(Result::is_ok));
        // Takes longer than that, but brings enough all the while.
        let slow: Vec<_> = chunks(dripping(100, 700), pace).collect().await;
        assert!(slow.len() == 700 && slow.iter().all(Result::is_ok));
        let whole = Pace {
            whole: Duration::from_millis(50),
            ..pace
        };
        let cut: Vec<_> = chunks(dripping(5_000, usize::MAX), whole).collect().await;
        assert!(cut.last().unwrap().is_err());
    }

    #[tokio::test]
    async fn a_body_that_has_ended_may_be_asked_again() {
        let whole = Duration::from_millis(50);
        for (pieces, pace) in [(1, PACE), (usize::MAX, Pace { whole, ..PACE })] {
            let mut body = Box::pin(chunks(dripping(10, pieces), pace));
            while body.next().await.is_some() {}
            assert!(body.next().await.is_none());
        }
    }

    #[test]
    fn names_become_harmless() {
        for (name, safe) in [
            ("clip.mp4", "clip.mp4"),
            ("../../etc/passwd", "passwd"),
            ("C:\\videos\\my clip.mov", "my_clip.mov"),
            ("..", "source"),
            ("", "source"),
            ("ünï.mp4", "_n_.mp4"),
            ("a\nb", "a_b"),
        ] {
            assert_eq!(safe_name(name), safe);
        }
        assert!(safe_name(&format!("{}.mp4", "x".repeat(300))).ends_with(".mp4"));
        assert_eq!(safe_name(&"x".repeat(300)).len(), 100);
    }
}
