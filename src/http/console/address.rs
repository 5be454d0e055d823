//! Addresses within the console.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const HOME: &str = "/console";
/// What stands for itself in a query's value.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// As a value of a query.
pub(super) fn value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// Where somebody wanted to go, if that is a page of the console; else its first page. A name of
/// another host never passes.
pub(super) fn within(asked: &str) -> &str {
    let plain = asked
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let inside = asked.strip_prefix(HOME).is_some_and(|rest| {
        (rest.is_empty() || rest.starts_with(['/', '?'])) && !rest.contains("//")
    });
    if plain && inside && asked.len() <= 2_000 {
        asked
    } else {
        HOME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for fine in ["/console", "/console?status=failed", "/console/jobs/01x"] {
            assert_eq!(within(fine), fine);
        }
        for foreign in [
            "",
            "/",
            "//evil.example",
            "https://evil.example/console",
            "/console@evil.example",
            "/console//evil.example",
            "/console/\\evil.example",
            "/consoles",
            "/console/a\r\nSet-Cookie: x",
            &format!("/console/{}", "x".repeat(3_000)),
        ] {
            assert_eq!(within(foreign), HOME, "{foreign}");
        }
    }
}
