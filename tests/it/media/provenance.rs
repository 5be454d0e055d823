//! What a result says of how it was made, as other programs read it.

use std::path::{Path, PathBuf};
use std::process::Command;

use filmlab::media::{Cancel, FileInput, Limits, Provenance, ProvenanceInfo, Render, SourceType};
use serde_json::Value;

use super::support::*;
use crate::support::require;

const ID: &str = "urn:uuid:11111111-2222-8333-8444-555555555555";
const PROVIDER: &str = "A & B <Films> \"Ltd\" 漢";
const PRODUCER: &str = "91\"10\\108";

fn said() -> Provenance {
    Provenance {
        source_type: Some(SourceType::CompositeWithTrainedAlgorithmicMedia),
        id: ID.to_owned(),
        created_at: "2026-11-27T12:34:56Z".parse().unwrap(),
        provider: Some(PROVIDER.to_owned()),
        model: Some("maker/model".to_owned()),
        aigc_producer: Some(PRODUCER.to_owned()),
    }
}

fn saying(mut render: Render) -> Render {
    render.provenance = Some(said());
    render
}

fn told(path: &Path) -> Option<ProvenanceInfo> {
    let input = FileInput::new(path);
    let probe = filmlab::media::probe(&input, &Limits::default(), &Cancel::new());
    probe.unwrap().provenance
}

/// The boxes at the top: name and where they begin.
fn boxes(path: &Path) -> Vec<(String, usize)> {
    let bytes = std::fs::read(path).unwrap();
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let name = String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap();
        found.push((name, at));
        assert!(size >= 8, "{found:?}");
        at += size;
    }
    assert_eq!(at, bytes.len());
    found
}

fn place(path: &Path, name: &str) -> usize {
    let boxes = boxes(path);
    let found: Vec<_> = boxes.iter().filter(|(found, _)| found == name).collect();
    assert_eq!(found.len(), 1, "{name} in {boxes:?}");
    found[0].1
}

/// An encode, a remux and a join, each short, and an encode and a remux whose index does not fit.
fn results() -> Vec<(&'static str, PathBuf)> {
    let short = fixture(
        "short.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=0.4 \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=0.4 \
         -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -movflags +faststart",
    );
    let mut join = encoding(&short);
    join.before = Some(input(&short));
    let no_room = |mut render: Render| {
        render.index_room = Some(16);
        render
    };
    [
        ("encoded", encoding(&short)),
        ("remuxed", job(&short)),
        ("joined", join),
        ("encoded without room", no_room(encoding(&short))),
        ("remuxed without room", no_room(job(&short))),
    ]
    .into_iter()
    .map(|(name, render)| {
        let out = fresh("out.mp4");
        let report = run(&saying(render), &out).unwrap();
        assert_eq!(
            report.plan.is_remux(),
            name.starts_with("remuxed"),
            "{name}"
        );
        assert_eq!(report.faststart, !name.ends_with("room"), "{name}");
        assert_eq!(report.output.provenance, told(&out), "{name}");
        (name, out)
    })
    .collect()
}

#[test]
fn every_result_says_what_it_is_and_other_programs_read_it() {
    let (Some(_), Some(exiftool)) = (require::ffmpeg(), require::program("exiftool", "exiftool"))
    else {
        return;
    };
    let results = results();
    for (name, out) in &results {
        let packet = place(out, "uuid");
        assert!(packet < place(out, "mdat"), "{name}");
        let first = place(out, "moov") < packet;
        assert_eq!(first, !name.ends_with("room"), "{name}");
        // It plays as before.
        let frames = if *name == "joined" { 20 } else { 10 };
        assert_eq!(frame_count(out), frames, "{name}");
        let info = told(out).unwrap();
        assert_eq!(info.id.as_deref(), Some(ID));
        assert_eq!(info.provider.as_deref(), Some(PROVIDER), "{name}");
        assert_eq!(
            info.aigc.map(|entry| producer(&entry)).as_deref(),
            Some(PRODUCER)
        );
        assert_eq!(
            ffprobe_tags(out)["AIGC"].as_str().map(producer).as_deref(),
            Some(PRODUCER),
            "{name}"
        );
    }
    let files: Vec<&PathBuf> = results.iter().map(|(_, out)| out).collect();
    let ran = Command::new(exiftool)
        .args(["-json", "-G0", "-warning", "-error", "-all"])
        .args(files)
        .output()
        .unwrap();
    let read: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(read.len(), results.len());
    for (read, (name, _)) in read.iter().zip(&results) {
        let is = |key: &str, value: &str| assert_eq!(read[key], value, "{name}: {read:#}");
        is(
            "XMP:DigitalSourceType",
            "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
        );
        is(
            "XMP:CreatorTool",
            concat!("filmlab ", env!("CARGO_PKG_VERSION")),
        );
        is("XMP:DocumentID", ID);
        is("XMP:Publisher", PROVIDER);
        is("XMP:CreateDate", "2026:11:27 12:34:56Z");
        assert_eq!(producer(read["QuickTime:AIGC"].as_str().unwrap()), PRODUCER);
        assert!(read["ExifTool:Warning"].is_null(), "{name}: {read:#}");
    }
}

fn producer(entry: &str) -> String {
    let entry: Value = serde_json::from_str(entry).unwrap();
    assert_eq!(
        (&entry["Label"], &entry["ProduceID"]),
        (&"1".into(), &ID.into())
    );
    entry["ContentProducer"].as_str().unwrap().to_owned()
}

fn ffprobe_tags(path: &Path) -> Value {
    let ran = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format_tags", "-of", "json"])
        .arg(path)
        .output()
        .unwrap();
    let read: Value = serde_json::from_slice(&ran.stdout).unwrap();
    read["format"]["tags"].clone()
}

#[test]
fn marks_that_an_input_brings_stay_and_those_asked_for_go_before_them() {
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    let marked = fresh("marked.mp4");
    run(&saying(job(&clip)), &marked).unwrap();
    let silent = Provenance {
        source_type: None,
        aigc_producer: None,
        id: "urn:uuid:another".to_owned(),
        ..said()
    };
    let enhanced = Provenance {
        source_type: Some(SourceType::AlgorithmicallyEnhanced),
        ..silent.clone()
    };
    for (says, source_type) in [
        (silent, "compositeWithTrainedAlgorithmicMedia"),
        (enhanced, "algorithmicallyEnhanced"),
    ] {
        let mut render = job(&marked);
        render.provenance = Some(says);
        let out = fresh("out.mp4");
        run(&render, &out).unwrap();
        let info = told(&out).unwrap();
        assert_eq!(info.source_type.as_deref(), Some(source_type));
        assert_eq!(info.id.as_deref(), Some("urn:uuid:another"));
        // Of the entry nothing else is said.
        assert_eq!(
            info.aigc.map(|entry| producer(&entry)).as_deref(),
            Some(PRODUCER)
        );
    }
    let out = fresh("out.mp4");
    run(&job(&marked), &out).unwrap();
    assert_eq!(told(&out), None);
}

#[test]
fn packets_of_other_programs_are_found_where_those_put_them() {
    let Some(exiftool) = require::program("exiftool", "exiftool") else {
        return;
    };
    let Some(clip) = require::fixture("tiny.mp4") else {
        return;
    };
    // A packet at the end of an MP4, and in the user data of a MOV.
    for name in ["other.mp4", "other.mov"] {
        let file = fresh(name);
        match name {
            "other.mov" => {
                ffmpeg(
                    "-i",
                    &[clip.to_str().unwrap(), "-c", "copy", file.to_str().unwrap()],
                );
            }
            _ => std::fs::copy(&clip, &file).map(drop).unwrap(),
        }
        let ran = Command::new(&exiftool)
            .args(["-q", "-overwrite_original", "-XMP-iptcExt:DigitalSourceType=http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"])
            .arg("-XMP-xmp:CreatorTool=other & tool")
            .arg(&file)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let info = told(&file).unwrap();
        assert_eq!(
            info.source_type.as_deref(),
            Some("trainedAlgorithmicMedia"),
            "{name}"
        );
        assert_eq!(info.creator_tool.as_deref(), Some("other & tool"), "{name}");
    }
}
