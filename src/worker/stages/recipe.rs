//! How the result is put together: what the provider made must be, and what of the source goes
//! into the result beside it.

use super::super::context::Context;
use super::super::failures::media_failure;
use super::super::halt::Halt;
use super::super::objects::ObjectInput;
use crate::job::{Code, Failure, Job, Params, Party, Source, SourceFacts};
use crate::media::{
    Asked, AudioTrack, Checks, DecodeDepth, Expectation, MediaError, Profile, Shown, Verified,
    result_length, stands_alone,
};
use crate::provider::Returns;

/// What the generated video is held against.
pub(super) fn expected(
    context: &Context<'_>,
    job: &Job,
    facts: &SourceFacts,
    depth: DecodeDepth,
) -> Expectation {
    let settings = context.settings();
    let asked = match &job.params {
        Params::CharacterReplace(_) => Asked::Same,
        Params::Upscale(upscale) => Asked::Larger {
            short_side: upscale.target.short_side(),
        },
        Params::Extend(extend) => Asked::Longer {
            added_ms: u64::from(extend.seconds) * 1000,
        },
    };
    let source = Shown {
        width: facts.width,
        height: facts.height,
        duration_ms: facts.duration_ms,
    };
    Expectation {
        listen: settings.audible,
        depth,
        ..Expectation::of_generated(asked, source)
    }
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
            let alone = returns == Returns::Segment;
            stands_alone(alone, facts.duration_ms, added_ms, generated.duration_ms)?
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
        result_length(self.joins.then_some(facts.duration_ms), generated_ms)
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
