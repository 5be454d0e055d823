//! From when to when a certificate is good (RFC 5280), of the few bytes of DER that say so.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;

/// One value: its tag, its content, and what follows it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0_usize, |all, byte| all << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    value(der)
        .filter(|(tag, ..)| *tag == SEQUENCE)
        .map(|(_, content, rest)| (content, rest))
}

/// Begin and end of a certificate's time; `None` where it is none.
pub(super) fn times(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = sequence(certificate)?;
    let (mut rest, _) = sequence(certificate)?;
    // The version is not always there; then come number, algorithm and issuer.
    if rest.first() == Some(&0xa0) {
        (_, _, rest) = value(rest)?;
    }
    for _ in 0..3 {
        (_, _, rest) = value(rest)?;
    }
    let (times, _) = sequence(rest)?;
    let (tag, from, rest) = value(times)?;
    let from = time(tag, from)?;
    let (tag, until, _) = value(rest)?;
    Some((from, time(tag, until)?))
}

fn time(tag: u8, bytes: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(bytes).ok()?;
    let time = match tag {
        // Two digits of the year stand for 1950 to 2049.
        0x17 => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            let century = if year < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        0x18 => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_ends_at_no_time() {
        for bytes in [
            &b""[..],
            &[0x30],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30; 64],
        ] {
            assert_eq!(times(bytes), None);
        }
    }
}
