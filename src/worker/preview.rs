//! Where the operator's marks and the visible label would lie on a result, for whoever thinks of
//! asking for one.

use std::sync::Arc;

use super::placement;
use super::stages::prepare::generated_short_side;
use super::{BrandWatermark, Settings};
use crate::job::{Label, Params, SourceFacts};
use crate::media::{Cancel, Fonts, Limits, Placement, Rectangle, probe_picture};

/// A result's frame and the marks on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// About the size of the result: models round it.
    pub width: u32,
    pub height: u32,
    /// In the order of the settings.
    pub marks: Vec<MarkPreview>,
    /// Drawn over all others.
    pub label: Option<LabelPreview>,
}

/// The visible label.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelPreview {
    pub at: MarkPreview,
    pub words: String,
    /// Its outlines, as an SVG picture.
    pub drawing: Vec<u8>,
}

/// One mark.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkPreview {
    pub at: Rectangle,
    pub opacity: f32,
    pub from_ms: u64,
    pub until_ms: Option<u64>,
}

/// `None` where there is nothing to draw, or something of it cannot be used: the job itself says why.
pub(super) async fn of(
    settings: &Settings,
    profile: &str,
    params: &Params,
    label: Option<Label>,
    facts: &SourceFacts,
) -> Option<Preview> {
    if settings.watermark.is_empty() && label.is_none() {
        return None;
    }
    let most = match params {
        Params::Upscale(_) => None,
        Params::CharacterReplace(_) | Params::Extend(_) => {
            settings.profiles.get(profile)?.video.max_height
        }
    };
    let frame = frame(params, facts, most);
    let (marks, limits) = (settings.watermark.clone(), settings.limits.clone());
    let fonts = Arc::clone(&settings.fonts);
    // The operator's own pictures, some kilobytes each, and a line of text.
    let looked = tokio::task::spawn_blocking(move || {
        let marks = marks.iter().map(|mark| brand(mark, &limits, frame));
        Some(Preview {
            width: frame.0,
            height: frame.1,
            marks: marks.collect::<Option<_>>()?,
            label: match label {
                Some(label) => Some(labelled(&fonts, &label, &limits, frame)?),
                None => None,
            },
        })
    });
    looked.await.ok()?
}

fn brand(mark: &BrandWatermark, limits: &Limits, frame: (u32, u32)) -> Option<MarkPreview> {
    let picture = probe_picture(mark.mark.input().as_ref(), limits, &Cancel::new()).ok()?;
    let placement = mark.mark.placed(&mark.placement);
    laid(&placement, (picture.width, picture.height), frame)
}

fn labelled(
    fonts: &Fonts,
    label: &Label,
    limits: &Limits,
    frame: (u32, u32),
) -> Option<LabelPreview> {
    let (drawn, placement) = placement::label(fonts, label).ok()?;
    let picture = probe_picture(&drawn.image, limits, &Cancel::new()).ok()?;
    Some(LabelPreview {
        at: laid(&placement, (picture.width, picture.height), frame)?,
        words: label.words.clone(),
        drawing: drawn.image.bytes().to_vec(),
    })
}

fn laid(placement: &Placement, size: (u32, u32), frame: (u32, u32)) -> Option<MarkPreview> {
    Some(MarkPreview {
        at: placement.rectangle(frame, size).ok()?,
        opacity: placement.opacity,
        from_ms: placement.from_ms,
        until_ms: placement.until_ms,
    })
}

/// The frame that the provider is expected to make, no larger than the profile lets it be.
fn frame(params: &Params, facts: &SourceFacts, most: Option<u32>) -> (u32, u32) {
    let short = generated_short_side(params, facts);
    let short = most.map_or(short, |most| short.min(most));
    let source = facts.width.min(facts.height).max(1);
    let side = |side: u32| {
        let side = f64::from(side) * f64::from(short) / f64::from(source);
        ((side / 2.0).round() as u32 * 2).max(2)
    };
    (side(facts.width), side(facts.height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Kind;

    #[test]
    fn the_frame_is_that_of_the_result() {
        let facts = |width, height| SourceFacts {
            video_object: String::new(),
            image_object: None,
            duration_ms: 5_000,
            width,
            height,
            fps: 25.0,
            frames: None,
            has_audio: false,
            provenance: None,
        };
        let upscale = |target: &str| {
            let params = serde_json::json!({"target": target});
            Params::parse(Kind::Upscale, &params).unwrap()
        };
        assert_eq!(
            frame(&upscale("1080p"), &facts(640, 360), None),
            (1920, 1080)
        );
        assert_eq!(frame(&upscale("720p"), &facts(360, 640), None), (720, 1280));
        assert_eq!(
            frame(&upscale("720p"), &facts(1920, 800), Some(360)),
            (864, 360)
        );
    }
}
