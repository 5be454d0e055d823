//! What a release before finds of its own in a file that this one has opened and written to.

use std::collections::BTreeMap;
use std::path::Path;

use filmlab::ledger::sqlite::SqliteLedger;
use filmlab::queue::embedded::EmbeddedQueue;
use rusqlite::Connection;

use super::fixtures;

/// Type, whether it must be given, and what it is by default.
type Column = (String, bool, Option<String>);

fn tables(file: &Connection) -> BTreeMap<String, BTreeMap<String, Column>> {
    let mut names = file
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names
        .map(|name| {
            let name = name.unwrap();
            let mut columns = file
                .prepare("SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info(?1)")
                .unwrap();
            let columns = columns
                .query_map([&name], |row| {
                    Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
                })
                .unwrap()
                .map(Result::unwrap)
                .collect();
            (name, columns)
        })
        .collect()
}

fn versions(file: &Connection) -> BTreeMap<String, u32> {
    let mut rows = file
        .prepare("SELECT part, version FROM schema_versions")
        .unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn opened(file: &Path) -> Connection {
    Connection::open(file).unwrap()
}

/// A release refuses a part of the file that is newer than it knows, looks at no part that it does
/// not know, and names the columns that it writes.
#[test]
fn a_file_that_this_release_opened_is_one_that_the_release_before_opens() {
    for fixture in fixtures("sqlite") {
        let dir = tempfile::tempdir().unwrap();
        let (before, file) = (dir.path().join("before"), dir.path().join("filmlab.sqlite"));
        for copy in [&before, &file] {
            std::fs::copy(fixture.join("filmlab.sqlite"), copy).unwrap();
        }
        drop(SqliteLedger::open(&file).unwrap());
        drop(EmbeddedQueue::open(&file).unwrap());
        let (before, now) = (opened(&before), opened(&file));

        let now_versions = versions(&now);
        for (part, version) in versions(&before) {
            let found = now_versions.get(&part);
            assert_eq!(found, Some(&version), "{part}: {}", fixture.display());
        }
        let tables_now = tables(&now);
        let tables_before = tables(&before);
        assert!(tables_before.len() > 5, "{tables_before:?}");
        for (table, columns) in tables_before {
            let found = &tables_now[&table];
            for (column, is) in &columns {
                assert_eq!(found.get(column), Some(is), "{table}.{column}");
            }
            for (column, (_, must, default)) in found {
                let known = columns.contains_key(column);
                assert!(known || !must || default.is_some(), "{table}.{column}");
            }
        }
    }
}
