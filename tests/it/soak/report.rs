//! What became of each file, as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use filmlab::media::build_info;

use super::mutants::{Mutant, Seeds};

/// How work on one file ended.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// `ok`, or the step and the code of a typed error; then its message.
    Outcome(String, String),
    Crash(String),
    Hang,
    /// It ended, but took more memory than it may.
    Memory(String),
}

#[derive(Default)]
struct Row {
    files: usize,
    verified: usize,
    refused: usize,
    failed: usize,
    most_ms: u64,
    most_mib: u64,
}

#[derive(Default)]
pub(super) struct Report {
    rows: BTreeMap<&'static str, Row>,
    /// How often, and what one of them said.
    outcomes: BTreeMap<String, (usize, String)>,
    /// Name of the mutant, what happened, how to make it again.
    failed: BTreeMap<String, (String, String)>,
}

impl Report {
    pub(super) fn add(
        &mut self,
        mutant: &Mutant,
        seeds: &Seeds,
        ms: u64,
        mib: u64,
        ending: Ending,
    ) {
        let row = self.rows.entry(mutant.seed.name).or_default();
        row.files += 1;
        row.most_ms = row.most_ms.max(ms);
        row.most_mib = row.most_mib.max(mib);
        let (outcome, said, fault) = match ending {
            Ending::Outcome(outcome, message) => {
                // A panic, or a result that was published and does not hold.
                let fault = outcome.starts_with("RESULT") || outcome.ends_with(" internal");
                let whole = format!("{outcome}: {message}");
                (outcome, message, fault.then_some(whole))
            }
            Ending::Crash(how) => (
                "CRASH".to_owned(),
                String::new(),
                Some(format!("crash: {how}")),
            ),
            Ending::Hang => ("HANG".to_owned(), String::new(), Some("hang".to_owned())),
            Ending::Memory(outcome) => (
                "MEMORY".to_owned(),
                String::new(),
                Some(format!("{mib} MiB at its peak, then {outcome}")),
            ),
        };
        if outcome == "ok" {
            row.verified += 1;
        } else if fault.is_none() {
            row.refused += 1;
        }
        let entry = self.outcomes.entry(outcome).or_insert((0, said));
        entry.0 += 1;
        if let Some(fault) = fault {
            row.failed += 1;
            self.failed
                .insert(mutant.name(), (fault, mutant.command(seeds)));
        }
    }

    pub(super) fn files(&self) -> usize {
        self.rows.values().map(|row| row.files).sum()
    }

    pub(super) fn is_failure(&self, name: &str) -> bool {
        self.failed.contains_key(name)
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failed
            .iter()
            .map(|(name, (fault, command))| format!("{name}: {fault} ({command})"))
            .collect()
    }

    pub(super) fn keep(&self, folder: &Path) {
        std::fs::write(folder.join("report.txt"), self.to_string()).unwrap();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "FFmpeg {}: {} damaged files",
            build_info().ffmpeg,
            self.files()
        )?;
        writeln!(
            f,
            "{:<24}{:>7}{:>10}{:>9}{:>8}{:>10}{:>10}",
            "seed", "files", "verified", "refused", "failed", "most ms", "most MiB"
        )?;
        for (name, row) in &self.rows {
            writeln!(
                f,
                "{name:<24}{:>7}{:>10}{:>9}{:>8}{:>10}{:>10}",
                row.files, row.verified, row.refused, row.failed, row.most_ms, row.most_mib
            )?;
        }
        for (outcome, (count, said)) in &self.outcomes {
            writeln!(f, "{count:>7}  {outcome:<28} {said}")?;
        }
        for failure in self.failures() {
            writeln!(f, "{failure}")?;
        }
        Ok(())
    }
}
