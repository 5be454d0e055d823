//! How a result comes about, and the claim about it.

use std::sync::PoisonError;

use super::following::SharedBrought;
use super::ingredient::{Ingredient, Kept};
use super::manifest::Claim;
use super::terms::{Provenance, SourceType};

/// How a result comes about.
#[derive(Clone, Default)]
pub(crate) struct Made {
    /// What it is made of, by its format: the input, then what stands before it. With the manifest
    /// that this brings.
    pub of: Vec<(String, Option<SharedBrought>)>,
    /// Its packets are copied.
    pub copied: bool,
    /// Pictures or text are laid over it.
    pub marked: bool,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let formats: Vec<&String> = self.of.iter().map(|(format, _)| format).collect();
        f.debug_struct("Made")
            .field("of", &formats)
            .field("copied", &self.copied)
            .finish()
    }
}

/// What a manifest says of it. While inputs are followed, the longest that it may say.
pub(super) fn claim(said: &Provenance, made: &Made) -> Claim {
    let unique = said.id.strip_prefix("urn:uuid:").unwrap_or(&said.id);
    let label = format!("urn:c2pa:{unique}");
    let (mut ingredients, mut kept) = (Vec::new(), Vec::new());
    for (format, brought) in &made.of {
        let format = mime(format);
        let Some(brought) = brought else {
            ingredients.push(Ingredient {
                format,
                findings: None,
                links: None,
            });
            continue;
        };
        let brought = brought.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ingredient = brought.ingredient(format);
        if !keep(&mut kept, &brought.kept, &label) {
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
        marked: made.marked,
    }
}

/// Adds manifests to those of other ingredients; false where there are none, or where one of another
/// content has the name of one of them.
fn keep(kept: &mut Vec<Kept>, its: &[Kept], own: &str) -> bool {
    let fits = |new: &Kept| {
        let same = kept.iter().find(|old| old.label == new.label);
        new.label != own && same.is_none_or(|old| old == new)
    };
    if its.is_empty() || !its.iter().all(fits) {
        return false;
    }
    for new in its {
        if !kept.contains(new) {
            kept.push(new.clone());
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
