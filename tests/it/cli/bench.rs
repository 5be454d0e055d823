//! `filmlab bench` measures this program in one process.

use std::process::Stdio;

use serde_json::Value;

use super::{Workdir, committed};
use crate::support::require;

/// Processes that were started by this one.
fn started_by(process: u32) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    // “pid (name) state parent …”; a name may hold anything.
    let started = stats.filter(|stat| {
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        rest.split(' ').nth(1) == Some(process.to_string().as_str())
    });
    started.collect()
}

#[test]
fn figures_are_those_of_what_was_made_and_no_program_is_started() {
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let place = Workdir::new();
    let logo = committed("logo.png");
    let mut child = place
        .filmlab([
            "bench",
            clip.to_str().unwrap(),
            "--watermark",
            logo.to_str().unwrap(),
            "--preset",
            "ultrafast",
            "--preset",
            "veryfast",
            "--runs",
            "2",
            "--jobs",
            "2",
            "--json",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut looks = 0;
    while child.try_wait().unwrap().is_none() {
        assert_eq!(started_by(child.id()), Vec::<String>::new());
        looks += 1;
    }
    assert!(looks > 3, "{looks}");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(measured["jobs"], 2);
    let rows = measured["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name}"));
    for (row, preset) in rows.iter().zip(["ultrafast", "veryfast"]) {
        assert_eq!(row["preset"], preset);
        assert_eq!(row["encoded"], true);
        let clip = number(row, "duration_ms");
        let (wall, realtime) = (number(row, "wall_ms"), number(row, "realtime"));
        assert!((realtime / (2.0 * clip / wall) - 1.0).abs() < 1e-6, "{row}");
        assert!((0.6..1.0).contains(&number(row, "ssim")), "{row}");
        assert!(
            number(row, "cpu_ms") > 0.0 && number(row, "bytes") > 1000.0,
            "{row}"
        );
        assert!(number(row, "peak_memory_bytes") > 1e6, "{row}");
        assert!(
            row["stages"]["pass"]["wall_ms"].as_f64().unwrap() <= wall,
            "{row}"
        );
    }
    let advice = measured["advice"].as_str().unwrap();
    assert!(
        advice.contains("clips a minute") && advice.contains("`veryfast`"),
        "{advice}"
    );
    assert_eq!(
        place.entries(),
        Vec::<String>::new(),
        "results are not kept"
    );
}

#[test]
fn a_copy_is_measured_as_one_and_what_cannot_be_read_says_so() {
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let place = Workdir::new();
    let clip = clip.to_str().unwrap();
    let ran = place
        .run(["bench", clip, "--runs", "1", "--copy"])
        .succeeded();
    assert_eq!(ran.err, "");
    assert!(
        ran.out.contains("copied") && ran.out.contains("clips a minute"),
        "{}",
        ran.out
    );
    let text = place.path("text.mp4");
    std::fs::write(&text, "no video").unwrap();
    let ran = place.run(["bench", text.to_str().unwrap(), "--runs", "1"]);
    assert_eq!(ran.status, Some(65), "{}", ran.err);
    let ran = place.run(["bench", "missing.mp4", "--profile", "none"]);
    assert_eq!(ran.status, Some(64), "{}", ran.err);
    assert!(
        ran.err.contains("missing.mp4") && ran.err.contains("none"),
        "{}",
        ran.err
    );
}
