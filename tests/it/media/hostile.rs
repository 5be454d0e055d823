//! Input that is not what it claims to be.

use std::path::Path;

use filmlab::media::{Cancel, FileInput, Limits, MediaCode, MediaError, probe};

use super::support::*;

fn refusal(path: &Path) -> MediaError {
    probe(&FileInput::new(path), &Limits::default(), &Cancel::new()).unwrap_err()
}

fn written(name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = fresh(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn things_that_are_no_video_say_what_they_are_not() {
    let noise: Vec<u8> = (0u32..200_000)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let text = b"just some words, over and over\n".repeat(1000);
    assert_eq!(
        refusal(&written("text.mp4", &text)).code,
        MediaCode::UnsupportedFormat
    );
    assert_eq!(
        refusal(&written("noise.mp4", &noise)).code,
        MediaCode::UnsupportedFormat
    );
    assert_eq!(
        refusal(&written("empty.mp4", b"")).code,
        MediaCode::EmptyFile
    );
    assert_eq!(
        refusal(&written("one.mp4", b"x")).code,
        MediaCode::UnsupportedFormat
    );
    assert_eq!(refusal(&logo()).code, MediaCode::NotAVideo);
    let jpeg = fixture(
        "still.jpg",
        "-f lavfi -i testsrc2=size=64x48:rate=1:duration=1 -frames:v 1",
    );
    assert_eq!(refusal(&jpeg).code, MediaCode::NotAVideo);
}

#[test]
fn missing_files_and_directories_are_told_apart() {
    let missing = refusal(&fresh("missing.mp4"));
    assert_eq!(missing.code, MediaCode::InputUnreadable);
    assert!(missing.message.contains("does not exist"), "{missing}");
    let directory = refusal(directory());
    assert_eq!(directory.code, MediaCode::InputUnreadable);
    assert!(directory.message.contains("is a directory"), "{directory}");
    assert!(!directory.message.contains("/tmp"), "{directory}");
}

#[test]
fn foreign_codecs_and_containers_are_refused() {
    let source = "-f lavfi -i testsrc2=size=160x120:rate=10:duration=1 -c:v";
    let ffv1 = fixture("ffv1.mkv", &format!("{source} ffv1"));
    assert_eq!(refusal(&ffv1).code, MediaCode::UnsupportedCodec);
    assert!(refusal(&ffv1).message.contains("ffv1"));
    let theora = fixture("theora.mkv", &format!("{source} libtheora"));
    assert_eq!(refusal(&theora).code, MediaCode::UnsupportedCodec);
    let ogg = fixture("theora.ogv", &format!("{source} libtheora"));
    assert_eq!(refusal(&ogg).code, MediaCode::UnsupportedFormat);
    let sound = fixture("sound.mp4", "-f lavfi -i sine=duration=1 -c:a aac");
    assert_eq!(refusal(&sound).code, MediaCode::NoVideoStream);
}

#[test]
fn a_cover_picture_is_not_the_video() {
    let covered = fixture(
        "covered.mp4",
        &format!(
            "-i {} -i {} -map 0 -map 1 -c copy -disposition:v:1 attached_pic",
            plain().display(),
            logo().display()
        ),
    );
    let found = probe(
        &FileInput::new(&covered),
        &Limits::default(),
        &Cancel::new(),
    )
    .unwrap();
    assert_eq!(found.video.unwrap().codec, "h264");
    assert_eq!(found.other.attached_pictures, 1);
    let out = fresh("out.mp4");
    run(&job(&covered), &out).unwrap();
    assert_eq!(ffprobe(&out, "v", "stream=codec_name"), ["h264"]);
}

#[test]
fn truncated_files_are_not_published() {
    let bytes = std::fs::read(plain()).unwrap();
    // The index stands first, so half of the media still opens.
    let half = written("half.mp4", &bytes[..bytes.len() / 2]);
    let out = fresh("out.mp4");
    for render in [encoding(&half), job(&half)] {
        let error = run(&render, &out).unwrap_err();
        assert!(
            matches!(error.code, MediaCode::Truncated | MediaCode::DamagedMedia),
            "{error:?}"
        );
    }
    assert_alone(&out, &[]);
    // Without its index at the end there is nothing to read.
    let tail = fixture(
        "tail.mp4",
        &format!("-i \"{}\" -c copy -movflags -faststart", plain().display()),
    );
    let bytes = std::fs::read(tail).unwrap();
    let headless = written("headless.mp4", &bytes[..bytes.len() * 3 / 4]);
    assert_eq!(refusal(&headless).code, MediaCode::Truncated);
}

#[test]
fn a_little_damage_is_tolerated_and_counted_much_is_not() {
    let source = std::fs::read(plain()).unwrap();
    let media = source
        .windows(4)
        .position(|window| window == b"mdat")
        .unwrap()
        + 8;
    let damage = |every: usize| {
        let mut bytes = source.clone();
        let mut at = media + 5000;
        while at + 400 < bytes.len() {
            for byte in &mut bytes[at..at + 400] {
                *byte ^= 0x5a;
            }
            at += every;
        }
        written("damaged.mp4", &bytes)
    };
    let out = fresh("out.mp4");
    let mut render = encoding(&damage(120_000));
    render.limits.max_damage = 0.5;
    let report = run(&render, &out).unwrap();
    assert!(
        report.damage.bad_frames + report.damage.bad_packets > 0,
        "{:?}",
        report.damage
    );
    let out = fresh("out.mp4");
    render = encoding(&damage(3_000));
    render.limits.max_damage = 0.05;
    assert_eq!(
        run(&render, &out).unwrap_err().code,
        MediaCode::DamagedMedia
    );
    assert_alone(&out, &[]);
}

#[test]
fn errors_carry_stage_and_what_libav_said() {
    let bytes = std::fs::read(plain()).unwrap();
    let cut = written("cut.mp4", &bytes[..200]);
    let error = refusal(&cut);
    assert_eq!(error.code, MediaCode::Truncated);
    assert_eq!(error.context.stage.as_deref(), Some("open"));
    assert!(!error.context.log.is_empty(), "{error:?}");
    assert!(
        error.context.log.iter().all(|line| !line.contains("0x")),
        "{error:?}"
    );
}

/// Fails or panics after so many bytes.
#[derive(Debug)]
struct Broken {
    bytes: Vec<u8>,
    after: u64,
    panics: bool,
}

struct BrokenReader {
    inner: std::io::Cursor<Vec<u8>>,
    after: u64,
    panics: bool,
}

impl std::io::Read for BrokenReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.inner.position() >= self.after {
            assert!(!self.panics, "a reader that panics");
            return Err(std::io::Error::other("the store went away"));
        }
        self.inner.read(buffer)
    }
}

impl std::io::Seek for BrokenReader {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

impl filmlab::media::Input for Broken {
    fn open(&self) -> std::io::Result<Box<dyn filmlab::media::ReadSeek>> {
        Ok(Box::new(BrokenReader {
            inner: std::io::Cursor::new(self.bytes.clone()),
            after: self.after,
            panics: self.panics,
        }))
    }

    fn len(&self) -> std::io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn describe(&self) -> String {
        "a broken store".to_owned()
    }
}

#[test]
fn a_store_that_fails_or_panics_is_an_unreadable_input_not_an_abort() {
    let bytes = std::fs::read(plain()).unwrap();
    // Beyond what recognising the container reads, so that libav is the one to ask.
    let after = 300_000;
    assert!(bytes.len() as u64 > after + 100_000, "{}", bytes.len());
    for panics in [false, true] {
        let out = fresh("out.mp4");
        let mut render = encoding(&plain());
        render.main = std::sync::Arc::new(Broken {
            bytes: bytes.clone(),
            after,
            panics,
        });
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code, MediaCode::InputUnreadable, "{error:?}");
        assert_alone(&out, &[]);
    }
}

/// Bytes that no UTF-8 has, where text is expected: the brand of an MP4.
#[test]
fn a_brand_in_bytes_that_are_no_text_is_a_brand_like_others() {
    let bytes = std::fs::read(plain()).unwrap();
    assert_eq!(&bytes[4..8], b"ftyp");
    // The beginning of a character that never ends, one that is too long, and none at all.
    for brand in [[0xf0, 0, 0, 0], [0xc0, 0x80, 0xfe, 0xff], [0x80; 4]] {
        let mut bytes = bytes.clone();
        bytes[8..12].copy_from_slice(&brand);
        let path = written("brand.mp4", &bytes);
        let found = probe(&FileInput::new(&path), &Limits::default(), &Cancel::new()).unwrap();
        assert_eq!(found.container.format, "mp4", "{brand:x?}");
        run(&job(&path), &fresh("out.mp4")).unwrap();
    }
}

/// Every text a container can carry, in bytes that are no UTF-8.
#[test]
fn metadata_in_bytes_that_are_no_text_harms_nothing() {
    const MARK: &[u8; 6] = b"QQQQQQ";
    const NO_TEXT: &[u8; 6] = b"\xf0\x28\x8c\xbc\xc0\x80";
    let fields = [
        "title",
        "artist",
        "album",
        "comment",
        "genre",
        "date",
        "copyright",
        "description",
        "encoder",
        "service_name",
        "service_provider",
        "composer",
        "location",
        "make",
    ];
    let mut arguments = format!("-i {} -map 0 -map_metadata -1", plain().display());
    for field in fields {
        arguments.push_str(&format!(" -metadata {field}=QQQQQQ"));
        arguments.push_str(&format!(" -metadata:s:0 {field}=QQQQQQ"));
    }
    arguments.push_str(" -metadata:s:0 handler_name=QQQQQQ -metadata:s:1 title=QQQQQQ");
    for (name, options) in [
        ("text.mp4", "-c copy -movflags use_metadata_tags"),
        ("text.mov", "-c copy"),
        ("text.mkv", "-c copy"),
        ("text.ts", "-c copy"),
        ("text.avi", "-c:v mpeg4 -c:a mp3 -t 1"),
        (
            "text.webm",
            "-c:v libvpx -c:a libopus -deadline realtime -t 1",
        ),
    ] {
        let path = fixture(name, &format!("{arguments} {options}"));
        let mut bytes = std::fs::read(&path).unwrap();
        let mut replaced = 0;
        for at in 0..bytes.len() - MARK.len() {
            if &bytes[at..at + MARK.len()] == MARK {
                bytes[at..at + MARK.len()].copy_from_slice(NO_TEXT);
                replaced += 1;
            }
        }
        assert!(replaced >= 2, "{name}: {replaced} fields");
        let path = written(name, &bytes);
        let out = fresh("out.mp4");
        let report = run(&job(&path), &out).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(report.frames >= 25, "{name}: {}", report.frames);
        let result = std::fs::read(&out).unwrap();
        let carried = result.windows(NO_TEXT.len()).any(|bytes| bytes == NO_TEXT);
        assert!(!carried, "{name}: metadata survived");
    }
}
