//! Flags, settings and what is printed about them.

use super::{Workdir, committed};
use std::fs;

#[test]
fn the_version_names_the_revision() {
    let ran = Workdir::new().run(["--version"]).succeeded();
    let revision = ran
        .out
        .strip_prefix(concat!("filmlab ", env!("CARGO_PKG_VERSION"), " ("))
        .and_then(|rest| rest.trim_end().strip_suffix(')'))
        .unwrap_or_else(|| panic!("{ran:?}"));
    assert!(!revision.is_empty());
}

#[test]
fn help_for_a_pipe_is_plain_text() {
    let ran = Workdir::new().run(["process", "--help"]).succeeded();
    assert!(!ran.out.contains('\u{1b}'));
    for flag in [
        "--watermark",
        "--anchor",
        "--crf",
        "--poster",
        "--overwrite",
        "Exit status",
    ] {
        assert!(ran.out.contains(flag), "{flag} is missing in {}", ran.out);
    }
}

/// Faults of the parser, of flags that do not go together, of files and of the settings.
#[test]
fn every_fault_is_told_at_once() {
    let place = Workdir::new();
    fs::write(
        place.path("bad.toml"),
        "[server]\nport = 1\n[links]\nttl = \"long\"\n",
    )
    .unwrap();
    let ran = place.run([
        "--config",
        "bad.toml",
        "process",
        "in.mp4",
        "--crf",
        "70",
        "--preset=best",
        "--colour",
        "--opacity",
        "2",
        "--scale",
        "0%",
        "--anchor",
        "middle",
        "--threads",
        "-1",
        "--output",
        "nowhere/out.mp4",
        "--poster",
        "poster.png",
        "--report",
        ".",
        "--watermark",
        "nologo.png",
    ]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    for part in [
        "--crf",
        "--preset",
        "--colour",
        "--opacity",
        "--scale",
        "--anchor",
        "-1",
        "nowhere",
        "poster.png",
        "--report",
        "nologo.png does not exist",
        "server.port",
        "links.ttl",
    ] {
        assert!(ran.err.contains(part), "{part} is missing in\n{}", ran.err);
    }
    assert!(
        ran.err.lines().all(|line| line.starts_with("filmlab: ")),
        "{}",
        ran.err
    );
    assert_eq!(place.entries(), ["bad.toml"]);
}

#[test]
fn what_is_missing_is_told_at_once_and_once() {
    let place = Workdir::new();
    let ran = place.run([
        "process",
        "--anchor",
        "top",
        "--offset-x",
        "-8px",
        "--profile",
        "nope",
    ]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    let faults: Vec<_> = ran.err.lines().collect();
    for part in [
        "<INPUT>",
        "--output",
        "--anchor places",
        "--offset-x places",
        "“nope”",
    ] {
        let told = faults.iter().filter(|fault| fault.contains(part)).count();
        assert_eq!(told, 1, "{part} in {}", ran.err);
    }
    // A flag without its value is told, and not that it is missing as well.
    let ran = place.run(["process", "in.mp4", "--output", "--crf", "99"]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert_eq!(ran.err.matches("--output").count(), 1, "{}", ran.err);
    assert!(ran.err.contains("99"), "{}", ran.err);
}

#[test]
fn files_must_not_meet() {
    let place = Workdir::new();
    fs::copy(committed("bigbuckbunny.mp4"), place.path("in.mp4")).unwrap();
    fs::copy(committed("logo.png"), place.path("logo.jpg")).unwrap();
    let before = fs::read(place.path("in.mp4")).unwrap();
    let here = place.path("in.mp4");
    let ran = place.run([
        "process",
        "in.mp4",
        "--overwrite",
        "--output",
        here.to_str().unwrap(),
        "--watermark",
        "logo.jpg",
        "--poster",
        "./logo.jpg",
        "--report",
        "./in.mp4",
    ]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert_eq!(
        ran.err.matches("is the input as well").count(),
        2,
        "{}",
        ran.err
    );
    assert_eq!(
        ran.err.matches("is the watermark as well").count(),
        1,
        "{}",
        ran.err
    );
    assert_eq!(fs::read(place.path("in.mp4")).unwrap(), before);
    assert_eq!(place.entries(), ["in.mp4", "logo.jpg"]);
}

#[test]
fn what_exists_is_replaced_only_when_asked_for() {
    let place = Workdir::new();
    for name in ["out.mp4", "out.jpg", "out.json"] {
        fs::write(place.path(name), "precious").unwrap();
    }
    let input = committed("bigbuckbunny.mp4");
    let input = input.to_str().unwrap();
    let args = [
        "process", input, "-o", "out.mp4", "--poster", "out.jpg", "--report", "out.json",
    ];
    let ran = place.run(args);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert_eq!(
        ran.err.matches("--overwrite replaces it").count(),
        3,
        "{}",
        ran.err
    );
    // A failure leaves what was there, even then.
    place
        .run([
            "process", "nope.mp4", "-y", "-o", "out.mp4", "--poster", "out.jpg",
        ])
        .failed(65, "input_unreadable");
    for name in ["out.mp4", "out.jpg", "out.json"] {
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), "precious");
    }
    place
        .run(args.into_iter().chain(["-y", "--preset", "ultrafast"]))
        .succeeded();
    assert_eq!(&fs::read(place.path("out.mp4")).unwrap()[4..8], b"ftyp");
    assert_eq!(&fs::read(place.path("out.jpg")).unwrap()[..2], b"\xff\xd8");
    assert_eq!(place.json("out.json")["plan"]["container"], "mp4");
    assert_eq!(place.entries(), ["out.jpg", "out.json", "out.mp4"]);
}

#[test]
fn devices_are_never_replaced() {
    let place = Workdir::new();
    let ran = place.run(["process", "in.mp4", "-y", "--output", "/dev/null"]);
    assert_eq!(ran.status, Some(64), "{ran:?}");
    assert!(
        ran.err.contains("/dev/null is not a plain file"),
        "{}",
        ran.err
    );
}

#[test]
fn a_service_without_a_key_says_so_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_filmlab"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .env_remove("WAVESPEED_API_KEY")
        .env_remove("FILMLAB_PROVIDER__API_KEY")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(70), "{told}");
    assert!(told.contains("invalid_config: provider.api_key"), "{told}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_port_that_is_taken_is_answered_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = Workdir::new();
    let mut command = place.filmlab(["serve", "--listen", &address.to_string()]);
    let ran = command.env("WAVESPEED_API_KEY", "k").output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(70), "{told}");
    assert!(
        told.contains(&format!("cannot listen on {address}")),
        "{told}"
    );
    for part in ["something else listens there", "--listen", "server.listen"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(place.entries().is_empty());
    // What is missing comes first: nobody makes way for a service that cannot start.
    let ran = place.run(["serve", "--listen", &address.to_string()]);
    assert!(ran.err.contains("provider.api_key"), "{ran:?}");
}
