//! How the result is put together: what the provider made must be, and what of the source goes
//! into the result beside it.

use super::super::context::Context;
use super::super::failures::media_failure;
use super::super::halt::Halt;
use super::super::objects::ObjectInput;
use crate::job::{Code, Failure, Job, Params, Party, Source, SourceFacts};
use crate::media::{
    AudioExpectation, AudioTrack, Checks, Expectation, MediaCode, MediaError, Profile, Shape,
    Verified,
};
use crate::provider::Returns;

/// Encoders round to whole frames and audio to whole packets; ±50 ms is what the result may
/// differ by.
const TOLERANCE_MS: u64 = 50;
/// What the provider makes may differ a little: models round to whole latent steps.
const GENERATED_TOLERANCE_MS: u64 = 250;
/// So much of an extension's new part may be missing; of the source nothing may.
const MISSING_MS: u64 = 500;
/// So much longer than asked for a new part by itself may be.
const EXTRA_MS: u64 = 1000;
/// The proportions of what the provider makes may differ from the source's by this factor. Models
/// round sides to 8 to 32 pixels (up to 5 % at 480p), and some know only the usual shapes: 1:1,
/// 4:3, 16:9 and 21:9 are a third apart, so the nearest is off by a sixth at most. What is further
/// off was cropped, stretched or turned.
const SHAPE_WITHIN: f64 = 1.2;

/// What the generated video is held against.
pub(super) fn expected(context: &Context<'_>, job: &Job, facts: &SourceFacts) -> Expectation {
    let settings = context.settings();
    let mut expected = Expectation {
        audio: AudioExpectation::Any,
        listen: settings.audible,
        depth: settings.checks.depth(),
        shape: Some(Shape {
            width: facts.width,
            height: facts.height,
            within: SHAPE_WITHIN,
        }),
        ..Expectation::default()
    };
    match &job.params {
        Params::CharacterReplace(_) => {
            expected.duration_ms = Some((facts.duration_ms, GENERATED_TOLERANCE_MS));
        }
        Params::Upscale(upscale) => {
            expected.duration_ms = Some((facts.duration_ms, GENERATED_TOLERANCE_MS));
            let target = upscale.target.short_side();
            if facts.width >= facts.height {
                expected.height = Some(target);
            } else {
                expected.width = Some(target);
            }
        }
        Params::Extend(extend) => {
            // The new part by itself at least; what more there must be is said by `joins`.
            let added = u64::from(extend.seconds) * 1000;
            expected.min_duration_ms = Some(added.saturating_sub(MISSING_MS));
        }
    }
    expected
}

/// The profile as this job gets it: no profile makes an upscale smaller again.
pub(super) fn profile(job: &Job, profile: Profile) -> Profile {
    match job.params {
        Params::Upscale(_) => profile.uncapped(),
        Params::CharacterReplace(_) | Params::Extend(_) => profile,
    }
}

/// What is verified of the result besides what always is.
pub(super) fn checks(context: &Context<'_>, profile: &Profile) -> Checks {
    let checks = context.settings().checks.clone();
    Checks {
        full_decode: profile.full_decode.unwrap_or(checks.full_decode),
        ..checks
    }
}

/// Whether the source has to be put in front of what was generated: by what the model is known to
/// return, and in doubt by how long it is.
fn joins(
    returns: Returns,
    source_ms: u64,
    added_ms: u64,
    generated_ms: u64,
) -> Result<bool, MediaError> {
    let whole_ms = source_ms + added_ms;
    let merged = generated_ms + MISSING_MS >= whole_ms;
    let alone = generated_ms + MISSING_MS >= added_ms && generated_ms <= added_ms + EXTRA_MS;
    // As long as the source: that may be the source itself, with nothing added.
    let unchanged = generated_ms.abs_diff(source_ms) <= MISSING_MS;
    match returns {
        Returns::Segment if alone => Ok(true),
        Returns::Segment | Returns::Merged if merged => Ok(false),
        Returns::Merged if alone && !unchanged => Ok(true),
        Returns::Segment | Returns::Merged => Err(MediaError::new(
            MediaCode::WrongDuration,
            format!("{generated_ms} ms long, expected {whole_ms}, or {added_ms} for the new part"),
        )),
    }
}

/// The track of the source's sound that is asked for.
pub(in crate::worker) fn track(source: &Source) -> Result<Option<AudioTrack>, Failure> {
    let track = source.audio_track.as_deref().map(str::parse);
    // Documents of other programs have not been through the API's checks.
    track.transpose().map_err(|why: String| {
        Failure::new(
            Code::InvalidJob,
            format!("`source.audio_track` is not {why}."),
        )
    })
}

/// What goes into the result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    /// The source goes before what was generated.
    pub(super) joins: bool,
    /// The source's sound may have to be put back.
    pub(super) needs_source: bool,
    /// The generated sound is there, and digital silence, or gives way to what is asked for.
    pub(super) silent: bool,
    /// A track of the source's sound is asked for and goes before the generated one.
    pub(super) chosen: bool,
    /// Something must be heard in the result.
    pub(super) audible: bool,
}

/// Decides by what was generated. What of it depends on the source's own sound is said by
/// [`Recipe::heard`].
pub(super) fn of(
    context: &Context<'_>,
    job: &Job,
    facts: &SourceFacts,
    generated: &Verified,
) -> Result<Recipe, MediaError> {
    let joins = match &job.params {
        Params::Extend(extend) => {
            let (kind, asked) = (job.params.kind(), job.provider.model.as_deref());
            let returns = context.services.provider.model_named(kind, asked).returns;
            let added_ms = u64::from(extend.seconds) * 1000;
            joins(returns, facts.duration_ms, added_ms, generated.duration_ms)?
        }
        Params::CharacterReplace(_) | Params::Upscale(_) => false,
    };
    let silent = generated.audible == Some(false);
    // In a video that came whole with its new part, the sound of both cannot be told apart.
    let chosen = job.source.audio_track.is_some()
        && facts.has_audio
        && !matches!(job.params, Params::Extend(_));
    let dropped = generated.probe.audio.is_none() || silent || chosen;
    Ok(Recipe {
        joins,
        needs_source: joins || (dropped && facts.has_audio),
        silent: silent || chosen,
        chosen,
        audible: generated.audible == Some(true) && !chosen,
    })
}

impl Recipe {
    /// Length of the result and how far it may be off, both in milliseconds.
    pub(super) fn length(self, facts: &SourceFacts, generated_ms: u64) -> (u64, u64) {
        if self.joins {
            // Each part ends on a whole frame of the rate they share.
            (facts.duration_ms + generated_ms, TOLERANCE_MS * 3)
        } else {
            (generated_ms, TOLERANCE_MS)
        }
    }

    /// Listens to the source, if its sound is to take the generated one's place.
    pub(super) async fn heard(
        mut self,
        context: &Context<'_>,
        job: &Job,
        source: Option<&ObjectInput>,
    ) -> Result<Self, Halt> {
        let Some(source) = source.filter(|_| context.settings().audible) else {
            return Ok(self);
        };
        let heard = context
            .audible(source, track(&job.source)?)
            .await?
            .map_err(|error| {
                source
                    .failure()
                    .unwrap_or_else(|| media_failure(error, Party::Caller))
            })?;
        // Silence for silence: the generated track stays. Beside the source's own, in a join,
        // either is silence.
        self.silent &= heard || self.joins || self.chosen;
        self.audible |= heard;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_returns_counts_and_the_length_decides_in_doubt() {
        use Returns::{Merged, Segment};
        let told = |returns, source, added, generated| {
            joins(returns, source, added, generated).map_err(|error| error.code)
        };
        // As the table says.
        assert_eq!(told(Merged, 8000, 5000, 13_000), Ok(false));
        assert_eq!(told(Merged, 8000, 5000, 12_600), Ok(false));
        assert_eq!(told(Segment, 8000, 5000, 5060), Ok(true));
        // The table is wrong.
        assert_eq!(told(Segment, 8000, 5000, 13_000), Ok(false));
        assert_eq!(told(Merged, 8000, 5000, 5060), Ok(true));
        // Either would fit: a source hardly longer than nothing.
        assert_eq!(told(Merged, 400, 5000, 5000), Ok(false));
        assert_eq!(told(Segment, 400, 5000, 5400), Ok(true));
        // Neither, or the source with nothing added.
        for (returns, source, generated) in [
            (Merged, 8000, 8200),
            (Merged, 5000, 5200),
            (Segment, 8000, 8200),
            (Segment, 8000, 4000),
        ] {
            let refused = told(returns, source, 5000, generated);
            assert_eq!(
                refused,
                Err(MediaCode::WrongDuration),
                "{source} {generated}"
            );
        }
    }
}
