//! What is written into a file: its boxes, ready.

use std::sync::Arc;

use super::brought::Brought;
use super::cose::Signer;
use super::ingredient::{Ingredient, Kept};
use super::manifest::Claim;
use super::signing::Signing;
use super::terms::{Provenance, ProvenanceInfo, SourceType};
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
}

/// How a result comes about.
#[derive(Default)]
pub(crate) struct Made<'a> {
    /// What it is made of, by its format: the input, then what stands before it. With the manifest
    /// that this brings.
    pub of: Vec<(&'a str, Option<Brought>)>,
    /// Its packets are copied.
    pub copied: bool,
}

impl Statement {
    /// Of a result that is made of a file which says `brought`.
    pub(crate) fn new(
        said: &Provenance,
        brought: Option<&ProvenanceInfo>,
        made: Made<'_>,
        signer: Option<&Arc<dyn Signer>>,
    ) -> Self {
        let said = said.of_input(brought);
        let signing = signer.map(|signer| Signing {
            claim: claim(&said, made),
            signer: Arc::clone(signer),
        });
        let entry = brought.and_then(|brought| brought.aigc.as_deref());
        Self {
            boxes: xmp::boxed(&xmp::packet(&said)),
            aigc: aigc::entry(&said, entry),
            signing,
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

/// What a manifest says of it.
fn claim(said: &Provenance, made: Made<'_>) -> Claim {
    let unique = said.id.strip_prefix("urn:uuid:").unwrap_or(&said.id);
    let label = format!("urn:c2pa:{unique}");
    let (mut ingredients, mut kept) = (Vec::new(), Vec::new());
    for (format, brought) in made.of {
        let format = mime(format);
        let Some(brought) = brought else {
            ingredients.push(Ingredient {
                format,
                findings: None,
                links: None,
            });
            continue;
        };
        let (mut ingredient, its) = brought.ingredient(format);
        if !keep(&mut kept, its, &label) {
            ingredient.links = None;
        }
        ingredients.push(ingredient);
    }
    Claim {
        label,
        id: said.id.clone(),
        generator: ("filmlab".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        source_type: said.source_type.map(SourceType::uri),
        agent: said.model.clone(),
        at: said.created_at,
        ingredients,
        kept,
        copied: made.copied,
    }
}

/// Adds manifests to those of other ingredients; false where there are none, or where one of another
/// content has the name of one of them.
fn keep(kept: &mut Vec<Kept>, its: Vec<Kept>, own: &str) -> bool {
    let fits = |new: &Kept| {
        let same = kept.iter().find(|old| old.label == new.label);
        new.label != own && same.is_none_or(|old| old == new)
    };
    if its.is_empty() || !its.iter().all(fits) {
        return false;
    }
    for new in its {
        if !kept.contains(&new) {
            kept.push(new);
        }
    }
    true
}

/// The media type of a container.
fn mime(format: &str) -> &'static str {
    match format {
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "matroska" => "video/x-matroska",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "mpegts" => "video/mp2t",
        "mpeg" => "video/mpeg",
        "flv" => "video/x-flv",
        "gif" => "image/gif",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::media::provenance::terms::Provenance;

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
            of: vec![("mp4", None)],
            copied: false,
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
