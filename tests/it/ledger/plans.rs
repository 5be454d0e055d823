//! How SQLite finds what the program asks for: by an index, however many jobs there are.

use std::collections::BTreeSet;
use std::path::Path;

use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::queue::embedded::EmbeddedQueue;
use regex::Regex;
use rusqlite::Connection;

/// What walks through a whole table or index, or sorts what it found, and why it may.
const MAY: &[(&str, &str)] = &[
    (
        "FROM jobs WHERE true ORDER BY created_at DESC",
        "a page from the end of an index",
    ),
    (
        "(SELECT 1 FROM tasks WHERE finished_at IS NULL LIMIT",
        "counted once for 256 new tasks",
    ),
    ("ORDER BY due_at LIMIT 1", "the first entry of an index"),
    (
        "SELECT name, task, due_at FROM tasks",
        "all that wait are asked for, by tests",
    ),
    (
        "outbox WHERE state = 'undeliverable'",
        "an index of these alone, up to a bound",
    ),
    ("FROM callbacks WHERE job", "those of one job are sorted"),
    ("FROM credit_entries WHERE owner = ?1 AND id >", "likewise"),
];

/// The statements in a source file, their lines joined.
fn statements(source: &str) -> Vec<String> {
    let literal =
        Regex::new(r#"(?s)"\s*((?:SELECT|UPDATE|DELETE|INSERT)\b(?:[^"\\]|\\.)*)""#).unwrap();
    let joined = Regex::new(r"\\\n\s*").unwrap();
    let found = literal.captures_iter(source);
    found
        .map(|found| joined.replace_all(&found[1], "").into_owned())
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

const OF_JOBS: &str = r#"AND substr(task, 1, 16) <> '{"type":"outbox"'"#;
const OF_NOTICES: &str = r#"AND substr(task, 1, 16) = '{"type":"outbox"'"#;

/// The same with what is put into them.
fn spelled_out(statement: &str) -> Vec<String> {
    let rows = [
        "jobs WHERE status = 'queued'",
        "jobs WHERE status = 'processing' AND json_valid(doc) AND doc ->> 'stage' = 'generate'",
        "outbox WHERE next_at IS NOT NULL AND state = 'pending'",
        "outbox WHERE state = 'undeliverable'",
    ];
    let statement = statement.replace("{COLUMNS}", "id, doc");
    if statement.contains("{rows}") {
        let each = rows.map(|rows| statement.replace("{rows}", rows));
        return each.to_vec();
    }
    if statement.contains("{of_lane}") {
        let each = ["", OF_JOBS, OF_NOTICES];
        return each
            .map(|lane| statement.replace("{of_lane}", lane))
            .to_vec();
    }
    if statement.contains("{of_owner}") {
        let each = ["owner = ?1 AND", "?1 IS NULL AND"];
        return each
            .map(|owner| statement.replace("{of_owner}", owner))
            .to_vec();
    }
    if statement.ends_with("FROM jobs WHERE true") {
        let order = "ORDER BY created_at DESC, id DESC";
        let place = "AND (created_at, id) < (?, ?)";
        let model = "AND CASE WHEN json_valid(doc) THEN doc ->> '$.provider.model' END = ?";
        let code = "AND CASE WHEN json_valid(doc) THEN doc ->> '$.error.code' END = ?";
        let filters = [
            "",
            "AND owner = ?",
            "AND status = ?",
            "AND kind = ?",
            model,
            code,
        ];
        let pages = filters.iter().flat_map(|filter| {
            ["", place].map(|place| format!("{statement} {filter} {place} {order}"))
        });
        return pages
            .map(|page| page.replace("  ", " ").replace("  ", " "))
            .collect();
    }
    vec![statement]
}

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filmlab.db");
    drop(SqliteLedger::open(&path).unwrap());
    drop(EmbeddedQueue::open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = vec![root.join("queue/embedded.rs")];
    for folder in ["ledger/sqlite", "queue/embedded"] {
        let files = std::fs::read_dir(root.join(folder)).unwrap();
        sources.extend(files.map(|file| file.unwrap().path()));
    }
    // A few dozen rows, in a table that is made when it is needed; and a command that a person
    // starts once, which looks at every row for an owner's name.
    sources.retain(|source| !source.ends_with("marks.rs") && !source.ends_with("owned.rs"));
    let (mut seen, mut walks, mut allowed) = (0, Vec::new(), BTreeSet::new());
    let walks_or_sorts = Regex::new("^SCAN [a-z_]+( |$)|^USE TEMP B-TREE").unwrap();
    for source in sources {
        for statement in statements(&std::fs::read_to_string(&source).unwrap()) {
            for statement in spelled_out(&statement) {
                seen += 1;
                let steps = plan(&db, &statement);
                let Some(walk) = steps.iter().find(|step| walks_or_sorts.is_match(step)) else {
                    continue;
                };
                match MAY.iter().find(|(part, _)| statement.contains(part)) {
                    Some((part, _)) => {
                        allowed.insert(part);
                    }
                    None => walks.push(format!("{walk}: {statement}")),
                }
            }
        }
    }
    assert!(walks.is_empty(), "{walks:#?}");
    assert_eq!(allowed.len(), MAY.len(), "{allowed:#?}");
    assert!(seen > 60, "only {seen} statements were found");
    // However many of the other lane wait before.
    for (lane, index) in [(OF_JOBS, "tasks_of_jobs"), (OF_NOTICES, "tasks_of_notices")] {
        let first =
            format!("SELECT due_at FROM tasks WHERE finished_at IS NULL {lane} ORDER BY due_at");
        let steps = plan(&db, &first);
        assert_eq!(steps, [format!("SCAN tasks USING INDEX {index}")]);
    }
}

fn plan(db: &Connection, statement: &str) -> Vec<String> {
    let plan = db.prepare(&format!("EXPLAIN QUERY PLAN {statement}"));
    let mut plan = plan.unwrap_or_else(|error| panic!("{statement}: {error}"));
    let steps = plan.raw_query().mapped(|row| row.get(3));
    steps.map(Result::unwrap).collect()
}
