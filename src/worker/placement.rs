//! What a watermark's words mean to the media engine.

use std::fmt::Display;
use std::str::FromStr;

use crate::job::{Fault, WatermarkSpec};
use crate::media::{Fonts, MAX_LAYERS, Paint, Placement, TextError, TextMark};

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

/// The text of a layer, if it has any; what it leaves out is that of `base`.
///
/// # Errors
/// Every fault; fields as `color`. Whether the fonts have its letters is not looked at.
pub(super) fn text(
    wanted: &WatermarkSpec,
    base: Option<&TextMark>,
) -> Result<Option<TextMark>, Vec<Fault>> {
    let mut faults = Vec::new();
    let Some(words) = &wanted.text else {
        let given = [
            ("font", &wanted.font),
            ("size", &wanted.size),
            ("color", &wanted.color),
            ("stroke", &wanted.stroke),
            ("background", &wanted.background),
        ];
        let given = given.into_iter().filter(|(_, value)| value.is_some());
        faults.extend(given.map(|(field, _)| Fault::new(field, "goes with text")));
        return if faults.is_empty() {
            Ok(None)
        } else {
            Err(faults)
        };
    };
    if wanted.image.is_some() {
        faults.push(Fault::new("image", "does not go with text"));
    }
    if wanted.scale.is_some() {
        faults.push(Fault::new("scale", "is for pictures; text has a size"));
    }
    let usual = TextMark::new("");
    let base = base.unwrap_or(&usual);
    let mark = TextMark {
        text: words.clone(),
        font: wanted.font.clone().or_else(|| base.font.clone()),
        size: word("size", wanted.size.as_ref(), base.size, &mut faults),
        color: word("color", wanted.color.as_ref(), base.color, &mut faults),
        stroke: word(
            "stroke",
            wanted.stroke.as_ref(),
            Paint(base.stroke),
            &mut faults,
        )
        .0,
        background: word(
            "background",
            wanted.background.as_ref(),
            Paint(base.background),
            &mut faults,
        )
        .0,
    };
    if let Some(why) = mark.size_fault() {
        faults.push(Fault::new("size", why));
    }
    if let Err(error) = mark.words() {
        faults.push(Fault::new("text", error.to_string()));
    }
    if faults.is_empty() {
        Ok(Some(mark))
    } else {
        Err(faults)
    }
}

/// What is wrong with the layers a job asks for; fields as `[1].anchor`, or `.anchor` of the only
/// one, or empty for all of them.
#[must_use]
pub fn layer_faults(layers: &[WatermarkSpec], fonts: &Fonts) -> Vec<Fault> {
    let mut faults = Vec::new();
    if layers.len() > MAX_LAYERS {
        faults.push(Fault::new("", format!("has more than {MAX_LAYERS} layers")));
    }
    for (index, layer) in layers.iter().enumerate().take(MAX_LAYERS) {
        let placed = placement(layer, &Placement::default()).err();
        let written = match text(layer, None) {
            Ok(Some(mark)) => fonts.faults(&mark).map(|error| {
                let field = match error {
                    TextError::NoFont(_) => "font",
                    _ => "text",
                };
                vec![Fault::new(field, error.to_string())]
            }),
            Ok(None) => None,
            Err(faults) => Some(faults),
        };
        for fault in placed.into_iter().chain(written).flatten() {
            let field = match layers {
                [_] => format!(".{}", fault.field),
                _ => format!("[{index}].{}", fault.field),
            };
            faults.push(Fault::new(field, fault.message));
        }
    }
    faults
}
