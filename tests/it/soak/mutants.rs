//! Which files are damaged, and how.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::media::support::OLDER;
use crate::support::require;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Video,
    /// Laid over a sound video as its watermark.
    Picture,
}

/// A file that is damaged. Every container, codec and picture format is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed {
    /// Of the fixture, below `fixtures/generated`.
    pub name: &'static str,
    pub role: Role,
    /// How `ffmpeg` makes it, where it is no fixture.
    made: Option<&'static str>,
}

const fn video(name: &'static str) -> Seed {
    Seed {
        name,
        role: Role::Video,
        made: None,
    }
}

const fn older((name, options): (&'static str, &'static str)) -> Seed {
    Seed {
        name,
        role: Role::Video,
        made: Some(options),
    }
}

const fn picture(name: &'static str, options: &'static str) -> Seed {
    Seed {
        name,
        role: Role::Picture,
        made: Some(options),
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
    video("cases/flv-h264-aac.flv"),
    video("cases/ps-mpeg2.mpg"),
    video("cases/ts-mpeg2.ts"),
    video("cases/3gp-h263.3gp"),
    video("cases/avi-dv-pcm.avi"),
    video("cases/avi-divx3.avi"),
    video("cases/mov-dnxhr-pcm.mov"),
    video("cases/3gp-amr-nb.3gp"),
    video("cases/3gp-amr-wb.3gp"),
    video("cases/mov-alac.mov"),
    video("cases/m2ts-lpcm.m2ts"),
    video("cases/avi-mjpeg-adpcm.avi"),
    video("cases/ts-dts.ts"),
    video("cases/mkv-truehd.mkv"),
    older(OLDER[0]),
    older(OLDER[1]),
    older(OLDER[2]),
    older(OLDER[3]),
    older(OLDER[4]),
    picture("soak.png", "-vf scale=160:-2 -c:v png"),
    picture(
        "soak.jpg",
        "-vf scale=160:-2 -c:v mjpeg -q:v 3 -pix_fmt yuvj420p",
    ),
    picture("soak.webp", "-vf scale=160:-2 -c:v libwebp -quality 80"),
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
        let name = self.seed.name.trim_start_matches("cases/");
        format!("{name}_{part}_r{ratio}_s{number}.{extension}")
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
    made: PathBuf,
    generated: PathBuf,
}

impl Seeds {
    pub(super) fn path(&self, seed: Seed) -> PathBuf {
        match seed.made {
            None => self.generated.join(seed.name),
            Some(_) => self.made.join(seed.name),
        }
    }

    /// The sound video that damaged pictures are laid over.
    pub(super) fn main(&self) -> PathBuf {
        self.generated.join("tiny.mp4")
    }
}

/// The fixtures, a clip in codecs that none of them has, and the logo in each picture format.
pub(super) fn seeds() -> Option<Seeds> {
    let clip = require::fixture("tiny.mp4")?;
    let logo = require::fixture("logo.png")?;
    let made = crate::media::support::directory().join("soak-seeds");
    std::fs::create_dir_all(&made).unwrap();
    for seed in SEEDS {
        let Some(options) = seed.made else {
            require::fixture(seed.name)?;
            continue;
        };
        let from = match seed.role {
            Role::Video => &clip,
            Role::Picture => &logo,
        };
        convert(from, options, &made.join(seed.name));
    }
    Some(Seeds {
        made,
        generated: clip.parent()?.to_path_buf(),
    })
}

fn convert(from: &Path, options: &str, to: &Path) {
    if to.exists() {
        return;
    }
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(from)
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
