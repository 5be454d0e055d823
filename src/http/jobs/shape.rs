//! The form of texts in a request: one pattern each, for the parser and for the document alike.
//!
//! Patterns are written so that ECMA 262, Python and Rust read them the same: no `\s`, no `\d`,
//! no look-around.

use std::sync::LazyLock;

use regex::Regex;

use crate::job::inputs;

/// Characters, of an address or an object name.
pub(super) const MAX_ADDRESS_CHARS: usize = inputs::MAX_CHARS;
pub(super) const MAX_FCM_TOKEN_CHARS: usize = 4096;
/// Of one job.
pub(super) const MAX_TAGS: usize = 10;

/// What an `http(s)` address has after its scheme: a host, then anything but controls, spaces and
/// backslashes (which some clients read as slashes).
const AFTER_SCHEME: &str = r"://[^\x00-\x20\x7f\\/?#@]+([/?#][^\x00-\x20\x7f\\]*)?";
/// One part of an object's name: not empty, not `.` nor `..`, no controls.
const PART: &str = r"(?:[^/.\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]*|\.[^/.\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]*|\.\.[^/\x00-\x1f\x7f-\x9f]+)";
/// A device's registration token: FCM's have some 160 printable characters.
pub(super) const FCM_TOKEN: &str = "^[!-~]+$";
/// Percent of the frame's short side, or pixels; more than nothing.
pub(super) const SCALE: &str = r"^(?:(?:[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9])%|[1-9][0-9]{0,3}(?:\.[0-9]{1,3})?(?:px)?)$";
/// The same for letters, of the whole short side at most.
pub(super) const SIZE: &str = r"^(?:(?:100|[1-9][0-9]?(?:\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9])%|[1-9][0-9]{0,3}(?:\.[0-9]{1,3})?(?:px)?)$";
/// A colour, with or without its opacity.
pub(super) const COLOR: &str = "^#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$";
/// The same, or none.
pub(super) const PAINT: &str = "^(?:none|#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8}))$";
/// As `SCALE`, in either direction and zero too.
pub(super) const OFFSET: &str =
    r"^-?(?:[0-9]{1,3}(?:\.[0-9]{1,3})?%|[0-9]{1,4}(?:\.[0-9]{1,3})?(?:px)?)$";
/// The number of a track of sound, or a language as files write it: `deu`, `pt-BR`.
pub(super) const AUDIO_TRACK: &str =
    r"^(?:[1-9][0-9]{0,2}|[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,2})$";
/// A word of a caller's.
pub(super) const TAG_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,31}$";
/// The same in words.
pub(super) const TAG: &str =
    "must be 1 to 32 letters, digits, '_', '.', ':' and '-', and begin with one of the first two";
/// Bare, or the quoted string of the IETF's draft.
pub(super) const IDEMPOTENCY_KEY: &str = r#"^(?:"[ -~]{1,255}"|[!#-~]|[!#-~][ -~]{0,253}[!-~])$"#;

/// An address that is called. Without loopback only https is.
pub(super) fn address(allow_loopback: bool) -> String {
    format!("^{}$", address_inside(allow_loopback))
}

fn address_inside(allow_loopback: bool) -> String {
    let scheme = if allow_loopback {
        "[Hh][Tt][Tt][Pp][Ss]?"
    } else {
        "[Hh][Tt][Tt][Pp][Ss]"
    };
    format!("{scheme}{AFTER_SCHEME}")
}

/// An input: an address, or an upload.
pub(super) fn input(allow_loopback: bool) -> String {
    format!(
        "^(?:{}|(?:gs://[a-z0-9][a-z0-9._-]*/)?sources/[A-Za-z0-9_-]{{1,128}}(?:/{PART})+)$",
        address_inside(allow_loopback)
    )
}

macro_rules! fits {
    ($name:ident, $pattern:expr) => {
        pub(super) fn $name(text: &str) -> bool {
            // A pattern that does not compile fits nothing; the tests would see it.
            static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&$pattern).ok());
            REGEX.as_ref().is_some_and(|regex| regex.is_match(text))
        }
    };
}

fits!(fits_scale, SCALE);
fits!(fits_size, SIZE);
fits!(fits_color, COLOR);
fits!(fits_paint, PAINT);
fits!(fits_offset, OFFSET);
fits!(fits_audio_track, AUDIO_TRACK);
fits!(fits_fcm_token, FCM_TOKEN);
fits!(fits_tag, TAG_PATTERN);
fits!(fits_idempotency_key, IDEMPOTENCY_KEY);
// Which scheme is allowed is told in words of its own, so both are let through here.
fits!(fits_address, address(true));
fits!(fits_input, input(true));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_takes_what_it_should_and_nothing_else() {
        type Fits = fn(&str) -> bool;
        let cases: [(Fits, &[&str], &[&str]); 8] = [
            (
                fits_size,
                &["5%", "100%", "0.001%", "99.999%", "1", "9999.999px"],
                &["", "0", "0%", "100.1%", "101%", "5 %"],
            ),
            (
                fits_paint,
                &["none", "#fff", "#12aBcd", "#12aBcd80"],
                &["", "None", "#", "#ffff", "fff", "#ggg", "#fff\n"],
            ),
            (
                fits_tag,
                &["a", "9", "team:blue-1.x_y", &"x".repeat(32)],
                &["", "-a", "a b", "a/b", "ä", &"x".repeat(33)],
            ),
            (
                fits_offset,
                &["0", "-3%", "0.5px", "9999"],
                &["", "-", "+3", "1e3", "3 %", "10000"],
            ),
            (
                fits_scale,
                &["15%", "0.5%", "999.999%", "24", "24px", "9999.5px", "1"],
                &[
                    "", "0", "0%", "0.0%", "-3%", "1e3", "1000%", "10000", "15 %", "24em", "24px\n",
                ],
            ),
            (
                fits_input,
                &[
                    "https://a.example/v.mp4",
                    "HTTPS://a.example:8443?x=1#y",
                    "https://a.example/ü.mp4",
                    "sources/u1/v.mp4",
                    "sources/u1/.hidden",
                    "sources/u1/..more/v 1.mp4",
                    "gs://bucket-1/sources/u1/v.mp4",
                ],
                &[
                    "",
                    "v.mp4",
                    "sources/u1",
                    "sources/u1/",
                    "sources//x",
                    "sources/u1/../x",
                    "sources/u1/./x",
                    "sources/u 1/x",
                    "https:a.example",
                    "https://",
                    "https://u:p@a.example/",
                    "https://a.example\\b",
                    " https://a.example/",
                    "https://a.example/v.mp4\n",
                    "ftp://a.example/",
                    "gs:///sources/u1/v.mp4",
                ],
            ),
            (
                fits_fcm_token,
                &["abc:DEF-_", "~"],
                &["", "a b", "ä", "a\n"],
            ),
            (
                fits_idempotency_key,
                &["a", "a b", "\"a\"", "\" \"", "a\""],
                &["", "\"", "\"\"", "\"a", "a ", "ä", "a\nb"],
            ),
        ];
        for (fits, good, bad) in cases {
            for text in good {
                assert!(fits(text), "{text:?}");
            }
            for text in bad {
                assert!(!fits(text), "{text:?}");
            }
        }
        assert!(fits_idempotency_key(&"k".repeat(255)) && !fits_idempotency_key(&"k".repeat(256)));
    }
}
