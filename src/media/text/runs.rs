//! Cutting a line into runs: each of one font and one direction, in the order in which they are seen.

use std::ops::Range;

use unicode_bidi::{BidiInfo, Level};
use unicode_segmentation::UnicodeSegmentation as _;

use super::fonts::{Chosen, is_unseen};

/// What is laid out in one piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// In the order in which they are read.
    pub(super) words: String,
    pub(super) face: usize,
    pub(super) from_right: bool,
}

impl Run {
    /// Whether there is nothing to see of it. The library leaves such a text out, with its width.
    pub(super) fn is_space(&self) -> bool {
        self.words
            .chars()
            .all(|letter| letter.is_whitespace() || is_unseen(letter))
    }
}

/// The runs of one line, from left to right.
pub(super) fn runs(words: &str, chosen: &Chosen) -> Vec<Run> {
    let parts = parts(words, chosen);
    let line = BidiInfo::new(words, None);
    let mut runs = Vec::new();
    // Words are one line: nothing in them ends a paragraph.
    for paragraph in &line.paragraphs {
        let (levels, pieces) = line.visual_runs(paragraph, paragraph.range.clone());
        for piece in pieces {
            let from_right = levels.get(piece.start).is_some_and(Level::is_rtl);
            let cut = parts.iter().filter_map(|(part, face)| {
                let range = part.start.max(piece.start)..part.end.min(piece.end);
                let words = words.get(range)?.chars();
                // They have done their part, and an open one would go on into what is laid out next.
                let words: String = words.filter(|letter| !turns(*letter)).collect();
                (!words.is_empty()).then_some(Run {
                    words,
                    face: *face,
                    from_right,
                })
            });
            let from = runs.len();
            runs.extend(cut);
            if from_right && let Some(turned) = runs.get_mut(from..) {
                turned.reverse();
            }
        }
    }
    runs
}

/// Parts of one font. What belongs together (a letter and its accents, an emoji of several) is of one
/// font, if any has all of it.
fn parts(words: &str, chosen: &Chosen) -> Vec<(Range<usize>, usize)> {
    let mut parts: Vec<(Range<usize>, usize)> = Vec::new();
    let mut put = |at: usize, text: &str, face: usize| match parts.last_mut() {
        Some((range, last)) if *last == face => range.end = at + text.len(),
        _ => parts.push((at..at + text.len(), face)),
    };
    // The face of the letters before. Signs between letters of one font are of that font, too; those
    // behind an emoji are not.
    let mut before = None;
    for (at, cluster) in words.grapheme_indices(true) {
        let whole = chosen.face_of(cluster, before);
        let pieces: Vec<&str> = match whole {
            Some(_) => vec![cluster],
            None => cluster.split_inclusive(|_: char| true).collect(),
        };
        let mut at = at;
        for piece in pieces {
            let face = chosen.face_of(piece, before).unwrap_or(0);
            put(at, piece, face);
            at += piece.len();
            if before != Some(face) {
                let has_letter = piece.chars().any(char::is_alphabetic);
                before = has_letter.then_some(face);
            }
        }
    }
    parts
}

/// Characters that steer the direction and do nothing else.
fn turns(letter: char) -> bool {
    matches!(letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
