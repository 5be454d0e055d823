//! How long a video is to be, and how far it may be off.

use crate::media::error::{MediaCode, MediaError};

/// A length and its tolerance, both in milliseconds.
pub(crate) type Wanted = (u64, u64);

/// Encoders round to whole frames and audio to whole packets; ±50 ms is what a result may differ
/// by.
const RESULT_MS: u64 = 50;
/// What a provider makes may differ a little: models round to whole latent steps.
const GENERATED_MS: u64 = 250;
/// So much of an extension's new part may be missing; of the source nothing may.
const MISSING_MS: u64 = 500;
/// So much longer than asked for a new part by itself may be.
const EXTRA_MS: u64 = 1000;
/// How far the two lengths of a picture's track may be apart, and its first picture from 0: the
/// coarsest of its clocks counts milliseconds.
const CLOCKS_MS: u64 = 20;

fn wrong(message: String) -> MediaError {
    MediaError::new(MediaCode::WrongDuration, message)
}

pub(super) fn as_source(source_ms: u64) -> Wanted {
    (source_ms, GENERATED_MS)
}

/// The least that a new part of `added_ms` may have.
pub(super) fn least_added(added_ms: u64) -> u64 {
    added_ms.saturating_sub(MISSING_MS)
}

/// What a result is to have that is made of `generated_ms`, behind `joined_ms` of its source.
#[must_use]
pub fn result_length(joined_ms: Option<u64>, generated_ms: u64) -> Wanted {
    match joined_ms {
        // Each part ends on a whole frame of the rate they share.
        Some(source_ms) => (source_ms + generated_ms, RESULT_MS * 3),
        None => (generated_ms, RESULT_MS),
    }
}

/// # Errors
/// `wrong_duration`.
pub fn require_length(found_ms: u64, (wanted, tolerance): Wanted) -> Result<(), MediaError> {
    if found_ms.abs_diff(wanted) <= tolerance {
        return Ok(());
    }
    let message = format!("{found_ms} ms long, expected {wanted} ± {tolerance}");
    Err(wrong(message))
}

pub(super) fn require_least(found_ms: u64, least: u64) -> Result<(), MediaError> {
    if found_ms >= least {
        return Ok(());
    }
    let message = format!("{found_ms} ms long, expected at least {least}");
    Err(wrong(message))
}

/// What we write has its first picture at 0, else players show black there.
pub(crate) fn require_beginning(begins_ms: u64) -> Result<(), MediaError> {
    if begins_ms <= CLOCKS_MS {
        return Ok(());
    }
    let message = format!("nothing is shown for the first {begins_ms} ms");
    Err(wrong(message))
}

/// And a sample table that holds the length it claims, else they stop early. Longer by what
/// decoders hold back does no harm: that is much where pictures stand long at the start and come
/// fast at the end.
pub(crate) fn require_table(claimed_ms: u64, table_ms: u64) -> Result<(), MediaError> {
    if claimed_ms <= table_ms + CLOCKS_MS {
        return Ok(());
    }
    let message = format!("its sample table holds {table_ms} ms of the {claimed_ms} ms it claims");
    Err(wrong(message))
}

/// Whether the source has to be put in front of what was generated for an extension: by whether
/// the model is known to return its new part alone, and in doubt by how long it is.
///
/// # Errors
/// `wrong_duration`.
pub fn stands_alone(
    usually: bool,
    source_ms: u64,
    added_ms: u64,
    generated_ms: u64,
) -> Result<bool, MediaError> {
    let whole_ms = source_ms + added_ms;
    let merged = generated_ms + MISSING_MS >= whole_ms;
    let alone = generated_ms + MISSING_MS >= added_ms && generated_ms <= added_ms + EXTRA_MS;
    // As long as the source: that may be the source itself, with nothing added.
    let unchanged = generated_ms.abs_diff(source_ms) <= MISSING_MS;
    if usually && alone {
        return Ok(true);
    }
    if merged {
        return Ok(false);
    }
    if !usually && alone && !unchanged {
        return Ok(true);
    }
    let message =
        format!("{generated_ms} ms long, expected {whole_ms}, or {added_ms} for the new part");
    Err(wrong(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_returns_counts_and_the_length_decides_in_doubt() {
        const MERGED: bool = false;
        const SEGMENT: bool = true;
        let told = |usually, source, added, generated| {
            stands_alone(usually, source, added, generated).map_err(|error| error.code)
        };
        // As the table says.
        assert_eq!(told(MERGED, 8000, 5000, 13_000), Ok(false));
        assert_eq!(told(MERGED, 8000, 5000, 12_600), Ok(false));
        assert_eq!(told(SEGMENT, 8000, 5000, 5060), Ok(true));
        // The table is wrong.
        assert_eq!(told(SEGMENT, 8000, 5000, 13_000), Ok(false));
        assert_eq!(told(MERGED, 8000, 5000, 5060), Ok(true));
        // Either would fit: a source hardly longer than nothing.
        assert_eq!(told(MERGED, 400, 5000, 5000), Ok(false));
        assert_eq!(told(SEGMENT, 400, 5000, 5400), Ok(true));
        // Neither, or the source with nothing added.
        for (usually, source, generated) in [
            (MERGED, 8000, 8200),
            (MERGED, 5000, 5200),
            (SEGMENT, 8000, 8200),
            (SEGMENT, 8000, 4000),
        ] {
            let refused = told(usually, source, 5000, generated);
            assert_eq!(
                refused,
                Err(MediaCode::WrongDuration),
                "{source} {generated}"
            );
        }
    }

    #[test]
    fn a_length_may_be_off_by_its_tolerance_and_no_more() {
        let result = result_length(None, 5000);
        assert!(require_length(5050, result).is_ok() && require_length(5051, result).is_err());
        let joined = result_length(Some(8000), 5000);
        assert!(require_length(12_850, joined).is_ok() && require_length(12_849, joined).is_err());
        assert!(require_table(1020, 1000).is_ok() && require_table(1021, 1000).is_err());
        assert!(require_beginning(20).is_ok() && require_beginning(21).is_err());
    }
}
