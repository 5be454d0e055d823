//! What a watermark's words mean to the media engine.

use std::fmt::Display;
use std::str::FromStr;

use crate::job::{Fault, WatermarkSpec};
use crate::media::{MAX_LAYERS, Placement};

/// The words of a layer where it has any, else what `base` says. Whether the mark fits a frame is
/// the plan's to say.
///
/// # Errors
/// Every fault; fields as `anchor`.
pub(super) fn placement(wanted: &WatermarkSpec, base: &Placement) -> Result<Placement, Vec<Fault>> {
    let mut faults = Vec::new();
    let placement = Placement {
        anchor: word("anchor", wanted.anchor.as_ref(), base.anchor, &mut faults),
        size: word("scale", wanted.scale.as_ref(), base.size, &mut faults),
        offset_x: word(
            "offset_x",
            wanted.offset_x.as_ref(),
            base.offset_x,
            &mut faults,
        ),
        offset_y: word(
            "offset_y",
            wanted.offset_y.as_ref(),
            base.offset_y,
            &mut faults,
        ),
        opacity: wanted.opacity.unwrap_or(base.opacity),
        from_ms: wanted.from_ms.unwrap_or(base.from_ms),
        until_ms: wanted.until_ms.or(base.until_ms),
        fade_in_ms: wanted.fade_in_ms.unwrap_or(base.fade_in_ms),
        fade_out_ms: wanted.fade_out_ms.unwrap_or(base.fade_out_ms),
    };
    let further = placement.faults().into_iter();
    faults.extend(further.map(|(field, why)| Fault::new(field, why)));
    if faults.is_empty() {
        Ok(placement)
    } else {
        Err(faults)
    }
}

fn word<T: FromStr>(name: &str, wanted: Option<&String>, base: T, faults: &mut Vec<Fault>) -> T
where
    T::Err: Display,
{
    let Some(text) = wanted else { return base };
    text.parse().unwrap_or_else(|error| {
        faults.push(Fault::new(name, format!("“{text}” is not usable: {error}")));
        base
    })
}

/// What is wrong with the layers a job asks for; fields as `[1].anchor`, or `.anchor` of the only
/// one, or empty for all of them.
#[must_use]
pub fn layer_faults(layers: &[WatermarkSpec]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if layers.len() > MAX_LAYERS {
        faults.push(Fault::new("", format!("has more than {MAX_LAYERS} layers")));
    }
    for (index, layer) in layers.iter().enumerate().take(MAX_LAYERS) {
        let found = placement(layer, &Placement::default()).err();
        for fault in found.into_iter().flatten() {
            let field = match layers {
                [_] => format!(".{}", fault.field),
                _ => format!("[{index}].{}", fault.field),
            };
            faults.push(Fault::new(field, fault.message));
        }
    }
    faults
}
