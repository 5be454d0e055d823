//! Input that names other files or addresses: none of them is ever opened. No program is started
//! for one either: the product starts itself alone, in `quarantine`, to which `architecture` holds it.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filmlab::media::{
    Cancel, FileInput, Limits, MediaCode, MediaError, Placement, Render, Watermark, probe,
};
use rustix::fs::inotify;

use super::support::*;

fn clip() -> PathBuf {
    fixture(
        "nested-clip.mp4",
        "-f lavfi -i testsrc2=size=64x48:rate=25:duration=2 -c:v libx264 -preset veryfast \
         -pix_fmt yuv420p",
    )
}

/// A video that nobody may open and a port that nobody may connect to.
struct Bait {
    file: PathBuf,
    listener: TcpListener,
    opened: OwnedFd,
}

impl Bait {
    fn new() -> Self {
        let file = fresh("canary.mp4");
        std::fs::copy(clip(), &file).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let opened = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let events = inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS;
        inotify::add_watch(&opened, &file, events).unwrap();
        Self {
            file,
            listener,
            opened,
        }
    }

    /// Whether anybody opened the file or connected since the last time.
    fn taken(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.opened, &mut buffer);
        let mut opened = false;
        while reader.next().is_ok() {
            opened = true;
        }
        let mut connected = false;
        while self.listener.accept().is_ok() {
            connected = true;
        }
        opened || connected
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.listener.local_addr().unwrap())
    }

    /// A file beside the canary.
    fn beside(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file.with_file_name(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// What is tried: a name, the bytes, and how they are refused where a video is wanted, if they are.
type Disguise = (&'static str, Vec<u8>, Option<MediaCode>);

fn playlist(segments: &[String]) -> Vec<u8> {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n".to_owned();
    for segment in segments {
        text += &format!("#EXTINF:4,\n{segment}\n");
    }
    (text + "#EXT-X-ENDLIST\n").into_bytes()
}

/// Names the canary where the segment's files of other systems stand: `dref` of a QuickTime file
/// whose media lie elsewhere, as an alias or as an address.
fn external(reference: &[u8], kind: [u8; 4]) -> Vec<u8> {
    let mut bytes = std::fs::read(clip()).unwrap();
    let place = |bytes: &[u8], name: &[u8]| {
        let at = bytes.windows(4).position(|window| window == name);
        at.unwrap_or_else(|| panic!("no {name:?}")) - 4
    };
    // The index stands last: nothing else moves when it grows.
    assert!(place(&bytes, b"moov") > place(&bytes, b"mdat"));
    let dref = place(&bytes, b"dref");
    // Size, name, version and flags, count; then one entry.
    let entry = dref + 16;
    let old = u32::from_be_bytes(bytes[entry..entry + 4].try_into().unwrap());
    let mut new = (12 + reference.len() as u32).to_be_bytes().to_vec();
    new.extend(kind);
    // Flags of 0: not in this file.
    new.extend([0; 4]);
    new.extend(reference);
    let grown = new.len() as u32 - old;
    bytes.splice(entry..entry + old as usize, new);
    for name in [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"] {
        let at = place(&bytes, name);
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) + grown;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes
}

/// An alias record of the classic Mac OS with nothing in it but an absolute path.
fn alias(path: &str) -> Vec<u8> {
    // Up to the records: sizes, volume and its name, file name, levels, reserved.
    let mut record = vec![0; 10 + 28 + 12 + 64 + 16 + 4 + 16];
    record.extend(2u16.to_be_bytes());
    record.extend((path.len() as u16).to_be_bytes());
    record.extend(path.as_bytes());
    if path.len() % 2 == 1 {
        record.push(0);
    }
    record.extend([0xff, 0xff, 0, 0]);
    record
}

/// A Matroska file that says that the canary beside it comes next, and was before it.
fn linked() -> Vec<u8> {
    let path = fixture(
        "nested-clip.mkv",
        &format!("-i \"{}\" -c copy", clip().display()),
    );
    let mut bytes = std::fs::read(path).unwrap();
    // In place of MuxingApp and WritingApp: NextFilename and PrevFilename, whose identifiers are
    // a byte longer.
    for (old, new) in [
        ([0x4d, 0x80], [0x3e, 0x83, 0xbb]),
        ([0x57, 0x41], [0x3c, 0x83, 0xab]),
    ] {
        let at = bytes.windows(2).position(|id| id == old).unwrap();
        let length = usize::from(bytes[at + 2] & 0x7f);
        let mut name = b"canary.mp4".to_vec();
        name.resize(length - 1, 0);
        bytes[at..at + 3].copy_from_slice(&new);
        bytes[at + 3] = 0x80 | name.len() as u8;
        bytes[at + 4..at + 4 + name.len()].copy_from_slice(&name);
    }
    bytes
}

fn attached(bait: &Bait) -> Vec<u8> {
    let list = bait.beside("attached.m3u8", &playlist(&[bait.path().to_owned()]));
    let path = fixture(
        &format!(
            "attached-{}.mkv",
            bait.listener.local_addr().unwrap().port()
        ),
        &format!(
            "-i \"{}\" -c copy -attach \"{}\" -metadata:s:t mimetype=application/x-mpegurl",
            clip().display(),
            list.display()
        ),
    );
    std::fs::read(path).unwrap()
}

fn disguises(bait: &Bait) -> Vec<Disguise> {
    let (path, url) = (bait.path(), bait.url("a.ts"));
    let refused = Some(MediaCode::UnsupportedFormat);
    let hls = playlist(&[format!("file://{path}"), url.clone(), path.to_owned()]);
    let protocols = playlist(&[
        format!("subfile,,start,0,end,100000,,:{path}"),
        format!("concat:{path}|{path}"),
        format!("crypto+file://{path}"),
        format!("async:file:{path}"),
        format!("data:video/mp2t;base64,{}", "R".repeat(400)),
        format!("tcp://{}", bait.listener.local_addr().unwrap()),
        "canary.mp4".to_owned(),
    ]);
    let encrypted = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"{url}\"\n\
         #EXT-X-MAP:URI=\"file://{path}\"\n#EXTINF:4,\n{path}\n#EXT-X-ENDLIST\n"
    );
    let master = format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n");
    let dash = |base: &str| {
        format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             mediaPresentationDuration=\"PT2S\"><Period><AdaptationSet mimeType=\"video/mp4\">\
             <Representation id=\"1\" bandwidth=\"1\"><BaseURL>{base}</BaseURL></Representation>\
             </AdaptationSet></Period></MPD>"
        )
        .into_bytes()
    };
    let port = bait.listener.local_addr().unwrap().port();
    let sdp = format!(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    );
    let mut ts_first = std::fs::read(clip()).unwrap();
    ts_first.extend(&hls);
    vec![
        ("list.m3u8", hls.clone(), refused),
        ("list.mp4", hls.clone(), refused),
        ("list.ts", hls.clone(), refused),
        ("protocols.mp4", protocols, refused),
        ("encrypted.mp4", encrypted.into_bytes(), refused),
        ("master.mp4", master.into_bytes(), refused),
        ("manifest.mpd", dash(&url), refused),
        ("manifest.mp4", dash(&format!("file://{path}")), refused),
        (
            "ffconcat.mp4",
            format!("ffconcat version 1.0\nfile '{path}'\nfile '{url}'\n").into_bytes(),
            refused,
        ),
        ("concat.txt", format!("file '{path}'\n").into_bytes(), refused),
        ("session.sdp", sdp.clone().into_bytes(), refused),
        ("session.mp4", sdp.into_bytes(), refused),
        (
            "redirect.mp4",
            format!("rtsp://127.0.0.1:{port}/a\n").into_bytes(),
            refused,
        ),
        (
            "reference.mov",
            format!("[Reference]\nRef1={url}\nRef2={path}\n").into_bytes(),
            refused,
        ),
        (
            "asx.mp4",
            format!("<asx version=\"3.0\"><entry><ref href=\"{url}\"/></entry></asx>").into_bytes(),
            refused,
        ),
        (
            "drawing.svg",
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">\
                 <image href=\"{url}\" width=\"9\" height=\"9\"/><image href=\"file://{path}\"/></svg>"
            )
            .into_bytes(),
            refused,
        ),
        // libav reads such names as patterns.
        ("frame-%03d.png", b"frame 1".to_vec(), refused),
        ("frame-*.jpg", b"frame 1".to_vec(), refused),
        (
            "alias.mov",
            external(&alias(path), *b"alis"),
            Some(MediaCode::Truncated),
        ),
        // libav knows no addresses there: the media are looked for in the file itself.
        ("address.mov", external(url.as_bytes(), *b"url "), None),
        ("linked.mkv", linked(), None),
        ("attached.mkv", attached(bait), None),
        ("followed.mp4", ts_first, None),
    ]
}

/// A way into a render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Main,
    Before,
    AudioSource,
    Watermark,
}

fn render_with(role: Role, path: &Path) -> Render {
    let mut render = encoding(&clip());
    match role {
        Role::Main => render.main = input(path),
        Role::Before => render.before = Some(input(path)),
        Role::AudioSource => render.audio_source = Some(input(path)),
        Role::Watermark => render.watermarks.push(Watermark {
            image: input(path),
            placement: Placement::default(),
        }),
    }
    render
}

/// Two hundred bytes of text with a `G` in the right place, as the name of a folder may bring it,
/// pass for a transport stream that holds nothing.
fn fits(code: MediaCode, expected: MediaCode) -> bool {
    code == expected
        || (expected == MediaCode::UnsupportedFormat && code == MediaCode::DamagedMedia)
}

#[test]
fn nothing_that_an_input_names_is_opened() {
    let bait = Bait::new();
    for (name, bytes, expected) in disguises(&bait) {
        let path = bait.beside(name, &bytes);
        // Making them may have opened it.
        bait.taken();
        let looked = probe(&FileInput::new(&path), &Limits::default(), &Cancel::new());
        assert!(!bait.taken(), "{name}, looked at");
        if expected == Some(MediaCode::UnsupportedFormat) {
            let code = looked.unwrap_err().code;
            assert!(fits(code, MediaCode::UnsupportedFormat), "{name}: {code}");
        }
        for role in [Role::Main, Role::Before, Role::AudioSource, Role::Watermark] {
            let expected = match (role, expected) {
                (Role::Watermark, _) => Some(MediaCode::InvalidWatermark),
                // Its headers are read; that there is no sound in it is no fault.
                (Role::AudioSource, Some(MediaCode::Truncated)) => None,
                (_, expected) => expected,
            };
            let result = run(&render_with(role, &path), &fresh("out.mp4"));
            assert!(!bait.taken(), "{name} as {role:?}");
            match (result, expected) {
                (Err(MediaError { code, .. }), Some(expected)) if fits(code, expected) => {}
                (Ok(_), None) => {}
                (result, expected) => panic!("{name} as {role:?}: {expected:?}, {result:?}"),
            }
        }
    }
}

#[test]
fn names_that_libav_would_take_for_addresses_are_files_that_do_not_exist() {
    let bait = Bait::new();
    let path = bait.path();
    for name in [
        bait.url("a.mp4"),
        format!("file:{path}"),
        format!("file://{path}"),
        format!("concat:{path}|{path}"),
        format!("subfile,,start,0,end,100000,,:{path}"),
        format!("crypto+file:{path}"),
        format!("tcp://{}", bait.listener.local_addr().unwrap()),
        "data:video/mp4;base64,AAAA".to_owned(),
        "pipe:0".to_owned(),
    ] {
        for role in [Role::Main, Role::Before, Role::AudioSource, Role::Watermark] {
            let error = run(&render_with(role, Path::new(&name)), &fresh("out.mp4")).unwrap_err();
            assert_eq!(error.code, MediaCode::InputUnreadable, "{name}: {error:?}");
            assert!(!bait.taken(), "{name} as {role:?}");
        }
    }
}

/// Control: the watch sees what it has to see.
#[test]
fn an_opened_canary_and_a_connection_are_noticed() {
    let bait = Bait::new();
    assert!(!bait.taken());
    let mut byte = [0];
    std::fs::File::open(&bait.file)
        .unwrap()
        .read_exact(&mut byte)
        .unwrap();
    assert!(bait.taken());
    assert!(!bait.taken());
    let _connection = TcpStream::connect(bait.listener.local_addr().unwrap()).unwrap();
    assert!(bait.taken());
}

/// Control: these bytes do what they are made for where nothing keeps libav from it.
#[test]
fn the_reference_program_told_to_allow_it_opens_what_they_name() {
    let bait = Bait::new();
    let everything = "file,http,tcp,crypto,data,subfile,concat,async";
    let path = bait.path().to_owned();
    let list = bait.beside("list.m3u8", &playlist(&[format!("file://{path}")]));
    let concat = format!("ffconcat version 1.0\nfile '{path}'\n");
    let concat = bait.beside("concat.txt", concat.as_bytes());
    let alias = bait.beside("alias.mov", &external(&alias(&path), *b"alis"));
    for (options, file) in [
        ("-allowed_extensions ALL", list),
        ("-f concat -safe 0", concat),
        ("-enable_drefs 1 -use_absolute_path 1", alias),
    ] {
        bait.taken();
        let ran = Command::new("ffprobe")
            .args(["-v", "quiet", "-protocol_whitelist", everything])
            .args(options.split(' '))
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        ran.expect("the ffprobe program is needed as a reference");
        assert!(bait.taken(), "{} opened nothing", file.display());
    }
}
