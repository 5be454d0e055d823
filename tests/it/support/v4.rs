//! A verifier of signed links that shares no code with the signer.

use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

/// Checks a V4-signed link as Google's documentation says it is checked, from the address alone.
/// <https://cloud.google.com/storage/docs/authentication/canonical-requests>
pub(crate) fn verify(
    url: &url::Url,
    method: &str,
    public: &[u8],
    now: jiff::Timestamp,
) -> Result<(), String> {
    let (rest, signature) = url
        .query()
        .and_then(|query| query.split_once("&X-Goog-Signature="))
        .ok_or("no signature at the end")?;
    let mut pairs: Vec<&str> = rest.split('&').collect();
    pairs.sort_unstable();
    let value = |name: &str| {
        let pair = pairs
            .iter()
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        let text = pair.ok_or(format!("no {name}"))?;
        Ok::<_, String>(percent_decode_str(text).decode_utf8_lossy().into_owned())
    };
    if value("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" || value("X-Goog-SignedHeaders")? != "host"
    {
        return Err("another algorithm".into());
    }
    // Reserved characters must be written out, or Google's own form of the path differs.
    let written = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b))
    };
    if !written(url.path()) {
        return Err(format!("the path is not in canonical form: {}", url.path()));
    }
    let query = pairs
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = |text: &str| {
                let text = text.replace('+', " ");
                let plain = percent_decode_str(&text).collect::<Vec<u8>>();
                percent_encoding::percent_encode(&plain, STRICT).to_string()
            };
            format!("{}={}", again(name), again(value))
        })
        .collect::<Vec<_>>()
        .join("&");
    let host = url.host_str().unwrap_or_default();
    let canonical = format!(
        "{method}\n{}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
        url.path()
    );
    let (date, credential) = (value("X-Goog-Date")?, value("X-Goog-Credential")?);
    let (_, scope) = credential.split_once('/').ok_or("no scope")?;
    if scope != format!("{}/auto/storage/goog4_request", &date[..8]) {
        return Err(format!("scope {scope}"));
    }
    let text = format!(
        "GOOG4-RSA-SHA256\n{date}\n{scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        public,
    );
    key.verify(
        text.as_bytes(),
        &hex::decode(signature).map_err(|e| e.to_string())?,
    )
    .map_err(|_| "the signature does not fit")?;
    let made = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &date)
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|error| error.to_string())?
        .timestamp();
    let seconds: i64 = value("X-Goog-Expires")?.parse().map_err(|_| "no expiry")?;
    if now > made + jiff::SignedDuration::from_secs(seconds) {
        return Err("expired".into());
    }
    Ok(())
}

const STRICT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
