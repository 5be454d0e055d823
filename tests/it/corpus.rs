//! `make corpus`: what is right counts as right, and each kind of fault is told by its name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::require;

const FILMLAB: &str = env!("CARGO_BIN_EXE_filmlab");

/// A filmlab that does wrong by the file's name, and is the real one otherwise. What it takes for
/// the file instead lies in `others`.
fn liar(path: &Path, others: &Path) {
    let script = format!(
        r#"#!/bin/sh
command=$1 file=$2
shift 2
other={others}/$(basename "$file")
case $file in
*/hangs.mp4) exec sleep 600 ;;
*/crashes.mp4) kill -SEGV $$ ;;
*/ours.mp4) echo 'filmlab: internal: it broke' >&2; exit 70 ;;
*/refused.mp4) echo 'filmlab: too_long: it is too long' >&2; exit 65 ;;
esac
[ "$command" = process ] && [ -e "$other" ] && file=$other
exec {FILMLAB} "$command" "$file" "$@"
"#,
        others = others.display()
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn verdicts(report: &Value) -> Vec<(String, String, Vec<String>)> {
    let rows = report["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let kinds = row["differences"].as_object().unwrap().keys().cloned();
            (text("file"), text("verdict"), kinds.collect())
        })
        .collect()
}

#[test]
fn each_fault_is_told_and_the_rest_goes_on() {
    let Some(tiny) = require::fixture("tiny.mp4") else {
        return;
    };
    let found = ["vfr.mp4", "no-audio.mp4", "portrait.mp4", "truncated.mp4"];
    let found = found.map(require::fixture);
    let [Some(vfr), Some(mute), Some(portrait), Some(truncated)] = found else {
        return;
    };
    if require::ffmpeg().is_none() || require::program("fixtures", "python3").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (files, others) = (folder.path().join("files"), folder.path().join("others"));
    fs::create_dir_all(files.join("below")).unwrap();
    fs::create_dir(&others).unwrap();
    for name in [
        "crashes.mp4",
        "hangs.mp4",
        "mute.mp4",
        "ours.mp4",
        "refused.mp4",
        "small.mp4",
        "wrong.mp4",
    ] {
        fs::copy(&tiny, files.join(name)).unwrap();
    }
    fs::copy(&vfr, files.join("below/uneven.mp4")).unwrap();
    fs::copy(&truncated, files.join("cut.mp4")).unwrap();
    fs::write(files.join("notes.txt"), "no video").unwrap();
    fs::copy(mute, others.join("mute.mp4")).unwrap();
    fs::copy(portrait, others.join("small.mp4")).unwrap();
    let negative = others.join("wrong.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&tiny)
        .args(["-vf", "negate", "-c:a", "copy"])
        .arg(&negative)
        .status()
        .unwrap();
    assert!(made.success());
    let program = folder.path().join("filmlab");
    liar(&program, &others);
    let out = folder.path().join("report.json");
    let ended = Command::new("python3")
        .args(["-B", "scripts/corpus"])
        .arg(&files)
        .arg(format!("liar={}", program.display()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("OUT", &out)
        .env("TIMEOUT", "20")
        .env("TOGETHER", "2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let report: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let verdicts = verdicts(&report);
    let of = |name: &str| {
        let found = verdicts.iter().find(|(file, ..)| file == name).unwrap();
        (found.1.as_str(), found.2.join(" "))
    };
    assert_eq!(verdicts.len(), 10);
    let right = ("right", String::new());
    assert_eq!(of("below/uneven.mp4"), right);
    assert_eq!(of("cut.mp4"), right);
    assert_eq!(of("notes.txt"), right);
    assert_eq!(of("crashes.mp4").0, "broken");
    assert_eq!(of("hangs.mp4").0, "broken");
    assert_eq!(of("ours.mp4").0, "broken");
    assert_eq!(of("refused.mp4").0, "refused");
    assert_eq!(of("mute.mp4"), ("different", "sound".to_owned()));
    assert_eq!(of("wrong.mp4"), ("different", "picture".to_owned()));
    let (verdict, kinds) = of("small.mp4");
    assert_eq!(verdict, "different");
    assert!(
        kinds.contains("frames") && kinds.contains("size"),
        "{kinds}"
    );
    let counts = &report["summary"]["liar"];
    assert_eq!(counts["right"], 3);
    assert_eq!(counts["refused_codes"]["too_long"], 1);
    assert_eq!(counts["rightly_refused"]["truncated"], 1);
    let ends: Vec<&str> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["verdict"] == "broken")
        .map(|row| row["says"].as_str().unwrap())
        .collect();
    for words in ["SIGSEGV", "still running", "exit status 70"] {
        assert!(ends.iter().any(|end| end.contains(words)), "{ends:?}");
    }
}
