//! `[watermark]` and `[verify]`: what results look like, and what is looked at.

use super::reader::Reader;
use super::table::{Keyed as _, Listed, Nested, Open, Setting, settings};
use super::text;
use crate::fields::{Bounds, DiskPath, Flag, Parsed, Real, Whole, Word};
use crate::media::{Anchor, Checks, Fonts, Length, MAX_LAYERS, Placement, Profile};
use crate::worker::BrandMark;

/// One layer of the operator's watermark.
#[derive(Debug, Clone)]
pub struct Watermark {
    pub mark: BrandMark,
    pub placement: Placement,
}

const SECTION: &str = "watermark";
const MILLIS: Whole<u64> = Whole(Bounds::Any);
const LENGTH: Parsed<Length> = Parsed::new("percent of the short side, or pixels");
const PLACED: Placement = Placement::USUAL;

settings! { LAYER of "watermark" {
    IMAGE: Open<DiskPath> = "image", DiskPath("a file"), "none: no watermark",
        "PNG, JPEG, WebP or SVG. See [Watermark](media.md#watermark) for this and the next nine";
    ANCHOR: Setting<Word<Anchor>> = "anchor", Word::new(), PLACED.anchor, "where it is";
    SCALE: Setting<Parsed<Length>> = "scale", LENGTH, PLACED.size, "its width; more than 0";
    OFFSET_X: Setting<Parsed<Length>> = "offset_x", LENGTH, PLACED.offset_x,
        "distance from the anchored left or right edge";
    OFFSET_Y: Setting<Parsed<Length>> = "offset_y", LENGTH, PLACED.offset_y,
        "distance from the anchored top or bottom edge";
    OPACITY: Setting<Real<f32>> = "opacity", Real(Bounds::Within(0.0, 1.0)), PLACED.opacity,
        "0 is not seen, 1 covers what is below";
    FROM_MS: Setting<Whole<u64>> = "from_ms", MILLIS, PLACED.from_ms, "shown from here on";
    UNTIL_MS: Open<Whole<u64>> = "until_ms", MILLIS, "to the end", "shown until before this";
    FADE_IN_MS: Setting<Whole<u64>> = "fade_in_ms", MILLIS, PLACED.fade_in_ms,
        "fades in over this time";
    FADE_OUT_MS: Setting<Whole<u64>> = "fade_out_ms", MILLIS, PLACED.fade_out_ms,
        "fades out over this time";
}}

settings! { LAYERS of "watermark" {
    LISTED: Open<Nested> = "layers", Nested("list"), "none",
        "up to eight layers, in place of `watermark.image`";
}}

settings! { VERIFY of "verify" {
    ALL_DECODE: Setting<Flag> = "full_decode", Flag, false,
        "decodes every frame of the provider's video and of the result";
    // A cut or two identical frames are no fault of anybody's.
    MAX_BLACK_MS: Open<Whole<u64>> = "max_black_ms", Whole(Bounds::AtLeast(100)), "none",
        "longest black part";
    MAX_FROZEN_MS: Open<Whole<u64>> = "max_frozen_ms", Whole(Bounds::AtLeast(100)), "none",
        "longest still part";
    AUDIBLE: Setting<Flag> = "audible", Flag, true,
        "whether digital silence counts as sound that the provider dropped";
}}

/// One layer as `[watermark]`, or several as `[[watermark.layers]]`.
pub(super) fn watermark(r: &mut Reader, fonts: &Fonts) -> Vec<Watermark> {
    let single = layer(r, SECTION, fonts);
    let fields: Vec<&dyn Listed> = LAYER.iter().chain(text::TEXT).copied().collect();
    let Some(listed) = r.listed(&LISTED, &fields) else {
        return single.into_iter().collect();
    };
    if single.is_some() {
        r.fault(
            &LISTED.key(),
            "stands beside a layer in [watermark]; write one or the other",
        );
    }
    if listed.len() > MAX_LAYERS {
        r.fault(&LISTED.key(), format!("has more than {MAX_LAYERS} layers"));
    }
    let mut layers = Vec::new();
    for key in listed.into_iter().take(MAX_LAYERS) {
        match layer(r, &key, fonts) {
            Some(layer) => layers.push(layer),
            None if r.has(&format!("{key}.image")) || r.has(&format!("{key}.text")) => {}
            None => r.fault(&format!("{key}.image"), "is required, or text"),
        }
    }
    layers
}

fn layer(r: &mut Reader, at: &str, fonts: &Fonts) -> Option<Watermark> {
    let key = |name: &str| format!("{at}.{name}");
    let image = r.given_at(at, &IMAGE);
    let placement = Placement {
        anchor: r.value_at(at, &ANCHOR),
        size: r.value_at(at, &SCALE),
        offset_x: r.value_at(at, &OFFSET_X),
        offset_y: r.value_at(at, &OFFSET_Y),
        opacity: r.value_at(at, &OPACITY),
        from_ms: r.value_at(at, &FROM_MS),
        until_ms: r.given_at(at, &UNTIL_MS),
        fade_in_ms: r.value_at(at, &FADE_IN_MS),
        fade_out_ms: r.value_at(at, &FADE_OUT_MS),
    };
    for (field, why) in placement.faults() {
        // What could not be read at all is told already.
        if !r.is_faulty(&key(field)) {
            r.fault(&key(field), why);
        }
    }
    let words = text::text(r, at, fonts);
    if r.has(&key("text")) {
        if r.has(&key(SCALE.field())) {
            r.fault(&key(SCALE.field()), "is for pictures; text has a size");
        }
        if image.is_some() {
            r.fault(&key(IMAGE.field()), "does not go with text");
        }
        let (text, drawn) = words?;
        let mark = BrandMark::Text(Box::new((text, drawn)));
        return Some(Watermark { mark, placement });
    }
    let image = image?;
    if !image.is_file() {
        r.fault(
            &key(IMAGE.field()),
            format!("{} is not a file", image.display()),
        );
    }
    let mark = BrandMark::Picture(image);
    Some(Watermark { mark, placement })
}

/// What is verified besides what always is.
#[derive(Debug, Clone)]
pub struct Verify {
    pub checks: Checks,
    /// Whether sound that is digital silence counts as sound the provider dropped.
    pub audible: bool,
}

impl Verify {
    /// As a profile wants it.
    #[must_use]
    pub fn checks_of(&self, profile: &Profile) -> Checks {
        Checks {
            full_decode: profile.full_decode.unwrap_or(self.checks.full_decode),
            ..self.checks.clone()
        }
    }
}

pub(super) fn verify(r: &mut Reader) -> Verify {
    Verify {
        checks: Checks {
            full_decode: r.value(&ALL_DECODE),
            max_black_ms: r.given(&MAX_BLACK_MS),
            max_frozen_ms: r.given(&MAX_FROZEN_MS),
        },
        audible: r.value(&AUDIBLE),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Sources};
    use crate::media::{Anchor, Length};

    /// A logo and a file of settings that may name it `{logo}`.
    fn load(settings: &str) -> Result<Config, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let logo = dir.path().join("logo.png");
        std::fs::write(&logo, "a logo").unwrap();
        let file = dir.path().join("filmlab.toml");
        std::fs::write(&file, settings.replace("{logo}", logo.to_str().unwrap())).unwrap();
        Config::load(&Sources {
            file: Some(file),
            ..Sources::default()
        })
        .map_err(|faults| faults.into_iter().map(|fault| fault.key).collect())
    }

    #[test]
    fn a_watermark_is_one_layer_or_a_list() {
        let one = load("[watermark]\nimage = '{logo}'\nanchor = 'top'\noffset_x = '8px'").unwrap();
        assert_eq!(one.watermark.len(), 1);
        let placement = &one.watermark[0].placement;
        assert_eq!(
            (placement.anchor, placement.offset_x),
            (Anchor::Top, Length::Pixels(8.0))
        );
        let two = load(
            "[[watermark.layers]]\nimage = '{logo}'\nscale = '9%'\n\
             [[watermark.layers]]\nimage = '{logo}'\nfrom_ms = 500\nuntil_ms = 900\nfade_in_ms = 100",
        )
        .unwrap();
        assert_eq!(two.watermark[0].placement.size, Length::Percent(9.0));
        let second = &two.watermark[1].placement;
        assert_eq!(
            (second.from_ms, second.until_ms, second.fade_in_ms),
            (500, Some(900), 100)
        );
        assert!(load("").unwrap().watermark.is_empty());
    }

    #[test]
    fn a_profile_of_the_file_stands_beside_or_in_place_of_a_built_in_one() {
        let config = load(
            "[profiles.web.video]\ncrf = 30\n\
             [profiles.tiny]\nfull_decode = true\nvideo = { max_height = 240, preset = 'fast' }\n\
             [profiles.tiny.audio]\nsample_rate = 44100\nmax_channels = 1\n\
             [verify]\nmax_black_ms = 900\n",
        )
        .unwrap();
        let web = &config.profiles["web"];
        assert_eq!(
            (web.video.crf, web.video.max_rate),
            (30.0, Some(12_000_000))
        );
        let tiny = &config.profiles["tiny"];
        assert_eq!(
            (tiny.name.as_str(), tiny.video.max_height),
            ("tiny", Some(240))
        );
        assert_eq!(
            (tiny.audio.sample_rate, tiny.audio.max_channels),
            (44_100, 1)
        );
        assert_eq!(tiny.video.max_rate, None);
        let checks = |name: &str| config.verify.checks_of(&config.profiles[name]);
        assert!(checks("tiny").full_decode && !checks("small").full_decode);
        assert_eq!(checks("tiny").max_black_ms, Some(900));
        assert!(config.verify.audible);
    }

    #[test]
    fn every_fault_of_every_profile_is_told_at_once() {
        let mut faults = load(
            "[profiles.a.video]\ncrf = 0\nmax_height = 1\nmax_fps = 0.5\nmax_rate = 10\n\
             [profiles.a.audio]\nbit_rate = 1\nsample_rate = 47999\nmax_channels = 9\n\
             [profiles.b.video]\npreset = 'best'\ncrf = 'low'\nbitrate = 1\n\
             [profiles.b]\nformat = 'webm'\n\
             [verify]\nmax_black_ms = 1\nmax_frozen_ms = -1\nsilence = true\n",
        )
        .unwrap_err();
        faults.sort();
        assert_eq!(
            faults,
            [
                "profiles.a.audio.bit_rate",
                "profiles.a.audio.max_channels",
                "profiles.a.audio.sample_rate",
                "profiles.a.video.crf",
                "profiles.a.video.max_fps",
                "profiles.a.video.max_height",
                "profiles.a.video.max_rate",
                "profiles.b.format",
                "profiles.b.video.bitrate",
                "profiles.b.video.crf",
                "profiles.b.video.preset",
                "verify.max_black_ms",
                "verify.max_frozen_ms",
                "verify.silence",
            ]
        );
    }

    #[test]
    fn every_fault_of_every_layer_is_told_at_once() {
        let mut faults = load(
            "[watermark]\nimage = '{logo}'\n\
             [[watermark.layers]]\nimage = 'gone.png'\nanchor = 'middle'\nopacity = 0.5\n\
             [[watermark.layers]]\nimage = '{logo}'\nopacity = 7\nscale = '0%'\n\
             [[watermark.layers]]\ncolour = 'red'\nfrom_ms = 9\nuntil_ms = 9\n",
        )
        .unwrap_err();
        faults.sort();
        assert_eq!(
            faults,
            [
                "watermark.layers",
                "watermark.layers[0].anchor",
                "watermark.layers[0].image",
                "watermark.layers[1].opacity",
                "watermark.layers[1].scale",
                "watermark.layers[2].colour",
                "watermark.layers[2].image",
                "watermark.layers[2].until_ms",
            ]
        );
    }
}
