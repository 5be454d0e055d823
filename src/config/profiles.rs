//! `[profiles]`: how results are encoded.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::reader::Reader;
use super::table::{Open, Row, settings};
use crate::fields::{Bounds, Flag, Form, Real, Text, Whole, Word};
use crate::media::{AudioSettings, Background, Deinterlace, Preset, Profile, VideoSettings};

const fn within<T: Copy>(range: &RangeInclusive<T>) -> Bounds<T> {
    Bounds::Within(*range.start(), *range.end())
}

const BY_PROFILE: &str = "";

settings! { PROFILE of "profiles" {
    CRF: Open<Real<f32>> = "video.crf", Real(within(&VideoSettings::CRF)), BY_PROFILE,
        "quality: lower is better";
    PRESET: Open<Word<Preset>> = "video.preset", Word::new(), BY_PROFILE, "speed against size";
    MAX_RATE: Open<Whole<u64>> = "video.max_rate", Whole(within(&VideoSettings::MAX_RATE)),
        BY_PROFILE, "most bits per second";
    MAX_HEIGHT: Open<Whole<u32>> = "video.max_height",
        Whole(within(&VideoSettings::MAX_HEIGHT)), BY_PROFILE, "longest short side";
    MAX_FPS: Open<Real<f64>> = "video.max_fps", Real(within(&VideoSettings::MAX_FPS)),
        BY_PROFILE, "highest frame rate";
    DEINTERLACE: Open<Word<Deinterlace>> = "video.deinterlace", Word::new(), BY_PROFILE,
        "what becomes of interlaced frames";
    BACKGROUND: Open<Word<Background>> = "video.background", Word::new(), BY_PROFILE,
        "what transparent parts are laid on";
    BIT_RATE: Open<Whole<u64>> = "audio.bit_rate", Whole(within(&AudioSettings::BIT_RATE)),
        BY_PROFILE, "bits per second of stereo";
    SAMPLE_RATE: Open<Numbers> = "audio.sample_rate", Numbers(&AudioSettings::SAMPLE_RATES),
        BY_PROFILE, "samples per second";
    MAX_CHANNELS: Open<Whole<u32>> = "audio.max_channels",
        Whole(within(&AudioSettings::MAX_CHANNELS)), BY_PROFILE, "more are mixed down";
    FULL_DECODE: Open<Flag> = "full_decode", Flag, BY_PROFILE,
        "whether every frame is decoded again";
}}

static NAME: Open<Text> = Open::new("profiles", "name", Text("text"), BY_PROFILE, "");

/// One of a few numbers.
#[derive(Debug)]
pub(super) struct Numbers(&'static [u32]);

impl Numbers {
    fn told(&self) -> String {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        numbers.join(", ")
    }
}

impl Form for Numbers {
    type Value = u32;

    fn of_text(&self, text: &str) -> Result<u32, String> {
        let number = text.parse().ok().filter(|number| self.0.contains(number));
        number.ok_or_else(|| format!("must be one of {}, found “{text}”", self.told()))
    }

    fn takes(&self) -> String {
        self.told()
    }

    fn shown(&self, value: &u32) -> String {
        value.to_string()
    }
}

/// The built-in profiles, and those of the file in their place or beside them. What a built-in one
/// of the file leaves out stays as it is.
pub(super) fn profiles(r: &mut Reader) -> BTreeMap<String, Profile> {
    let mut profiles: BTreeMap<String, Profile> = Profile::BUILTIN
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Profile::builtin(name)?)))
        .collect();
    for name in r.tables("profiles") {
        let base = Profile::builtin(&name).unwrap_or_else(|| new_profile(&name));
        let profile = profile(r, &format!("profiles.{name}"), base);
        profiles.insert(name, profile);
    }
    profiles
}

fn new_profile(name: &str) -> Profile {
    Profile {
        name: name.to_owned(),
        video: VideoSettings::default(),
        audio: AudioSettings::default(),
        full_decode: None,
    }
}

fn profile(r: &mut Reader, at: &str, base: Profile) -> Profile {
    // The table's name counts; a file may repeat it.
    r.given_at(at, &NAME);
    let (video, audio) = (base.video, base.audio);
    let profile = Profile {
        name: base.name,
        video: VideoSettings {
            crf: r.given_at(at, &CRF).unwrap_or(video.crf),
            preset: r.given_at(at, &PRESET).unwrap_or(video.preset),
            max_rate: r.given_at(at, &MAX_RATE).or(video.max_rate),
            max_height: r.given_at(at, &MAX_HEIGHT).or(video.max_height),
            max_fps: r.given_at(at, &MAX_FPS).or(video.max_fps),
            deinterlace: r.given_at(at, &DEINTERLACE).unwrap_or(video.deinterlace),
            background: r.given_at(at, &BACKGROUND).unwrap_or(video.background),
        },
        audio: AudioSettings {
            bit_rate: r.given_at(at, &BIT_RATE).unwrap_or(audio.bit_rate),
            sample_rate: r.given_at(at, &SAMPLE_RATE).unwrap_or(audio.sample_rate),
            max_channels: r.given_at(at, &MAX_CHANNELS).unwrap_or(audio.max_channels),
        },
        full_decode: r.given_at(at, &FULL_DECODE),
    };
    for (field, why) in profile.faults() {
        let key = format!("{at}.{field}");
        if !r.is_faulty(&key) {
            r.fault(&key, why);
        }
    }
    profile
}

/// The table of profiles as the page has it: a setting's row, and what the built-in profiles and a
/// new one begin with.
#[must_use]
pub fn profile_rows() -> Vec<(Row, Vec<String>)> {
    let mut columns: Vec<Vec<String>> = Profile::BUILTIN
        .into_iter()
        .filter_map(Profile::builtin)
        .chain([new_profile("")])
        .map(|profile| Vec::from(columns_of(&profile)))
        .collect();
    let rows = PROFILE.iter().rev().map(|setting| {
        let values = columns.iter_mut().filter_map(Vec::pop).collect();
        (setting.row(), values)
    });
    let mut rows: Vec<_> = rows.collect();
    rows.reverse();
    rows
}

/// In the order of [`PROFILE`].
fn columns_of(profile: &Profile) -> [String; 11] {
    fn open<F: Form>(setting: &Open<F>, value: Option<F::Value>) -> String {
        value.map_or_else(|| "none".to_owned(), |value| setting.form.shown(&value))
    }
    let Profile { video, audio, .. } = profile;
    [
        CRF.form.shown(&video.crf),
        PRESET.form.shown(&video.preset),
        open(&MAX_RATE, video.max_rate),
        open(&MAX_HEIGHT, video.max_height),
        open(&MAX_FPS, video.max_fps),
        DEINTERLACE.form.shown(&video.deinterlace),
        BACKGROUND.form.shown(&video.background),
        BIT_RATE.form.shown(&audio.bit_rate),
        SAMPLE_RATE.form.shown(&audio.sample_rate),
        MAX_CHANNELS.form.shown(&audio.max_channels),
        match profile.full_decode {
            Some(all) => FULL_DECODE.form.shown(&all),
            None => "as `verify`".to_owned(),
        },
    ]
}
