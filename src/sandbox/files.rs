//! Files coming in and going out.

use std::io::SeekFrom;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Multipart, Path as Named, State as Extract};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_NONE_MATCH, RANGE,
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::answers::{self, refusal};
use super::faults::Fault;
use super::state::{Outcome, State, Upload, UploadRecord, record, remove};
use crate::range::Range;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    filename: String,
    size: u64,
    content_type: String,
}

/// `POST /media/uploads`: a place to PUT at.
pub(super) async fn place(
    Extract(state): Extract<Arc<State>>,
    Json(wanted): Json<Wanted>,
) -> Response {
    if state.config.upload_generation != 1 {
        return answers::not_found("not found");
    }
    if wanted.size > state.config.max_upload_bytes {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, None, "file too large");
    }
    let upload = |id: &str| Upload {
        path: state.folder.join(format!("upload-{id}")),
        filename: plain(&wanted.filename),
        content_type: wanted.content_type.clone(),
        size: wanted.size,
        since: Instant::now(),
        done: false,
    };
    let (id, upload, gone) = {
        let mut inner = state.lock();
        let gone = inner.forget_oldest(&state.folder);
        let id = inner.new_id();
        let upload = upload(&id);
        inner.uploads.insert(id.clone(), upload.clone());
        (id, upload, gone)
    };
    remove(gone).await;
    let mut data = described(&state, &id, &upload);
    data["upload"] = json!({
        "method": "PUT",
        "url": state.url(&format!("storage/{id}")),
        "headers": {"Content-Type": upload.content_type, "If-None-Match": "*"},
    });
    answers::ok(&data)
}

/// `PUT /storage/{id}`: as a bucket behind a signed address takes it.
pub(super) async fn put(
    Extract(state): Extract<Arc<State>>,
    Named(id): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let Some(upload) = state.lock().uploads.get(&id).cloned() else {
        return StatusCode::FORBIDDEN;
    };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // The address is signed for these two: other values do not match the signature.
    if header(CONTENT_TYPE.as_str()) != Some(upload.content_type.as_str())
        || header(IF_NONE_MATCH.as_str()) != Some("*")
    {
        return StatusCode::FORBIDDEN;
    }
    if header(CONTENT_LENGTH.as_str()).is_none() {
        return StatusCode::LENGTH_REQUIRED;
    }
    if upload.done {
        return StatusCode::PRECONDITION_FAILED;
    }
    match write(&upload.path, body.into_data_stream(), upload.size).await {
        Ok(bytes) if bytes == upload.size => {
            finish(&state, &id, upload);
            StatusCode::OK
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

/// `POST /media/upload/binary`: the generation before.
pub(super) async fn form(Extract(state): Extract<Arc<State>>, mut form: Multipart) -> Response {
    let Ok(Some(field)) = form.next_field().await else {
        return refusal(StatusCode::BAD_REQUEST, Some(1400), "missing file");
    };
    if field.name() != Some("file") {
        return refusal(StatusCode::BAD_REQUEST, Some(1400), "missing file");
    }
    let (id, gone) = {
        let mut inner = state.lock();
        (inner.new_id(), inner.forget_oldest(&state.folder))
    };
    remove(gone).await;
    let mut upload = Upload {
        path: state.folder.join(format!("upload-{id}")),
        filename: plain(field.file_name().unwrap_or("file")),
        content_type: field
            .content_type()
            .unwrap_or("application/octet-stream")
            .to_owned(),
        size: 0,
        since: Instant::now(),
        done: false,
    };
    let Ok(size) = write(&upload.path, field, state.config.max_upload_bytes).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, None, "file too large");
    };
    upload.size = size;
    let data = described(&state, &id, &upload);
    finish(&state, &id, upload);
    answers::ok(&data)
}

/// `GET /files/{id}/{name}`: an upload.
pub(super) async fn uploaded(
    Extract(state): Extract<Arc<State>>,
    Named((id, _)): Named<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let upload = state.lock().uploads.get(&id).cloned();
    match upload.filter(|upload| upload.done) {
        Some(upload) => send(&upload.path, &upload.content_type, &headers, false).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `GET /outputs/{id}/1.mp4`: a video that was made.
pub(super) async fn output(
    Extract(state): Extract<Arc<State>>,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Response {
    let (path, truncate) = {
        let mut inner = state.lock();
        let Some(prediction) = inner.predictions.get_mut(&id) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let path = match &prediction.outcome {
            Some(Outcome::Video(path)) if prediction.shown => path.clone(),
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        if let Some(status) = prediction.download_fails() {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
            return status.into_response();
        }
        (path, prediction.faults.contains(&Fault::TruncatedOutput))
    };
    send(&path, "video/mp4", &headers, truncate).await
}

fn described(state: &State, id: &str, upload: &Upload) -> Value {
    json!({
        "type": upload.content_type.split('/').next().unwrap_or("file"),
        "filename": upload.filename,
        "size": upload.size,
        "download_url": state.url(&format!("files/{id}/{}", upload.filename)),
    })
}

fn finish(state: &State, id: &str, mut upload: Upload) {
    upload.done = true;
    let mut inner = state.lock();
    record(
        &mut inner.received,
        UploadRecord {
            filename: upload.filename.clone(),
            content_type: upload.content_type.clone(),
            bytes: upload.size,
            url: state.url(&format!("files/{id}/{}", upload.filename)),
        },
    );
    inner.uploads.insert(id.to_owned(), upload);
}

/// A name that needs no escaping in an address.
fn plain(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        .take(100)
        .collect();
    if name.trim_matches('.').is_empty() {
        "file".into()
    } else {
        name
    }
}

/// Writes a body of at most `limit` bytes; leaves nothing behind where it fails.
async fn write<E: std::error::Error>(
    to: &Path,
    mut parts: impl Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    limit: u64,
) -> Result<u64, String> {
    let written = async {
        let mut file = tokio::fs::File::create(to)
            .await
            .map_err(|error| error.to_string())?;
        let mut bytes = 0;
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| error.to_string())?;
            bytes += part.len() as u64;
            if bytes > limit {
                return Err("too large".to_owned());
            }
            file.write_all(&part)
                .await
                .map_err(|error| error.to_string())?;
        }
        file.flush().await.map_err(|error| error.to_string())?;
        Ok(bytes)
    };
    let written = written.await;
    if written.is_err() {
        let _ = tokio::fs::remove_file(to).await;
    }
    written
}

/// Sends a file or the range asked for; `truncate`d, the connection ends half-way.
async fn send(path: &Path, content_type: &str, headers: &HeaderMap, truncate: bool) -> Response {
    let opened = async {
        let file = tokio::fs::File::open(path).await?;
        let length = file.metadata().await?.len();
        Ok::<_, std::io::Error>((file, length))
    };
    let Ok((mut file, length)) = opened.await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let asked = asked.map_or(Range::Whole, |text| Range::of(text, length));
    let (status, start, end) = match asked {
        Range::Whole => (StatusCode::OK, 0, length),
        Range::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Range::Unsatisfiable => {
            return (
                StatusCode::RANGE_NOT_SATISFIABLE,
                [(CONTENT_RANGE, format!("bytes */{length}"))],
            )
                .into_response();
        }
    };
    let promised = end - start;
    if file.seek(SeekFrom::Start(start)).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let sent = if truncate { promised / 2 } else { promised };
    let stream = ReaderStream::with_capacity(file.take(sent), 64 * 1024);
    // After what is sent an error, which makes the server end the connection.
    let broken = truncate.then(|| Err(std::io::ErrorKind::BrokenPipe.into()));
    let body = Body::from_stream(stream.chain(futures::stream::iter(broken)));
    let mut response = (status, body).into_response();
    let out = response.headers_mut();
    out.insert(CONTENT_LENGTH, promised.into());
    out.insert(ACCEPT_RANGES, http::HeaderValue::from_static("bytes"));
    if let Ok(value) = content_type.parse() {
        out.insert(CONTENT_TYPE, value);
    }
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = format!("bytes {start}-{}/{length}", end.saturating_sub(1)).parse()
    {
        out.insert(CONTENT_RANGE, value);
    }
    response
}
