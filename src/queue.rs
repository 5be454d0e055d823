//! Wake-ups: tasks that call the worker later, by name and at most once per name.

pub mod cloud_tasks;
pub mod embedded;

use std::fmt::{self, Debug};

use async_trait::async_trait;

use crate::job::{JobId, Notice, Timestamp};

/// What a task is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Task {
    /// Visit a job.
    Job { id: JobId, seq: u64, why: Why },
    /// Deliver a notice. Tasks that are stored call it `outbox`.
    #[serde(rename = "outbox")]
    Notice { id: String, delivery: u32 },
}

/// Why a job is to be visited: tells apart the names of tasks with the same number.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Why {
    /// The recorded wake-up of that number.
    Wake,
    /// Somebody asked for cancellation.
    Cancel,
    /// The provider called back.
    Callback,
}

/// What takes places of its own where tasks are brought: a notice's receiver may hang, and that
/// must not keep jobs waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Jobs,
    Notices,
}

impl Task {
    /// The visit that the job's wake-up of that number promises.
    #[must_use]
    pub fn wake(job: &JobId, seq: u64) -> Self {
        Self::Job {
            id: job.clone(),
            seq,
            why: Why::Wake,
        }
    }

    /// The next try to deliver a notice.
    #[must_use]
    pub fn deliver(notice: &Notice) -> Self {
        Self::Notice {
            id: notice.id.clone(),
            delivery: notice.next_task(),
        }
    }

    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Job { .. } => Lane::Jobs,
            Self::Notice { .. } => Lane::Notices,
        }
    }

    /// The name under which the task exists once.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Job { id, seq, why } => format!("{id}-{seq}-{}", <&'static str>::from(*why)),
            // Ids of notices hold ':' and '.', which task names must not.
            Self::Notice { id, delivery } => {
                let safe: String = id
                    .chars()
                    .map(|c| {
                        if c.is_ascii_alphanumeric() || c == '-' {
                            c
                        } else {
                            '_'
                        }
                    })
                    .collect();
                format!("outbox-{safe}-{delivery}")
            }
        }
    }
}

impl Task {
    /// Whether it is a task of the job, or of one of its notices.
    #[must_use]
    pub fn is_of(&self, job: &JobId) -> bool {
        match self {
            Self::Job { id, .. } => id == job,
            // Notices are named `{job}:{round}:{event}`.
            Self::Notice { id, .. } => id.split(':').next() == Some(job.as_str()),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("the queue does not answer: {0}")]
    Unavailable(String),
    /// The queue is as long as it may get.
    #[error("the queue is full")]
    Full,
    /// The queue will not take it as it is: settings or permissions are wrong.
    #[error("the queue refuses: {0}")]
    Refused(String),
}

/// What became of planning a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduled {
    /// It will be delivered.
    Planned,
    /// There is, or was a while ago, a task of that name: nothing was changed. One that is over
    /// is not delivered again, so a promise needs a name that nobody has used.
    Known,
}

/// Plans tasks.
#[async_trait]
pub trait Queue: Debug + Send + Sync {
    /// Delivers `task` at `at` or later, at least once, unless its name is known already.
    async fn schedule(&self, task: &Task, at: Timestamp) -> Result<Scheduled, QueueError>;
    /// Whether the task is due and has yet to be brought for the first time: then it need not be
    /// planned anew, however late it is. A queue that cannot tell says no.
    async fn is_in_line(&self, _task: &Task, _now: Timestamp) -> Result<bool, QueueError> {
        Ok(false)
    }
    /// Drops the tasks of a job that was deleted, and of its notices, with their names; gives
    /// their number. A queue that cannot find them delivers them to nobody: also good.
    async fn forget(&self, _job: &JobId) -> Result<u32, QueueError> {
        Ok(0)
    }
    async fn ping(&self) -> Result<(), QueueError>;
}

/// What the receiver of a task says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Done, or planned anew: the task is deleted.
    Acknowledged,
    /// Bring it again, after the queue's own pause.
    Again,
    /// The same, but at this moment at the latest.
    AgainBy(Timestamp),
}

/// Who receives tasks: the worker, for the embedded queue.
#[async_trait]
pub trait Receiver: Debug + Send + Sync {
    /// `deliveries` counts from 1.
    async fn receive(&self, task: Task, deliveries: u32) -> Delivery;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored tasks, their order and the names that queues keep reserved outlive a release.
    #[test]
    fn a_notice_s_task_is_stored_and_named_as_ever() {
        let task = Task::Notice {
            id: "j1:1:job.completed".into(),
            delivery: 2,
        };
        let stored = r#"{"type":"outbox","id":"j1:1:job.completed","delivery":2}"#;
        assert_eq!(serde_json::to_string(&task).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Task>(stored).unwrap(), task);
        assert_eq!(task.name(), "outbox-j1_1_job_completed-2");
    }
}
