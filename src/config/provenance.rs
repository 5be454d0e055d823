//! `[provenance]`: what results say of how they were made.

use std::time::Duration;

use url::Url;

use super::hidden::Hidden;
use super::reader::Reader;
use super::table::{Keyed as _, Open, Setting, settings};
use crate::fields::{Bounds, Flag, Form, Parsed, Span, Text, Word};
use crate::job::{Label, LabelChoice, Provenance};
use crate::media::{Anchor, Fonts, LEAST_LABEL_MS, LabelLanguage, MOST_LABEL};
use crate::secret::Secret;

/// A key and its certificates; these are PEM, or where a file of it is.
#[derive(Debug, Clone)]
pub struct Signing {
    pub certificate: String,
    pub key: SigningKey,
}

#[derive(Debug, Clone)]
pub enum SigningKey {
    /// PEM, or where a file of it is.
    Pem(Secret),
    /// A version of a key in Cloud KMS.
    Kms {
        /// `projects/…/cryptoKeyVersions/…`.
        version: String,
        /// Another server than Google's.
        endpoint: Option<Url>,
    },
}

/// Who tells the time of a signature (RFC 3161).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStamps {
    pub url: Url,
    /// Without a time stamp, nothing is signed.
    pub required: bool,
}

/// Longest text that goes into a file, in characters.
const MOST_TEXT: usize = 200;

const USUAL: Provenance = Provenance::USUAL;

settings! { PROVENANCE of "provenance" {
    METADATA: Setting<Flag> = "metadata", Flag, USUAL.metadata,
        "whether the file says anything";
    SIGN: Setting<Flag> = "sign", Flag, USUAL.sign,
        "whether results are signed, if there is a key";
    CERTIFICATE: Open<Text> = "certificate", Text("text, or a file"),
        "none; one machine makes its own",
        "a chain of certificates, the signer's first: PEM, or a file of it";
    KEY: Open<Hidden> = "key", Hidden, "none; the same",
        "its key, P-256 in PKCS #8: PEM, or a file of it";
    KMS_KEY: Open<Text> = "kms_key", Text("text"), "none",
        "instead of `provenance.key`, a version of a key in Cloud KMS: \
         `projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…`";
    KMS_ENDPOINT: Open<Parsed<Url>> = "kms_endpoint", Parsed::new("address"), "Google's",
        "another server, for stand-ins";
    TIMESTAMP_URL: Open<Parsed<Url>> = "timestamp_url", Parsed::new("address"), "none",
        "a time stamp authority (RFC 3161) that stamps each signature";
    TIMESTAMP_REQUIRED: Setting<Flag> = "timestamp_required", Flag, false,
        "without a time stamp, nothing is signed";
    MODEL: Setting<Flag> = "model", Flag, USUAL.model, "whether the model of a job is named";
    UPSCALE_IS_COMPOSITE: Setting<Flag> = "upscale_is_composite", Flag,
        USUAL.upscale_is_composite,
        "an upscale is called made in part by a model, not enhanced by one";
    PROVIDER: Open<Line> = "provider", Line, "none", "who answers for the service";
    AIGC_PRODUCER: Open<Line> = "aigc_producer", Line, "none",
        "the producer in the entry `AIGC`; without it there is no entry";
    LABEL: Open<LabelWords> = "label", LabelWords, "`off`",
        "the [visible label](provenance.md#the-visible-label)";
    LABEL_LANGUAGE: Setting<Word<LabelLanguage>> = "label_language", Word::new(),
        LabelLanguage::En, "the language of its words where they are not your own";
    LABEL_ANCHOR: Setting<Word<Anchor>> = "label_anchor", Word::new(), Anchor::TopLeft,
        "where it is";
    LABEL_TIME: Open<Span> = "label_time", Span(Bounds::AtLeast(Duration::from_millis(LEAST_LABEL_MS))),
        "to the end", "how long it is shown, from the start";
}}

/// What results say, and what a label would be that is switched on.
pub(super) fn provenance(r: &mut Reader, fonts: &Fonts) -> (Provenance, Label) {
    let anchor = r.value(&LABEL_ANCHOR);
    let time = r.given(&LABEL_TIME);
    let usual = Label {
        words: r.value(&LABEL_LANGUAGE).words().to_owned(),
        anchor: Some(anchor.to_string()),
        until_ms: time.map(|time| time.as_millis() as u64),
    };
    let label = r.given(&LABEL).unwrap_or(LabelChoice::Off).label(&usual);
    if let Some(label) = &label
        && let Err(error) = fonts.label(&label.words, anchor, label.until_ms)
    {
        r.fault(&LABEL.key(), error.to_string());
    }
    let said = Provenance {
        metadata: r.value(&METADATA),
        sign: r.value(&SIGN),
        model: r.value(&MODEL),
        upscale_is_composite: r.value(&UPSCALE_IS_COMPOSITE),
        provider: r.given(&PROVIDER),
        aigc_producer: r.given(&AIGC_PRODUCER),
        label,
    };
    (said, usual)
}

/// `off`, `on`, or words.
#[derive(Debug)]
pub(super) struct LabelWords;

impl Form for LabelWords {
    type Value = LabelChoice;

    fn of_text(&self, text: &str) -> Result<LabelChoice, String> {
        match text.to_ascii_lowercase().as_str() {
            // As a flag may be written, too.
            "false" | "no" => return Ok(LabelChoice::Off),
            "true" | "yes" => return Ok(LabelChoice::On),
            _ => {}
        }
        if (1..=MOST_LABEL).contains(&text.trim().chars().count()) {
            return Ok(LabelChoice::of(text.trim()));
        }
        Err(format!(
            "must be off, on, or 1 to {MOST_LABEL} characters of your own"
        ))
    }

    fn takes(&self) -> String {
        format!("`off`, `on`, or one line of your own of at most {MOST_LABEL} characters")
    }

    fn shown(&self, value: &LabelChoice) -> String {
        format!("{value:?}")
    }
}

pub(super) fn signing(r: &mut Reader) -> Option<Signing> {
    let (certificate, pem) = (r.given(&CERTIFICATE), r.given(&KEY));
    let (version, endpoint) = (r.given(&KMS_KEY), r.given(&KMS_ENDPOINT));
    if pem.is_some() && version.is_some() {
        let message = format!("does not go with {}", KEY.key());
        r.fault(&KMS_KEY.key(), message);
    }
    if version
        .as_ref()
        .is_some_and(|name: &String| !is_version(name))
    {
        let form = "must be projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…";
        r.fault(&KMS_KEY.key(), form);
    }
    let key = version.map(|version| SigningKey::Kms { version, endpoint });
    let (missing, beside) = match (certificate, key.or(pem.map(SigningKey::Pem))) {
        (Some(certificate), Some(key)) => return Some(Signing { certificate, key }),
        (None, None) => return None,
        (Some(_), None) => (KEY.key(), CERTIFICATE.key()),
        (None, Some(_)) => (CERTIFICATE.key(), "the key".to_owned()),
    };
    r.fault(&missing, format!("is required beside {beside}"));
    None
}

/// Whether it names one version of a key.
fn is_version(name: &str) -> bool {
    const PARTS: [&str; 5] = [
        "projects",
        "locations",
        "keyRings",
        "cryptoKeys",
        "cryptoKeyVersions",
    ];
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    let parts: Vec<&str> = name.split('/').collect();
    let mut named = parts.chunks(2).zip(PARTS);
    parts.len() == 2 * PARTS.len()
        && named.all(|(part, wanted)| {
            part[0] == wanted && !part[1].is_empty() && part[1].chars().all(of_name)
        })
}

pub(super) fn time_stamps(r: &mut Reader) -> Option<TimeStamps> {
    let (required, url) = (r.value(&TIMESTAMP_REQUIRED), r.given(&TIMESTAMP_URL));
    match url {
        // What it sends is signed, so that its address need not be secret.
        Some(url) if matches!(url.scheme(), "http" | "https") => Some(TimeStamps { url, required }),
        Some(_) => {
            r.fault(&TIMESTAMP_URL.key(), "must begin with http:// or https://");
            None
        }
        None if required => {
            r.fault(
                &TIMESTAMP_URL.key(),
                "is required with provenance.timestamp_required",
            );
            None
        }
        None => None,
    }
}

/// One line of text.
#[derive(Debug)]
pub(super) struct Line;

impl Form for Line {
    type Value = String;

    fn of_text(&self, text: &str) -> Result<String, String> {
        let plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
        if plain && text.chars().count() <= MOST_TEXT {
            return Ok(text.to_owned());
        }
        Err(format!("must be one line of 1 to {MOST_TEXT} characters"))
    }

    fn takes(&self) -> String {
        format!("one line of 1 to {MOST_TEXT} characters")
    }

    fn shown(&self, value: &String) -> String {
        format!("`{value}`")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Sources};
    use crate::job::Provenance;

    fn load(settings: &str) -> Result<Provenance, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("filmlab.toml");
        std::fs::write(&file, settings).unwrap();
        Config::load(&Sources {
            file: Some(file),
            ..Sources::default()
        })
        .map(|config| config.provenance)
        .map_err(|faults| faults.into_iter().map(|fault| fault.key).collect())
    }

    #[test]
    fn results_say_what_they_are_unless_told_not_to() {
        let usual = load("").unwrap();
        assert!(usual.metadata && usual.sign && usual.model && !usual.upscale_is_composite);
        assert_eq!((usual.provider, usual.aigc_producer), (None, None));
        let told = load("[provenance]\nmetadata = false\nprovider = 'A & B'").unwrap();
        assert_eq!(
            (told.metadata, told.provider.as_deref()),
            (false, Some("A & B"))
        );
    }

    #[test]
    fn a_label_is_one_word_away() {
        assert_eq!(load("").unwrap().label, None);
        let label = |settings: &str| {
            let settings = format!("[provenance]\n{settings}");
            load(&settings).map(|said| said.label)
        };
        for on in ["'on'", "true"] {
            let on = label(&format!("label = {on}")).unwrap().unwrap();
            assert_eq!((on.words.as_str(), on.until_ms), ("AI-generated", None));
        }
        assert_eq!(label("label = false").unwrap(), None);
        let zh =
            "label = 'on'\nlabel_language = 'zh'\nlabel_time = '3s'\nlabel_anchor = 'top-right'";
        let zh = label(zh).unwrap().unwrap();
        assert_eq!((zh.words.as_str(), zh.until_ms), ("AI生成", Some(3000)));
        assert_eq!(zh.anchor.as_deref(), Some("top-right"));
        let own = label("label = 'Made with a model'").unwrap().unwrap();
        assert_eq!(own.words, "Made with a model");
        for (bad, key) in [
            ("label = '日'", "label"),
            ("label = ' '", "label"),
            ("label = 'WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW'", "label"),
            ("label = 'on'\nlabel_time = '1s'", "label_time"),
            ("label_language = 'xx'", "label_language"),
        ] {
            let faults = label(bad).unwrap_err();
            assert_eq!(faults, [format!("provenance.{key}")], "{bad}");
        }
    }

    #[test]
    fn a_key_and_its_certificate_belong_together() {
        for (file, key) in [
            ("certificate = 'a.pem'", "provenance.key"),
            ("key = 'a.pem'", "provenance.certificate"),
            (
                "certificate = 'a.pem'\nkms_key = 'my-key'",
                "provenance.kms_key",
            ),
            ("timestamp_required = true", "provenance.timestamp_url"),
            ("timestamp_url = 'ftp://a'", "provenance.timestamp_url"),
        ] {
            let faults = load(&format!("[provenance]\n{file}")).unwrap_err();
            assert_eq!(faults, [key]);
        }
        assert!(load("[provenance]\nkey = 'a'\ncertificate = 'b'").is_ok());
    }

    #[test]
    fn what_goes_into_files_is_one_line() {
        let long = "x".repeat(201);
        for bad in ["", "  ", "a\\nb", "a\\u0000", &long] {
            let file = format!("[provenance]\nprovider = \"{bad}\"\naigc_producer = \"{bad}\"");
            let faults = load(&file).unwrap_err();
            assert_eq!(faults, ["provenance.provider", "provenance.aigc_producer"]);
        }
    }
}
