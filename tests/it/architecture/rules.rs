//! The table of who may know whom, and the bans.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Everything of ours.
const ALL: &[&str] = &["*"];

/// Each module (an adapter counts as its own) and what of ours it may name. What a
/// module holds itself is always free to it. A module that is not in here fails
/// the test: a new one is a decision, and this is where it is written down.
const MAY_NAME: &[(&str, &[&str])] = &[
    // The composition root and the command line name every adapter; no one else does.
    ("app", ALL),
    ("cli", ALL),
    // The domain knows nothing of ours. Leaves know next to nothing.
    ("job", &[]),
    ("clock", &[]),
    ("telemetry", &["job", "clock"]),
    ("secret", &[]),
    // The system's certificates, for whoever builds an HTTP client.
    ("tls", &[]),
    // A file in the making, as media and the object store of one machine both write them.
    ("staging", &[]),
    // One SQLite file serves ledger and queue: opening and migrating it is the same for both.
    ("sqlite", &["staging"]),
    ("outgoing", &["clock", "telemetry", "tls"]),
    ("retry", &["clock", "outgoing"]),
    // Who we are to Google's APIs, for every adapter that calls one.
    ("google", &["clock", "retry", "tls"]),
    // Settings are assembled here and handed down; adapters may be configured by
    // types of their own or by types of `config`, not both ways (see `cycles`).
    ("config", ALL),
    ("media", &["job", "clock", "telemetry", "config", "staging"]),
    // Traits.
    ("ledger", &["job", "clock"]),
    ("provider", &["job", "clock"]),
    (
        "storage",
        &["job", "clock", "telemetry", "config", "outgoing", "staging"],
    ),
    (
        "storage::gcs",
        &["storage", "clock", "telemetry", "google", "retry"],
    ),
    ("queue", &["job", "clock"]),
    ("notify", &["job", "clock"]),
    // Adapters: the domain, their own trait, leaves. Never each other.
    (
        "ledger::sqlite",
        &["ledger", "job", "clock", "telemetry", "config", "sqlite"],
    ),
    (
        "ledger::firestore",
        &["ledger", "job", "clock", "telemetry", "config", "outgoing"],
    ),
    ("provider::metered", &["provider", "job", "telemetry"]),
    (
        "provider::wavespeed",
        &[
            "provider",
            "job",
            "clock",
            "telemetry",
            "config",
            "outgoing",
            "retry",
            "secret",
            "tls",
        ],
    ),
    // The built-in queue asks the ledger what is due, through the trait.
    (
        "queue::embedded",
        &["queue", "job", "clock", "telemetry", "config", "sqlite"],
    ),
    (
        "queue::cloud_tasks",
        &["queue", "job", "clock", "telemetry", "google", "retry"],
    ),
    (
        "notify::webhook",
        &["notify", "job", "clock", "telemetry", "config", "outgoing"],
    ),
    (
        "notify::log",
        &["notify", "job", "clock", "telemetry", "config"],
    ),
    (
        "notify::fcm",
        &["notify", "job", "clock", "telemetry", "google", "retry"],
    ),
    // Native work in a child: what the media core does, and what the domain calls it.
    ("quarantine", &["job", "media"]),
    // Traits only.
    (
        "worker",
        &[
            "job",
            "clock",
            "telemetry",
            "config",
            "outgoing",
            "media",
            "quarantine",
            "ledger",
            "provider",
            "storage",
            "queue",
            "notify",
        ],
    ),
    (
        "http",
        &[
            "job",
            "clock",
            "telemetry",
            "config",
            "outgoing",
            "media",
            "ledger",
            "provider",
            "storage",
            "queue",
            "notify",
            "worker",
            "tls",
        ],
    ),
    // A stand-in that shared code with the client would agree with its mistakes:
    // it knows the provider's API from the documentation, not from `provider`.
    (
        "sandbox",
        &["job", "clock", "telemetry", "config", "media", "tls"],
    ),
];

/// The one home of `unsafe` and of libav's types.
const NATIVE: &str = "src/media/av";
const NATIVE_CRATES: [&str; 2] = ["ffmpeg_next", "ffmpeg_sys_next"];
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

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

pub(super) fn judge(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        imports(source, &mut edges, &mut findings);
        bans(source, &mut findings);
        names(source, &mut findings);
    }
    cycles(&edges, &mut findings);
    findings
}

/// The longest entry of the table that holds this path, if it is one of ours.
fn unit(module: &[String]) -> Option<&'static str> {
    MAY_NAME
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| {
            let parts: Vec<&str> = name.split("::").collect();
            module.len() >= parts.len() && parts.iter().zip(module).all(|(a, b)| a == b)
        })
        .max_by_key(|name| name.len())
}

fn may_name(unit: &str) -> &'static [&'static str] {
    MAY_NAME
        .iter()
        .find(|(name, _)| *name == unit)
        .map_or(&[], |(_, allowed)| allowed)
}

fn imports<'a>(
    source: &Source,
    edges: &mut BTreeMap<&'a str, BTreeSet<&'a str>>,
    findings: &mut Vec<Finding>,
) {
    // lib.rs is the map of the crate and main.rs hands over to the command line.
    if source.module.is_empty() {
        return;
    }
    let Some(from) = unit(&source.module) else {
        findings.push(Finding {
            file: source.path.clone(),
            line: 1,
            what: format!(
                "module {:?} is not in the table of tests/it/architecture/rules.rs",
                source.module.join("::")
            ),
        });
        return;
    };
    let allowed = may_name(from);
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
        let Some(to) = unit(&path) else { continue };
        if to == from {
            continue;
        }
        edges.entry(from).or_default().insert(to);
        if allowed != ALL && !allowed.contains(&to) {
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
    let native =
        source.path.starts_with(&format!("{NATIVE}/")) || source.path == format!("{NATIVE}.rs");
    for token in &source.tokens {
        if !native && token.text == "unsafe" {
            report(token.line, "unsafe outside media::av");
        }
        if !native && NATIVE_CRATES.contains(&token.text.as_str()) {
            report(token.line, "libav types outside media::av");
        }
    }
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
fn cycles(edges: &BTreeMap<&str, BTreeSet<&str>>, findings: &mut Vec<Finding>) {
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
        judge(&sources).iter().map(ToString::to_string).collect()
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
                "use super::Ledger; use crate::{job::Job, clock::Clock};",
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
                "use ffmpeg_next as ffmpeg; fn f() { unsafe { g() } }",
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
            ("src/brand_new.rs", "", "not in the table"),
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
        let found = found(&files);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("config, ledger::sqlite"), "{found:?}");
    }

    #[test]
    fn the_table_names_only_what_it_lists() {
        for (unit, allowed) in MAY_NAME {
            for other in allowed.iter().filter(|name| **name != "*") {
                assert!(
                    MAY_NAME.iter().any(|(name, _)| name == other),
                    "{unit}: {other}"
                );
            }
        }
    }
}
