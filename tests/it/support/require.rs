//! Skips that cannot hide.
//!
//! A test asks for what the machine may lack and leaves early without it:
//!
//! ```ignore
//! let Some(clip) = require::fixture("hevc-10bit.mp4") else { return };
//! ```
//!
//! Each such skip is one line in `skipped.txt` in cargo's own folder for test
//! files; `make test` prints them at its end. A file, since nextest runs every
//! test in a process of its own. Where the comma list `FILMLAB_REQUIRE` names the
//! part, a skip is a failure instead: that is how `.ci/run` makes sure that
//! nothing was left out there.
#![allow(
    dead_code,
    reason = "a kit: not every part of it is in use at every time"
)]

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Every part there is. A name outside it in `FILMLAB_REQUIRE` is a mistake, and
/// would otherwise demand nothing for ever. Those from `deny` on belong to the scripts.
pub(crate) const PARTS: [&str; 18] = [
    "fixtures",
    "ffmpeg",
    "zzuf",
    "exiftool",
    "provenance",
    "emulator",
    "vendor",
    "mount",
    "browser",
    "deny",
    "advisories",
    "shellcheck",
    "spelling",
    "pages",
    "examples",
    "schemathesis",
    "chromium",
    "deployment",
];

/// Passes `found` on; if there is none, records the skip or, where it is
/// demanded, panics with `missing`, which should say how to get the part.
pub(crate) fn require<T>(part: &str, found: Option<T>, missing: impl Display) -> Option<T> {
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        Skips::of_this_run().record(part, &test, &missing.to_string());
    }
    found
}

/// A committed or generated fixture by its file name.
pub(crate) fn fixture(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let found = [folder.join("generated").join(name), folder.join(name)]
        .into_iter()
        .find(|path| path.is_file());
    require(
        "fixtures",
        found,
        format_args!("no fixture {name}: run `make fixtures`"),
    )
}

/// The `ffmpeg` program, as a reference to compare with.
pub(crate) fn ffmpeg() -> Option<PathBuf> {
    program("ffmpeg", "ffmpeg")
}

/// The `ffprobe` program, which comes with `ffmpeg`.
pub(crate) fn ffprobe() -> Option<PathBuf> {
    program("ffmpeg", "ffprobe")
}

/// Python with what reads C2PA manifests, as `scripts/provenance.sh` installs it.
pub(crate) fn manifest_readers() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let own = folder.map(|folder| folder.join("provenance/venv/bin/python"));
    // Another target folder is told by the environment, as cargo's own is; that of the system's
    // FFmpeg has one for both.
    let common = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/provenance/venv/bin/python");
    let found = own.into_iter().chain([common]).find(|path| path.is_file());
    require(
        "provenance",
        found,
        "nothing reads manifests: run `scripts/provenance.sh`",
    )
}

/// A program on the PATH, as a need named `part`.
pub(crate) fn program(part: &str, name: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&variable("PATH"))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    require(
        part,
        found,
        format_args!("no program {name}: run `make setup`"),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demand comes from the environment by design"
)]
pub(crate) fn variable(name: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_default()
}

/// What is demanded, and where skips are written down.
struct Skips {
    demanded: Vec<String>,
    file: PathBuf,
}

impl Skips {
    fn of_this_run() -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped.txt");
        Self::new(&variable("FILMLAB_REQUIRE").to_string_lossy(), file)
    }

    fn new(demanded: &str, file: PathBuf) -> Self {
        let demanded: Vec<String> = demanded
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        for part in &demanded {
            assert!(
                PARTS.contains(&part.as_str()),
                "FILMLAB_REQUIRE names {part:?}, which is none of {PARTS:?}"
            );
        }
        Self { demanded, file }
    }

    fn record(&self, part: &str, test: &str, missing: &str) {
        assert!(PARTS.contains(&part), "{part:?} is not in PARTS");
        assert!(
            !self.demanded.iter().any(|demanded| demanded == part),
            "{missing} (FILMLAB_REQUIRE demands {part:?})"
        );
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).expect("a folder for skipped.txt");
        }
        // One write in append mode: lines of tests that run at once do not mix.
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file)
            .and_then(|mut file| file.write_all(format!("{part}\t{test}\t{missing}\n").as_bytes()))
            .expect("skipped.txt must be writable, or a skip would go unseen");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn skips(demanded: &str) -> (tempfile::TempDir, Skips) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tmp/skipped.txt");
        (folder, Skips::new(demanded, file))
    }

    #[test]
    fn a_skip_is_written_down() {
        let (_folder, skips) = skips("");
        skips.record("emulator", "ledger::firestore", "no emulator");
        skips.record("vendor", "media", "no static build");
        assert_eq!(
            std::fs::read_to_string(&skips.file).unwrap(),
            "emulator\tledger::firestore\tno emulator\nvendor\tmedia\tno static build\n"
        );
    }

    #[test]
    fn what_is_demanded_fails_instead() {
        let (_folder, skips) = skips("ffmpeg, emulator");
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            skips.record("emulator", "ledger::firestore", "no emulator");
        }));
        let message = *outcome.unwrap_err().downcast::<String>().unwrap();
        assert!(message.starts_with("no emulator"), "{message}");
        assert!(!skips.file.exists());
        skips.record("vendor", "media", "not demanded, so only written down");
    }

    #[test]
    fn a_misspelt_demand_is_refused() {
        let outcome = catch_unwind(|| Skips::new("fixture", PathBuf::new()));
        assert!(outcome.is_err());
    }

    #[test]
    fn the_demand_on_this_run_is_understood() {
        let _ = Skips::of_this_run();
    }

    #[test]
    fn what_is_there_passes() {
        assert_eq!(require("fixtures", Some(7), "unused"), Some(7));
        assert!(fixture("bigbuckbunny.mp4").is_some());
    }
}
