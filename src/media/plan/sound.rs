//! What happens to the sound.

use super::terms::{AudioFrom, AudioPlan, PlanRequest};
use crate::media::probe::{AudioInfo, Probe, UnusedAudio};

pub(super) fn plan_joined_audio(request: &PlanRequest<'_>, before: &Probe) -> AudioPlan {
    let after = request
        .main
        .audio
        .as_ref()
        .filter(|_| !request.main_is_silent);
    let (reason, most) = match (&before.audio, after) {
        (Some(before), Some(after)) => (
            "the source's sound is followed by that of the new part",
            before.channels.max(after.channels),
        ),
        (Some(before), None) => ("the source's sound is followed by silence", before.channels),
        (None, Some(after)) => (
            "silence is followed by the new part's sound",
            after.channels,
        ),
        (None, None) => {
            return AudioPlan::None {
                reason: "neither part has sound".into(),
            };
        }
    };
    let settings = &request.profile.audio;
    let channels = output_channels(most, settings.max_channels);
    AudioPlan::Encode {
        from: AudioFrom::Both,
        sample_rate: settings.sample_rate,
        channels,
        bit_rate: settings.bit_rate * u64::from(channels) / 2,
        reason: reason.into(),
    }
}

pub(super) fn plan_audio(request: &PlanRequest<'_>) -> AudioPlan {
    let put_back = request
        .audio_from
        .and_then(|source| source.audio.as_ref())
        .filter(|_| request.main_is_silent);
    let (from, audio) = match (&request.main.audio, request.audio_from) {
        (Some(silent), _) if put_back.is_some() => (AudioFrom::Source, put_back.unwrap_or(silent)),
        (Some(audio), _) => (AudioFrom::Main, audio),
        (None, Some(source)) => match &source.audio {
            Some(audio) => (AudioFrom::Source, audio),
            None => {
                return AudioPlan::None {
                    reason: format!("neither video has sound{}", left_out(request.main)),
                };
            }
        },
        (None, None) => {
            let put_back = match request.source_is_silent {
                true => "; nothing comes on that of the source",
                false => "",
            };
            return AudioPlan::None {
                reason: format!("{}{put_back}", silence(request.main)),
            };
        }
    };
    let origin = match from {
        AudioFrom::Main | AudioFrom::Both => "",
        AudioFrom::Source if put_back.is_some() && request.source_is_asked_for => {
            "a track of the source's is asked for; "
        }
        AudioFrom::Source if put_back.is_some() => {
            "its own sound is silence, the source's is put back; "
        }
        AudioFrom::Source => "the source's sound is put back; ",
    };
    let reasons = audio_reasons(request, audio);
    let tracks = match (from, request.audio_from) {
        (AudioFrom::Source, Some(source)) => which_track(source),
        _ => which_track(request.main),
    };
    if reasons.is_empty() {
        return AudioPlan::Copy {
            from,
            reason: format!("{origin}it already is AAC{tracks}"),
        };
    }
    let settings = &request.profile.audio;
    let channels = output_channels(audio.channels, settings.max_channels);
    AudioPlan::Encode {
        from,
        sample_rate: settings.sample_rate,
        channels,
        bit_rate: settings.bit_rate * u64::from(channels) / 2,
        reason: format!("{origin}{}{tracks}", reasons.join("; ")),
    }
}

/// Why there is no sound, where tracks of it are announced.
fn silence(probe: &Probe) -> String {
    match probe.unused_audio.as_slice() {
        [] => "the video has no sound".to_owned(),
        [one] => format!("the track of sound is not taken: {}", one.reason),
        _ => format!("no track of sound is taken{}", left_out(probe)),
    }
}

/// Which of several tracks is taken, and why the others are not.
fn which_track(probe: &Probe) -> String {
    let taken = probe.audio.as_ref().and_then(|audio| audio.track);
    taken.map_or_else(String::new, |track| {
        format!("; track {track} is taken{}", left_out(probe))
    })
}

fn left_out(probe: &Probe) -> String {
    let each = probe.unused_audio.iter().map(|unused| {
        let language = unused
            .language
            .as_ref()
            .filter(|language| *language != "und");
        let language = language.map_or_else(String::new, |language| format!(", {language}"));
        let UnusedAudio {
            track,
            codec,
            reason,
            ..
        } = unused;
        format!("; track {track} ({codec}{language}) is not: {reason}")
    });
    each.collect()
}

fn audio_reasons(request: &PlanRequest<'_>, audio: &AudioInfo) -> Vec<String> {
    let mut reasons = Vec::new();
    if audio.codec != "aac" {
        reasons.push(format!("{} becomes aac", audio.codec));
    }
    let most = request.profile.audio.max_channels;
    if audio.channels > most {
        reasons.push(format!(
            "{} channels are mixed down to {most}",
            audio.channels
        ));
    }
    if request.force.audio {
        let reason = request.force.sound_because;
        reasons.push(reason.unwrap_or("re-encoding was asked for").to_owned());
    }
    reasons
}

/// AAC's standard layouts have 1, 2, 6 and 8 channels; others go to the next lower.
fn output_channels(channels: u32, most: u32) -> u32 {
    match channels.min(most) {
        0 | 1 => 1,
        2..=5 => 2,
        6 | 7 => 6,
        _ => 8,
    }
}
