//! Files that break the process that reads them, in builds with debug assertions alone: no file
//! at hand does that to libav, and what becomes of its job and of others has to be shown.
//!
//! A file whose last bytes say `filmlab-fault:HOW@PHASE.` does HOW where native work of that phase
//! reads it. At the end of an MP4 it may stand in a box that readers skip.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use crate::job::Phase;
use crate::media::Input;

const MARK: &str = "filmlab-fault:";
/// Longer than any of these.
const TAIL: u64 = 64;

pub(super) fn bring_about(inputs: &[&Arc<dyn Input>], phase: Phase) {
    for input in inputs {
        let Some(told) = told(input) else { continue };
        match told.split_once('@') {
            Some((how, at)) if at == phase.as_str() => misbehave(how),
            _ => {}
        }
    }
}

fn told(input: &Arc<dyn Input>) -> Option<String> {
    let length = input.len().ok()?;
    let mut reader = input.open().ok()?;
    reader
        .seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut tail = Vec::new();
    reader.take(TAIL).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let (_, told) = text.split_once(MARK)?;
    Some(told.split_once('.')?.0.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "to end as a broken library would end us is what this is for"
)]
fn misbehave(how: &str) {
    match how {
        "abort" => std::process::abort(),
        // More processor time than anybody has.
        "spin" => {
            let mut number = 1_u64;
            while std::hint::black_box(number) != 0 {
                number = number.wrapping_mul(3) | 1;
            }
        }
        // More memory than anybody has.
        "hoard" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 16 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        // Waits without an end, for whoever wants to look.
        "stall" => loop {
            std::thread::park();
        },
        _ => {}
    }
}
