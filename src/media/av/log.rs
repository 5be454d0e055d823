//! Captures libav's log, so that errors can say what it had to say.
//!
//! libav's error codes are one flat list without context; its log lines carry
//! the reason. The last few lines of each thread are kept in a thread-local
//! ring and otherwise go to `tracing` at debug level. Lines logged by codec
//! threads land in those threads' rings and are only traced.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ffmpeg_next::ffi;

/// Lines kept per thread: enough for a cause and its consequences.
const KEPT: usize = 8;
/// Repeated decoder complaints are cut to this length.
const LINE: usize = 512;

thread_local! {
    static RING: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

#[cfg(target_arch = "x86_64")]
type VaList = *mut ffi::__va_list_tag;
#[cfg(not(target_arch = "x86_64"))]
type VaList = ffi::va_list;

pub(super) fn install() {
    // SAFETY: the callback is a plain function that lives as long as the process.
    unsafe {
        ffi::av_log_set_level(ffi::AV_LOG_WARNING as c_int);
        ffi::av_log_set_callback(Some(capture));
    }
}

/// Forgets this thread's lines; called when an operation begins.
pub(crate) fn clear() {
    let _ = RING.try_with(|ring| {
        if let Ok(mut ring) = ring.try_borrow_mut() {
            ring.clear();
        }
    });
}

/// This thread's last lines, oldest first.
pub(crate) fn recent() -> Vec<String> {
    RING.try_with(|ring| ring.try_borrow().map(|ring| ring.iter().cloned().collect()))
        .ok()
        .and_then(Result::ok)
        .unwrap_or_default()
}

/// Whether one of this thread's last lines contains `needle`.
pub(super) fn mentions(needle: &str) -> bool {
    recent().iter().any(|line| line.contains(needle))
}

unsafe extern "C" fn capture(
    source: *mut c_void,
    level: c_int,
    format: *const c_char,
    arguments: VaList,
) {
    if level > ffi::AV_LOG_WARNING as c_int || format.is_null() {
        return;
    }
    let mut line = [0u8; LINE];
    let mut prefix: c_int = 1;
    // SAFETY: libav hands over a matching format and argument list; the buffer
    // is as long as stated and the call terminates it.
    unsafe {
        ffi::av_log_format_line2(
            source,
            level,
            format,
            arguments,
            line.as_mut_ptr().cast::<c_char>(),
            LINE as c_int,
            &mut prefix,
        );
    }
    // A panic must not cross the C frames above us.
    let _ = catch_unwind(AssertUnwindSafe(|| keep(&line)));
}

fn keep(line: &[u8]) {
    let end = line
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(line.len());
    let text = String::from_utf8_lossy(&line[..end]);
    let text = scrub(text.trim());
    if text.is_empty() {
        return;
    }
    tracing::debug!(target: "filmlab::media::libav", "{text}");
    let _ = RING.try_with(|ring| {
        if let Ok(mut ring) = ring.try_borrow_mut() {
            if ring.back().is_some_and(|last| *last == text) {
                return;
            }
            if ring.len() == KEPT {
                ring.pop_front();
            }
            ring.push_back(text);
        }
    });
}

/// Removes the object addresses of libav's prefixes: `[mov @ 0x55…] text`.
fn scrub(line: &str) -> String {
    match (line.find(" @ 0x"), line.find(']')) {
        (Some(at), Some(end)) if at < end => format!("{}{}", &line[..at], &line[end..]),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_removed() {
        assert_eq!(
            super::scrub("[mov,mp4 @ 0x55aa] moov atom not found"),
            "[mov,mp4] moov atom not found"
        );
        assert_eq!(super::scrub("plain"), "plain");
    }
}
