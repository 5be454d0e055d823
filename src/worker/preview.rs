//! Where the operator's marks would lie on a result, for whoever thinks of asking for one.

use std::sync::Arc;

use super::Settings;
use super::stages::prepare::generated_short_side;
use crate::job::{Params, SourceFacts};
use crate::media::{Cancel, Input, Limits, Rectangle, probe_picture};

/// A result's frame and the marks on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// About the size of the result: models round it.
    pub width: u32,
    pub height: u32,
    /// In the order of the settings.
    pub marks: Vec<MarkPreview>,
}

/// One mark.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkPreview {
    pub at: Rectangle,
    pub opacity: f32,
    pub from_ms: u64,
    pub until_ms: Option<u64>,
}

/// `None` where there are no marks, or one cannot be used: the job itself says why.
pub(super) async fn of(
    settings: &Settings,
    profile: &str,
    params: &Params,
    facts: &SourceFacts,
) -> Option<Preview> {
    let files: Vec<Arc<dyn Input>> = settings
        .watermark
        .iter()
        .map(|it| it.mark.input())
        .collect();
    if files.is_empty() {
        return None;
    }
    let limits = settings.limits.clone();
    // The operator's own pictures, some kilobytes each.
    let looked = tokio::task::spawn_blocking(move || sizes(&files, &limits)).await;
    let sizes = looked.ok()??;
    let most = match params {
        Params::Upscale(_) => None,
        Params::CharacterReplace(_) | Params::Extend(_) => {
            settings.profiles.get(profile)?.video.max_height
        }
    };
    let (width, height) = frame(params, facts, most);
    let marks = settings.watermark.iter().zip(sizes).map(|(mark, size)| {
        let placement = mark.mark.placed(&mark.placement);
        Some(MarkPreview {
            at: placement.rectangle((width, height), size).ok()?,
            opacity: placement.opacity,
            from_ms: placement.from_ms,
            until_ms: placement.until_ms,
        })
    });
    Some(Preview {
        width,
        height,
        marks: marks.collect::<Option<_>>()?,
    })
}

fn sizes(files: &[Arc<dyn Input>], limits: &Limits) -> Option<Vec<(u32, u32)>> {
    let sizes = files.iter().map(|file| {
        let found = probe_picture(file.as_ref(), limits, &Cancel::new()).ok()?;
        Some((found.width, found.height))
    });
    sizes.collect()
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
