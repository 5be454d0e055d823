//! Looks at the FFmpeg libraries that are about to be linked, so that a machine
//! without them gets one clear message, and stamps version and revision.
//!
//! - `FFMPEG_DIR` set: the static build of `vendor/ffmpeg` is linked. It is one
//!   archive with all it needs, so ffmpeg-sys-next's own flags do; its recipe
//!   answers for what is in it.
//! - Cross builds: versions are checked, libx264 is not (the probe has to run).
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a build script is configured by the environment and starts compilers"
)]

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// FFmpeg 5.1 (Debian 12): the oldest release this is tested with.
/// ffmpeg-sys-next links these six; its `avdevice` and `postproc` are not enabled.
const LIBRARIES: [(&str, &str); 6] = [
    ("libavutil", "57.28"),
    ("libavcodec", "59.37"),
    ("libavformat", "59.27"),
    ("libavfilter", "8.44"),
    ("libswresample", "4.7"),
    ("libswscale", "6.7"),
];

const DEBIAN: &str = "apt-get install pkg-config clang libclang1 libavcodec-dev \
     libavfilter-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/encoders.c");
    println!("cargo::rerun-if-env-changed=FFMPEG_DIR");
    // Set by tests/fuzz alone.
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    // Tests of the deployed build are in no other.
    println!("cargo::rustc-check-cfg=cfg(vendored)");
    // Where a stream keeps its side data moved with FFmpeg 8.
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_8)");
    if env::var("DEP_FFMPEG_FFMPEG_8_0").is_ok_and(|found| found == "true") {
        println!("cargo::rustc-cfg=ffmpeg_8");
    }
    // Where a frame says that it is interlaced: a field of its own until FFmpeg 6.0, then a flag.
    println!("cargo::rustc-check-cfg=cfg(interlaced_flag)");
    stamp();
    if let Some(folder) = env::var_os("FFMPEG_DIR") {
        check_folder(Path::new(&folder));
        println!("cargo::rustc-cfg=vendored");
        println!("cargo::rustc-cfg=interlaced_flag");
        return;
    }
    if let Err(faults) = check_libraries() {
        println!("cargo::error=filmlab cannot be built with the FFmpeg libraries of this machine:");
        for fault in faults {
            println!("cargo::error=  - {fault}");
        }
        println!("cargo::error=Debian 12 or newer: {DEBIAN}");
        println!("cargo::error=or run `make setup`, which says what is missing.");
    }
}

/// A folder without the archive would make the linker take the system's libraries
/// with the other version's headers.
fn check_folder(folder: &Path) {
    let archive = folder.join("lib/libavcodec.a");
    println!("cargo::rerun-if-changed={}", archive.display());
    if !archive.is_file() {
        println!(
            "cargo::error=FFMPEG_DIR: there is no {}; `make vendor` builds it",
            archive.display()
        );
    }
}

fn check_libraries() -> Result<(), Vec<String>> {
    let mut faults = Vec::new();
    let mut libraries = Vec::new();
    for (name, at_least) in LIBRARIES {
        let found = pkg_config::Config::new()
            .atleast_version(at_least)
            // ffmpeg-sys-next links them; here they are only looked at.
            .cargo_metadata(false)
            .env_metadata(true)
            .probe(name);
        match found {
            Ok(library) => {
                if name == "libavutil" && is_at_least(&library.version, 58, 7) {
                    println!("cargo::rustc-cfg=interlaced_flag");
                }
                libraries.push(library);
            }
            Err(pkg_config::Error::Command { .. }) => {
                return Err(vec!["the program pkg-config is missing".to_owned()]);
            }
            Err(_) => faults.push(match present_version(name) {
                Some(version) => format!("{name} is {version}, needed is {at_least} or newer"),
                None => format!("{name} is missing (package {name}-dev)"),
            }),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if env::var_os("HOST") == env::var_os("TARGET") {
        faults.extend(missing_encoders(&libraries));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn is_at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

fn present_version(library: &str) -> Option<String> {
    let found = pkg_config::Config::new()
        .cargo_metadata(false)
        .env_metadata(false)
        .probe(library);
    found.ok().map(|library| library.version)
}

/// Compiles and runs `build/encoders.c`, since only libavcodec itself knows what it
/// was built with. Under a second; when it cannot be compiled, that is a warning,
/// as the same question is asked again when filmlab starts.
fn missing_encoders(libraries: &[pkg_config::Library]) -> Option<String> {
    let program = PathBuf::from(env::var_os("OUT_DIR")?).join("encoders");
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(&compiler);
    compile.arg("build/encoders.c").arg("-o").arg(&program);
    for library in libraries {
        for folder in &library.include_paths {
            compile.arg("-I").arg(folder);
        }
        for folder in &library.link_paths {
            compile.arg("-L").arg(folder);
        }
    }
    compile.args(["-lavcodec", "-lavutil"]);
    let compiled = compile.output();
    if !compiled
        .as_ref()
        .is_ok_and(|output| output.status.success())
    {
        let why = match &compiled {
            Ok(output) => first_line(&output.stderr),
            Err(error) => format!("{}: {error}", compiler.display()),
        };
        println!("cargo::warning=could not ask libavcodec for its encoders: {why}");
        return None;
    }
    let answer = match Command::new(&program).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => {
            println!("cargo::warning=could not ask libavcodec for its encoders: {error}");
            return None;
        }
    };
    if answer.is_empty() {
        return None;
    }
    let mut fault = format!("libavcodec was built without the encoder {answer}");
    if answer.contains("libx264") {
        let _ = write!(
            fault,
            " (Debian's own packages have it; another FFmpeg may shadow them)"
        );
    }
    Some(fault)
}

fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .lines()
        .next()
        .unwrap_or("no message")
        .to_owned()
}

/// `FILMLAB_VERSION` from Cargo.toml; `FILMLAB_REVISION` from the variable of that
/// name (an image built from an archive), else from git, else `unknown`. It names
/// the commit, not the state of the files: following every edit would rerun this,
/// and compile the crate anew, on each of them.
fn stamp() {
    println!("cargo::rerun-if-env-changed=FILMLAB_REVISION");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let revision = env::var("FILMLAB_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty())
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=FILMLAB_VERSION={version}");
    println!("cargo::rustc-env=FILMLAB_REVISION={revision}");

    // In a worktree HEAD and its log are elsewhere than the refs; git knows. The
    // log changes with every commit, also when the ref had been packed. A path
    // that does not exist would make every build run this again.
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let watched = ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref());
    for name in watched {
        if let Some(path) = git(&["rev-parse", "--git-path", name])
            && Path::new(&path).is_file()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
