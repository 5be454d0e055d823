//! How the result is put together: what the provider made must be, and what of the source goes
//! into the result beside it.

use std::sync::Arc;

use super::super::context::{Context, Halt, media_failure};
use crate::job::{Job, Params, Party, SourceFacts};
use crate::media::{self, AudioExpectation, Checks, Expectation, Input, Profile, Verified};

/// What the provider makes may differ a little: models round to whole latent steps.
const GENERATED_TOLERANCE_MS: u64 = 250;
/// So much of an extension's new part may be missing; of the source nothing may.
const MISSING_MS: u64 = 500;

/// What the generated video is held against.
pub(super) fn expected(context: &Context<'_>, job: &Job, facts: &SourceFacts) -> Expectation {
    let settings = context.settings();
    let mut expected = Expectation {
        audio: AudioExpectation::Any,
        listen: settings.audible,
        depth: settings.checks.depth(),
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
            let added = u64::from(extend.seconds) * 1000;
            expected.min_duration_ms = Some((facts.duration_ms + added).saturating_sub(MISSING_MS));
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

/// What goes into the result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    /// The source's sound may have to be put back.
    pub(super) needs_source: bool,
    /// The generated sound is there, and digital silence.
    pub(super) silent: bool,
    /// Something must be heard in the result.
    pub(super) audible: bool,
}

/// Decides by what was generated. What of it depends on the source's own sound is said by
/// [`Recipe::heard`].
pub(super) fn of(facts: &SourceFacts, generated: &Verified) -> Recipe {
    let silent = generated.audible == Some(false);
    let dropped = generated.probe.audio.is_none() || silent;
    Recipe {
        needs_source: dropped && facts.has_audio,
        silent,
        audible: generated.audible == Some(true),
    }
}

impl Recipe {
    /// Listens to the source, if its sound is to take the generated one's place.
    pub(super) async fn heard(
        mut self,
        context: &Context<'_>,
        source: Option<&Arc<dyn Input>>,
    ) -> Result<Self, Halt> {
        let Some(source) = source.filter(|_| context.settings().audible) else {
            return Ok(self);
        };
        let (input, limits, cancel) = (
            Arc::clone(source),
            context.settings().limits.clone(),
            context.stop.media(),
        );
        let heard = context
            .blocking(move || media::is_audible(input.as_ref(), &limits, &cancel))
            .await?
            .map_err(|error| media_failure(error, Party::Caller))?;
        // Silence for silence: the generated track stays.
        self.silent &= heard;
        self.audible |= heard;
        Ok(self)
    }
}
