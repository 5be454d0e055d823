//! The table. Moments are integers: microseconds since 1970, UTC.

use crate::sqlite::Schema;

pub(super) const PARTS: &[Schema] = &[
    Schema {
        part: "queue",
        steps: &[FIRST],
    },
    // Of no use to releases before.
    Schema {
        part: "queue_lanes",
        steps: &[LANES],
    },
];

/// What a notice's task begins with tells the lanes apart.
pub(super) const OF_JOBS: &str = r#"AND substr(task, 1, 16) <> '{"type":"outbox"'"#;
pub(super) const OF_NOTICES: &str = r#"AND substr(task, 1, 16) = '{"type":"outbox"'"#;

const LANES: &str = r#"
-- The first one that is due of a lane, however many of the other wait.
CREATE INDEX tasks_of_jobs ON tasks (due_at, name)
    WHERE finished_at IS NULL AND substr(task, 1, 16) <> '{"type":"outbox"';
CREATE INDEX tasks_of_notices ON tasks (due_at, name)
    WHERE finished_at IS NULL AND substr(task, 1, 16) = '{"type":"outbox"';
"#;

const FIRST: &str = "
-- A row with `finished_at` is a tombstone: its name is reserved.
CREATE TABLE tasks (
    name        TEXT PRIMARY KEY,
    task        TEXT NOT NULL,
    due_at      INTEGER NOT NULL,
    deliveries  INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER
) STRICT;
CREATE INDEX tasks_due ON tasks (due_at, name) WHERE finished_at IS NULL;
CREATE INDEX tasks_finished ON tasks (finished_at) WHERE finished_at IS NOT NULL;
";
