//! The commands that need no service, as a user starts them.

mod bench;
mod credits;
mod doctor;
mod jobs;
mod models;
mod probe;
mod process;
mod refusals;
mod shell;
mod stamps;
mod stopping;
mod usage;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A directory of its own, in which commands are run.
struct Workdir(tempfile::TempDir);

/// What a command did.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Workdir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `filmlab` in this place, with nothing of the tester's environment or settings.
    fn filmlab<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_filmlab"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        let ran = self.filmlab(args).output().unwrap();
        Ran {
            status: ran.status.code(),
            out: String::from_utf8(ran.stdout).unwrap(),
            err: String::from_utf8(ran.stderr).unwrap(),
        }
    }

    /// Everything in it, hidden files too.
    fn entries(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

impl Ran {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// Failed with `status`, and the only line on standard error begins with the code.
    #[track_caller]
    fn failed(self, status: i32, code: &str) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(
            self.err.starts_with(&format!("filmlab: {code}: ")),
            "{self:?}"
        );
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        self
    }
}

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// What the reference program says about the first video and audio stream.
fn reference(ffprobe: &Path, file: &Path) -> Value {
    let told = Command::new(ffprobe)
        .args([
            "-v",
            "quiet",
            "-count_packets",
            "-show_streams",
            "-show_format",
            "-of",
            "json",
        ])
        .arg(file)
        .output()
        .unwrap();
    serde_json::from_slice(&told.stdout).unwrap()
}

fn stream<'a>(reference: &'a Value, kind: &str) -> &'a Value {
    let streams = reference["streams"].as_array().unwrap();
    streams
        .iter()
        .find(|stream| stream["codec_type"] == kind)
        .unwrap_or(&Value::Null)
}

/// A number that the reference program writes as text.
fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}
