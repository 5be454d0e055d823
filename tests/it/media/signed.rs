//! Results that are signed, judged by two readers that share no code with us or each other.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use filmlab::media::{
    Anchor, Cancel, FileInput, Fonts, Input, Limits, LocalSigner, ManifestInfo, ManifestState,
    Provenance, ReadSeek, Render, Signer, SourceType, Watermark, probe_whole,
};
use serde_json::Value;

use super::support::*;
use crate::support::require;

struct Stand {
    python: PathBuf,
    signer: Arc<dyn Signer>,
    root: PathBuf,
}

fn stand() -> Option<Stand> {
    require::ffmpeg()?;
    let python = require::manifest_readers()?;
    let file = fresh("signing.pem");
    let signer = LocalSigner::load_or_make(&file).unwrap();
    let pem = std::fs::read_to_string(&file).unwrap();
    // Key, certificate, root.
    let root = fresh("root.pem");
    let begins = pem.rfind("-----BEGIN CERTIFICATE").unwrap();
    std::fs::write(&root, &pem[begins..]).unwrap();
    Some(Stand {
        python,
        signer: Arc::new(signer),
        root,
    })
}

impl Stand {
    fn signing(&self, mut render: Render) -> Render {
        render.provenance = Some(Provenance {
            source_type: Some(SourceType::CompositeWithTrainedAlgorithmicMedia),
            id: Provenance::id_of([7; 16]),
            created_at: "2026-11-27T12:34:56Z".parse().unwrap(),
            provider: None,
            model: Some("maker/model".to_owned()),
            aigc_producer: Some("a producer".to_owned()),
        });
        render.signer = Some(Arc::clone(&self.signer));
        render
    }

    /// What we find ourselves.
    fn own(&self, file: &Path) -> ManifestInfo {
        let own = self.signer.chain().first().map(Vec::as_slice);
        let (limits, cancel) = (Limits::default(), Cancel::new());
        let probe = probe_whole(&FileInput::new(file), own, &limits, &cancel).unwrap();
        probe.provenance.unwrap().manifest.unwrap()
    }

    fn read(&self, script: &str, files: &[PathBuf]) -> Vec<Value> {
        let ran = Command::new(&self.python)
            .arg("-B")
            .arg(Path::new("scripts/provenance").join(script))
            .arg(&self.root)
            .args(files)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let log = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(lines.len(), files.len(), "{script}: {text}{log}");
        lines
    }
}

/// Encoded, copied and joined, with an index that fits and one that does not.
fn results(stand: &Stand) -> Vec<(String, PathBuf)> {
    // Of some leaves, and of one.
    let noise = "-f lavfi -i nullsrc=size=640x360:rate=25:duration=2,geq=random(1)*255:128:128 \
                 -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p -movflags +faststart";
    let long = fixture("noise.mp4", noise);
    let short = fixture(
        "short.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=0.4 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=0.4 \
         -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -movflags +faststart",
    );
    let clip = |name, rate, seconds: &str| {
        let source = format!("-f lavfi -i testsrc2=size=64x64:rate={rate}:duration={seconds}");
        let coded = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -movflags +faststart";
        fixture(name, &format!("{source} {coded}"))
    };
    let (brief, lengthy) = (clip("brief.mp4", 25, "0.2"), clip("lengthy.mp4", 2, "600"));
    let mut join = encoding(&short);
    join.before = Some(input(&short));
    let (drawn, placement) = Fonts::default().label("AI", Anchor::TopLeft, None).unwrap();
    let mut marked = encoding(&short);
    marked.watermarks = vec![Watermark {
        image: Arc::new(drawn.image),
        placement,
    }];
    let mut found = Vec::new();
    for (name, render) in [
        ("encoded", encoding(&short)),
        ("marked", marked),
        ("copied", job(&short)),
        ("joined", join),
        ("long", job(&long)),
        ("0.2 s", encoding(&brief)),
        ("ten minutes", encoding(&lengthy)),
    ] {
        // A join reckons its room by itself, and so short an index fits anywhere.
        let rooms: &[Option<u64>] = match name {
            "joined" | "marked" | "0.2 s" => &[None],
            _ => &[None, Some(16)],
        };
        for room in rooms.iter().copied() {
            let mut render = stand.signing(render.clone());
            // What the profile would encode for its rate.
            render.profile.video.max_rate = None;
            render.index_room = room;
            if room.is_some() {
                // The room for a manifest of a larger file would take the index.
                render.limits.max_output_bytes = 8 << 20;
            }
            let out = fresh("out.mp4");
            let report = run(&render, &out).unwrap();
            assert_eq!(report.faststart, room.is_none(), "{name}");
            let said = report.output.provenance.unwrap();
            assert!(said.manifest.is_some(), "{name}");
            found.push((format!("{name}, {room:?}"), out));
        }
    }
    found
}

/// One copy of a file for each place, with that byte changed.
fn flipped(file: &Path) -> Vec<PathBuf> {
    let bytes = std::fs::read(file).unwrap();
    let find = |name: &[u8]| {
        let found = bytes.windows(name.len()).position(|part| part == name);
        found.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(name)))
    };
    let (mut at, mut tops) = (0, Vec::new());
    while at < bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        tops.push((&bytes[at + 4..at + 8], at, at + size));
        at += size;
    }
    let top = |name: &[u8]| tops.iter().find(|(found, ..)| *found == name).unwrap();
    let (_, media, end) = *top(b"mdat");
    let (_, index, _) = *top(b"moov");
    let places = [
        media + 8,
        media + 15,
        media + 16,
        usize::midpoint(media, end),
        end - 1,
        index + 60,
        find(b"x:xmpmeta"),
        find(b"urn:uuid:07070707") + 12,
        find(b"c2pa.transcoded"),
    ];
    places
        .iter()
        .map(|place| {
            let mut changed = bytes.clone();
            changed[*place] ^= 1;
            let copy = fresh("flipped.mp4");
            std::fs::write(&copy, changed).unwrap();
            copy
        })
        .collect()
}

#[test]
fn every_result_is_signed_and_one_flipped_byte_is_found() {
    let Some(stand) = stand() else { return };
    let results = results(&stand);
    let files: Vec<PathBuf> = results.iter().map(|(_, file)| file.clone()).collect();
    let ours = stand.read("manifest.py", &files);
    let theirs = stand.read("reader.py", &files);
    for (((name, file), ours), theirs) in results.iter().zip(&ours).zip(&theirs) {
        assert_eq!(ours["valid"], true, "{name}: {ours}");
        assert_eq!(theirs["state"], "Trusted", "{name}: {theirs}");
        assert_eq!(ours["id"], Provenance::id_of([7; 16]), "{name}");
        let own = stand.own(file);
        assert_eq!(
            (own.state, own.why),
            (ManifestState::Trusted, None),
            "{name}"
        );
        assert!(own.generator.unwrap().starts_with("filmlab "), "{name}");
        assert_eq!(own.signer.as_deref(), Some("filmlab"), "{name}");
        let last = if name.starts_with("copied") || name.starts_with("long") {
            "c2pa.repackaged"
        } else {
            "c2pa.transcoded"
        };
        let mut actions = vec!["c2pa.opened", "c2pa.edited", last];
        let mut ingredients = vec!["parentOf"];
        if name.starts_with("joined") {
            actions.insert(1, "c2pa.placed");
            ingredients.push("componentOf");
        }
        if name.starts_with("marked") {
            // Not `c2pa.watermarked`: that is for marks that nobody sees.
            actions.insert(2, "c2pa.edited");
            let said = &theirs["descriptions"];
            let mark = "a visible mark was laid over the picture";
            assert_eq!(*said, serde_json::json!([null, null, mark, null]), "{name}");
        }
        assert_eq!(theirs["actions"], serde_json::json!(actions), "{name}");
        assert_eq!(own.actions, actions, "{name}");
        assert_eq!(
            theirs["ingredients"],
            serde_json::json!(ingredients),
            "{name}"
        );
        let text = theirs.to_string();
        assert!(text.contains("maker/model"), "{name}: {text}");
        assert!(
            text.contains("compositeWithTrainedAlgorithmicMedia"),
            "{name}: {text}"
        );
        // It plays as before.
        let least = match name.split(',').next() {
            Some("0.2 s") => 5,
            Some("ten minutes") => 1200,
            _ => 10,
        };
        assert!(frame_count(file) >= least, "{name}");
        assert_eq!(warnings(file), "", "{name}");
    }

    for (name, file) in results
        .iter()
        .filter(|(name, _)| name.starts_with("encoded"))
    {
        let changed = flipped(file);
        for file in &changed {
            assert_eq!(stand.own(file).state, ManifestState::Invalid, "{name}");
        }
        for told in stand.read("manifest.py", &changed) {
            assert_eq!(told["valid"], false, "{name}: {told}");
        }
        for told in stand.read("reader.py", &changed) {
            let state = told["state"].as_str().unwrap();
            assert!(["Invalid", "Unreadable"].contains(&state), "{name}: {told}");
        }
    }

    // Written anew by another program, nothing is left of it: that proves nothing.
    let anew = fresh("anew.mp4");
    let file = results[0].1.to_str().unwrap();
    ffmpeg("-i", &[file, "-c", "copy", anew.to_str().unwrap()]);
    assert_eq!(stand.read("reader.py", &[anew])[0]["state"], "None");
}

/// What the reference program does not like about a file.
fn warnings(file: &Path) -> String {
    let ran = Command::new("ffprobe")
        .args(["-v", "warning", "-show_format", "-show_streams"])
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

#[test]
fn what_cannot_sign_makes_no_result() {
    #[derive(Debug)]
    struct Broken(Vec<Vec<u8>>, usize);
    impl Signer for Broken {
        fn chain(&self) -> &[Vec<u8>] {
            &self.0
        }
        fn sign(&self, _bytes: &[u8]) -> io::Result<Vec<u8>> {
            match self.1 {
                0 => Err(io::Error::other("away")),
                length => Ok(vec![1; length]),
            }
        }
    }
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let own = LocalSigner::load_or_make(&fresh("signing.pem")).unwrap();
    let (chain, now) = (own.chain().to_vec(), "2026-11-27T12:34:56Z");
    let cases: [(Arc<dyn Signer>, &str); 5] = [
        (Arc::new(Broken(chain.clone(), 0)), now),
        (Arc::new(Broken(chain.clone(), 63)), now),
        // As a key that belongs to another certificate would sign, and no certificate at all.
        (Arc::new(Broken(chain, 64)), now),
        (Arc::new(Broken(vec![vec![0; 500]], 64)), now),
        // The certificate ended while the service ran.
        (Arc::new(own), "2126-11-27T12:34:56Z"),
    ];
    for (signer, now) in cases {
        let mut render = job(&clip);
        render.provenance = Some(Provenance {
            source_type: None,
            id: Provenance::id_of([7; 16]),
            created_at: now.parse().unwrap(),
            provider: None,
            model: None,
            aigc_producer: None,
        });
        render.signer = Some(signer);
        let out = fresh("out.mp4");
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code.as_str(), "output_unwritable", "{error:?}");
        assert!(!out.exists());
    }
}

/// A copy of a file with the first byte of something changed.
fn with_flipped(file: &Path, part: &[u8]) -> PathBuf {
    let mut bytes = std::fs::read(file).unwrap();
    let found = bytes.windows(part.len()).position(|found| found == part);
    bytes[found.unwrap()] ^= 1;
    let copy = fresh("forged.mp4");
    std::fs::write(&copy, bytes).unwrap();
    copy
}

#[test]
fn a_manifest_that_an_input_brings_is_kept_with_its_state_whatever_that_is() {
    let Some(stand) = stand() else { return };
    let clip = require::fixture("tiny.mp4").unwrap();
    let made = |input: &Path| {
        let mut render = stand.signing(job(input));
        render.provenance.as_mut().unwrap().id = Provenance::id_of(rand::random());
        let out = fresh("out.mp4");
        (run(&render, &out).unwrap(), out)
    };
    let (report, first) = made(&clip);
    assert_eq!(
        report.source.provenance.and_then(|said| said.manifest),
        None
    );
    let elsewhere = LocalSigner::load_or_make(&fresh("other.pem")).unwrap();
    let stranger = Stand {
        python: stand.python.clone(),
        signer: Arc::new(elsewhere),
        root: stand.root.clone(),
    };
    let foreign = fresh("foreign.mp4");
    run(&stranger.signing(job(&clip)), &foreign).unwrap();

    let (signed, other) = (
        "assertion.hashedURI.mismatch",
        "assertion.bmffHash.mismatch",
    );
    let mut results = Vec::new();
    for (input, state, why) in [
        (first.clone(), ManifestState::Trusted, None),
        (foreign, ManifestState::Valid, None),
        (
            with_flipped(&first, b"xmpmeta xmlns"),
            ManifestState::Invalid,
            Some(other),
        ),
        (
            with_flipped(&first, b"parentOf"),
            ManifestState::Invalid,
            Some(signed),
        ),
        (
            with_flipped(&first, b"jumdc2pa"),
            ManifestState::Invalid,
            None,
        ),
    ] {
        let (report, out) = made(&input);
        let manifest = report.source.provenance.unwrap().manifest.unwrap();
        assert_eq!(manifest.state, state, "{manifest:?}");
        if why.is_some() {
            assert_eq!(manifest.why.as_deref(), why);
        }
        // A reader only tells whether it held, and not whose it was.
        let told = match state {
            ManifestState::Trusted => ManifestState::Valid,
            state => state,
        };
        let own = stand.own(&out);
        assert_eq!(own.state, ManifestState::Trusted, "{own:?}");
        let [ingredient] = &own.ingredients[..] else {
            panic!("{own:?}")
        };
        assert_eq!(ingredient.state, Some(told), "{own:?}");
        // What is damaged itself is not kept: readers would stumble over it.
        let is_kept = state != ManifestState::Invalid || why == Some(other);
        assert_eq!(ingredient.manifest, is_kept, "{own:?}");
        results.push((state, out));
    }
    // One that keeps one that keeps one.
    let (_, last) = made(&results[0].1);
    // One byte of what is kept is changed, which the digest of the file leaves out.
    let nested = with_flipped(&last, b"parentOf");
    let own = stand.own(&nested);
    assert_eq!(own.state, ManifestState::Invalid, "{own:?}");
    assert_eq!(own.why.as_deref(), Some("ingredient.manifest.mismatch"));
    results.push((ManifestState::Trusted, last));
    let files: Vec<PathBuf> = results.iter().map(|(_, file)| file.clone()).collect();
    let theirs = stand.read("reader.py", &files);
    let ours = stand.read("manifest.py", &files);
    for (((state, file), theirs), ours) in results.iter().zip(&theirs).zip(&ours) {
        assert_eq!(
            theirs["state"],
            "Trusted",
            "{state} {}: {theirs}",
            file.display()
        );
        assert_eq!(ours["valid"], true, "{state}: {ours}");
        assert_eq!(
            theirs["ingredients"],
            serde_json::json!(["parentOf"]),
            "{theirs}"
        );
    }
}

/// A file of which is counted what is read.
#[derive(Debug, Clone)]
struct Counted(FileInput, Arc<AtomicU64>);

struct Counting(Box<dyn ReadSeek>, Arc<AtomicU64>);

impl Read for Counting {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(bytes)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counting {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.0.seek(target)
    }
}

impl Input for Counted {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(Counting(self.0.open()?, Arc::clone(&self.1))))
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[test]
fn an_input_with_a_manifest_is_read_once() {
    let Some(stand) = stand() else { return };
    let clip = fixture(
        "sounding.mp4",
        "-f lavfi -i nullsrc=size=640x360:rate=25:duration=2,geq=random(1)*255:128:128 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=2 \
         -c:v libx264 -preset ultrafast -crf 18 -pix_fmt yuv420p -c:a aac",
    );
    let mut results = Vec::new();
    for room in [None, Some(16)] {
        let signed = fresh("signed.mp4");
        let mut render = stand.signing(job(&clip));
        render.profile.video.max_rate = None;
        render.index_room = room;
        render.limits.max_output_bytes = 16 << 20;
        run(&render, &signed).unwrap();
        let changed = with_flipped(&signed, b"xmpmeta xmlns");
        for (input, state) in [
            (signed, ManifestState::Trusted),
            (changed, ManifestState::Invalid),
        ] {
            let read = Arc::new(AtomicU64::new(0));
            let counted = Counted(FileInput::new(&input), Arc::clone(&read));
            let mut render = stand.signing(job(&input));
            render.main = Arc::new(counted.clone());
            render.profile.video.max_rate = None;
            render.provenance.as_mut().unwrap().id = Provenance::id_of(rand::random());
            let out = fresh("out.mp4");
            let report = run(&render, &out).unwrap();
            let manifest = report.source.provenance.unwrap().manifest.unwrap();
            assert_eq!(manifest.state, state, "{room:?}: {manifest:?}");
            // Headers are looked at several times, and where the index is at the end, sound and
            // picture are read in turns.
            let (read, size) = (read.load(Ordering::Relaxed), counted.len().unwrap());
            assert!(size > 4 << 20, "{size}");
            assert!(
                read < size + (1 << 20),
                "{room:?}, {state}: {read} of {size}"
            );
            results.push(out);
        }
    }
    for told in stand.read("reader.py", &results) {
        assert_eq!(told["state"], "Trusted", "{told}");
    }
}

#[test]
fn damaged_manifests_and_packets_stop_no_probe() {
    let Some(stand) = stand() else { return };
    let clip = require::fixture("tiny.mp4").unwrap();
    let made = fresh("out.mp4");
    run(&stand.signing(job(&clip)), &made).unwrap();
    // One that has another in it.
    let mut render = stand.signing(job(&made));
    render.provenance.as_mut().unwrap().id = Provenance::id_of([9; 16]);
    let file = fresh("out.mp4");
    run(&render, &file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let find = |part: &[u8]| whole.windows(part.len()).position(|found| found == part);
    let manifest = find(b"manifest\0").unwrap()..find(b"moov").unwrap() - 4;
    let packet = find(b"<?xpacket begin").unwrap()..find(b"<?xpacket end").unwrap();
    let mut seed = 7_u64;
    let mut next = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let own = stand.own(&file);
    assert_eq!(own.state, ManifestState::Trusted);
    let mut found = 0;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for range in [&manifest, &packet] {
            for _ in 0..=next(4) {
                let at = range.start + next(range.len() - 4);
                match next(4) {
                    // Lengths and counts are what a reader may trust too much.
                    0 => bytes[at..at + 4].fill(0xff),
                    1 => bytes[at] = 0x9b,
                    2 => bytes[at] ^= 1 << next(8),
                    _ => bytes.copy_within(range.start..range.start + 4, at),
                }
            }
        }
        std::fs::write(&file, &bytes).unwrap();
        let state = stand.own(&file).state;
        // Whoever changes the packet, changes what was signed.
        assert!(bytes == whole || state != ManifestState::Trusted);
        found += u32::from(state == ManifestState::Invalid);
    }
    assert!(found > 50, "{found}");
}
