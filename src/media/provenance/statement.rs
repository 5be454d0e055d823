//! What is written into a file: its boxes, ready.

use std::sync::Arc;

use super::cose::Signer;
use super::following::Following;
use super::made::Made;
use super::signing::Signing;
use super::terms::{Provenance, ProvenanceInfo};
use super::{aigc, xmp};

/// What goes into a file beside its index and its media.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    /// Whole boxes at the top of the file, before the media.
    pub boxes: Vec<u8>,
    /// The entry `AIGC` of the index.
    pub aigc: Option<String>,
    /// What signs for the file.
    pub signing: Option<Signing>,
    /// Inputs that are held against their manifests while the file is made.
    pub inputs: Vec<Following>,
}

impl Statement {
    /// Of a result that is made of a file which says `brought`.
    pub(crate) fn new(
        said: &Provenance,
        brought: Option<&ProvenanceInfo>,
        made: Made,
        signer: Option<&Arc<dyn Signer>>,
    ) -> Self {
        let said = said.of_input(brought);
        let signing = signer.map(|signer| Signing {
            said: said.clone(),
            made,
            signer: Arc::clone(signer),
        });
        let entry = brought.and_then(|brought| brought.aigc.as_deref());
        Self {
            boxes: xmp::boxed(&xmp::packet(&said)),
            aigc: aigc::entry(&said, entry),
            signing,
            inputs: Vec::new(),
        }
    }

    /// Bytes that the entry takes in the index beside its text: heads of boxes, and the table of
    /// names that the index has for it.
    pub(crate) fn index_room(&self) -> u64 {
        const HEADS: u64 = 256;
        self.aigc
            .as_ref()
            .map_or(0, |entry| (entry.len() as u64).saturating_add(HEADS))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::media::provenance::terms::{Provenance, SourceType};

    fn said() -> Provenance {
        Provenance {
            source_type: Some(SourceType::CompositeWithTrainedAlgorithmicMedia),
            id: "urn:uuid:1".to_owned(),
            created_at: "2026-11-27T12:00:00Z".parse().unwrap(),
            provider: None,
            model: None,
            aigc_producer: Some("a \"producer\"".to_owned()),
        }
    }

    fn of(said: &Provenance, brought: Option<&ProvenanceInfo>) -> Statement {
        let made = Made {
            of: vec![("mp4".to_owned(), None)],
            copied: false,
            marked: false,
        };
        Statement::new(said, brought, made, None)
    }

    #[test]
    fn a_producer_is_named_in_an_entry_of_what_a_model_made_and_in_no_other() {
        let entry = of(&said(), None).aigc.unwrap();
        let entry: Value = serde_json::from_str(&entry).unwrap();
        assert_eq!(entry["Label"], "1");
        assert_eq!(entry["ContentProducer"], "a \"producer\"");
        assert_eq!(entry["ProduceID"], "urn:uuid:1");
        let filmed = Provenance {
            source_type: Some(SourceType::DigitalCapture),
            ..said()
        };
        assert_eq!(of(&filmed, None).aigc, None);
    }

    #[test]
    fn what_an_input_says_is_kept_where_nothing_else_is_said() {
        let silent = Provenance {
            source_type: None,
            aigc_producer: None,
            ..said()
        };
        let brought = |aigc: &str| ProvenanceInfo {
            source_type: Some("trainedAlgorithmicMedia".to_owned()),
            aigc: Some(aigc.to_owned()),
            ..ProvenanceInfo::default()
        };
        let kept = of(&silent, Some(&brought(r#"{"Label":"2"}"#)));
        assert_eq!(kept.aigc.as_deref(), Some(r#"{"Label":"2"}"#));
        let text = String::from_utf8(kept.boxes[24..].to_vec()).unwrap();
        assert!(text.contains("digitalsourcetype/trainedAlgorithmicMedia<"));
        for nonsense in ["", "1", "{", &format!("{{\"a\":\"{}\"}}", "x".repeat(5000))] {
            assert_eq!(of(&silent, Some(&brought(nonsense))).aigc, None);
        }
    }
}
