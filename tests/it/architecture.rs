//! Holds `src/` to the import rules of `docs/architecture.md`.
//!
//! A module is judged by the paths it names. The reading is rough on purpose
//! (tokens, no macros expanded, no types resolved): it is meant to catch the
//! honest shortcut on the day it is taken. `mod tests` inside `src/` may import
//! what it likes; the bans on `unsafe`, `ffmpeg_next` and processes hold there too.

mod imports;
mod native;
mod rings;
mod rules;
mod source;

use rings::rings;
use rules::{Finding, Table, judge, unneeded};
use source::Source;
use std::fs;
use std::path::{Path, PathBuf};

/// Past this a file is listed, since it usually holds two things.
const LONG: usize = 400;
/// Past this it fails.
const TOO_LONG: usize = 600;

#[test]
fn the_modules_keep_to_their_borders() {
    let sources = sources();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let table = Table::read(&fs::read_to_string(page).unwrap()).unwrap();
    let findings = judge(&sources, &table);
    assert!(findings.is_empty(), "{}", listed(&findings));
    let unneeded = unneeded(&sources, &table);
    assert!(unneeded.is_empty(), "nobody needs: {unneeded:?}");
}

#[test]
fn no_file_stands_on_itself() {
    let rings = rings(&sources());
    assert!(rings.is_empty(), "{}", rings.join("\n"));
}

#[test]
fn files_are_readable_in_one_sitting() {
    let mut too_long = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONG {
            eprintln!("{}: {lines} lines: does it hold two things?", source.path);
        }
        if lines > TOO_LONG {
            too_long.push(format!("{}: {lines} lines, over {TOO_LONG}", source.path));
        }
    }
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no sources under {}", root.display());
    files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(root).unwrap().to_str().unwrap();
            Source::new(path, &fs::read_to_string(file).unwrap())
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn listed(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    format!("{} breach(es):\n  {}", lines.len(), lines.join("\n  "))
}
