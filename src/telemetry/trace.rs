//! Which trace a request belongs to.

use http::HeaderMap;

/// As the caller, or Google's front end, says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: Option<String>,
    pub sampled: bool,
}

impl TraceContext {
    /// W3C's `traceparent`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        traceparent(text)
    }

    /// The same as a `traceparent`, where it names a span.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let span = self.span_id.as_ref()?;
        let flags = u8::from(self.sampled);
        Some(format!("00-{}-{span}-{flags:02x}", self.trace_id))
    }

    /// W3C's `traceparent`, else Google's older `X-Cloud-Trace-Context`.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        text("traceparent")
            .and_then(traceparent)
            .or_else(|| text("x-cloud-trace-context").and_then(cloud_trace))
    }
}

/// `00-TRACE-SPAN-FLAGS`; later versions may have more parts.
fn traceparent(text: &str) -> Option<TraceContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !is_hex(version, 2) || version == "ff" || !is_id(trace, 32) || !is_id(span, 16) {
        return None;
    }
    let flags = is_hex(flags, 2).then(|| u8::from_str_radix(flags, 16).ok())??;
    Some(TraceContext {
        trace_id: trace.to_owned(),
        span_id: Some(span.to_owned()),
        sampled: flags & 1 == 1,
    })
}

/// `TRACE/SPAN;o=1`, the span a decimal number.
fn cloud_trace(text: &str) -> Option<TraceContext> {
    let (ids, options) = text.trim().split_once(';').unwrap_or((text.trim(), ""));
    let (trace, span) = ids.split_once('/').unwrap_or((ids, ""));
    if !is_id(&trace.to_ascii_lowercase(), 32) {
        return None;
    }
    let span = span.parse::<u64>().ok().filter(|span| *span != 0);
    Some(TraceContext {
        trace_id: trace.to_ascii_lowercase(),
        span_id: span.map(|span| format!("{span:016x}")),
        sampled: options.trim() == "o=1",
    })
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|b| b != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(pairs: &[(&'static str, &str)]) -> Option<TraceContext> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        TraceContext::read(&headers)
    }

    #[test]
    fn the_standard_header_goes_before_google_s() {
        let found = read(&[
            ("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01")),
            (
                "x-cloud-trace-context",
                "105445aa7843bc8bf206b12000100000/1;o=0",
            ),
        ]);
        let expected = TraceContext {
            trace_id: TRACE.into(),
            span_id: Some("00f067aa0ba902b7".into()),
            sampled: true,
        };
        assert_eq!(found, Some(expected));
        let found = read(&[
            ("traceparent", "nonsense"),
            ("x-cloud-trace-context", &format!("{TRACE}/255;o=1")),
        ])
        .unwrap();
        assert_eq!(
            (found.span_id.as_deref(), found.sampled),
            (Some("00000000000000ff"), true)
        );
        let found = read(&[("x-cloud-trace-context", TRACE)]).unwrap();
        assert_eq!((found.span_id, found.sampled), (None, false));
    }

    #[test]
    fn what_is_no_trace_is_none() {
        for text in [
            "",
            "00",
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}\"-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(read(&[("traceparent", text)]), None, "{text}");
        }
        for text in ["", "x/1", "../../x;o=1", &TRACE[1..]] {
            assert_eq!(read(&[("x-cloud-trace-context", text)]), None, "{text}");
        }
    }
}
