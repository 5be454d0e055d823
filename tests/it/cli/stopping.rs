//! Ctrl-C and SIGTERM in the middle of the work.
#![cfg(unix)]

use super::{Workdir, committed};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn stopped_by(signal: &str, status: i32) {
    let place = Workdir::new();
    let input = committed("bigbuckbunny.mp4");
    let logo = committed("logo.png");
    let mut child = place
        .filmlab(["process", input.to_str().unwrap(), "--preset", "veryslow"])
        .args([
            "-o",
            "out.mp4",
            "--poster",
            "out.jpg",
            "--report",
            "out.json",
            "--watermark",
        ])
        .arg(logo)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    // The work is on when the video has bytes.
    let mid_way = || {
        place.entries().iter().any(|name| {
            name.starts_with(".out.mp4.")
                && place.path(name).metadata().is_ok_and(|file| file.len() > 0)
        })
    };
    while !mid_way() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the work never began"
        );
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it ended before it could be stopped"
        );
        std::thread::yield_now();
    }
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {}", child.id())])
        .status()
        .unwrap();
    assert!(sent.success());
    let ran = child.wait_with_output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(status), "{err}");
    assert!(err.starts_with("filmlab: cancelled: "), "{err}");
    assert!(place.entries().is_empty(), "left {:?}", place.entries());
}

#[test]
fn sigterm_leaves_nothing_behind() {
    stopped_by("TERM", 143);
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    stopped_by("INT", 130);
}

/// A start may take half a minute, where the provider is asked for its secret and does not answer.
#[test]
fn a_service_that_is_stopped_while_it_starts_ends_in_order() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let provider = format!("http://{}/", silent.local_addr().unwrap());
    for signal in ["TERM", "INT"] {
        let place = Workdir::new();
        let mut child = place
            .filmlab(["serve", "--listen", "127.0.0.1:0"])
            .env("WAVESPEED_API_KEY", "k")
            .env("WAVESPEED_BASE_URL", &provider)
            .env("FILMLAB_PROVIDER__ENFORCE_SIGNATURE", "true")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _asked = silent.accept().unwrap();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", child.id())])
            .status()
            .unwrap();
        assert!(sent.success());
        let begun = Instant::now();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}: {status:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{signal}");
    }
}
