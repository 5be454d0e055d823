//! What is known of source, generated video and result, side by side.
//!
//! All of it was read or counted when the result was made and read back; nothing is measured for
//! the page.

use std::time::Duration;

use serde_json::Value;

use super::words;

/// A name, and what is known of the source, as generated, and of the result.
pub(super) type Row = [String; 4];

/// Rows of which something is known.
pub(super) fn of(told: &Value) -> Vec<Row> {
    let source = &told["source"];
    let made = &told["processing"];
    let (generated, result) = (&made["source"], &made["output"]);
    let row = |name: &str, of_source: Option<String>, read: &dyn Fn(&Value) -> Option<String>| {
        (name.to_owned(), of_source, read(generated), read(result))
    };
    // Counted in the result itself, where its container only says how many there are.
    let mut pictures = row("Pictures", number(&source["frames"]), &|probe| {
        number(&probe["video"]["frames"])
    });
    pictures.3 = number(&made["frames"]).or(pictures.3);
    let mut length = row("Length", length(&source["duration_ms"]), &|probe| {
        length(&probe["container"]["duration_ms"])
    });
    length.3 = self::length(&made["duration_ms"]).or(length.3);
    let has_sound = source["has_audio"].as_bool();
    let has_sound = has_sound.map(|has| if has { "yes" } else { "none" }.to_owned());
    let rows = [
        row(
            "Size",
            size(&source["width"], &source["height"]),
            &|probe| {
                let video = &probe["video"];
                size(&video["display_width"], &video["display_height"])
            },
        ),
        length,
        pictures,
        row("Pictures a second", rate(&source["fps"]), &|probe| {
            rate(&probe["video"]["fps"])
        }),
        row("Codec", None, &|probe| codec(&probe["video"])),
        row("Pixels", None, &|probe| pixels(&probe["video"])),
        row("Colours", None, &|probe| colours(&probe["video"]["color"])),
        row("Bit rate, pictures", None, &|probe| {
            bits(&probe["video"]["bit_rate"])
        }),
        row("Bits a pixel", None, &|probe| density(&probe["video"])),
        row("Sound", has_sound, &sound),
        row("Bit rate, sound", None, &|probe| {
            bits(&probe["audio"]["bit_rate"])
        }),
        row("Bit rate, all", None, &|probe| {
            bits(&probe["container"]["bit_rate"])
        }),
        row("File", None, &|probe| {
            probe["container"]["bytes"].as_u64().map(words::bytes)
        }),
    ];
    let known = |row: &(String, Option<String>, Option<String>, Option<String>)| {
        row.1.is_some() || row.2.is_some() || row.3.is_some()
    };
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "–".to_owned());
    rows.into_iter()
        .filter(known)
        .map(|(name, a, b, c)| [name, or_dash(a), or_dash(b), or_dash(c)])
        .collect()
}

fn number(value: &Value) -> Option<String> {
    value.as_u64().map(|number| number.to_string())
}

fn size(width: &Value, height: &Value) -> Option<String> {
    Some(format!("{}×{}", width.as_u64()?, height.as_u64()?))
}

fn length(ms: &Value) -> Option<String> {
    ms.as_u64().map(Duration::from_millis).map(words::span)
}

fn rate(fps: &Value) -> Option<String> {
    fps.as_f64().map(words::two)
}

fn bits(bits: &Value) -> Option<String> {
    // None is what a container says that does not know.
    bits.as_f64()
        .filter(|bits| *bits > 0.0)
        .map(words::bit_rate)
}

fn word(value: &Value) -> Option<&str> {
    value.as_str().filter(|word| !word.is_empty())
}

fn codec(video: &Value) -> Option<String> {
    let codec = word(&video["codec"])?;
    Some(match word(&video["profile"]) {
        Some(profile) => format!("{codec} {profile}"),
        None => codec.to_owned(),
    })
}

fn pixels(video: &Value) -> Option<String> {
    let format = word(&video["pixel_format"])?;
    Some(match video["bit_depth"].as_u64() {
        Some(bits) => format!("{format}, {bits} bit"),
        None => format.to_owned(),
    })
}

fn colours(color: &Value) -> Option<String> {
    let named = ["primaries", "transfer", "range"].map(|name| word(&color[name]));
    let mut told: Vec<&str> = named
        .into_iter()
        .flatten()
        .filter(|word| !["unknown", "unspecified"].contains(word))
        .collect();
    told.dedup();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Bits that a pixel of a picture takes on average.
fn density(video: &Value) -> Option<String> {
    let each = |name: &str| video[name].as_f64().filter(|number| *number > 0.0);
    let pixels = each("width")? * each("height")? * each("fps")?;
    Some(format!("{:.3}", each("bit_rate")? / pixels))
}

fn sound(probe: &Value) -> Option<String> {
    let audio = &probe["audio"];
    if audio.is_null() {
        return probe.is_object().then(|| "none".to_owned());
    }
    let mut told = vec![word(&audio["codec"])?.to_owned()];
    told.extend(word(&audio["channel_layout"]).map(str::to_owned));
    let rate = audio["sample_rate"].as_f64();
    told.extend(rate.map(|rate| format!("{} kHz", words::two(rate / 1_000.0))));
    Some(told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_that_is_known_stands_side_by_side_and_nothing_else() {
        assert!(of(&Value::Null).is_empty());
        let probe = |bit_rate: u64, audio: Value| {
            json!({
                "container": {"duration_ms": 2_100, "bytes": 500_000, "bit_rate": bit_rate + 128_000},
                "video": {
                    "codec": "h264", "profile": "High", "width": 1_000, "height": 500,
                    "display_width": 1_000, "display_height": 500, "fps": 24.0, "frames": 48,
                    "bit_rate": bit_rate, "pixel_format": "yuv420p", "bit_depth": 8,
                    "color": {"primaries": "bt709", "transfer": "bt709", "matrix": "bt709", "range": "tv"},
                },
                "audio": audio,
            })
        };
        let aac = json!({
            "codec": "aac", "channel_layout": "stereo", "sample_rate": 44_100, "bit_rate": 0,
        });
        let told = json!({
            "source": {"width": 320, "height": 180, "duration_ms": 2_000, "fps": 23.976, "has_audio": true},
            "processing": {
                "source": probe(2_400_000, Value::Null), "output": probe(1_200_000, aac),
                "frames": 47, "duration_ms": 2_000,
            },
        });
        let rows = of(&told);
        let shown: Vec<[&str; 4]> = rows
            .iter()
            .map(|row| row.each_ref().map(String::as_str))
            .collect();
        assert_eq!(
            shown,
            [
                ["Size", "320×180", "1000×500", "1000×500"],
                ["Length", "2.0 s", "2.1 s", "2.0 s"],
                ["Pictures", "–", "48", "47"],
                ["Pictures a second", "23.98", "24", "24"],
                ["Codec", "–", "h264 High", "h264 High"],
                ["Pixels", "–", "yuv420p, 8 bit", "yuv420p, 8 bit"],
                ["Colours", "–", "bt709, tv", "bt709, tv"],
                ["Bit rate, pictures", "–", "2400 kbit/s", "1200 kbit/s"],
                ["Bits a pixel", "–", "0.200", "0.100"],
                ["Sound", "yes", "none", "aac, stereo, 44.1 kHz"],
                ["Bit rate, all", "–", "2528 kbit/s", "1328 kbit/s"],
                ["File", "–", "488.3 KiB", "488.3 KiB"],
            ]
        );
    }
}
