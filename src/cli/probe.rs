//! `filmlab probe`

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, say};
use super::figures::{frames, name, seconds, size};
use crate::app::signer;
use crate::config::Config;
use crate::job::{Code, Failure, Party};
use crate::media::{
    self, Cancel, FileInput, IngredientInfo, Limits, ManifestInfo, ManifestState, MediaError,
    Probe, ProvenanceInfo, VideoInfo,
};

#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// The video.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print every field as JSON; their names do not change.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    args: ProbeArgs,
    settings: Result<Config, Vec<String>>,
) -> Result<(), Exit> {
    let settings = settings.map_err(Exit::Usage)?;
    media::limit_allocations(settings.max_allocation);
    let file = args.file.clone();
    let work = tokio::task::spawn_blocking(move || {
        let own = signer::certificate(&settings);
        probe(file, own.as_deref(), &settings.limits)
    });
    let probe = work
        .await
        .map_err(|error| Failure::new(Code::Internal, "the work panicked").because(error))?
        .map_err(|error| media_failure(error, &name(&args.file)))?;
    if args.json {
        let json = serde_json::to_string_pretty(&probe)
            .map_err(|error| Failure::new(Code::Internal, format!("no JSON: {error}")))?;
        say(&json);
    } else {
        say(&table(&name(&args.file), &probe));
    }
    Ok(())
}

/// The headers; where they do not say how many frames there are, those are counted.
fn probe(file: PathBuf, own: Option<&[u8]>, limits: &Limits) -> Result<Probe, MediaError> {
    let (input, cancel) = (FileInput::new(file), Cancel::new());
    let mut probe = media::probe_whole(&input, own, limits, &cancel)?;
    if let Some(video) = probe.video.as_mut().filter(|video| video.frames.is_none()) {
        video.frames = Some(media::count_frames(&input, limits, &cancel)?);
    }
    Ok(probe)
}

/// The failure that a media error stands for in a command: an input is the caller's, whatever
/// made it.
pub(super) fn media_failure(error: MediaError, input: &str) -> Failure {
    let code: Code = error.code.as_str().parse().unwrap_or(Code::Internal);
    let party = match code.party() {
        Party::Provider => Party::Caller,
        party => party,
    };
    // With many files in a row it matters which.
    let named = party == Party::Service || code == Code::Cancelled || error.message.contains(input);
    let message = if named {
        error.message.clone()
    } else {
        format!("{input}: {}", error.message)
    };
    Failure::new(code, message).by(party).because(error)
}

fn table(name: &str, probe: &Probe) -> String {
    let container = &probe.container;
    let mut whole = vec![
        container.format.clone(),
        seconds(container.duration_ms),
        size(container.bytes),
    ];
    whole.extend(rate(container.bit_rate));
    if let Some(first) = container.faststart {
        whole.push(if first { "index first" } else { "index last" }.to_owned());
    }
    let mut lines = vec![
        name.to_owned(),
        format!("  container  {}", whole.join(", ")),
    ];
    if let Some(video) = &probe.video {
        lines.push(format!("  video      {}", video_line(video)));
    }
    lines.push(match &probe.audio {
        Some(audio) => {
            let mut parts = vec![
                audio.codec.clone(),
                format!("{} Hz", audio.sample_rate),
                format!(
                    "{} channel{} ({})",
                    audio.channels,
                    if audio.channels == 1 { "" } else { "s" },
                    audio.channel_layout
                ),
                seconds(audio.duration_ms),
            ];
            parts.extend(rate(audio.bit_rate));
            format!("  audio      {}", parts.join(", "))
        }
        None => "  audio      none".to_owned(),
    });
    if let Some(said) = &probe.provenance {
        lines.extend(provenance_lines(said));
    }
    let other = &probe.other;
    let others: Vec<String> = [
        (other.video, "video"),
        (other.audio, "audio"),
        (other.subtitle, "subtitle"),
        (other.data, "data"),
        (other.attached_pictures, "cover picture"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !others.is_empty() {
        lines.push(format!("  left alone {}", others.join(", ")));
    }
    lines.join("\n")
}

/// What it says of itself. That it says so proves nothing.
fn provenance_lines(said: &ProvenanceInfo) -> Vec<String> {
    let parts = [
        ("", &said.source_type),
        ("by ", &said.creator_tool),
        ("with ", &said.model),
        ("for ", &said.provider),
        ("on ", &said.created_at),
        ("as ", &said.id),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(before, value)| Some(format!("{before}{}", value.as_ref()?)))
        .collect();
    let mut lines = Vec::new();
    if !parts.is_empty() {
        lines.push(format!("  says       {}", parts.join(", ")));
    }
    if let Some(manifest) = &said.manifest {
        lines.push(manifest_line(manifest));
        lines.extend(manifest.ingredients.iter().map(ingredient_line));
    }
    if let Some(entry) = &said.aigc {
        lines.push(format!("  says AIGC  {entry}"));
    }
    lines
}

/// Unlike what a file says, this was checked.
fn manifest_line(manifest: &ManifestInfo) -> String {
    let state = match manifest.state {
        ManifestState::Trusted => "as it was signed, with the certificate of this machine",
        ManifestState::Valid => "as it was signed, by a signer that is not known here",
        ManifestState::Unchecked => "not checked",
        ManifestState::Invalid => "NOT as it was signed",
    };
    let why = manifest.why.as_ref();
    let mut parts = vec![format!(
        "C2PA, {state}{}",
        why.map(|why| format!(" ({why})")).unwrap_or_default()
    )];
    for (before, value) in [
        ("", &manifest.source_type),
        ("by ", &manifest.generator),
        ("signed by ", &manifest.signer),
    ] {
        parts.extend(value.as_ref().map(|value| format!("{before}{value}")));
    }
    parts.push(size(manifest.bytes));
    format!("  manifest   {}", parts.join(", "))
}

fn ingredient_line(ingredient: &IngredientInfo) -> String {
    let format = ingredient.format.as_deref().unwrap_or("a file");
    let state = match ingredient.state {
        Some(state) => format!(", its manifest {state}"),
        None => String::new(),
    };
    format!("  made of    {format} ({}){state}", ingredient.relationship)
}

fn video_line(video: &VideoInfo) -> String {
    let codec = match &video.profile {
        Some(profile) => format!("{} ({profile})", video.codec),
        None => video.codec.clone(),
    };
    let mut parts = vec![codec, format!("{}×{}", video.width, video.height)];
    if (video.display_width, video.display_height) != (video.width, video.height) {
        parts.push(format!(
            "shown as {}×{}",
            video.display_width, video.display_height
        ));
    }
    if let Some([width, height]) = video.begins_with {
        parts.push(format!("begins with {width}×{height}"));
    }
    if video.rotation != 0 {
        parts.push(format!("turned by {}°", video.rotation));
    }
    if video.flipped {
        parts.push("mirrored".to_owned());
    }
    // 25, 29.97, 23.976.
    let fps = (video.fps * 1000.0).round() / 1000.0;
    parts.push(format!("{fps} fps"));
    parts.extend(video.frames.map(frames));
    parts.push(seconds(video.duration_ms));
    parts.push(video.pixel_format.clone());
    parts.extend(rate(video.bit_rate));
    parts.join(", ")
}

/// Zero is "unknown".
fn rate(bits: u64) -> Option<String> {
    (bits > 0).then(|| format!("{} kbit/s", bits / 1000))
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;
    use crate::media::MediaCode;

    #[test]
    fn every_media_code_is_a_code_of_the_domain() {
        for code in MediaCode::iter() {
            let found = code.as_str().parse::<Code>();
            assert_eq!(found.map(Code::as_str), Ok(code.as_str()));
        }
    }

    #[test]
    fn a_failure_names_the_file_once() {
        let failure = |message: &str| {
            media_failure(MediaError::new(MediaCode::EmptyFile, message), "a.mp4").message
        };
        assert_eq!(failure("the file is empty"), "a.mp4: the file is empty");
        assert_eq!(failure("a.mp4 is empty"), "a.mp4 is empty");
    }

    #[test]
    fn nothing_is_the_providers_fault_where_there_is_none() {
        for code in MediaCode::iter() {
            let party = media_failure(MediaError::new(code, "why"), "a.mp4").party;
            assert_ne!(party, Party::Provider, "{code}");
        }
    }
}
