//! Clips that break the process that reads them, and looking at child processes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A copy of an MP4 with a box at its end that readers skip: native work of that phase on it
/// misbehaves. What can be told is in `src/quarantine/fault.rs`.
pub(crate) fn broken(clip: &Path, told: &str, to: &Path) -> PathBuf {
    let mut bytes = std::fs::read(clip).unwrap();
    let text = format!("filmlab-fault:{told}.");
    bytes.extend((8 + text.len() as u32).to_be_bytes());
    bytes.extend(b"free");
    bytes.extend(text.as_bytes());
    std::fs::write(to, bytes).unwrap();
    to.to_owned()
}

/// Children of a process that work on media: their ids, with the word that says on what.
pub(crate) fn children(of: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // “pid (name) state parent …”; a name may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| {
            let mut words = rest.split_whitespace();
            let state = words.next()?;
            let parent = words.next()?.parse::<u32>().ok()?;
            (state != "Z").then_some(parent)
        });
        if parent != Some(of) {
            continue;
        }
        let line = read("cmdline");
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        if let [_, b"__media", phase, ..] = words.as_slice() {
            found.push((pid, String::from_utf8_lossy(phase).into_owned()));
        }
    }
    found
}

/// Waits for a child that works on this.
pub(crate) fn child(of: u32, phase: &str) -> u32 {
    let began = Instant::now();
    loop {
        if let Some((pid, _)) = children(of).into_iter().find(|(_, word)| word == phase) {
            return pid;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no child for {phase}"
        );
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Whether it runs; one that has ended and was not asked for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

pub(crate) fn until_gone(pid: u32) {
    let began = Instant::now();
    while runs(pid) {
        assert!(began.elapsed() < Duration::from_secs(10), "{pid} stays");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// The soft limit of a process, as the kernel writes it.
pub(crate) fn limit(pid: u32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next())
        .unwrap_or_default()
        .to_owned()
}

/// Whether a child has its order: its last bound is set then.
pub(crate) fn is_bound(pid: u32) -> bool {
    limit(pid, "Max cpu time").starts_with(|digit: char| digit.is_ascii_digit())
}

/// Stops a child that is at work on this, in the middle of it; `None` once `over`.
pub(crate) fn caught(of: u32, phase: &str, over: impl Fn() -> bool) -> Option<u32> {
    use rustix::process::{Pid, Signal, kill_process};
    let began = Instant::now();
    while !over() {
        assert!(began.elapsed() < Duration::from_secs(120));
        let found = children(of).into_iter().find(|(_, word)| word == phase);
        let Some((pid, _)) = found else {
            std::thread::park_timeout(Duration::from_millis(1));
            continue;
        };
        // In steps short enough to see it between its order and its end.
        let process = Pid::from_raw(pid as i32).unwrap();
        while kill_process(process, Signal::STOP).is_ok() && runs(pid) {
            if is_bound(pid) {
                return Some(pid);
            }
            let _ = kill_process(process, Signal::CONT);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    None
}
