//! The table. Moments are integers: microseconds since 1970, UTC.

use crate::sqlite::Schema;

pub(super) const SCHEMA: Schema = Schema {
    part: "queue",
    steps: &[FIRST],
};

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
