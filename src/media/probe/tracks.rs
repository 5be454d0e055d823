//! Which of several tracks is taken, and why the others are not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::info::UnusedAudio;
use crate::media::av::{self, Demuxer, Kind, StreamInfo};
use crate::media::error::{MediaCode, MediaError};

/// A track of sound that is asked for: by its number among the tracks of sound, from
/// 1, or by its language as the file writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AudioTrack {
    /// From 1.
    Number(u32),
    /// Such as `eng`.
    Language(String),
}

impl FromStr for AudioTrack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse::<u32>() {
            return match number {
                0 => Err("tracks are counted from 1".to_owned()),
                number => Ok(Self::Number(number)),
            };
        }
        let fits = (2..=35).contains(&text.len());
        if fits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            Ok(Self::Language(text.to_ascii_lowercase()))
        } else {
            Err("a number from 1, or a language such as eng".to_owned())
        }
    }
}

impl TryFrom<String> for AudioTrack {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AudioTrack> for String {
    fn from(track: AudioTrack) -> Self {
        track.to_string()
    }
}

impl fmt::Display for AudioTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Language(language) => f.write_str(language),
        }
    }
}

/// What is known about the tracks from elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// The track of sound that was asked for.
    pub audio_track: Option<AudioTrack>,
    /// Streams that were read to their end, and nothing came.
    pub silent: Vec<usize>,
    /// The same of the source whose sound may be put back.
    pub source_is_silent: bool,
    /// The size that is shown longest, where the picture changes.
    pub size: Option<(u32, u32)>,
    /// All of it is going to be read, and is held against its manifest meanwhile.
    pub follow: bool,
}

impl Choice {
    pub(crate) fn of(track: Option<&AudioTrack>) -> Self {
        Self {
            audio_track: track.cloned(),
            ..Self::default()
        }
    }
}

/// The sound that is taken and what is left.
#[derive(Default)]
pub(super) struct Sound {
    pub taken: Option<StreamInfo>,
    /// Its number among the tracks of sound, from 1.
    pub number: Option<u32>,
    pub unused: Vec<UnusedAudio>,
    /// Announced, and not described within the bounds of probing: should packets come
    /// after all, the sound would be lost.
    pub awaited: Vec<usize>,
}

/// A cover picture never; else the default first, then what moves, then the largest.
///
/// A photo that moves has a still picture of more pixels beside its video.
pub(super) fn video(streams: &[StreamInfo]) -> Option<&StreamInfo> {
    let candidates = || {
        let videos = streams.iter().filter(|stream| stream.kind == Kind::Video);
        videos.filter(|stream| !stream.attached_picture)
    };
    let most = candidates().map(|stream| stream.frames).max().unwrap_or(0);
    candidates().max_by_key(|stream| {
        (
            stream.default,
            // Within a factor of four two tracks may well be of one length; without a
            // count nothing is known against it.
            stream.frames == 0 || stream.frames.saturating_mul(4) >= most,
            u64::from(stream.width) * u64::from(stream.height),
            usize::MAX - stream.index,
        )
    })
}

/// The track that was asked for, else the first that can be used, the default before
/// the others.
pub(super) fn sound(
    demuxer: &Demuxer,
    streams: &[StreamInfo],
    encrypted: &dyn Fn(&StreamInfo) -> bool,
    empty: &dyn Fn(&StreamInfo) -> bool,
    choice: &Choice,
) -> Result<Sound, MediaError> {
    let tracks: Vec<&StreamInfo> = streams
        .iter()
        .filter(|stream| stream.kind == Kind::Audio)
        .collect();
    let number = |stream: &StreamInfo| {
        let at = tracks.iter().position(|track| track.index == stream.index);
        at.and_then(|at| u32::try_from(at + 1).ok())
    };
    let language = |stream: &StreamInfo| demuxer.stream_metadata(stream.index, c"language");
    let wanted = |stream: &StreamInfo| match &choice.audio_track {
        None => true,
        Some(AudioTrack::Number(wanted)) => number(stream) == Some(*wanted),
        Some(AudioTrack::Language(wanted)) => {
            language(stream).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        }
    };
    let mut sound = Sound::default();
    let mut refused: Option<MediaError> = None;
    let mut order = tracks.clone();
    order.sort_by_key(|stream| (!stream.default, stream.index));
    let asked = choice.audio_track.as_ref();
    if let Some(asked) = asked.filter(|_| !order.iter().any(|stream| wanted(stream))) {
        return Err(MediaError::new(
            MediaCode::UnsupportedCodec,
            format!(
                "there is no track of sound {asked}; there are {}",
                tracks.len()
            ),
        ));
    }
    for stream in order {
        let reason = if choice.silent.contains(&stream.index) || empty(stream) {
            "nothing comes on it".to_owned()
        } else if let Some(error) = unusable(stream, encrypted) {
            let reason = error.message.clone();
            if wanted(stream) {
                refused.get_or_insert(error);
            }
            reason
        } else if stream.sample_rate == 0 || stream.channels == 0 {
            sound.awaited.push(stream.index);
            "nothing comes on it".to_owned()
        } else if !wanted(stream) {
            "another one was asked for".to_owned()
        } else if sound.taken.is_some() {
            "one is taken".to_owned()
        } else {
            sound.number = number(stream);
            sound.taken = Some(stream.clone());
            continue;
        };
        sound.unused.push(UnusedAudio {
            track: number(stream).unwrap_or(0),
            codec: stream.codec.clone(),
            language: language(stream),
            reason,
        });
    }
    match refused {
        // Never in silence: there is sound, and nobody would hear it.
        Some(error) if sound.taken.is_none() => Err(error),
        _ => Ok(sound),
    }
}

/// Samples a second: twice what the fastest converters for sound give. What claims more is damaged,
/// and no resampler has the memory for it.
pub(crate) const HIGHEST_SAMPLE_RATE: u32 = 768_000;

/// Why nothing can be made of a stream, whatever comes on it.
pub(super) fn unusable(
    stream: &StreamInfo,
    encrypted: &dyn Fn(&StreamInfo) -> bool,
) -> Option<MediaError> {
    let message = if encrypted(stream) {
        "it is encrypted (protected by DRM)".to_owned()
    } else if stream.sample_rate > HIGHEST_SAMPLE_RATE {
        let message = format!("its sound claims {} samples a second", stream.sample_rate);
        let error = MediaError::new(MediaCode::DamagedMedia, message);
        return Some(error.on_stream(stream.index));
    } else if av::decoder_name(&stream.codec).is_some() {
        return None;
    } else if stream.codec != "unknown" {
        format!("the codec {} is not supported", stream.codec)
    } else if stream.tag.is_empty() {
        "its codec is not known".to_owned()
    } else {
        format!("the codec {} is not supported", stream.tag)
    };
    Some(MediaError::new(MediaCode::UnsupportedCodec, message).on_stream(stream.index))
}
