//! Which files are damaged, and how.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::require;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Video,
    /// Laid over a sound video as its watermark.
    Picture,
}

/// A file that is damaged. Every container and every picture format is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed {
    pub name: &'static str,
    pub role: Role,
}

const fn video(name: &'static str) -> Seed {
    Seed {
        name,
        role: Role::Video,
    }
}

const fn picture(name: &'static str) -> Seed {
    Seed {
        name,
        role: Role::Picture,
    }
}

pub(super) const SEEDS: &[Seed] = &[
    video("tiny.mp4"),
    video("hevc-10bit.mp4"),
    video("hdr-pq.mp4"),
    video("av1.mp4"),
    video("b-frames-open-gop.mp4"),
    video("vfr.mp4"),
    video("surround.mp4"),
    video("rotate90-flip.mov"),
    video("prores.mov"),
    video("yuv444-10bit.mkv"),
    video("yuv422.mkv"),
    video("vp9-opus.webm"),
    video("vp8-vorbis.webm"),
    video("mjpeg.avi"),
    video("mpeg4-mp3.avi"),
    video("resolution-change.ts"),
    video("start-offset.ts"),
    video("animation.gif"),
    picture("soak.png"),
    picture("soak.jpg"),
    picture("soak.webp"),
];

/// How a file is damaged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub part: Part,
    /// Share of bits that flip, as `zzuf` takes it.
    pub ratio: &'static str,
    pub number: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Whole,
    /// The first 2 KiB: headers, parameter sets, the index of files that start fast.
    Head,
    /// The last 2 KiB: the index of the others.
    Tail,
}

const PART: u64 = 2048;

/// From a few bits in all to more than anyone survives.
const KINDS: [(Part, &str); 6] = [
    (Part::Whole, "0.000005"),
    (Part::Whole, "0.0001"),
    (Part::Whole, "0.002"),
    (Part::Head, "0.0005"),
    (Part::Head, "0.01"),
    (Part::Tail, "0.001"),
];

/// Every kind with the `zzuf` seeds 1 to `numbers`.
pub(super) fn variants(numbers: u32) -> Vec<Variant> {
    let of_kind = |(part, ratio)| {
        (1..=numbers).map(move |number| Variant {
            part,
            ratio,
            number,
        })
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

pub(super) fn all(numbers: u32) -> Vec<Mutant> {
    let of_seed = |seed| {
        variants(numbers)
            .into_iter()
            .map(move |variant| Mutant::of(seed, variant))
    };
    SEEDS.iter().flat_map(of_seed).collect()
}

/// Mutants that once ended badly; the slice has them all.
pub(super) fn known() -> Vec<Mutant> {
    let of = |name: &str, part, ratio, number| {
        let seed = SEEDS.iter().find(|seed| seed.name == name);
        let variant = Variant {
            part,
            ratio,
            number,
        };
        Mutant::of(seed.expect("one of SEEDS"), variant)
    };
    vec![
        // A sample of two gigabytes: libav's refusal was taken for a fault of ours.
        of("hevc-10bit.mp4", Part::Tail, "0.001", 2),
        // The same of an index, before anything was read; FFmpeg 8.1.
        of("vfr.mp4", Part::Whole, "0.002", 3),
        // A copied packet that MP4 cannot hold was taken for our encoder's failure.
        of("start-offset.ts", Part::Whole, "0.0001", 1),
        // Sound three days late: the silence up to it was made in one piece.
        of("mpeg4-mp3.avi", Part::Tail, "0.001", 6),
    ]
}

#[derive(Clone, Debug)]
pub(super) struct Mutant {
    pub seed: Seed,
    pub variant: Variant,
}

impl Mutant {
    pub(super) fn of(seed: &Seed, variant: Variant) -> Self {
        Self {
            seed: *seed,
            variant,
        }
    }

    /// `tiny.mp4_head_r0.01_s7.mp4`
    pub(super) fn name(&self) -> String {
        let part = match self.variant.part {
            Part::Whole => "whole",
            Part::Head => "head",
            Part::Tail => "tail",
        };
        let Variant { ratio, number, .. } = self.variant;
        let extension = self.seed.name.rsplit('.').next().unwrap_or_default();
        format!("{}_{part}_r{ratio}_s{number}.{extension}", self.seed.name)
    }

    fn arguments(&self, length: u64) -> Vec<String> {
        let mut arguments = vec![
            format!("-s{}", self.variant.number),
            format!("-r{}", self.variant.ratio),
        ];
        match self.variant.part {
            Part::Whole => {}
            Part::Head => arguments.push(format!("-b0-{}", PART - 1)),
            Part::Tail => arguments.push(format!("-b{}-", length.saturating_sub(PART))),
        }
        arguments
    }

    /// What makes this file again.
    pub(super) fn command(&self, seeds: &Seeds) -> String {
        let length = std::fs::metadata(seeds.path(self.seed)).map_or(0, |file| file.len());
        format!(
            "zzuf {} < {} > {}",
            self.arguments(length).join(" "),
            self.seed.name,
            self.name()
        )
    }

    pub(super) fn bytes(&self, seeds: &Seeds) -> Vec<u8> {
        let path = seeds.path(self.seed);
        let file = std::fs::File::open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        let output = Command::new("zzuf")
            .args(self.arguments(length))
            .stdin(Stdio::from(file))
            .output()
            .unwrap();
        assert!(output.status.success(), "zzuf: {}", output.status);
        assert_eq!(output.stdout.len() as u64, length, "{}", path.display());
        output.stdout
    }
}

/// Where the files are that are damaged.
pub(super) struct Seeds {
    pictures: PathBuf,
    generated: PathBuf,
}

impl Seeds {
    pub(super) fn path(&self, seed: Seed) -> PathBuf {
        match seed.role {
            Role::Video => self.generated.join(seed.name),
            Role::Picture => self.pictures.join(seed.name),
        }
    }

    /// The sound video that damaged pictures are laid over.
    pub(super) fn main(&self) -> PathBuf {
        self.generated.join("tiny.mp4")
    }
}

/// The fixtures, and the logo in each picture format.
pub(super) fn seeds() -> Option<Seeds> {
    let mut generated = PathBuf::new();
    for seed in SEEDS.iter().filter(|seed| seed.role == Role::Video) {
        generated = require::fixture(seed.name)?.parent()?.to_path_buf();
    }
    let logo = require::fixture("logo.png")?;
    let pictures = crate::media::support::directory().join("soak-pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    for (name, options) in [
        ("soak.png", "-c:v png"),
        ("soak.jpg", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"),
        ("soak.webp", "-c:v libwebp -quality 80"),
    ] {
        convert(&logo, options, &pictures.join(name));
    }
    Some(Seeds {
        pictures,
        generated,
    })
}

fn convert(from: &Path, options: &str, to: &Path) {
    if to.exists() {
        return;
    }
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(from)
        .args(["-vf", "scale=160:-2"])
        .args(options.split_whitespace())
        .args([
            "-map_metadata",
            "-1",
            "-fflags",
            "+bitexact",
            "-flags",
            "+bitexact",
        ])
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "{}: {status}", to.display());
}
