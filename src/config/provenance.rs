//! `[provenance]`: what results say of how they were made.

use super::hidden::Hidden;
use super::reader::Reader;
use super::table::{Keyed as _, Open, Setting, settings};
use crate::fields::{Flag, Form, Text};
use crate::job::Provenance;
use crate::secret::Secret;

/// A key and its certificates: PEM, or where a file of it is.
#[derive(Debug, Clone)]
pub struct Signing {
    pub certificate: String,
    pub key: Secret,
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
    MODEL: Setting<Flag> = "model", Flag, USUAL.model, "whether the model of a job is named";
    UPSCALE_IS_COMPOSITE: Setting<Flag> = "upscale_is_composite", Flag,
        USUAL.upscale_is_composite,
        "an upscale is called made in part by a model, not enhanced by one";
    PROVIDER: Open<Line> = "provider", Line, "none", "who answers for the service";
    AIGC_PRODUCER: Open<Line> = "aigc_producer", Line, "none",
        "the producer in the entry `AIGC`; without it there is no entry";
}}

pub(super) fn provenance(r: &mut Reader) -> Provenance {
    Provenance {
        metadata: r.value(&METADATA),
        sign: r.value(&SIGN),
        model: r.value(&MODEL),
        upscale_is_composite: r.value(&UPSCALE_IS_COMPOSITE),
        provider: r.given(&PROVIDER),
        aigc_producer: r.given(&AIGC_PRODUCER),
    }
}

pub(super) fn signing(r: &mut Reader) -> Option<Signing> {
    let (certificate, key) = (r.given(&CERTIFICATE), r.given(&KEY));
    let (missing, beside) = match (certificate, key) {
        (Some(certificate), Some(key)) => return Some(Signing { certificate, key }),
        (None, None) => return None,
        (Some(_), None) => (KEY.key(), CERTIFICATE.key()),
        (None, Some(_)) => (CERTIFICATE.key(), KEY.key()),
    };
    r.fault(&missing, format!("is required beside {beside}"));
    None
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
    fn a_key_and_its_certificate_belong_together() {
        for (file, key) in [
            ("certificate = 'a.pem'", "provenance.key"),
            ("key = 'a.pem'", "provenance.certificate"),
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
