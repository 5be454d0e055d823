//! The tables. Moments are integers: microseconds since 1970, UTC.

use crate::sqlite::Schema;

pub(super) const PARTS: &[Schema] = &[
    Schema {
        part: "ledger",
        steps: &[FIRST, KEPT],
    },
    // Of which releases before know nothing and need not.
    Schema {
        part: "ledger_unreadable",
        steps: &[UNREADABLE],
    },
    // Of no use to them either.
    Schema {
        part: "ledger_shared",
        steps: &[SHARED],
    },
    Schema {
        part: "ledger_scale",
        steps: &[SCALE],
    },
    // Releases before end rounds without counting them.
    Schema {
        part: "ledger_counters",
        steps: &[COUNTERS],
    },
    // Of what is in the document: releases before keep them up to date without knowing.
    Schema {
        part: "ledger_filters",
        steps: &[FILTERS],
    },
    // Likewise.
    Schema {
        part: "ledger_search",
        steps: &[SEARCH],
    },
];

const FIRST: &str = "
-- `doc` belongs to the holder of the lease. The columns before `cancel_requested_at` are copied
-- from it in the same write; `cancel_requested_at` is written by anybody and merged on reading.
CREATE TABLE jobs (
    id                  TEXT PRIMARY KEY,
    owner               TEXT NOT NULL,
    kind                TEXT NOT NULL,
    created_at          INTEGER NOT NULL,
    status              TEXT NOT NULL,
    next_visit_at       INTEGER,
    wake_seq            INTEGER NOT NULL,
    cancel_requested_at INTEGER,
    doc                 TEXT NOT NULL
) STRICT;
-- Jobs that have not ended, by when somebody has to look at them.
CREATE INDEX jobs_due ON jobs (next_visit_at, id) WHERE next_visit_at IS NOT NULL;
CREATE INDEX jobs_by_time ON jobs (created_at, id);
CREATE INDEX jobs_by_owner ON jobs (owner, created_at, id);
CREATE INDEX jobs_by_status ON jobs (status, created_at, id);

CREATE TABLE idempotency (
    owner          TEXT NOT NULL,
    key            TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    job            TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE callbacks (
    job           TEXT NOT NULL,
    intent        TEXT NOT NULL,
    prediction_id TEXT NOT NULL,
    received_at   INTEGER NOT NULL,
    PRIMARY KEY (job, intent)
) STRICT, WITHOUT ROWID;

-- Others change `credits` by increments only.
CREATE TABLE accounts (
    owner        TEXT PRIMARY KEY,
    credits      INTEGER NOT NULL,
    credits_held INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE credit_entries (
    number INTEGER PRIMARY KEY,
    owner  TEXT NOT NULL REFERENCES accounts (owner),
    id     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    amount INTEGER NOT NULL,
    job    TEXT,
    at     INTEGER NOT NULL,
    UNIQUE (owner, id)
) STRICT;
CREATE INDEX credit_entries_by_time ON credit_entries (owner, at, number);

CREATE TABLE outbox (
    id      TEXT PRIMARY KEY,
    state   TEXT NOT NULL,
    next_at INTEGER,
    doc     TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_due ON outbox (next_at, id) WHERE next_at IS NOT NULL;
";

/// Since when files of an ended job wait for the end of their retention; copied from `doc`.
const KEPT: &str = "
ALTER TABLE jobs ADD COLUMN kept_results INTEGER;
ALTER TABLE jobs ADD COLUMN kept_generated INTEGER;
CREATE INDEX jobs_kept_results ON jobs (kept_results, id) WHERE kept_results IS NOT NULL;
CREATE INDEX jobs_kept_generated ON jobs (kept_generated, id) WHERE kept_generated IS NOT NULL;
-- Jobs that completed before have their results kept since then.
UPDATE jobs SET kept_results = unixepoch(json_extract(doc, '$.completed_at')) * 1000000
WHERE status = 'completed' AND json_valid(doc);
";

const SHARED: &str = "
-- What all instances go by; compared as a text, and written in its place.
CREATE TABLE shared (
    name TEXT PRIMARY KEY,
    doc  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Jobs of an owner that have not ended.
CREATE INDEX jobs_open_by_owner ON jobs (owner, status) WHERE next_visit_at IS NOT NULL;
";

const SCALE: &str = "
-- A deleted job takes its keys along, and the reference of each is looked for.
CREATE INDEX idempotency_by_job ON idempotency (job);
CREATE INDEX jobs_by_kind ON jobs (kind, created_at, id);
CREATE INDEX outbox_given_up ON outbox (id) WHERE state = 'undeliverable';
";

const COUNTERS: &str = "
-- Sums of what ended, by day (UTC, `2026-01-31`) and model; without an owner of everybody.
CREATE TABLE counters (
    owner TEXT NOT NULL,
    day   TEXT NOT NULL,
    model TEXT NOT NULL,
    name  TEXT NOT NULL,
    sum   INTEGER NOT NULL,
    PRIMARY KEY (owner, day, model, name)
) STRICT, WITHOUT ROWID;
";

const FILTERS: &str = "
CREATE INDEX jobs_by_model ON jobs
    (CASE WHEN json_valid(doc) THEN doc ->> '$.provider.model' END, created_at, id);
CREATE INDEX jobs_by_code ON jobs
    (CASE WHEN json_valid(doc) THEN doc ->> '$.error.code' END, created_at, id);
";

/// Beginnings of ids among one owner's; among all they are the primary key's.
const SEARCH: &str = "
CREATE INDEX jobs_by_owner_and_id ON jobs (owner, id);
";

const UNREADABLE: &str = "
-- Records that could not be read, each as it stood: `record` is `jobs/{id}` or `outbox/{id}`.
CREATE TABLE unreadable (
    record    TEXT NOT NULL,
    since     INTEGER NOT NULL,
    doc       BLOB NOT NULL,
    -- Absent while it is only watched.
    buried_at INTEGER,
    PRIMARY KEY (record, since)
) STRICT, WITHOUT ROWID;
";
