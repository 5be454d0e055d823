//! The operator's marks and the visible label over a frame of a video that is not made yet.

use std::io::Read as _;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};

use super::visitor::{Visitor, settings};
use super::words;
use crate::http::{HttpState, Problem};
use crate::job::Code;
use crate::worker::{MarkPreview, Preview};

/// What a mark's picture may have.
const MOST: u64 = 16 << 20;
const BARE: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
const KEPT: HeaderValue = HeaderValue::from_static("private, max-age=300");

/// A frame of the result, drawn over the video.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) marks: Vec<Mark>,
    /// When marks are shown that are not always.
    pub(super) times: Vec<String>,
    /// What the visible label says, which is the last of the marks.
    pub(super) label: Option<String>,
}

pub(super) struct Mark {
    /// Its picture.
    pub(super) href: String,
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) opacity: String,
}

impl From<&Preview> for Frame {
    fn from(preview: &Preview) -> Self {
        let operators = preview.marks.iter().enumerate();
        let mut marks: Vec<Mark> = operators
            .map(|(place, mark)| drawn(mark, format!("/console/new/mark/{place}")))
            .collect();
        let mut times: Vec<String> = (preview.marks.iter())
            .filter_map(|mark| shown("The watermark", mark))
            .collect();
        if let Some(label) = &preview.label {
            // It is laid out for this answer only, so it comes with it. A picture inside of a page
            // runs nothing and asks for nothing.
            let drawing = STANDARD.encode(&label.drawing);
            let href = format!("data:image/svg+xml;base64,{drawing}");
            marks.push(drawn(&label.at, href));
            times.extend(shown("The label", &label.at));
        }
        Self {
            width: preview.width,
            height: preview.height,
            marks,
            times,
            label: preview.label.as_ref().map(|label| label.words.clone()),
        }
    }
}

fn drawn(mark: &MarkPreview, href: String) -> Mark {
    Mark {
        href,
        x: mark.at.x,
        y: mark.at.y,
        width: mark.at.width,
        height: mark.at.height,
        opacity: format!("{:.2}", mark.opacity),
    }
}

/// When a mark is shown that is not always.
fn shown(what: &str, mark: &MarkPreview) -> Option<String> {
    let second = |ms: u64| words::span(std::time::Duration::from_millis(ms));
    let from = second(mark.from_ms);
    match mark.until_ms {
        Some(until) if mark.from_ms == 0 => {
            Some(format!("{what} is shown for the first {}.", second(until)))
        }
        Some(until) => Some(format!("{what} is shown from {from} to {}.", second(until))),
        None if mark.from_ms > 0 => Some(format!("{what} is shown from {from} on.")),
        None => None,
    }
}

/// A mark's picture, by its place in the settings.
pub(super) async fn picture(
    State(state): State<HttpState>,
    Extension(_): Extension<Visitor>,
    Path(place): Path<usize>,
) -> Result<Response, Problem> {
    let input = settings(&state)?.marks.get(place).cloned();
    let input = input.ok_or_else(|| Problem::new(Code::NotFound))?;
    let unread = |error| Problem::new(Code::NotFound).because(error);
    let read = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        input.open()?.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let read = read.await.map_err(std::io::Error::other);
    let bytes = read.and_then(|read| read).map_err(unread)?;
    let kind = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        markup if markup.trim_ascii_start().starts_with(b"<") => "image/svg+xml",
        _ => return Err(Problem::new(Code::NotFound)),
    };
    let headers = [
        // A drawing may be opened by itself; nothing in it runs.
        (header::CONTENT_SECURITY_POLICY, BARE),
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, KEPT),
    ];
    Ok((headers, bytes).into_response())
}
