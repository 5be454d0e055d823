//! Which objects are a job's own, and a round's: the one place that says so, for whoever deletes.
//!
//! | where | what |
//! |---|---|
//! | `work/{job}/{round}-{fence}/…` | what the provider returned, marks from the web, notes about open uploads |
//! | `results/{job}/{round}-{fence}/…` | video, poster, storyboard, metadata |
//! | `sources/{owner}/{job}/{role}` | our copies of inputs from the web |
//! | `sources/{owner}/{upload}/{file}` | uploads: their owner's, and no job's own |
//!
//! A claim writes under its own number alone; what publishes an object is its name in the job.
//! Whatever lies there under no name that the job knows is nobody's, whoever wrote it and when.

use super::Services;
use crate::job::{Job, JobId, Owner, Published, inputs};
use crate::storage::{StorageError, Stored, Swept};

/// Where a job's objects lie, in folders of its name.
pub(super) const AREAS: [&str; 2] = ["results", "work"];

/// The folders of what was made for a job.
#[must_use]
pub fn folders(job: &JobId) -> [String; 2] {
    AREAS.map(|area| format!("{area}/{job}"))
}

/// What copies of inputs are called.
const ROLES: [&str; 2] = ["video", "image"];

/// The job that an object of the two areas was made for.
pub(super) fn job_of(object: &str) -> Option<JobId> {
    let mut parts = object.split('/');
    AREAS.contains(&parts.next()?).then_some(())?;
    let id = parts.next()?.parse().ok()?;
    parts.next().map(|_| id)
}

/// The round that an object of the two areas was made in; 0 for one that lies in no round's
/// folder.
fn round_of(object: &str) -> u32 {
    let mut parts = object.split('/').skip(2);
    let (folder, file) = (parts.next(), parts.next());
    let round = folder.filter(|_| file.is_some());
    round
        .and_then(|folder| folder.split_once('-')?.0.parse().ok())
        .unwrap_or(0)
}

/// Whether an object was made in the round that the job is in, or before. A round that began
/// since the job was read has folders of its own, and they are its to write.
pub(super) fn of_rounds_seen(job: &Job, object: &str) -> bool {
    round_of(object) <= job.round
}

/// Whether the present claim may be writing it.
pub(super) fn of_present_claim(job: &Job, object: &str) -> bool {
    !job.status.is_ended()
        && AREAS.iter().any(|area| {
            let folder = job.folder(area);
            object
                .strip_prefix(&folder)
                .is_some_and(|rest| rest.starts_with('/'))
        })
}

/// Whether the job needs it: its result, and what a running job goes on from, or another round of
/// an ended one.
pub(super) fn is_named(job: &Job, object: &str) -> bool {
    let result = job.result.iter().flat_map(Published::objects);
    let stays = !job.status.is_ended() || job.kept.generated.is_some();
    let generated = job.generated.iter().filter(|_| stays);
    result
        .chain(generated.map(|generated| &generated.object))
        .any(|named| named == object)
}

/// Deletes what is the job's own in the two areas, of the rounds seen, unless it is to stay.
pub(super) async fn sweep(
    services: &Services,
    job: &Job,
    stays: impl Fn(&Stored) -> bool + Send + Sync,
) -> Result<Swept, StorageError> {
    let mut swept = Swept::default();
    for folder in folders(&job.id) {
        let goes = |stored: &Stored| of_rounds_seen(job, &stored.object) && !stays(stored);
        swept.add(services.storage.sweep(&folder, goes).await?);
    }
    Ok(swept)
}

/// Deletes all that is the job's own, its copies of inputs and what is left of copies too.
pub(super) async fn delete(services: &Services, job: &Job) -> Result<Swept, StorageError> {
    let storage = &services.storage;
    let mut swept = Swept::default();
    for folder in folders(&job.id) {
        swept.add(storage.sweep(&folder, |_| true).await?);
    }
    let copies = format!("{}/{}", inputs::folder_of(&job.owner), job.id);
    // An upload may be called as the job is: the owner's other files stay.
    let is_copy = |stored: &Stored| Input::of(services, &stored.object).is_some_and(|it| it.copy);
    swept.add(storage.sweep(&copies, is_copy).await?);
    Ok(swept)
}

/// An object under `sources/`, as filmlab names them; what others put beside is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) owner: Owner,
    /// The job's, for its own copies; else the upload's.
    pub(super) folder: String,
    /// Whether it may be a copy of a job's own.
    pub(super) copy: bool,
    /// Whether it never became what it was to be.
    pub(super) unfinished: bool,
}

impl Input {
    pub(super) fn of(services: &Services, object: &str) -> Option<Self> {
        let (owner, folder, name) = inputs::parts(object)?;
        let unfinished = services.storage.unfinished(object);
        Some(Self {
            owner,
            folder: folder.to_owned(),
            copy: ROLES.contains(&unfinished.unwrap_or(name)),
            unfinished: unfinished.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_tell_whose_they_are() {
        for (object, job, round) in [
            ("work/j1/2-7/generated.mp4", Some("j1"), 2),
            ("results/j1/1-3/.video.mp4.Ab12Cd.part", Some("j1"), 1),
            ("results/j1/12-3/a/b", Some("j1"), 12),
            ("work/quote-x/video", Some("quote-x"), 0),
            ("work/j1/1-3", Some("j1"), 0),
            ("work/j1", None, 0),
            ("work/j 1/1-1/x", None, 1),
            ("sources/u1/j1/video", None, 0),
        ] {
            let found = job_of(object);
            assert_eq!(found.as_ref().map(JobId::as_str), job, "{object}");
            assert_eq!(round_of(object), round, "{object}");
        }
    }
}
