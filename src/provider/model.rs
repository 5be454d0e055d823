//! What a model takes, makes and costs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::job::{DurationMeaning, Fault, Kind, Params, Resolution, SourceFacts};

/// What a model's output holds, where the kind continues a video.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Returns {
    /// The source and the new part in one.
    Merged,
    /// The new part only.
    Segment,
}

/// A model as the table knows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Model {
    pub id: String,
    pub kind: Kind,
    /// Of the row: goes up with each change of what is sent.
    #[serde(default)]
    pub revision: u32,
    /// Shortest source it takes, in seconds.
    #[serde(default)]
    pub min_source_s: f64,
    /// Longest source it takes, in seconds.
    pub max_source_s: f64,
    /// Most seconds of source and new part together (extension only).
    #[serde(default)]
    pub max_total_s: Option<f64>,
    /// Most pixels that a frame of the source may have.
    pub max_source_pixels: u64,
    /// Seconds it may be asked to add (extension only).
    #[serde(default)]
    pub seconds: Option<(u32, u32)>,
    /// The only ones of these that it takes; empty where it takes all.
    #[serde(default)]
    pub only_seconds: Vec<u32>,
    #[serde(default)]
    pub duration: DurationMeaning,
    /// Resolutions it takes.
    pub resolutions: Vec<Resolution>,
    pub returns: Returns,
    /// Fixed waiting time plus time per second of video before the first poll is worth it.
    pub usual_base_s: f64,
    pub usual_per_second_s: f64,
    /// Whether the source's seconds are billed besides the new ones (extension only).
    #[serde(default)]
    pub bills_source: bool,
    /// Seconds that are billed at least.
    #[serde(default)]
    pub least_billed_s: f64,
    /// US dollars for a second of video, where the model's page says; empty where it does not.
    #[serde(default)]
    pub usd_per_second: BTreeMap<Resolution, f64>,
}

impl Model {
    /// How long it usually takes for `seconds` of video.
    #[must_use]
    pub fn usual_time(&self, seconds: f64) -> Duration {
        let total = self.usual_base_s + self.usual_per_second_s * seconds.max(0.0);
        Duration::try_from_secs_f64(total).unwrap_or_default()
    }

    /// Seconds the provider bills for a source of `source_s` seconds.
    #[must_use]
    pub fn billed_seconds(&self, params: &Params, source_s: f64) -> f64 {
        let made = params.billed_seconds(source_s);
        let read = if self.bills_source { source_s } else { 0.0 };
        (made + read).max(self.least_billed_s)
    }

    /// The resolution that is asked of the model for one that a caller asked for: itself, or
    /// where the model names its sizes differently, one that is larger by a tenth at most, as
    /// 768p for 720p.
    #[must_use]
    pub fn serves(&self, asked: Resolution) -> Option<Resolution> {
        let least = asked.short_side();
        self.resolutions
            .iter()
            .copied()
            .filter(|one| (least..=least + least / 10).contains(&one.short_side()))
            .min()
    }

    /// US dollars by the price list, where it has this resolution.
    #[must_use]
    pub fn list_price(&self, params: &Params, source_s: f64) -> Option<f64> {
        let rate = self
            .usd_per_second
            .get(&self.serves(params.resolution())?)?;
        Some(rate * self.billed_seconds(params, source_s))
    }

    /// Whether this model can do what `params` ask with such a source; gives every fault, not
    /// only the first. Asked before money is spent, since the provider takes some of these and
    /// bills a cut version.
    pub fn check(&self, params: &Params, source: &SourceFacts) -> Result<(), Vec<Fault>> {
        let source_s = source.duration_ms as f64 / 1000.0;
        let mut faults = Vec::new();
        if params.kind() != self.kind {
            faults.push(Fault::new(
                "kind",
                format!("{} does not make {}", self.id, params.kind().as_str()),
            ));
            return Err(faults);
        }
        if source_s <= 0.0 {
            faults.push(Fault::new("source.video", "has no duration"));
        } else if source_s > self.max_source_s {
            faults.push(Fault::new(
                "source.video",
                format!(
                    "is {source_s:.1} s long; {} takes at most {} s",
                    self.id, self.max_source_s
                ),
            ));
        } else if source_s < self.min_source_s {
            faults.push(Fault::new(
                "source.video",
                format!(
                    "is {source_s:.1} s long; {} takes at least {} s",
                    self.id, self.min_source_s
                ),
            ));
        }
        let pixels = u64::from(source.width) * u64::from(source.height);
        if pixels > self.max_source_pixels {
            faults.push(Fault::new(
                "source.video",
                format!(
                    "has {}×{} pixels; {} takes at most {} a frame",
                    source.width, source.height, self.id, self.max_source_pixels
                ),
            ));
        }
        let resolution = params.resolution();
        let short_side = source.width.min(source.height);
        if self.kind == Kind::Upscale && resolution.short_side() < short_side {
            faults.push(Fault::new(
                "params.target",
                format!(
                    "{} is less than the {}×{} that the source has",
                    resolution.as_str(),
                    source.width,
                    source.height
                ),
            ));
        }
        if self.serves(resolution).is_none() {
            let field = match params {
                Params::Upscale(_) => "params.target",
                Params::CharacterReplace(_) | Params::Extend(_) => "params.resolution",
            };
            let names: Vec<_> = self.resolutions.iter().map(|r| r.as_str()).collect();
            faults.push(Fault::new(
                field,
                format!(
                    "{} is not offered by {}; it takes {}",
                    resolution.as_str(),
                    self.id,
                    names.join(", ")
                ),
            ));
        }
        if let Params::Extend(extend) = params {
            faults.extend(self.length_fault(extend.seconds, source_s));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

impl Model {
    /// What is wrong with adding so many seconds to such a source.
    fn length_fault(&self, added: u32, source_s: f64) -> Option<Fault> {
        let (least, most) = self.seconds?;
        let id = &self.id;
        let message = if self.duration == DurationMeaning::Whole {
            let whole = whole_seconds(source_s, added);
            (whole > u64::from(most)).then(|| {
                format!("{id} makes at most {most} s, the {source_s:.1} s of the source included")
            })
        } else if !(least..=most).contains(&added) {
            Some(format!("{id} adds {least} to {most} s"))
        } else {
            None
        };
        let message = message.or_else(|| {
            let known = &self.only_seconds;
            (!known.is_empty() && !known.contains(&added)).then(|| {
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                format!("{id} adds {} s", known.join(" or "))
            })
        });
        let message = message.or_else(|| {
            let most = self.max_total_s?;
            (source_s + f64::from(added) > most).then(|| {
                format!("{id} takes at most {most} s, the {source_s:.1} s of the source included")
            })
        })?;
        Some(Fault::new("params.seconds", message))
    }
}

/// Length of an extended video, in whole seconds: what is asked for is there in full.
#[must_use]
pub fn whole_seconds(source_s: f64, added: u32) -> u64 {
    // A millisecond is what a container's length may be rounded by.
    (source_s.max(0.0) + f64::from(added) - 0.001).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kinds::{Extend, Upscale};

    fn model() -> Model {
        Model {
            id: "a/extend".into(),
            kind: Kind::Extend,
            revision: 1,
            min_source_s: 0.0,
            max_total_s: None,
            only_seconds: Vec::new(),
            duration: DurationMeaning::Added,
            bills_source: false,
            max_source_s: 60.0,
            max_source_pixels: 1920 * 1080,
            seconds: Some((4, 15)),
            resolutions: vec![Resolution::P480, Resolution::P720],
            returns: Returns::Merged,
            usual_base_s: 30.0,
            usual_per_second_s: 10.0,
            least_billed_s: 5.0,
            usd_per_second: BTreeMap::from([(Resolution::P480, 0.05)]),
        }
    }

    fn source(seconds: f64, width: u32, height: u32) -> SourceFacts {
        SourceFacts {
            video_object: String::new(),
            image_object: None,
            duration_ms: (seconds * 1000.0) as u64,
            width,
            height,
            fps: 25.0,
            frames: None,
            has_audio: false,
            provenance: None,
        }
    }

    fn extend(seconds: u32, resolution: Resolution) -> Params {
        Params::Extend(Extend {
            prompt: "on".into(),
            seconds,
            resolution,
            seed: None,
        })
    }

    #[test]
    fn a_model_refuses_what_it_cannot_do_with_every_fault_at_once() {
        let model = model();
        let largest = source(60.0, 1080, 1920);
        assert_eq!(model.check(&extend(4, Resolution::P480), &largest), Ok(()));
        let short = source(0.1, 16, 16);
        assert_eq!(model.check(&extend(15, Resolution::P720), &short), Ok(()));

        let faults = model
            .check(&extend(3, Resolution::K4), &source(60.1, 1922, 1080))
            .expect_err("four faults");
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "source.video",
                "source.video",
                "params.resolution",
                "params.seconds"
            ]
        );
    }

    #[test]
    fn nothing_else_is_said_of_another_kind() {
        let params = Params::Upscale(Upscale {
            target: Resolution::K4,
        });
        let faults = model()
            .check(&params, &source(0.0, 0, 0))
            .expect_err("wrong kind");
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].field, "kind");
    }

    #[test]
    fn a_source_without_a_duration_is_refused() {
        let checked = model().check(&extend(5, Resolution::P720), &source(0.0, 16, 16));
        assert!(checked.is_err());
    }

    #[test]
    fn raising_to_less_than_there_is_is_refused() {
        let model = Model {
            kind: Kind::Upscale,
            seconds: None,
            resolutions: vec![Resolution::P720, Resolution::P1080],
            ..model()
        };
        let to = |target| Params::Upscale(Upscale { target });
        let upright = source(5.0, 1080, 1920);
        let faults = model.check(&to(Resolution::P720), &upright);
        let faults = faults.expect_err("smaller");
        assert_eq!(faults[0].field, "params.target");
        assert_eq!(model.check(&to(Resolution::P1080), &upright), Ok(()));
        assert!(
            model
                .check(&to(Resolution::P720), &source(5.0, 720, 480))
                .is_ok()
        );
    }

    #[test]
    fn the_list_price_has_a_minimum_and_gaps() {
        let model = model();
        let price = |seconds, resolution| model.list_price(&extend(seconds, resolution), 30.0);
        assert_eq!(price(10, Resolution::P480), Some(0.5));
        assert_eq!(price(4, Resolution::P480), Some(0.25));
        assert_eq!(price(10, Resolution::P720), None);
    }

    #[test]
    fn the_usual_time_grows_with_the_video() {
        assert_eq!(model().usual_time(5.0), Duration::from_secs(80));
        assert_eq!(model().usual_time(-5.0), Duration::from_secs(30));
    }
}
