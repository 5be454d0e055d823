//! What is wanted of a certificate (RFC 5280): from when to when it is good, whose it is, its key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What a sequence is marked with in DER.
pub(super) const SEQUENCE: u8 = 0x30;

/// The name of a holder: its common name, or that of its organisation.
const NAMES: [[u8; 3]; 2] = [[0x55, 4, 3], [0x55, 4, 10]];

/// Of a certificate, as far as it is wanted.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    pub from: Timestamp,
    pub until: Timestamp,
    pub holder: Option<&'a str>,
    key: &'a [u8],
}

/// One value: its tag, its content, and what follows it.
pub(super) fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
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

/// Reads a certificate; `None` where it is none.
pub(super) fn read(der: &[u8]) -> Option<Certificate<'_>> {
    let (certificate, _) = sequence(der)?;
    let (mut rest, _) = sequence(certificate)?;
    // The version is not always there; then come number, algorithm and issuer.
    if rest.first() == Some(&0xa0) {
        (_, _, rest) = value(rest)?;
    }
    for _ in 0..3 {
        (_, _, rest) = value(rest)?;
    }
    let (times, rest) = sequence(rest)?;
    let (tag, from, until) = value(times)?;
    let from = time(tag, from)?;
    let (tag, until, _) = value(until)?;
    let until = time(tag, until)?;
    let (holder, rest) = sequence(rest)?;
    let (key, _) = sequence(rest)?;
    let (_, _, key) = value(key)?;
    let (_, key, _) = value(key)?;
    // A string of bits says first how many of the last byte are unused.
    let (_, key) = key.split_first()?;
    Some(Certificate {
        from,
        until,
        holder: NAMES.iter().find_map(|name| name_of(holder, name)),
        key,
    })
}

/// Begin and end of a certificate's time; `None` where it is none.
pub(super) fn times(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    read(der).map(|certificate| (certificate.from, certificate.until))
}

/// A part of a distinguished name.
fn name_of<'a>(mut parts: &'a [u8], wanted: &[u8]) -> Option<&'a str> {
    while !parts.is_empty() {
        let (_, set, rest) = value(parts)?;
        let (pair, _) = sequence(set)?;
        let (_, kind, text) = value(pair)?;
        if kind == wanted {
            return std::str::from_utf8(value(text)?.1).ok();
        }
        parts = rest;
    }
    None
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

impl Certificate<'_> {
    /// Whether its key signed the message; `None` where the algorithm, by COSE's number −1 − `number`,
    /// is not known.
    pub(super) fn verifies(&self, number: u64, message: &[u8], signature: &[u8]) -> Option<bool> {
        let algorithm: &'static dyn VerificationAlgorithm = match number {
            6 => &ECDSA_P256_SHA256_FIXED,
            34 => &ECDSA_P384_SHA384_FIXED,
            35 => &ECDSA_P521_SHA512_FIXED,
            36 => &RSA_PSS_2048_8192_SHA256,
            37 => &RSA_PSS_2048_8192_SHA384,
            38 => &RSA_PSS_2048_8192_SHA512,
            7 => &ED25519,
            _ => return None,
        };
        let key = UnparsedPublicKey::new(algorithm, self.key);
        Some(key.verify(message, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_certificate() {
        for bytes in [
            &b""[..],
            &[0x30],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30; 64],
        ] {
            assert!(read(bytes).is_none());
        }
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_its_key_verifies() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "somebody");
        params.not_after = rcgen::date_time_ymd(2050, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let found = read(made.der()).unwrap();
        assert_eq!(found.until.to_string(), "2050-01-02T00:00:00Z");
        assert!(found.holder.is_some());
        assert_eq!(found.key, key.public_key_raw());
        assert_eq!(found.verifies(6, b"message", &[1; 64]), Some(false));
        assert_eq!(found.verifies(99, b"message", &[1; 64]), None);
    }
}
