//! Fixtures made with the ffmpeg program, and its judgement of our results.
//!
//! The program is the reference here; the product never starts it.

use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use filmlab::media::{
    Cancel, Checks, Event, FileInput, FileOutput, Force, Input, Limits, MediaError, Profile,
    Render, Report,
};

/// A directory of this process. What processes that are no more left is removed by the next.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes");
        let own = all.join(std::process::id().to_string());
        for left in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            let running = Path::new("/proc").join(left.file_name()).exists();
            if Path::new("/proc/self").exists() && (!running || left.path() == own) {
                let _ = std::fs::remove_dir_all(left.path());
            }
        }
        std::fs::create_dir_all(&own).unwrap();
        own
    })
}

/// A path nobody else uses.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let folder = tempfile::tempdir_in(directory()).unwrap().keep();
    folder.join(name)
}

/// Runs the ffmpeg program; its arguments are split at blanks outside double quotes.
pub(crate) fn ffmpeg(arguments: &str, extra: &[&str]) -> String {
    let pieces = arguments.split('"').enumerate();
    let words = pieces.flat_map(|(number, piece)| match number % 2 {
        0 => piece.split_whitespace().collect(),
        _ => vec![piece],
    });
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-y"])
        .args(words)
        .args(extra)
        .output()
        .expect("the ffmpeg program is needed as a reference");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "ffmpeg {arguments} {extra:?}\n{log}"
    );
    log
}

/// One value per line of what ffprobe says about the video or sound stream.
pub(crate) fn ffprobe(path: &Path, stream: &str, entries: &str) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            entries,
        ])
        .args(["-of", "default=nw=1:nk=1"])
        .arg(path)
        .output()
        .expect("the ffprobe program is needed as a reference");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Makes a fixture, once for all processes that ask for it by the same arguments.
pub(crate) fn fixture(name: &str, arguments: &str) -> PathBuf {
    let mut hasher = std::hash::DefaultHasher::new();
    arguments.hash(&mut hasher);
    let folder = format!("fixtures/{:016x}", hasher.finish());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let path = folder.join(name);
    if !path.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let made = fresh(name);
        ffmpeg(arguments, &[made.to_str().unwrap()]);
        // Both made the same, whoever comes first.
        std::fs::rename(made, &path).unwrap();
    }
    path
}

/// What `ffmpeg` is told so that a clip gets codecs that are taken and that no fixture has.
pub(crate) const OLDER: [(&str, &str); 5] = [
    ("latm.ts", "-c:v copy -c:a aac -mpegts_flags latm"),
    ("mpeg1.mpg", "-c:v mpeg1video -q:v 4 -c:a mp2"),
    ("flv1.flv", "-c:v flv1 -q:v 4 -c:a libmp3lame -ar 44100"),
    ("msmpeg4v2.avi", "-c:v msmpeg4v2 -q:v 4 -c:a adpcm_ms"),
    (
        "ima.mov",
        "-c:v mjpeg -q:v 4 -pix_fmt yuvj420p -c:a adpcm_ima_qt",
    ),
];

/// 640×360, 25 fps, 4 s, H.264 with B-frames, stereo AAC, index first.
pub(crate) fn plain() -> PathBuf {
    fixture(
        "plain.mp4",
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=4 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=4 \
         -c:v libx264 -preset veryfast -crf 18 -bf 2 -g 50 -pix_fmt yuv420p \
         -c:a aac -ac 2 -b:a 96k -movflags +faststart",
    )
}

/// As [`plain`], without sound.
pub(crate) fn silent() -> PathBuf {
    fixture(
        "silent.mp4",
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=4 \
         -c:v libx264 -preset veryfast -crf 18 -g 50 -pix_fmt yuv420p",
    )
}

/// A 200×100 logo: red, with a white stripe and a soft edge.
pub(crate) fn logo() -> PathBuf {
    fixture(
        "logo.png",
        "-f lavfi -i color=c=red:size=200x100,format=rgba,\
         drawbox=x=0:y=40:w=200:h=20:color=white:t=fill,\
         geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(min(min(X,199-X),min(Y,99-Y)),4),128,255)' \
         -frames:v 1",
    )
}

/// A 200×100 logo of nothing but opaque red.
pub(crate) fn red() -> PathBuf {
    fixture(
        "red.png",
        "-f lavfi -i color=c=red:size=200x100,format=rgba -frames:v 1",
    )
}

pub(crate) fn input(path: &Path) -> Arc<dyn Input> {
    Arc::new(FileInput::new(path))
}

/// A render with the `web` profile and nothing else.
pub(crate) fn job(main: &Path) -> Render {
    let mut profile = Profile::builtin("web").unwrap();
    // Speed, not size, matters to tests.
    profile.video.preset = filmlab::media::Preset::Veryfast;
    Render {
        main: input(main),
        before: None,
        audio_source: None,
        strict: false,
        main_is_silent: false,
        audio_track: None,
        source_track: None,
        profile,
        watermarks: Vec::new(),
        poster: None,
        storyboard: false,
        force: Force::default(),
        checks: Checks::default(),
        limits: Limits::default(),
        threads: 1,
        provenance: None,
        audible: false,
        signer: None,
        index_room: None,
    }
}

/// A profile that never copies the picture.
pub(crate) fn encoding(main: &Path) -> Render {
    let mut render = job(main);
    render.force.video = true;
    render.profile.video.max_rate = None;
    render.profile.video.max_fps = None;
    render.profile.name = "test".to_owned();
    render.profile.video.crf = 16.0;
    render
}

pub(crate) fn run(render: &Render, out: &Path) -> Result<Report, MediaError> {
    let mut output = FileOutput::new(out);
    filmlab::media::render(render, &mut output, &Cancel::new(), &mut |_| {})
}

pub(crate) fn run_events(render: &Render, out: &Path) -> (Report, Vec<Event>) {
    let mut output = FileOutput::new(out);
    let mut events = Vec::new();
    let report = filmlab::media::render(render, &mut output, &Cancel::new(), &mut |event| {
        events.push(event);
    })
    .unwrap();
    (report, events)
}

/// Frames that the reference program decodes.
pub(crate) fn frame_count(path: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0"])
        .args([
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "default=nw=1:nk=1",
        ])
        .arg(path)
        .output()
        .unwrap();
    // Of a transport stream it is said once for the program, too.
    let counted = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = counted.split_whitespace().next();
    count.and_then(|count| count.parse().ok()).expect(&counted)
}

/// Length of a stream in seconds, by its container.
pub(crate) fn seconds(path: &Path, stream: &str) -> f64 {
    ffprobe(path, stream, "stream=duration")[0].parse().unwrap()
}

/// Structural similarity of two videos after the same filter on both.
pub(crate) fn ssim(a: &Path, b: &Path, filter: &str) -> f64 {
    let graph = format!("[0:v]{filter}[a];[1:v]{filter}[b];[a][b]ssim");
    let log = ffmpeg(
        "",
        &[
            "-i",
            a.to_str().unwrap(),
            "-i",
            b.to_str().unwrap(),
            "-lavfi",
            &graph,
            "-f",
            "null",
            "-",
        ],
    );
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("SSIM"))
        .unwrap();
    let all = line.split("All:").nth(1).unwrap();
    all.split_whitespace().next().unwrap().parse().unwrap()
}

/// Mean red, green and blue of a rectangle of the frame at `at` seconds,
/// converted by the reference program with the file's own colour tags.
pub(crate) fn mean_rgb(path: &Path, at: f64, (x, y, w, h): (u32, u32, u32, u32)) -> [f64; 3] {
    let filter = format!(
        "scale=flags=accurate_rnd+full_chroma_int,format=rgb24,crop={w}:{h}:{x}:{y}:exact=1"
    );
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        // After the input: decoded up to there, which pictures allow as well.
        .args(["-ss", &at.to_string()])
        .args(["-vf", &filter, "-frames:v", "1", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let pixels = output.stdout;
    assert_eq!(
        pixels.len() as u32,
        w * h * 3,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut sums = [0f64; 3];
    for pixel in pixels.chunks_exact(3) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(*value);
        }
    }
    sums.map(|sum| sum / f64::from(w * h))
}

/// Order of the top-level boxes of an MP4.
pub(crate) fn boxes(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let mut names = Vec::new();
    let mut at = 0usize;
    while let Some(head) = bytes.get(at..at + 8) {
        let size = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        names.push(String::from_utf8_lossy(&head[4..]).into_owned());
        if size < 8 {
            break;
        }
        at += size;
    }
    names
}

/// Nothing but `allowed` stands beside a path of [`fresh`].
pub(crate) fn assert_alone(path: &Path, allowed: &[&str]) {
    let mut found: Vec<String> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, allowed);
}

/// A copy of an MP4 whose video track has another display matrix
/// (a, b, c, d of (x, y) → (a·x + c·y, b·x + d·y)).
pub(crate) fn turned(path: &Path, [a, b, c, d]: [i32; 4]) -> PathBuf {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes
        .windows(4)
        .position(|window| window == b"tkhd")
        .unwrap();
    // Version 0: type, flags, times, id, reserved, duration, reserved, layer,
    // group, volume, reserved = 44 bytes up to the matrix.
    let matrix = at + 44;
    let one = 1 << 16;
    let values = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30];
    for (index, value) in values.iter().enumerate() {
        let place = matrix + index * 4;
        bytes[place..place + 4].copy_from_slice(&value.to_be_bytes());
    }
    let out = fresh("turned.mp4");
    std::fs::write(&out, bytes).unwrap();
    out
}

/// MD5 of each packet's bytes of a stream.
pub(crate) fn packet_hashes(path: &Path, stream: &str) -> Vec<String> {
    let log = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args([
            "-map",
            &format!("0:{stream}"),
            "-c",
            "copy",
            "-f",
            "framemd5",
            "-",
        ])
        .output()
        .unwrap();
    String::from_utf8_lossy(&log.stdout)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// Presentation times of a stream's frames in seconds, sorted.
pub(crate) fn times(path: &Path, stream: &str) -> Vec<f64> {
    let mut times: Vec<f64> = ffprobe(path, stream, "packet=pts_time")
        .iter()
        .filter_map(|line| line.parse().ok())
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// MD5 of each decoded frame of a stream.
pub(crate) fn decoded_hashes(path: &Path, stream: &str) -> Vec<String> {
    let hashes = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-map", &format!("0:{stream}"), "-f", "framemd5", "-"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&hashes.stdout)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// Mean level of a second of sound, in dB of full scale.
pub(crate) fn level(path: &Path, from: f64) -> f64 {
    let path = path.to_str().unwrap();
    let log = ffmpeg(
        &format!("-ss {from} -t 1 -i {path} -vn -af volumedetect -f null -"),
        &[],
    );
    let mean = log.split("mean_volume:").nth(1).unwrap();
    mean.split_whitespace().next().unwrap().parse().unwrap()
}
