//! What files say of how they were made, as a job tells it. Names, addresses and prompts are not in it:
//! neither is the signer, which may be a person.

use crate::job::{Ingredient, InputOrigin, Job, Origin, OriginInput, ResultOrigin, Unsigned};
use crate::media::{ProvenanceInfo, Report};

/// Ingredients of one file that are told.
const MOST: usize = 8;

/// What one file says.
pub(super) fn origin(info: &ProvenanceInfo) -> Origin {
    let manifest = info.manifest.as_ref();
    let ingredients = manifest.map_or(&[][..], |manifest| &manifest.ingredients);
    let generator = manifest.and_then(|manifest| manifest.generator.clone());
    let signed_type = manifest.and_then(|manifest| manifest.source_type.clone());
    Origin {
        generator: generator.or_else(|| info.creator_tool.clone()),
        source_type: info.source_type.clone().or(signed_type),
        state: manifest.map(|manifest| manifest.state.to_string()),
        why: manifest.and_then(|manifest| manifest.why.clone()),
        ingredients: ingredients
            .iter()
            .take(MOST)
            .map(|ingredient| Ingredient {
                relationship: ingredient.relationship.clone(),
                manifest: ingredient.manifest,
                state: ingredient.state.map(|state| state.to_string()),
            })
            .collect(),
    }
}

/// What a result says, and what its inputs said.
pub(super) fn of_result(job: &Job, report: &Report, wanted: bool) -> ResultOrigin {
    let said = report.output.provenance.as_ref();
    let signed = said.is_some_and(|said| said.manifest.is_some());
    let unsigned = match wanted {
        true => Unsigned::NoKey,
        false => Unsigned::Off,
    };
    // Where the result has the source's pictures, all of its file was held against its manifest.
    let before = report.before.as_ref();
    let source = match before.and_then(|before| before.provenance.as_ref()) {
        Some(held) => Some(origin(held)),
        None => {
            let inputs = job.provider.inputs.as_ref();
            let said = inputs.and_then(|inputs| inputs.facts.provenance.as_deref());
            said.cloned()
        }
    };
    let generated = report.source.provenance.as_ref().map(origin);
    let inputs = [
        (OriginInput::Source, source),
        (OriginInput::Generated, generated),
    ];
    ResultOrigin {
        id: said.and_then(|said| said.id.clone()),
        said: said.map(origin).unwrap_or_default(),
        signed,
        unsigned: (!signed).then_some(unsigned),
        inputs: inputs
            .into_iter()
            .filter_map(|(input, said)| Some(InputOrigin { input, said: said? }))
            .collect(),
    }
}
