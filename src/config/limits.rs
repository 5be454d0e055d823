//! `[limits]`: what one piece of media work may cost.

use bytesize::ByteSize;

use super::reader::Reader;
use crate::media::{DEFAULT_MAX_ALLOCATION, Limits};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// More than any store takes in one object is a mistake.
const LARGEST_FILE: ByteSize = ByteSize::tib(1);

/// Each setting has bounds: a limit of nothing refuses everything, which nobody means, and one
/// beyond what libav or we could ever reach limits nothing.
pub(super) fn limits(r: &mut Reader) -> Limits {
    let default = Limits::default();
    let size = |r: &mut Reader, key, default, range| {
        r.within(key, range)
            .map_or(default, |size: ByteSize| size.as_u64())
    };
    let file = ByteSize::b(1)..=LARGEST_FILE;
    Limits {
        max_bytes: size(r, "limits.max_bytes", default.max_bytes, file.clone()),
        // libav's own limit is a thousand.
        max_streams: r
            .within("limits.max_streams", 1..=1000)
            .unwrap_or(default.max_streams),
        probe_size: size(
            r,
            "limits.probe_size",
            default.probe_size,
            ByteSize::kib(1)..=ByteSize::gib(1),
        ),
        // 0 is libav's word for a default of its own.
        analyze_duration_ms: r
            .within("limits.analyze_duration_ms", 1..=600_000)
            .unwrap_or(default.analyze_duration_ms),
        // H.264 and HEVC end near 16384 × 16384.
        max_pixels: r
            .within("limits.max_pixels", 1..=1 << 28)
            .unwrap_or(default.max_pixels),
        max_fps: r
            .within("limits.max_fps", 1.0..=1000.0)
            .unwrap_or(default.max_fps),
        max_duration_ms: r
            .within("limits.max_duration_ms", 1..=DAY_MS)
            .unwrap_or(default.max_duration_ms),
        max_frames: r
            .within("limits.max_frames", 1..=100_000_000)
            .unwrap_or(default.max_frames),
        max_duplication: r
            .within("limits.max_duplication", 1..=1000)
            .unwrap_or(default.max_duplication),
        max_output_bytes: size(r, "limits.max_output_bytes", default.max_output_bytes, file),
        deadline_ms: r
            .within("limits.deadline_ms", 1..=DAY_MS)
            .or(default.deadline_ms),
        // None at all is a limit some will want.
        max_damage: r
            .within("limits.max_damage", 0.0..=1.0)
            .unwrap_or(default.max_damage),
        allow_truncated: r.get_or("limits.allow_truncated", default.allow_truncated),
        threads: default.threads,
    }
}

pub(super) fn max_allocation(r: &mut Reader) -> u64 {
    // Less than this and an ordinary frame does not fit; more is no piece of one video.
    let range = ByteSize::mib(16)..=ByteSize::gib(4);
    r.within("limits.max_allocation", range)
        .map_or(DEFAULT_MAX_ALLOCATION, |size| size.as_u64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Config, Sources};
    use crate::media::Limits;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, BTreeMap<String, String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filmlab.toml");
        std::fs::write(&path, file).unwrap();
        let env = env.iter();
        Config::load(&Sources {
            file: Some(path),
            no_default_file: false,
            env: env
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        })
        .map_err(|faults| {
            let told = faults.iter().map(|fault| fault.key.clone());
            let told: BTreeMap<_, _> = told
                .zip(faults.iter().map(|fault| fault.message.clone()))
                .collect();
            assert_eq!(told.len(), faults.len(), "{faults:?}");
            told
        })
    }

    /// Setting, what is just not allowed any more below and above, and how the bounds are told.
    type Bound = (&'static str, &'static str, &'static str, &'static str);

    const BOUNDS: &[Bound] = &[
        ("max_bytes", "0", "1025 GiB", "1 B to 1.0 TiB"),
        ("max_streams", "0", "1001", "1 to 1000"),
        ("probe_size", "1023", "1025 MiB", "1.0 KiB to 1.0 GiB"),
        ("analyze_duration_ms", "0", "600001", "1 to 600000"),
        ("max_pixels", "0", "268435457", "1 to 268435456"),
        ("max_fps", "0.99", "1000.01", "1 to 1000"),
        ("max_duration_ms", "0", "86400001", "1 to 86400000"),
        ("max_frames", "0", "100000001", "1 to 100000000"),
        ("max_duplication", "0", "1001", "1 to 1000"),
        ("max_output_bytes", "0", "1025 GiB", "1 B to 1.0 TiB"),
        ("deadline_ms", "0", "86400001", "1 to 86400000"),
        ("max_damage", "-0.01", "1.01", "0 to 1"),
        (
            "max_allocation",
            "16383 KiB",
            "4097 MiB",
            "16.0 MiB to 4.0 GiB",
        ),
    ];

    /// A table of all settings, each with what `value` says.
    fn table(value: impl Fn(&Bound) -> String) -> String {
        let lines = BOUNDS.iter().map(|bound| {
            let text = value(bound);
            format!("{} = {text}\n", bound.0)
        });
        format!("[limits]\n{}", lines.collect::<String>())
    }

    #[track_caller]
    fn assert_all_told(faults: &BTreeMap<String, String>) {
        assert_eq!(faults.len(), BOUNDS.len(), "{faults:#?}");
        for (setting, _, _, range) in BOUNDS {
            let said = &faults[&format!("limits.{setting}")];
            let begins = format!("must be from {range}, found “");
            assert!(said.starts_with(&begins), "{setting}: {said}");
        }
    }

    #[test]
    fn every_limit_out_of_its_range_is_told_at_once_with_the_range() {
        let told = |value: &dyn Fn(&Bound) -> String| {
            assert_all_told(&load(&table(value), &[]).unwrap_err());
        };
        told(&|(_, below, _, _)| format!("\"{below}\""));
        told(&|(_, _, above, _)| format!("\"{above}\""));
        // As numbers, not as text.
        for value in [
            "-1",
            "nan",
            "inf",
            "-inf",
            "9223372036854775807",
            "\"many\"",
            "true",
        ] {
            told(&|_| value.to_owned());
        }
    }

    #[test]
    fn the_environment_sets_every_limit_and_is_held_to_the_same_bounds() {
        let names: Vec<_> = BOUNDS
            .iter()
            .map(|(setting, ..)| format!("FILMLAB_LIMITS__{}", setting.to_uppercase()))
            .collect();
        let env = |value: &'static str| -> Vec<_> {
            names.iter().map(|name| (name.as_str(), value)).collect()
        };
        for value in ["-1", "NaN", "inf", "99999999999999999999", "none", ""] {
            assert_all_told(&load("", &env(value)).unwrap_err());
        }
        let config = load(
            "[limits]\nmax_frames = 7\nmax_damage = 0",
            &[
                ("FILMLAB_LIMITS__MAX_BYTES", "2 GiB"),
                ("FILMLAB_LIMITS__MAX_STREAMS", "3"),
                ("FILMLAB_LIMITS__PROBE_SIZE", "4 MiB"),
                ("FILMLAB_LIMITS__ANALYZE_DURATION_MS", "5000"),
                ("FILMLAB_LIMITS__MAX_PIXELS", "6000000"),
                ("FILMLAB_LIMITS__MAX_FPS", "7.5"),
                ("FILMLAB_LIMITS__MAX_DURATION_MS", "8000"),
                ("FILMLAB_LIMITS__MAX_FRAMES", "9000"),
                ("FILMLAB_LIMITS__MAX_DUPLICATION", "10"),
                ("FILMLAB_LIMITS__MAX_OUTPUT_BYTES", "11000"),
                ("FILMLAB_LIMITS__DEADLINE_MS", "12000"),
                ("FILMLAB_LIMITS__ALLOW_TRUNCATED", "true"),
                ("FILMLAB_LIMITS__MAX_ALLOCATION", "64 MiB"),
            ],
        )
        .unwrap();
        let expected = Limits {
            max_bytes: 2 << 30,
            max_streams: 3,
            probe_size: 4 << 20,
            analyze_duration_ms: 5000,
            max_pixels: 6_000_000,
            max_fps: 7.5,
            max_duration_ms: 8000,
            max_frames: 9000,
            max_duplication: 10,
            max_output_bytes: 11_000,
            deadline_ms: Some(12_000),
            max_damage: 0.0,
            allow_truncated: true,
            threads: 0,
        };
        assert_eq!(config.limits, expected);
        assert_eq!(config.max_allocation, 64 << 20);
    }
}
