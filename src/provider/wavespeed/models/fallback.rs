//! Models that are asked where a kind's own makes no video, as the settings name them.

use super::known::{Offer, known_row};
use crate::job::{Fault, Kind};
use crate::provider::Model;

/// More would be more submissions than a round may make.
pub(super) const MOST: usize = 4;

/// The rows of these names, with all that is wrong with them.
pub(super) fn models(kind: Kind, own: &str, ids: &[String], faults: &mut Vec<Fault>) -> Vec<Model> {
    let field = format!("models.{}.fallback", kind.as_str());
    let mut fault = |message: String| faults.push(Fault::new(field.clone(), message));
    if ids.len() > MOST {
        fault(format!("must name at most {MOST}"));
    }
    let mut models: Vec<Model> = Vec::new();
    for id in ids.iter().take(MOST) {
        if id == own || models.iter().any(|model| model.id == *id) {
            fault(format!("names {id} twice"));
            continue;
        }
        let Some(row) = known_row(id) else {
            fault(format!(
                "{id} is not in the table, so nobody knows what it costs and takes"
            ));
            continue;
        };
        match row.offer {
            Offer::Retired { instead } => fault(format!("{id} is offered no more; use {instead}")),
            Offer::Never { why } => fault(format!("{id} {why}")),
            Offer::Yes if row.kind == kind => models.push(row.entry().model),
            Offer::Yes => fault(format!("{id} makes {}", row.kind.as_str())),
        }
    }
    models
}
