//! What a process holds, and whether it holds ever more.

use std::sync::Arc;

use filmlab::media::{Cancel, FileInput, FileOutput, Watermark, build_info, render};

use super::child;
use crate::support::require;

/// Peak resident size since [`reset_peak`], in KiB.
pub(crate) fn peak_kib() -> u64 {
    status("VmHWM:")
}

fn resident_kib() -> u64 {
    status("VmRSS:")
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Forgets the peak; see proc(5), `clear_refs`.
pub(super) fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// In a process of its own: other tests would be measured with it.
#[test]
#[ignore = "a minute or two: `make soak`"]
fn two_hundred_videos_take_the_memory_of_fifty() {
    let (Some(main), Some(logo)) = (require::fixture("tiny.mp4"), require::fixture("logo.png"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut work = child::job(&main);
    work.watermarks.push(Watermark {
        image: Arc::new(FileInput::new(&logo)),
        placement: filmlab::media::Placement::default(),
    });
    work.poster = Some(folder.path().join("poster.jpg").into());
    work.threads = 2;
    let mut at_fifty = 0;
    for number in 1..=200 {
        let mut out = FileOutput::new(folder.path().join("out.mp4"));
        let report = render(&work, &mut out, &Cancel::new(), &mut |_| {}).unwrap();
        assert_eq!(report.frames, 48);
        if number == 50 {
            at_fifty = resident_kib();
        }
    }
    let at_last = resident_kib();
    println!(
        "FFmpeg {}: resident after 50 videos {} KiB, after 200 {} KiB ({:.3})",
        build_info().ffmpeg,
        at_fifty,
        at_last,
        at_last as f64 / at_fifty as f64
    );
    assert!(at_fifty > 0);
    assert!(
        at_last * 100 <= at_fifty * 105,
        "{at_fifty} KiB after 50 videos, {at_last} KiB after 200"
    );
}
