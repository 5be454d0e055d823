//! Makes the mutants, gives them to children, and says what became of each.
//!
//! `FILMLAB_SOAK_RUNNER`: a command the children run under, such as valgrind.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use filmlab::media::build_info;

use super::child;
use super::mutants::{self, Mutant, Role, Seeds};
use super::report::{Ending, Report};
use super::{MOST_MIB, MOST_SECONDS};
use crate::support::require;

/// Files of one child: enough that starting it does not count, few enough that one
/// that dies takes little with it.
const BATCH: usize = 40;
/// A child that needs this much address space is ended by the system: what a file
/// can do to the machine has an end. KiB.
const ADDRESSES: u64 = 12 << 20;

/// Seeds of `zzuf` for each kind of damage of each file; `FILMLAB_SOAK_NUMBERS`.
pub(super) fn numbers() -> u32 {
    let given = require::variable("FILMLAB_SOAK_NUMBERS");
    given
        .to_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10)
}

/// `target/soak`, by FFmpeg's release.
pub(super) fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("soak").join(build_info().ffmpeg);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Works on all of them; files that end badly are left in `folder`.
pub(super) fn all(mutants: &[Mutant], folder: &Path) -> Report {
    let mut report = Report::default();
    let Some(seeds) = mutants::seeds() else {
        return report;
    };
    let mut waiting: VecDeque<Mutant> = mutants.to_vec().into();
    let mut round = 0;
    while !waiting.is_empty() {
        let batch: Vec<Mutant> = waiting.drain(..waiting.len().min(BATCH)).collect();
        let begun = one_child(&batch, &seeds, folder, round, &mut report);
        // What the child did not come to goes to the next one.
        for mutant in batch.into_iter().skip(begun).rev() {
            waiting.push_front(mutant);
        }
        round += 1;
    }
    report
}

/// Returns how many files of the batch have an ending.
fn one_child(
    batch: &[Mutant],
    seeds: &Seeds,
    folder: &Path,
    round: usize,
    report: &mut Report,
) -> usize {
    let files: Vec<(bool, PathBuf)> = batch
        .iter()
        .map(|mutant| {
            let path = folder.join(mutant.name());
            std::fs::write(&path, mutant.bytes(seeds)).unwrap();
            (mutant.seed.role == Role::Picture, path)
        })
        .collect();
    let list = child::list(folder, round, &seeds.main(), &files);
    let inner = child::command("soak::child::batch");
    let runner = require::variable("FILMLAB_SOAK_RUNNER");
    let runner = runner.to_string_lossy();
    let mut child = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {ADDRESSES}; ulimit -c 0; exec \"$@\""))
        .arg("sh")
        .args(runner.split_whitespace())
        .arg(inner.get_program())
        .args(inner.get_args())
        .env(child::BATCH, &list)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });

    let mut ended = 0;
    let mut at_work = false;
    let hung = loop {
        match lines.recv_timeout(Duration::from_secs(MOST_SECONDS)) {
            Ok(line) => match child::fields(&line).as_deref() {
                Some(["begin", _]) => at_work = true,
                Some(["end", _, ms, mib, outcome, message]) => {
                    at_work = false;
                    let (ms, mib) = (ms.parse().unwrap(), mib.parse().unwrap());
                    let ending = if mib > MOST_MIB {
                        Ending::Memory(outcome.to_string())
                    } else {
                        Ending::Outcome(outcome.to_string(), message.to_string())
                    };
                    report.add(&batch[ended], seeds, ms, mib, ending);
                    ended += 1;
                }
                _ => {}
            },
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    if hung {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    // A runner such as valgrind has its say at the end.
    assert!(
        ended < batch.len() || status.success(),
        "all files ended, but their process with {status}: see its log"
    );
    if ended < batch.len() {
        assert!(at_work, "a child ended before its work: {status}");
        let ending = match status.signal() {
            _ if hung => Ending::Hang,
            Some(signal) => Ending::Crash(format!("signal {signal}")),
            None => Ending::Crash(status.to_string()),
        };
        report.add(&batch[ended], seeds, MOST_SECONDS * 1000, 0, ending);
        ended += 1;
    }
    for mutant in &batch[..ended] {
        if !report.is_failure(&mutant.name()) {
            let _ = std::fs::remove_file(folder.join(mutant.name()));
        }
    }
    let _ = std::fs::remove_file(list);
    ended
}
