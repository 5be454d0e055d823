//! Damaged files through probe and process: each ends in a typed error or in a
//! verified result, within its time and memory.
//!
//! `zzuf` flips bits of the fixtures; a mutant is made again from its seed file,
//! ratio, range and number alone ([`mutants::Mutant::command`]). Files are worked on
//! by a child process, a batch at a time, so that a crash, a hang or a file that
//! eats memory is told by name. A slice runs with all tests; `make soak` runs the
//! rest, which are ignored here.

mod child;
pub(crate) mod memory;
mod mutants;
mod report;
mod run;

use std::path::PathBuf;

use crate::support::require;
use mutants::{Mutant, SEEDS};

/// What one file may take. An hour of work would be stopped by limits and deadline
/// in the product; here a 2 s clip is given this long, in a debug build on a busy
/// machine.
const MOST_SECONDS: u64 = 60;
/// Peak resident memory of the process while it works on one file. A forged size
/// may be as large as `limits.max_pixels` allows, and is decoded then.
const MOST_MIB: u64 = 1024;

fn tools() -> Option<PathBuf> {
    require::ffmpeg()?;
    mutants::seeds()?;
    require::program("zzuf", "zzuf")
}

/// What ended badly once, and one mutant of every seed, by turns of every kind.
#[test]
fn a_slice_of_damaged_files_ends_well() {
    if tools().is_none() {
        return;
    }
    // What an optimised build decodes past the end of, in silence, is told by these.
    // A build without them would prove less than the slice is for.
    const { assert!(cfg!(debug_assertions)) };
    let folder = tempfile::tempdir().unwrap();
    let variants = mutants::variants(1);
    let one_each = SEEDS
        .iter()
        .zip(variants.iter().cycle())
        .map(|(seed, variant)| Mutant::of(seed, *variant));
    let slice: Vec<Mutant> = mutants::known().into_iter().chain(one_each).collect();
    let report = run::all(&slice, folder.path());
    assert_eq!(report.files(), slice.len());
    assert_eq!(report.failures(), Vec::<String>::new(), "{report}");
}

/// The same mutant twice is the same file, another number another one.
#[test]
fn a_mutant_can_be_made_again() {
    if tools().is_none() {
        return;
    }
    let Some(seeds) = mutants::seeds() else {
        return;
    };
    let make = |number| {
        let variants = mutants::variants(2);
        Mutant::of(&SEEDS[0], variants[number]).bytes(&seeds)
    };
    assert_eq!(make(0), make(0));
    assert_ne!(make(0), make(1));
}

#[test]
#[ignore = "some minutes: `make soak`"]
fn damaged_files_end_well() {
    let Some(_) = tools() else { return };
    let folder = run::folder();
    let report = run::all(&mutants::all(run::numbers()), &folder);
    report.keep(&folder);
    println!("{report}");
    assert_eq!(report.failures(), Vec::<String>::new());
}
