//! Sessions of the console: what stands in a browser's cookie.
//!
//! A session is a signed note and no copy of the token: its random name, when it ends, and a
//! signature under a key that is made of the service's own and of the token. Nothing is kept for
//! it, so every instance knows it, and it opens no more once its token is not among the settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;

use crate::job::Timestamp;

const VERSION: &str = "1";
/// Sessions that were ended by hand and could still be shown: each some 50 bytes.
const MOST_SIGNED_OUT: usize = 10_000;

type Name = [u8; 16];

/// Makes and reads the sessions of one token.
#[derive(Clone)]
pub(super) struct Sealer([u8; 32]);

impl std::fmt::Debug for Sealer {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// A session under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    name: Name,
    ends_at_s: i64,
}

impl Session {
    pub(super) fn begin(ends_at: Timestamp) -> Self {
        Self {
            name: rand::rng().random(),
            ends_at_s: ends_at.as_second(),
        }
    }
}

impl Sealer {
    /// `token`: absent where the service asks for none.
    pub(super) fn new(key: &[u8], token: Option<&str>) -> Self {
        let about = match token {
            Some(token) => format!("console session\n{token}"),
            None => "open console".to_owned(),
        };
        Self(mac(key, &about))
    }

    /// What the cookie says.
    pub(super) fn seal(&self, session: &Session) -> String {
        let said = format!(
            "{VERSION}.{}.{}",
            session.ends_at_s,
            hex::encode(session.name)
        );
        let signature = hex::encode(mac(&self.0, &format!("seal {said}")));
        format!("{said}.{signature}")
    }

    /// The session, if it was made here for this token and has not ended.
    pub(super) fn open(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let (said, signature) = cookie.rsplit_once('.')?;
        let signature = hex::decode(signature).ok()?;
        verify(&self.0, &format!("seal {said}"), &signature)?;
        let mut parts = said.split('.');
        let (version, ends, name) = (parts.next()?, parts.next()?, parts.next()?);
        let session = Session {
            name: hex::decode(name).ok()?.try_into().ok()?,
            ends_at_s: ends.parse().ok()?,
        };
        (version == VERSION && now.as_second() < session.ends_at_s).then_some(session)
    }

    /// What a form of this session carries, so that no other site's page can send one.
    pub(super) fn form_token(&self, session: &Session) -> String {
        hex::encode(mac(&self.0, &format!("form {}", hex::encode(session.name))))
    }
}

fn keyed(key: &[u8], text: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    // HMAC takes keys of any length, so there always is one.
    keyed(key, text).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// In constant time.
fn verify(key: &[u8], text: &str, signature: &[u8]) -> Option<()> {
    keyed(key, text)?.verify_slice(signature).ok()
}

/// Sessions that were ended by hand. In memory: a cookie is dropped by its browser anyway, and
/// this is for one that was copied before.
#[derive(Debug, Clone, Default)]
pub(super) struct SignedOut(Arc<Mutex<HashMap<Name, i64>>>);

impl SignedOut {
    pub(super) fn add(&self, session: &Session, now: Timestamp) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, ends_at_s| now.as_second() < *ends_at_s);
        if ended.len() < MOST_SIGNED_OUT {
            ended.insert(session.name, session.ends_at_s);
        }
    }

    pub(super) fn holds(&self, session: &Session) -> bool {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.contains_key(&session.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_session_opens_under_its_token_until_its_end_and_says_nothing_of_the_token() {
        let sealer = Sealer::new(b"service", Some("token-of-alice"));
        let session = Session::begin(at(100));
        let cookie = sealer.seal(&session);
        assert!(!cookie.contains("alice"), "{cookie}");
        assert_eq!(sealer.open(&cookie, at(99)), Some(session));
        assert_eq!(sealer.open(&cookie, at(100)), None);
        for other in [
            Sealer::new(b"service", Some("another")),
            Sealer::new(b"service", None),
            Sealer::new(b"elsewhere", Some("token-of-alice")),
        ] {
            assert_eq!(other.open(&cookie, at(99)), None);
            assert_ne!(other.form_token(&session), sealer.form_token(&session));
        }
        for bad in ["", ".", "1.2", &cookie.replacen("1.100", "1.999", 1)] {
            assert_eq!(sealer.open(bad, at(99)), None, "{bad}");
        }
        // A form's token is no session.
        let forged = format!("1.999.{}.{}", "00".repeat(16), sealer.form_token(&session));
        assert_eq!(sealer.open(&forged, at(99)), None);
    }

    #[test]
    fn what_was_signed_out_is_kept_to_its_end() {
        let signed_out = SignedOut::default();
        let session = Session::begin(at(100));
        assert!(!signed_out.holds(&session));
        signed_out.add(&session, at(1));
        assert!(signed_out.holds(&session));
        signed_out.add(&Session::begin(at(300)), at(200));
        assert!(!signed_out.holds(&session), "its cookie opens no more");
    }
}
