//! `[provenance]`: what results say of how they were made.

use super::reader::Reader;
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

pub(super) fn provenance(r: &mut Reader) -> Provenance {
    let usual = Provenance::default();
    Provenance {
        metadata: r.get_or("provenance.metadata", usual.metadata),
        sign: r.get_or("provenance.sign", usual.sign),
        model: r.get_or("provenance.model", usual.model),
        upscale_is_composite: r.get_or(
            "provenance.upscale_is_composite",
            usual.upscale_is_composite,
        ),
        provider: text(r, "provenance.provider"),
        aigc_producer: text(r, "provenance.aigc_producer"),
    }
}

pub(super) fn signing(r: &mut Reader) -> Option<Signing> {
    let certificate: Option<String> = r.get("provenance.certificate");
    let key: Option<Secret> = r.get("provenance.key");
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Signing { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            r.fault(
                "provenance.key",
                "is required beside provenance.certificate",
            );
            None
        }
        (None, Some(_)) => {
            r.fault(
                "provenance.certificate",
                "is required beside provenance.key",
            );
            None
        }
    }
}

/// One line of text.
fn text(r: &mut Reader, key: &str) -> Option<String> {
    let text: String = r.get(key)?;
    let plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if !plain || text.chars().count() > MOST_TEXT {
        r.fault(
            key,
            format!("must be one line of 1 to {MOST_TEXT} characters"),
        );
    }
    Some(text)
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
