//! Results that are signed, judged by two readers that share no code with us or each other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use filmlab::media::{LocalSigner, Provenance, Render, Signer, SourceType};
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
    let mut join = encoding(&short);
    join.before = Some(input(&short));
    let mut found = Vec::new();
    for (name, render) in [
        ("encoded", encoding(&short)),
        ("copied", job(&short)),
        ("joined", join),
        ("long", job(&long)),
    ] {
        // A join reckons its room by itself.
        let rooms: &[Option<u64>] = match name {
            "joined" => &[None],
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
            assert!(
                said.manifest_bytes.is_some_and(|bytes| bytes > 2000),
                "{name}"
            );
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
        assert_eq!(theirs["actions"], serde_json::json!(actions), "{name}");
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
        assert!(frame_count(file) >= 10, "{name}");
    }

    for (name, file) in results
        .iter()
        .filter(|(name, _)| name.starts_with("encoded"))
    {
        let changed = flipped(file);
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

#[test]
fn what_cannot_sign_makes_no_result() {
    #[derive(Debug)]
    struct Broken(Vec<Vec<u8>>, usize);
    impl Signer for Broken {
        fn chain(&self) -> &[Vec<u8>] {
            &self.0
        }
        fn sign(&self, _bytes: &[u8]) -> std::io::Result<Vec<u8>> {
            match self.1 {
                0 => Err(std::io::Error::other("away")),
                length => Ok(vec![1; length]),
            }
        }
    }
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    for length in [0, 63] {
        let mut render = job(&clip);
        render.provenance = Some(Provenance {
            source_type: None,
            id: Provenance::id_of([7; 16]),
            created_at: "2026-11-27T12:34:56Z".parse().unwrap(),
            provider: None,
            model: None,
            aigc_producer: None,
        });
        render.signer = Some(Arc::new(Broken(vec![vec![0; 500]], length)));
        let out = fresh("out.mp4");
        let error = run(&render, &out).unwrap_err();
        assert_eq!(error.code.as_str(), "output_unwritable", "{error:?}");
        assert!(!out.exists());
    }
}
