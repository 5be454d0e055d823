//! What helps at the shell: completions, manual pages, and a word when no service runs.

use std::process::Command;
use std::time::Instant;

use super::Workdir;

/// The commands that the help lists.
fn commands(place: &Workdir) -> Vec<String> {
    let help = place.run(["--help"]).succeeded().out;
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = rest.split_once("\n\n").unwrap();
    listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let place = Workdir::new();
    let script = place.run(["completions", "bash"]).succeeded().out;
    std::fs::write(place.path("filmlab.bash"), script).unwrap();
    // As a shell asks: the words so far, and which of them is to be completed.
    let complete = |line: &[&str]| {
        let words = line.join("' '");
        let before = line[line.len() - 2];
        let current = line[line.len() - 1];
        let ask = format!(
            "source ./filmlab.bash; COMP_WORDS=('{words}'); COMP_CWORD={}; \
             _filmlab filmlab '{current}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            line.len() - 1,
        );
        let ran = Command::new("bash")
            .args(["--norc", "-c", &ask])
            .current_dir(place.path("."))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let mut offered: Vec<String> = String::from_utf8(ran.stdout)
            .unwrap()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        offered.sort();
        offered
    };
    assert_eq!(complete(&["filmlab", "sub"]), ["submit"]);
    assert_eq!(complete(&["filmlab", "jobs", "wa"]), ["watch"]);
    assert_eq!(
        complete(&["filmlab", "submit", "--idem"]),
        ["--idempotency-key"]
    );
    assert_eq!(complete(&["filmlab", "completions", "z"]), ["zsh"]);
    // What nobody may start is not offered.
    assert_eq!(complete(&["filmlab", "__"]), [""]);
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let script = place.run(["completions", shell]).succeeded().out;
        for command in commands(&place) {
            assert!(script.contains(&command), "{shell} without {command}");
        }
        assert!(!script.contains("__media"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Workdir::new();
    let page = place.run(["man"]).succeeded().out;
    assert!(page.contains(".TH filmlab 1"), "{page}");
    place.run(["man", "--output", "man/man1"]).succeeded();
    let folder = place.path("man/man1");
    assert!(folder.join("filmlab.1").is_file());
    for command in commands(&place).iter().filter(|name| *name != "help") {
        let page = std::fs::read_to_string(folder.join(format!("filmlab-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    let watch = std::fs::read_to_string(folder.join("filmlab-jobs-watch.1")).unwrap();
    assert!(watch.contains("FILMLAB_SERVER"), "{watch}");
    let names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|name| name.contains("__media")),
        "{names:?}"
    );
    std::fs::write(place.path("taken"), "").unwrap();
    let refused = place.run(["man", "--output", "taken/man"]);
    refused.failed(70, "output_unwritable");
}

/// Where no service runs, the command says how to start one, at once, and `EX_UNAVAILABLE`.
#[test]
fn without_a_service_the_commands_say_how_to_start_one() {
    let place = Workdir::new();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    std::fs::write(place.path("clip.mp4"), "a clip").unwrap();
    let started = Instant::now();
    for line in [
        ["submit", "upscale", "--video", "https://a.example/v.mp4"].as_slice(),
        [
            "submit",
            "upscale",
            "--video",
            "https://a.example/v.mp4",
            "--quote",
        ]
        .as_slice(),
        ["jobs", "list"].as_slice(),
        ["jobs", "watch", "j1"].as_slice(),
    ] {
        let ran = place
            .run(line.iter().copied().chain(["--server", &server]))
            .failed(69, "service_unreachable");
        assert!(ran.err.contains("`filmlab serve`"), "{ran:?}");
        assert!(ran.err.contains(&server), "{ran:?}");
    }
    let upload = [
        "submit", "upscale", "--video", "clip.mp4", "--server", &server,
    ];
    let ran = place.run(upload);
    assert_eq!(ran.status, Some(69), "{ran:?}");
    assert!(ran.err.contains("service_unreachable: "), "{ran:?}");
    assert!(started.elapsed().as_secs() < 20, "they wait for nothing");
    // One that runs elsewhere is not started here.
    let ran = place.run(["jobs", "list", "--server", "http://filmlab.invalid:8080"]);
    let ran = ran.failed(69, "service_unreachable");
    assert!(!ran.err.contains("filmlab serve"), "{ran:?}");
}
