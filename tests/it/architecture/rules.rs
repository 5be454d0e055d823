//! The table of who may know whom, and the bans.

use super::native;
use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The table of `docs/architecture.md`: each module (an adapter counts as its own)
/// and what of ours it may name. What a module holds itself is always free to it. A
/// module that is not in there fails the test: a new one is a decision, and that is
/// where it is written down.
pub(super) struct Table(BTreeMap<String, Knows>);

enum Knows {
    Everything,
    Only(BTreeSet<String>),
}

const PAGE: &str = "docs/architecture.md";
const HEADING: &str = "## Modules, and what each may know";

impl Table {
    /// Reads the rows under the heading of the page. What is wrong with it is told.
    pub(super) fn read(page: &str) -> Result<Self, String> {
        let part = page.split(HEADING).nth(1).ok_or("the heading is missing")?;
        let part = part.split("\n## ").next().unwrap_or(part);
        let mut rows = BTreeMap::new();
        for row in part.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, holds, knows] = cells[..] else {
                return Err(format!("not three cells: {row}"));
            };
            let name = name.trim_matches('`').to_owned();
            if holds.is_empty() {
                return Err(format!("nothing is said of {name}"));
            }
            let quoted = knows.split('`').skip(1).step_by(2);
            let knows = match knows {
                "everything" => Knows::Everything,
                "nothing of ours" => Knows::Only(BTreeSet::new()),
                _ => Knows::Only(quoted.map(str::to_owned).collect()),
            };
            if rows.insert(name.clone(), knows).is_some() {
                return Err(format!("two rows of {name}"));
            }
        }
        for (name, knows) in &rows {
            let Knows::Only(known) = knows else { continue };
            if let Some(other) = known.iter().find(|other| !rows.contains_key(*other)) {
                return Err(format!("{name} knows {other}, which has no row"));
            }
        }
        Ok(Self(rows))
    }

    /// The longest entry that holds this path, if it is one of ours.
    fn unit(&self, module: &[String]) -> Option<&str> {
        self.0
            .keys()
            .map(String::as_str)
            .filter(|name| {
                let parts: Vec<&str> = name.split("::").collect();
                module.len() >= parts.len() && parts.iter().zip(module).all(|(a, b)| a == b)
            })
            .max_by_key(|name| name.len())
    }

    fn may_name(&self, from: &str, to: &str) -> bool {
        self.0.get(from).is_some_and(|knows| match knows {
            Knows::Everything => true,
            Knows::Only(known) => known.contains(to),
        })
    }
}

/// The one file that starts a process.
const STARTS: &str = "src/quarantine/parent.rs";
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    file: String,
    line: usize,
    what: String,
}

impl Finding {
    pub(super) fn new(file: &str, line: usize, what: String) -> Self {
        let file = file.to_owned();
        Self { file, line, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

pub(super) fn judge(sources: &[Source], table: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut edges = Edges::new();
    for source in sources {
        imports(source, table, &mut edges, &mut findings);
        native::bans(source, &mut findings);
        bans(source, &mut findings);
        names(source, &mut findings);
    }
    cycles(&edges, &mut findings);
    findings
}

/// What the table allows and no file does: it would keep a door open for nobody.
pub(super) fn unneeded(sources: &[Source], table: &Table) -> Vec<String> {
    let mut edges = Edges::new();
    for source in sources {
        imports(source, table, &mut edges, &mut Vec::new());
    }
    let mut unneeded = Vec::new();
    for (from, knows) in &table.0 {
        let Knows::Only(known) = knows else { continue };
        let named = edges.get(from.as_str());
        let free = |to: &&String| !named.is_some_and(|named| named.contains(to.as_str()));
        unneeded.extend(known.iter().filter(free).map(|to| format!("{from}: {to}")));
    }
    unneeded
}

type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn imports<'a>(
    source: &Source,
    table: &'a Table,
    edges: &mut Edges<'a>,
    findings: &mut Vec<Finding>,
) {
    // lib.rs is the map of the crate and main.rs hands over to the command line.
    if source.module.is_empty() {
        return;
    }
    let Some(from) = table.unit(&source.module) else {
        findings.push(Finding {
            file: source.path.clone(),
            line: 1,
            what: format!(
                "module {:?} is not in the table of {PAGE}",
                source.module.join("::")
            ),
        });
        return;
    };
    for named in source.paths() {
        if named.in_tests {
            continue;
        }
        let path = if named.segments.first().is_some_and(|first| first == "crate") {
            named.segments[1..].to_vec()
        } else {
            // `use sqlite::Db` in ledger.rs names a child without saying `self`.
            [source.module.as_slice(), &named.segments].concat()
        };
        let Some(to) = table.unit(&path) else {
            continue;
        };
        if to == from {
            continue;
        }
        edges.entry(from).or_default().insert(to);
        if !table.may_name(from, to) {
            findings.push(Finding {
                file: source.path.clone(),
                line: named.line,
                what: format!("{from} may not know {to} (names {})", path.join("::")),
            });
        }
    }
}

fn bans(source: &Source, findings: &mut Vec<Finding>) {
    let mut report = |line: usize, what: &str| {
        findings.push(Finding {
            file: source.path.clone(),
            line,
            what: what.to_owned(),
        });
    };
    for named in source.paths() {
        let process = named.segments.windows(2).any(|pair| {
            pair[0] == "process" && matches!(pair[1].as_str(), "Command" | "CommandExt")
        });
        if process && source.path != STARTS {
            report(named.line, "starts a program: only the quarantine may");
        }
    }
}

fn names(source: &Source, findings: &mut Vec<Finding>) {
    let inline = source
        .tokens
        .windows(2)
        .filter(|pair| pair[0].text == "mod")
        .map(|pair| (pair[1].text.as_str(), pair[1].line));
    let own = source.module.last().map(|name| (name.as_str(), 1));
    let found: BTreeSet<(&str, usize)> = inline.chain(own).collect();
    for (name, line) in found {
        if EMPTY_NAMES.contains(&name) {
            findings.push(Finding {
                file: source.path.clone(),
                line,
                what: format!("a module named {name:?} says nothing about what is inside"),
            });
        }
    }
}

/// Two modules that know each other, at whatever distance, are one.
fn cycles(edges: &Edges<'_>, findings: &mut Vec<Finding>) {
    let reaches = |from: &str, to: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            for &step in edges.get(at).into_iter().flatten() {
                if step == to {
                    return true;
                }
                if seen.insert(step) {
                    next.push(step);
                }
            }
        }
        false
    };
    // The command line and the root may call one another.
    let knot: Vec<&str> = edges
        .keys()
        .copied()
        .filter(|unit| !matches!(*unit, "app" | "cli") && reaches(unit, unit))
        .collect();
    if !knot.is_empty() {
        findings.push(Finding {
            file: "src".to_owned(),
            line: 0,
            what: format!(
                "these modules know each other in a circle: {}",
                knot.join(", ")
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let table = Table::read(include_str!("../../../docs/architecture.md")).unwrap();
        judge(&sources, &table)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn assert_one(path: &str, text: &str, part: &str) {
        let found = found(&[(path, text)]);
        assert!(
            found.len() == 1 && found[0].contains(part),
            "{path}: {text}: {found:?}"
        );
    }

    #[test]
    fn an_empty_tree_passes() {
        assert!(found(&[("src/lib.rs", ""), ("src/main.rs", "fn main() {}")]).is_empty());
    }

    #[test]
    fn good_neighbours_pass() {
        let files = [
            ("src/lib.rs", "pub mod job; pub mod ledger;"),
            (
                "src/job/kinds.rs",
                "use super::Job; use crate::job::{Party, failure::Code};",
            ),
            ("src/ledger.rs", "pub mod sqlite; use crate::job::Job;"),
            (
                "src/ledger/sqlite.rs",
                "use super::Ledger; use crate::{job::Job, sqlite::Database};",
            ),
            (
                "src/worker/stages/submit.rs",
                "use crate::{ledger::Ledger, provider::Provider};",
            ),
            (
                "src/quarantine/parent.rs",
                "fn f() { std::process::Command::new(g()) }",
            ),
            (
                "src/app.rs",
                "use crate::{ledger::sqlite::Db, provider::wavespeed::Client};",
            ),
            (
                "src/media/av/input.rs",
                "use ffmpeg_next::ffi; fn f() { unsafe { g() } }",
            ),
            (
                "src/worker.rs",
                "mod tests { use crate::ledger::sqlite::Db; }",
            ),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn breaches_are_found() {
        let cases = [
            (
                "src/job.rs",
                "use crate::clock::Clock;",
                "job may not know clock",
            ),
            (
                "src/job/kinds.rs",
                "fn f() { crate::media::plan() }",
                "job may not know media",
            ),
            (
                "src/ledger/sqlite.rs",
                "use super::firestore::Value;",
                "ledger::sqlite may not know ledger::firestore",
            ),
            (
                "src/notify/webhook.rs",
                "use crate::{job::Job, provider::{wavespeed::Client}};",
                "notify::webhook may not know provider::wavespeed",
            ),
            (
                "src/worker/stages/submit.rs",
                "use crate::ledger::sqlite::Db;",
                "worker may not know ledger::sqlite",
            ),
            (
                "src/ledger.rs",
                "pub mod sqlite; pub use sqlite::Db;",
                "ledger may not know ledger::sqlite",
            ),
            (
                "src/http/jobs.rs",
                "use crate::app::App;",
                "http may not know app",
            ),
            (
                "src/sandbox.rs",
                "use crate::provider::wavespeed::wire;",
                "sandbox may not know",
            ),
            (
                "src/media/probe.rs",
                "use ffmpeg_next::format;",
                "libav types outside",
            ),
            (
                "src/media/probe.rs",
                "fn f() { unsafe { g() } }",
                "unsafe outside",
            ),
            (
                "src/media/avail.rs",
                "fn f() { unsafe { g() } }",
                "unsafe outside",
            ),
            (
                "src/worker.rs",
                "use std::process::Command;",
                "starts a program",
            ),
            (
                "src/quarantine.rs",
                "use std::process::Command;",
                "starts a program",
            ),
            (
                "src/quarantine/parent/serve.rs",
                "use std::os::unix::process::CommandExt;",
                "starts a program",
            ),
            (
                "src/worker.rs",
                "use std::process::{self, Command};",
                "starts a program",
            ),
            (
                "src/worker.rs",
                "use tokio::process; fn f() { process::Command::new() }",
                "starts",
            ),
            (
                "src/worker.rs",
                "mod tests { use std::process::Command; }",
                "starts a program",
            ),
            ("src/media/av/utils.rs", "", "named \"utils\""),
            ("src/media.rs", "mod helpers { }", "named \"helpers\""),
            (
                "src/brand_new.rs",
                "",
                "not in the table of docs/architecture.md",
            ),
        ];
        for (path, text, part) in cases {
            assert_one(path, text, part);
        }
    }

    #[test]
    fn circles_are_found() {
        let files = [
            ("src/config.rs", "use crate::ledger::sqlite::Settings;"),
            ("src/ledger/sqlite.rs", "use crate::config::Path;"),
        ];
        let rows = "| `config` | C | everything |\n| `ledger::sqlite` | L | everything |";
        let table = Table::read(&format!("{HEADING}\n{rows}")).unwrap();
        let sources = files.map(|(path, text)| Source::new(path, text));
        let found = judge(&sources, &table);
        assert_eq!(found.len(), 1);
        let told = found[0].to_string();
        assert!(told.contains("config, ledger::sqlite"), "{told}");
    }

    #[test]
    fn a_table_that_says_too_little_is_refused() {
        let read = |rows: &str| Table::read(&format!("{HEADING}\n\n{rows}\n\n## Next\n")).err();
        assert_eq!(
            read("| `a` | A | `b` |\n| `b` | B | nothing of ours |"),
            None
        );
        let cases = [
            ("| `a` | A | `b` |", "a knows b, which has no row"),
            ("| `a` | A |", "not three cells: | `a` | A |"),
            ("| `a` | | everything |", "nothing is said of a"),
            (
                "| `a` | A | everything |\n| `a` | A | everything |",
                "two rows of a",
            ),
        ];
        for (rows, wanted) in cases {
            assert_eq!(read(rows).as_deref(), Some(wanted), "{rows}");
        }
        let missing = Table::read("").err();
        assert_eq!(missing.as_deref(), Some("the heading is missing"));
    }

    #[test]
    fn an_allowance_that_nobody_needs_is_found() {
        let rows =
            "| `a` | A | `b`, `c` |\n| `b` | B | everything |\n| `c` | C | nothing of ours |";
        let table = Table::read(&format!("{HEADING}\n{rows}")).unwrap();
        let sources = [Source::new("src/a.rs", "use crate::b::B;")];
        assert_eq!(unneeded(&sources, &table), ["a: c"]);
    }
}
