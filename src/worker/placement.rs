//! What a watermark's words mean to the media engine.

use std::fmt::Display;
use std::str::FromStr;

use super::settings::{BrandMark, BrandWatermark};
use crate::job::{Fault, Label, WatermarkSpec};
use crate::media::{Anchor, DrawnText, Fonts, MAX_LAYERS, Paint, Placement, TextError, TextMark};

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

/// What a layer of a job means.
pub(super) enum Meant {
    Text(TextMark, Placement),
    /// Its own picture, or the operator's.
    Picture(Placement),
}

/// A layer of a job, with what it leaves out from the operator's first.
///
/// # Errors
/// Every fault; fields as `anchor`, or empty for all of it.
pub(super) fn meant(
    wanted: &WatermarkSpec,
    brand: Option<&BrandWatermark>,
) -> Result<Meant, Vec<Fault>> {
    let styled = brand.and_then(|layer| match &layer.mark {
        BrandMark::Text(text) => Some(&text.0),
        BrandMark::Picture(_) => None,
    });
    let base = brand.map_or(&Placement::USUAL, |layer| &layer.placement);
    let placement = match (placement(wanted, base), text(wanted, styled)) {
        (Ok(placement), Ok(Some(mark))) => return Ok(Meant::Text(mark, placement)),
        (Ok(placement), Ok(None)) => placement,
        (placed, written) => {
            let faults = placed.err().into_iter().chain(written.err());
            return Err(faults.flatten().collect());
        }
    };
    let fault = match wanted.image {
        Some(_) => None,
        None if brand.is_none() => {
            let why = "has no picture and no text, and the service has none for it";
            Some(Fault::new("", why))
        }
        None if styled.is_some() && wanted.scale.is_some() => {
            let why = "is for pictures, and the service's own layer is text";
            Some(Fault::new("scale", why))
        }
        None => None,
    };
    match fault {
        Some(fault) => Err(vec![fault]),
        None => Ok(Meant::Picture(placement)),
    }
}

/// Lays a label out, and says where it goes.
///
/// # Errors
/// What is wrong, as the end of a sentence about it.
pub(super) fn label(fonts: &Fonts, label: &Label) -> Result<(DrawnText, Placement), String> {
    let anchor = match &label.anchor {
        None => Anchor::TopLeft,
        Some(name) => name
            .parse()
            .map_err(|_| "is at a place that is not known".to_owned())?,
    };
    let drawn = fonts.label(&label.words, anchor, label.until_ms);
    drawn.map_err(|error| error.to_string())
}

/// Which of so many layers, as a field goes on.
pub(super) fn place_of(index: usize, layers: usize) -> String {
    match layers {
        1 => String::new(),
        _ => format!("[{index}]"),
    }
}

/// What is wrong with what a job wants drawn: its layers, and a label in words of its own. Text is
/// laid out for it, as it is for the job itself: fonts are read, and it takes some milliseconds.
/// Fields as `output.watermark[1].anchor`.
#[must_use]
pub fn mark_faults(
    fonts: &Fonts,
    brand: Option<&BrandWatermark>,
    layers: &[WatermarkSpec],
    words: Option<&Label>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    if layers.len() > MAX_LAYERS {
        faults.push(Fault::new("output.watermark", too_many_layers()));
    }
    for (index, layer) in layers.iter().enumerate().take(MAX_LAYERS) {
        let found = match meant(layer, brand) {
            Err(faults) => faults,
            Ok(Meant::Picture(_)) => Vec::new(),
            Ok(Meant::Text(mark, _)) => {
                let undrawn = fonts.draw(&mark).err();
                undrawn.as_ref().map(text_fault).into_iter().collect()
            }
        };
        let at = format!("output.watermark{}", place_of(index, layers.len()));
        faults.extend(found.into_iter().map(|fault| {
            let dot = if fault.field.is_empty() { "" } else { "." };
            Fault::new(format!("{at}{dot}{}", fault.field), fault.message)
        }));
    }
    let undrawn = words.and_then(|words| label(fonts, words).err());
    faults.extend(undrawn.map(|why| Fault::new("label", why)));
    faults
}

pub(super) fn too_many_layers() -> String {
    format!("has more than {MAX_LAYERS} layers")
}

/// Text that cannot be drawn.
pub(super) fn text_fault(error: &TextError) -> Fault {
    let field = match error {
        TextError::NoFont(_) => "font",
        _ => "text",
    };
    Fault::new(field, error.to_string())
}
