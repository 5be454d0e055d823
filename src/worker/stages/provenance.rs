//! What the result of a job says of how it was made.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::context::Context;
use super::super::origin::of_result;
use crate::job::{Job, Label, Params, Party, Provenance as Agreed, ResultOrigin};
use crate::media::{Provenance, Report, Signer, SourceType};

/// Nothing of the owner, the prompt or the inputs is in it.
pub(super) fn of(context: &Context<'_>, job: &Job) -> Option<Provenance> {
    let agreed = agreed(context, job);
    agreed.metadata.then(|| Provenance {
        source_type: Some(source_type(&job.params, agreed.upscale_is_composite)),
        id: id(job),
        created_at: context.now(),
        provider: agreed.provider.clone(),
        model: job.provider.model.clone().filter(|_| agreed.model),
        aigc_producer: agreed.aigc_producer.clone(),
    })
}

/// Who signs for it.
pub(super) fn signer(context: &Context<'_>, job: &Job) -> Option<Arc<dyn Signer>> {
    let signer = context.settings().signer.clone();
    signer.filter(|_| agreed(context, job).sign)
}

/// What became of it, for whoever has the job.
pub(super) fn told(context: &Context<'_>, job: &Job, report: &Report) -> ResultOrigin {
    let agreed = agreed(context, job);
    of_result(job, report, agreed.metadata && agreed.sign)
}

/// The visible label that it gets.
pub(super) fn label<'a>(context: &'a Context<'_>, job: &'a Job) -> Option<&'a Label> {
    agreed(context, job).label.as_ref()
}

/// Whose words it has: a job that says nothing, or the same as the settings, has the operator's.
pub(super) fn label_party(context: &Context<'_>, job: &Job) -> Party {
    let usual = context.settings().provenance.label.as_ref();
    let words = |label: Option<&Label>| label.map(|label| label.words.clone());
    if job.provenance.is_none() || words(label(context, job)) == words(usual) {
        Party::Service
    } else {
        Party::Caller
    }
}

/// Documents of other programs, and of the release before, say nothing.
fn agreed<'a>(context: &'a Context<'_>, job: &'a Job) -> &'a Agreed {
    let agreed = job.provenance.as_ref();
    agreed.unwrap_or(&context.settings().provenance)
}

fn source_type(params: &Params, upscale_is_composite: bool) -> SourceType {
    match params {
        Params::Upscale(_) if !upscale_is_composite => SourceType::AlgorithmicallyEnhanced,
        Params::CharacterReplace(_) | Params::Extend(_) | Params::Upscale(_) => {
            SourceType::CompositeWithTrainedAlgorithmicMedia
        }
    }
}

/// Another one for each file that is made. A digest: a job's id may be anything that its creator
/// wrote. Who has the job finds its files by it, in the metadata beside each.
fn id(job: &Job) -> String {
    let digest = Sha256::digest(job.folder("results"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Provenance::id_of(bytes)
}
