//! `[limits]`: what one piece of media work may cost.

use super::reader::Reader;
use super::table::{Open, Setting, settings};
use crate::fields::{Bounds, Flag, Real, Size, Whole};
use crate::media::{DEFAULT_MAX_ALLOCATION, Limits};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A TiB: more than any store takes in one object is a mistake.
const FILE: Size = Size(Bounds::Within(1, 1 << 40));
const USUAL: Limits = Limits::USUAL;

// Each setting has bounds: a limit of nothing refuses everything, which nobody means, and one
// beyond what libav or we could ever reach limits nothing.
settings! { LIMITS of "limits" {
    MAX_BYTES: Setting<Size> = "max_bytes", FILE, USUAL.max_bytes, "bytes of one input";
    // libav's own limit is a thousand.
    MAX_STREAMS: Setting<Whole<u32>> = "max_streams", Whole(Bounds::Within(1, 1000)),
        USUAL.max_streams, "streams of one input";
    PROBE_SIZE: Setting<Size> = "probe_size", Size(Bounds::Within(1 << 10, 1 << 30)),
        USUAL.probe_size, "bytes that are read to find the streams";
    // 0 is libav's word for a default of its own.
    ANALYZE_DURATION_MS: Setting<Whole<u64>> = "analyze_duration_ms",
        Whole(Bounds::Within(1, 600_000)), USUAL.analyze_duration_ms,
        "the same in milliseconds of video";
    // H.264 and HEVC end near 16384 × 16384.
    MAX_PIXELS: Setting<Whole<u64>> = "max_pixels", Whole(Bounds::Within(1, 1 << 28)),
        USUAL.max_pixels, "pixels of one frame";
    MAX_FPS: Setting<Real<f64>> = "max_fps", Real(Bounds::Within(1.0, 1000.0)), USUAL.max_fps,
        "frames within a second";
    MAX_DURATION_MS: Setting<Whole<u64>> = "max_duration_ms", Whole(Bounds::Within(1, DAY_MS)),
        USUAL.max_duration_ms, "length of one input";
    MAX_FRAMES: Setting<Whole<u64>> = "max_frames", Whole(Bounds::Within(1, 100_000_000)),
        USUAL.max_frames, "decoded frames of one input";
    MAX_DUPLICATION: Setting<Whole<u32>> = "max_duplication", Whole(Bounds::Within(1, 1000)),
        USUAL.max_duplication, "frames made for each frame of the source";
    MAX_OUTPUT_BYTES: Setting<Size> = "max_output_bytes", FILE, USUAL.max_output_bytes,
        "bytes of one result";
    // None at all is a limit some will want.
    MAX_DAMAGE: Setting<Real<f64>> = "max_damage", Real(Bounds::Within(0.0, 1.0)),
        USUAL.max_damage, "share of damaged packets or frames";
    ALLOW_TRUNCATED: Setting<Flag> = "allow_truncated", Flag, USUAL.allow_truncated,
        "whether a file that breaks off is taken as far as it goes";
    // Less than this and an ordinary frame does not fit; more is no piece of one video.
    MAX_ALLOCATION: Setting<Size> = "max_allocation", Size(Bounds::Within(16 << 20, 4 << 30)),
        DEFAULT_MAX_ALLOCATION, "what libav may take in one piece, in the whole process";
    DEADLINE_MS: Open<Whole<u64>> = "deadline_ms", Whole(Bounds::Within(1, DAY_MS)), "none",
        "wall-clock time of one piece of work";
}}

pub(super) fn limits(r: &mut Reader) -> Limits {
    Limits {
        max_bytes: r.value(&MAX_BYTES),
        max_streams: r.value(&MAX_STREAMS),
        probe_size: r.value(&PROBE_SIZE),
        analyze_duration_ms: r.value(&ANALYZE_DURATION_MS),
        max_pixels: r.value(&MAX_PIXELS),
        max_fps: r.value(&MAX_FPS),
        max_duration_ms: r.value(&MAX_DURATION_MS),
        max_frames: r.value(&MAX_FRAMES),
        max_duplication: r.value(&MAX_DUPLICATION),
        max_output_bytes: r.value(&MAX_OUTPUT_BYTES),
        deadline_ms: r.given(&DEADLINE_MS).or(USUAL.deadline_ms),
        max_damage: r.value(&MAX_DAMAGE),
        allow_truncated: r.value(&ALLOW_TRUNCATED),
        threads: USUAL.threads,
    }
}

pub(super) fn max_allocation(r: &mut Reader) -> u64 {
    r.value(&MAX_ALLOCATION)
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
