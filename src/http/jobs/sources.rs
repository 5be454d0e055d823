//! `/v1/sources`: inputs that lie on the caller's own machine.
//!
//! The body is the file, streamed into the store in parts; memory stays flat, and a broken
//! upload leaves no object.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::Caller;
use crate::http::openapi::{Routes, problems};
use crate::http::{HttpState, Problem};
use crate::job::{Code, Fault, Owner};
use crate::storage::StorageError;

/// Longest silence of an uploading client.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest upload: the largest file over a slow line, without letting one drip for ever.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// Enough for an answer to travel, while the client goes on sending.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 * 1024 * 1024;
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

problems!(UploadProblems: InvalidRequest, Unauthorized, RequestTooLarge, EmptyFile,
    StorageUnavailable);

/// Upload an input
///
/// The body is the file, as it is (`curl -T clip.mp4 …`); no form, no JSON. At most
/// `server.max_upload_bytes`.
#[utoipa::path(
    method(post, put),
    path = "/v1/sources",
    operation_id = "uploadSource",
    tag = "sources",
    security(("apiToken" = [])),
    params(
        ("name" = String, Query, example = "clip.mp4",
            description = "The file's name; its ending is kept."),
        ("owner" = Option<Owner>, Query,
            description = "Whose upload it is; with an operator's token anybody's."),
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
    let mut stream: Chunks = Box::pin(chunks(body.into_data_stream()));
    let max_bytes = state.settings.max_upload_bytes;
    let query = query.unwrap_or_default();
    let object = match admit(caller, &query, &headers, max_bytes) {
        Ok(object) => object,
        Err(problem) => {
            tokio::spawn(linger(stream));
            return Err(problem);
        }
    };
    let storage = state.storage.clone();
    let target = object.clone();
    // On its own task: were it dropped with the connection, parts already sent would stay in
    // the store. There it sees the body break off, and takes them back.
    let stored = tokio::spawn(async move {
        let stored = storage.put_stream(&mut stream, &target, max_bytes).await;
        match &stored {
            Ok(0) => storage.delete(&target).await?,
            Ok(_) => {}
            Err(_) => {
                tokio::spawn(linger(stream));
            }
        }
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
    let answer = Uploaded {
        source: object,
        bytes,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

/// Names the object for an upload that may be made.
fn admit(
    caller: Result<Caller, Problem>,
    query: &str,
    headers: &HeaderMap,
    max_bytes: u64,
) -> Result<String, Problem> {
    let (name, owner) = read_query(query, &caller?)?;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let ulid = ulid::Ulid::new().to_string().to_lowercase();
    Ok(format!("sources/{owner}/{ulid}/{name}"))
}

fn too_large(max_bytes: u64) -> Problem {
    Problem::new(Code::RequestTooLarge)
        .detail(format!("An input may have at most {max_bytes} bytes."))
}

type Chunks = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// Takes in, for a moment, what is still being sent. A connection that is closed over unread
/// bytes is reset, and the refusal lost with it: the client would only see a broken pipe.
async fn linger(mut stream: Chunks) {
    let mut bytes = 0;
    let rest = async {
        while let Some(Ok(chunk)) = stream.next().await {
            bytes += chunk.len();
            if bytes > LINGER_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// The body's pieces, with a limit on silence and on the whole.
fn chunks(body: BodyDataStream) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let end = tokio::time::Instant::now() + UPLOAD_TIMEOUT;
    futures::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        let limit = end.min(tokio::time::Instant::now() + CHUNK_TIMEOUT);
        match tokio::time::timeout_at(limit, body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some(body))),
            // After a failure there is nothing more to say.
            Ok(Some(Err(error))) => Some((Err(std::io::Error::other(error)), None)),
            Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
        }
    })
}

fn read_query(query: &str, caller: &Caller) -> Result<(String, Owner), Problem> {
    let mut faults = Vec::new();
    let (mut name, mut owner) = (None, None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "name" => name = Some(safe_name(&value)),
            "owner" => match value.parse::<Owner>() {
                Ok(value) => owner = Some(value),
                Err(error) => faults.push(Fault::new("owner", error.to_string())),
            },
            other => {
                let field: String = other.chars().take(80).collect();
                faults.push(Fault::new(field, "is not a parameter of an upload"));
            }
        }
    }
    let Some(name) = name else {
        faults.push(Fault::new("name", "is required"));
        return Err(Problem::faults(faults));
    };
    match caller.owner_for(owner) {
        Ok(owner) if faults.is_empty() => Ok((name, owner)),
        Ok(_) => Err(Problem::faults(faults)),
        Err(message) => {
            faults.push(Fault::new("owner", message));
            Err(Problem::faults(faults))
        }
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
