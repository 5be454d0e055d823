//! The one range of a file that a `Range` header asks for (RFC 9110, 14.2).

use http_range_header::{RangeUnsatisfiableError, parse_range_header};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// No range, several, or one that need not be understood: a server may ignore them all.
    Whole,
    /// The first byte, and the one behind the last.
    Part(u64, u64),
    /// It lies outside the file: answered with 416.
    Unsatisfiable,
}

impl Range {
    /// What a header asks of a file of so many bytes.
    pub(crate) fn of(header: &str, bytes: u64) -> Self {
        let parts = parse_range_header(header).and_then(|ranges| ranges.validate(bytes));
        match parts.as_deref() {
            Ok([part]) => Self::Part(*part.start(), part.end().saturating_add(1)),
            Err(RangeUnsatisfiableError::Unsatisfiable) => Self::Unsatisfiable,
            Ok(_) | Err(_) => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Range::{self, Part, Unsatisfiable, Whole};

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (text, bytes, range) in [
            ("bytes=0-0", 10, Part(0, 1)),
            ("bytes=2-5", 10, Part(2, 6)),
            ("bytes=2-", 10, Part(2, 10)),
            ("bytes=-3", 10, Part(7, 10)),
            ("bytes=-30", 10, Part(0, 10)),
            ("bytes=9-99", 10, Part(9, 10)),
            ("bytes=9-18446744073709551615", 10, Part(9, 10)),
            // Of several, those that are outside do not count.
            ("bytes=0-1,30-40", 10, Part(0, 2)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-12", 10, Unsatisfiable),
            ("bytes=20-22,30-40", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            // The only range that an empty file has.
            ("bytes=-1", 0, Whole),
            ("bytes=5-2", 10, Whole),
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=", 10, Whole),
            ("lines=0-1", 10, Whole),
        ] {
            assert_eq!(Range::of(text, bytes), range, "{text}");
        }
    }
}
