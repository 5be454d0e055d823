//! Whose jobs somebody may touch.

use super::settings::{LOCAL_OWNER, Role};
use crate::job::{Job, Owner};

/// A caller of the jobs API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    /// Whose jobs it may touch. Absent: everybody's.
    owner: Option<Owner>,
    role: Role,
}

impl Caller {
    pub(super) fn of(owner: Option<Owner>, role: Role) -> Self {
        Self { owner, role }
    }

    /// Whether it may do more than look.
    pub(super) fn may_change(&self) -> bool {
        self.role == Role::Editor
    }

    /// For lines that a person reads.
    pub(super) fn name(&self) -> &str {
        self.owner.as_ref().map_or("operator", Owner::as_str)
    }

    /// Whom a new job or upload belongs to. `named` is what the request says of it.
    pub(super) fn owner_for(&self, named: Option<Owner>) -> Result<Owner, &'static str> {
        match (&self.owner, named) {
            (Some(own), Some(named)) if *own != named => Err("is not the owner of your token"),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(named)) => Ok(named),
            (None, None) => LOCAL_OWNER
                .parse()
                .map_err(|_| "must name whom the job belongs to"),
        }
    }

    /// The owner to whose jobs a list is narrowed.
    pub(super) fn narrows_to(&self) -> Option<Owner> {
        self.owner.clone()
    }

    /// Whether this is the service's own operator: with tokens, one that is for everybody's jobs;
    /// without, whoever reaches loopback.
    pub(super) fn is_operator(&self) -> bool {
        self.owner
            .as_ref()
            .is_none_or(|owner| owner.as_str() == LOCAL_OWNER)
    }

    /// Another owner's job is not there: that it exists is nobody else's business.
    pub(super) fn may_see(&self, job: &Job) -> bool {
        self.owner.as_ref().is_none_or(|owner| *owner == job.owner)
    }
}
