//! Time stamps of an authority (RFC 3161): what is asked, and what an answer must be.

use super::certificate::{SEQUENCE, value};

/// Longest token that is taken. Those of public authorities, with their certificates, have some 6 KB.
pub const MOST_STAMP: usize = 12 << 10;

const NUMBER: u8 = 0x02;

/// The request for a digest (SHA-256), DER. It asks for the authority's certificates too. `nonce` keeps
/// an old answer from being taken for this one.
#[must_use]
pub fn stamp_query(digest: &[u8; 32], nonce: u64) -> Vec<u8> {
    /// The algorithm's number and its empty parameters.
    const SHA256: [u8; 15] = [
        SEQUENCE, 13, 6, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 5, 0,
    ];
    let imprint = [&SHA256[..], &[4, 32], digest].concat();
    let mut query = vec![NUMBER, 1, 1, SEQUENCE, imprint.len() as u8];
    query.extend(imprint);
    query.extend(number(nonce));
    // It is true that certificates are wanted.
    query.extend([1, 1, 0xff]);
    [&[SEQUENCE, query.len() as u8][..], &query].concat()
}

/// A number that is not negative.
fn number(nonce: u64) -> Vec<u8> {
    [&[NUMBER, 9, 0][..], &(nonce | 1 << 63).to_be_bytes()].concat()
}

/// The token of an answer, if it is one for this digest.
///
/// # Errors
/// In words, what it is instead.
pub fn stamp_of(answer: &[u8], digest: &[u8; 32], nonce: u64) -> Result<Vec<u8>, String> {
    let damaged = || "the answer is no time stamp".to_owned();
    let (tag, answer, _) = value(answer).ok_or_else(damaged)?;
    let (of_status, status, token) = value(answer).ok_or_else(damaged)?;
    let (of_number, status, _) = value(status).ok_or_else(damaged)?;
    if (tag, of_status, of_number) != (SEQUENCE, SEQUENCE, NUMBER) {
        return Err(damaged());
    }
    // Granted, and granted with changes.
    if !matches!(status, [0 | 1]) {
        return Err(format!("the authority refuses, with status {status:?}"));
    }
    let (tag, _, rest) = value(token).ok_or_else(damaged)?;
    let token = &token[..token.len() - rest.len()];
    let has = |part: &[u8]| token.windows(part.len()).any(|found| found == part);
    if tag != SEQUENCE || !has(digest) || !has(&number(nonce)) {
        return Err("the answer is for something else".to_owned());
    }
    if token.len() > MOST_STAMP {
        return Err(format!("the time stamp has more than {MOST_STAMP} bytes"));
    }
    Ok(token.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_for_this_question_or_none() {
        let (digest, nonce) = ([7; 32], 5);
        let token = |digest: &[u8], nonce| {
            let content = [&[4, 32][..], digest, &number(nonce)].concat();
            [&[SEQUENCE, content.len() as u8][..], &content].concat()
        };
        let answer = |status: u8, token: &[u8]| {
            let content = [&[SEQUENCE, 3, NUMBER, 1, status][..], token].concat();
            [&[SEQUENCE, content.len() as u8][..], &content].concat()
        };
        let good = token(&digest, nonce);
        assert_eq!(
            stamp_of(&answer(0, &good), &digest, nonce),
            Ok(good.clone())
        );
        for (wrong, why) in [
            (answer(2, &good), "refuses"),
            (answer(0, &token(&[8; 32], nonce)), "something else"),
            (answer(0, &token(&digest, 6)), "something else"),
            (answer(0, &[]), "no time stamp"),
            (b"<html>".to_vec(), "no time stamp"),
            (Vec::new(), "no time stamp"),
        ] {
            let told = stamp_of(&wrong, &digest, nonce).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        let query = stamp_query(&digest, nonce);
        assert_eq!(query[1] as usize, query.len() - 2);
    }
}
