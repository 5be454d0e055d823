//! Tests of the table, and of each row against what its page says.

mod documented;

use super::known::{Offer, ROWS};
use super::overrides::is_model_id;
use super::*;
use crate::job::kinds::{CharacterReplace, Extend, Upscale};
use crate::job::{Resolution, SourceFacts};
use documented::DOCUMENTED;
use strum::IntoEnumIterator;

/// What the settings make of `[provider.models]`.
fn table(toml: &str) -> Result<ModelTable, String> {
    let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    let toml = toml
        .replace('[', "[provider.models.")
        .replace("= [provider.models.", "= [");
    std::fs::write(file.path(), toml).expect("written");
    let sources = crate::config::Sources {
        file: Some(file.path().to_owned()),
        ..crate::config::Sources::default()
    };
    match crate::config::Config::load(&sources) {
        Ok(config) => Ok(config.provider.models),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

fn body_of(table: &ModelTable, params: Params) -> Value {
    let model = table.model(params.kind()).id.clone();
    let image = params
        .kind()
        .needs_image()
        .then(|| "https://a.example/i.png".parse().expect("address"));
    let duration = table.model(params.kind()).duration;
    let submission = Submission {
        model,
        params,
        source_s: 6.2,
        duration,
        video: "https://a.example/v.mp4".parse().expect("address"),
        image,
        callback: None,
    };
    table.body(&submission).expect("a model of the table")
}

#[test]
fn bodies_hold_the_documented_parameters_and_no_others() {
    let table = ModelTable::default();
    let replace = Params::CharacterReplace(CharacterReplace {
        prompt: None,
        resolution: Resolution::P720,
        seed: Some(7),
    });
    assert_eq!(
        body_of(&table, replace),
        json!({"image": "https://a.example/i.png", "video": "https://a.example/v.mp4",
            "mode": "replace", "resolution": "720p", "seed": 7})
    );
    let extend = Params::Extend(Extend {
        prompt: "on".into(),
        seconds: 5,
        resolution: Resolution::P480,
        seed: Some(7),
    });
    assert_eq!(
        body_of(&table, extend.clone()),
        json!({"video": "https://a.example/v.mp4", "prompt": "on", "duration": 5,
            "resolution": "480p"}),
        "this model documents no seed"
    );
    let wan = self::table("[extend]\nid = 'alibaba/wan-2.7/video-extend'").expect("valid");
    let body = body_of(&wan, extend);
    // All of 6.2 s and 5 s more.
    assert_eq!((&body["seed"], &body["duration"]), (&json!(7), &json!(12)));
    let upscale = Params::Upscale(Upscale {
        target: Resolution::K2,
    });
    assert_eq!(
        body_of(&table, upscale.clone()),
        json!({"video": "https://a.example/v.mp4", "target_resolution": "2k"})
    );
    let ltx = "[extend]\nid = 'wavespeed-ai/ltx-2.3/video-extend'";
    let ltx = self::table(ltx).expect("valid");
    let extend = Params::Extend(Extend {
        prompt: "on".into(),
        seconds: 5,
        resolution: Resolution::K4,
        seed: Some(7),
    });
    assert_eq!(
        body_of(&ltx, extend),
        json!({"video": "https://a.example/v.mp4", "prompt": "on", "duration": 5})
    );
}

#[test]
fn an_override_takes_the_rest_from_the_id_or_the_kind() {
    let table = table(
        "[upscale]\nid = 'bria/fibo/video-upscaler'\nmax_source_s = 30\n\
         [extend]\nid = 'new/model'\nextra = { generate_audio = false }",
    )
    .expect("valid");
    let upscale = table.model(Kind::Upscale);
    assert_eq!(upscale.resolutions, [Resolution::K2, Resolution::K4]);
    assert!((upscale.max_source_s - 30.0).abs() < f64::EPSILON);
    let extend = table.model(Kind::Extend);
    assert_eq!(
        (extend.id.as_str(), extend.seconds),
        ("new/model", Some((4, 15)))
    );
    assert_eq!(
        table.model(Kind::CharacterReplace).id,
        "wavespeed-ai/wan-2.2/animate"
    );
    let body = body_of(
        &table,
        Params::Extend(Extend {
            prompt: "on".into(),
            seconds: 5,
            resolution: Resolution::P720,
            seed: None,
        }),
    );
    assert_eq!(body["generate_audio"], false);
}

#[test]
fn every_fault_of_the_overrides_is_named_at_once() {
    let overrides = ModelOverrides {
        upscale: Some(ModelOverride {
            id: Some("wavespeed-ai/wan-2.2/animate".into()),
            max_source_s: Some(f64::NAN),
            max_source_pixels: Some(0),
            least_billed_s: Some(-1.0),
            usd_per_second: Some([(Resolution::P720, -0.1)].into()),
            seconds: Some((1, 2)),
            resolutions: Some(Vec::new()),
            ..ModelOverride::default()
        }),
        extend: Some(ModelOverride {
            id: Some("a/../b".into()),
            seconds: Some((9, 3)),
            extra: [("video".to_owned(), json!("x"))].into(),
            ..ModelOverride::default()
        }),
        character_replace: None,
    };
    let faults = ModelTable::try_from(overrides)
        .expect_err("ten faults")
        .faults;
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "models.extend.id",
            "models.extend.seconds",
            "models.extend.extra",
            "models.upscale.id",
            "models.upscale.max_source_s",
            "models.upscale.least_billed_s",
            "models.upscale.seconds",
            "models.upscale.resolutions",
            "models.upscale.max_source_pixels",
            "models.upscale.usd_per_second",
        ]
    );
}

#[test]
fn what_is_not_offered_is_refused_with_what_is() {
    let refused = |toml: &str| table(toml).expect_err("refused").to_string();
    let gone = refused("[upscale]\nid = 'runwayml/upscale-v1'");
    assert!(gone.contains("wavespeed-ai/video-upscaler-pro"), "{gone}");
    let never = refused("[extend]\nid = 'google/veo3.1/video-extend'");
    assert!(never.contains("only what Veo 3.1 made"), "{never}");
    // What they were asked is still known.
    assert!(known_entry("runwayml/upscale-v1").is_some());
    assert!(known_entry("google/veo3.1/video-extend").is_none());
}

#[test]
fn a_model_that_nobody_knows_is_asked_for_nothing() {
    let submission = |model: &str| Submission {
        model: model.into(),
        params: Params::Upscale(Upscale {
            target: Resolution::P1080,
        }),
        source_s: 5.0,
        duration: DurationMeaning::Added,
        video: "https://a.example/v.mp4".parse().expect("address"),
        image: None,
        callback: None,
    };
    let table = table("[upscale]\nid = 'new/model'").expect("valid");
    assert!(table.body(&submission("new/model")).is_some());
    assert!(table.body(&submission("runwayml/upscale-v1")).is_some());
    assert!(table.body(&submission("older/model")).is_none());
    // Of another kind.
    assert!(table.body(&submission("wavespeed-ai/scail-2")).is_none());
}

#[test]
fn unknown_fields_and_kinds_are_refused() {
    assert!(table("[upscale]\nidd = 'x'").is_err());
    assert!(table("[upscail]\nid = 'x'").is_err());
    assert!(table("[upscale]\nresolutions = ['8k']").is_err());
    assert_eq!(table("").expect("empty"), ModelTable::default());
}

#[test]
fn every_row_is_usable_and_each_kind_has_a_default() {
    for kind in Kind::iter() {
        let first = ROWS.iter().find(|row| row.kind == kind).expect("a row");
        assert_eq!(
            (first.offer, first.id),
            (Offer::Yes, default_entry(kind).model.id.as_str())
        );
        assert!(offered(kind).count() > 1);
    }
    for row in ROWS {
        assert!(is_model_id(row.id));
        assert_eq!(ROWS.iter().filter(|other| other.id == row.id).count(), 1);
        let model = row.entry().model;
        assert_eq!(model.seconds.is_some(), model.kind == Kind::Extend);
        assert!(
            model
                .usd_per_second
                .keys()
                .all(|size| model.resolutions.contains(size))
        );
        if let Offer::Retired { instead } = row.offer {
            let instead = known_row(instead).expect("a row");
            assert_eq!((instead.kind, instead.offer), (row.kind, Offer::Yes));
        }
    }
}

fn clip(duration_ms: u64) -> SourceFacts {
    SourceFacts {
        video_object: "v".into(),
        image_object: None,
        duration_ms,
        width: 640,
        height: 360,
        fps: 25.0,
        frames: None,
        has_audio: true,
        provenance: None,
    }
}

fn asked(kind: Kind, size: Resolution, seconds: u32) -> Params {
    let (prompt, seed) = ("on".to_owned(), Some(7));
    match kind {
        Kind::CharacterReplace => Params::CharacterReplace(CharacterReplace {
            prompt: Some(prompt),
            resolution: size,
            seed,
        }),
        Kind::Extend => Params::Extend(Extend {
            prompt,
            seconds,
            resolution: size,
            seed,
        }),
        Kind::Upscale => Params::Upscale(Upscale { target: size }),
    }
}

#[test]
fn each_model_is_asked_limited_and_priced_as_its_page_says() {
    let ids: Vec<_> = Kind::iter()
        .flat_map(|kind| offered(kind).map(|row| row.id))
        .collect();
    let documented: Vec<_> = DOCUMENTED.iter().map(|page| page.id).collect();
    assert_eq!(ids, documented);
    let clip = clip(5000);
    for page in DOCUMENTED {
        let id = page.id;
        let table = table(&format!("[{}]\nid = '{id}'", page.kind.as_str())).expect("valid");
        let model = table.model(page.kind);
        let seconds = page.adds.0.first().copied().unwrap_or_default().max(5);
        for size in Resolution::iter() {
            let params = asked(page.kind, size, seconds);
            let known = page.sizes.iter().find(|(name, _)| *name == size.as_str());
            // 720p is made as 768p where only that is known.
            let nearest = (size == Resolution::P720 && known.is_none())
                .then(|| page.sizes.iter().find(|(name, _)| *name == "768p"))
                .flatten();
            let said = known.or(nearest);
            assert_eq!(
                model.check(&params, &clip).is_ok(),
                said.is_some(),
                "{id} {size:?}"
            );
            let Some((name, price)) = said else { continue };
            let quoted = model.list_price(&params, 5.0);
            let alike = match (quoted, price) {
                (Some(quoted), Some(price)) => (quoted - price).abs() < 1e-9,
                (quoted, price) => quoted.is_none() && price.is_none(),
            };
            assert!(alike, "{id} {name}: {quoted:?} {price:?}");

            let body = body_of(&table, params);
            let sent = |name: &str| page.sends.contains(&name);
            let field = match page.kind {
                Kind::Upscale => "target_resolution",
                Kind::CharacterReplace | Kind::Extend => "resolution",
            };
            let mut wanted = json!({"video": "https://a.example/v.mp4"});
            if page.kind != Kind::Upscale {
                wanted["prompt"] = json!("on");
            }
            if page.kind == Kind::CharacterReplace {
                wanted["image"] = json!("https://a.example/i.png");
            }
            if !sent("no size") {
                wanted[field] = json!(name);
            }
            if sent("mode") {
                wanted["mode"] = json!("replace");
            }
            if sent("seed") {
                wanted["seed"] = json!(7);
            }
            if sent("duration") {
                // The video of these bodies lasts 6.2 s.
                let whole = id == "alibaba/wan-2.7/video-extend";
                wanted["duration"] = json!(if whole { 12 } else { seconds });
            }
            assert_eq!(body, wanted, "{id} {name}");
        }
        let size = model.resolutions[0];
        let takes = |seconds| model.check(&asked(page.kind, size, seconds), &clip).is_ok();
        for seconds in page.adds.0 {
            assert!(takes(*seconds), "{id} adds {seconds} s");
        }
        for seconds in page.adds.1 {
            assert!(!takes(*seconds), "{id} does not add {seconds} s");
        }
    }
}

#[test]
fn least_and_most_are_billed_and_taken_as_documented() {
    let model = |kind: Kind, id: &str| {
        let table = table(&format!("[{}]\nid = '{id}'", kind.as_str())).expect("valid");
        table.model(kind).clone()
    };
    let up = asked(Kind::Upscale, Resolution::P1080, 0);
    let billed = |id: &str, seconds| model(Kind::Upscale, id).billed_seconds(&up, seconds);
    assert_eq!(billed("wavespeed-ai/seedvr2/video", 1.0), 3.0);
    assert_eq!(billed("wavespeed-ai/video-upscaler", 1.0), 5.0);
    assert_eq!(billed("wavespeed-ai/video-upscaler", 7.5), 7.5);
    let on = asked(Kind::Extend, Resolution::P480, 4);
    let both = model(Kind::Extend, "bytedance/seedance-2.5/video-extend");
    assert_eq!(both.billed_seconds(&on, 8.0), 12.0);
    let new = model(Kind::Extend, "bytedance/seedance-2.0/video-extend");
    assert_eq!(new.billed_seconds(&on, 8.0), 4.0);
    let wan = model(Kind::Extend, "alibaba/wan-2.7/video-extend");
    let on = asked(Kind::Extend, Resolution::P720, 4);
    for (ms, taken) in [(1900, false), (2000, true), (10_000, true), (10_100, false)] {
        assert_eq!(wan.check(&on, &clip(ms)).is_ok(), taken, "{ms}");
    }
}

/// What release 0.1.0 sent, for what it could be asked: a round that began with it and asks once
/// more sends the same.
#[test]
fn requests_of_the_release_before_are_repeated_as_they_were() {
    let before = [
        (
            "wavespeed-ai/wan-2.2/animate",
            Kind::CharacterReplace,
            json!({"mode": "replace",
            "resolution": "480p", "seed": 7, "prompt": "on"}),
        ),
        (
            "bytedance/seedance-2.0/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on"}),
        ),
        (
            "bytedance/seedance-2.5/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on"}),
        ),
        (
            "bytedance/seedance-v1.5-pro/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on", "seed": 7}),
        ),
        (
            "alibaba/wan-2.5/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on", "seed": 7}),
        ),
        (
            "alibaba/wan-2.7/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on", "seed": 7}),
        ),
        (
            "alibaba/wan-3.0/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on", "seed": 7}),
        ),
        (
            "wavespeed-ai/wan-2.2-spicy/video-extend",
            Kind::Extend,
            json!({"resolution": "480p",
            "duration": 5, "prompt": "on", "seed": 7}),
        ),
        (
            "wavespeed-ai/ltx-2/video-extend",
            Kind::Extend,
            json!({"duration": 5,
            "prompt": "on"}),
        ),
        (
            "wavespeed-ai/video-upscaler",
            Kind::Upscale,
            json!({"target_resolution": "480p"}),
        ),
        (
            "wavespeed-ai/flashvsr",
            Kind::Upscale,
            json!({"target_resolution": "480p"}),
        ),
        ("runwayml/upscale-v1", Kind::Upscale, json!({})),
    ];
    let table = ModelTable::default();
    for (id, kind, mut wanted) in before {
        wanted["video"] = json!("https://a.example/v.mp4");
        let params = asked(kind, Resolution::P480, 5);
        if params.kind().needs_image() {
            wanted["image"] = json!("https://a.example/i.png");
        }
        let submission = Submission {
            model: id.into(),
            source_s: 6.2,
            duration: DurationMeaning::Added,
            video: "https://a.example/v.mp4".parse().expect("address"),
            image: params
                .kind()
                .needs_image()
                .then(|| "https://a.example/i.png".parse().expect("address")),
            params,
            callback: None,
        };
        assert_eq!(table.body(&submission), Some(wanted), "{id}");
    }
}

#[test]
fn fallbacks_are_checked_like_the_model_itself() {
    let table = |ids: &[&str]| {
        ModelTable::try_from(ModelOverrides {
            extend: Some(ModelOverride {
                fallback: ids.iter().map(|&id| id.to_owned()).collect(),
                ..ModelOverride::default()
            }),
            ..ModelOverrides::default()
        })
    };
    let good = [
        "wavespeed-ai/ltx-2.3/video-extend",
        "alibaba/wan-2.6/video-extend",
    ];
    let models = table(&good).expect("known ones");
    let ids: Vec<_> = models
        .fallbacks(Kind::Extend)
        .iter()
        .map(|model| model.id.clone())
        .collect();
    assert_eq!(ids, good);
    assert_eq!(models.fallbacks(Kind::Upscale), []);
    let own = models.model(Kind::Extend).id.clone();
    for (ids, about) in [
        (vec![own.as_str()], "twice"),
        (vec![good[0], good[0]], "twice"),
        (vec!["nobody/knows/this"], "not in the table"),
        (vec!["wavespeed-ai/flashvsr"], "makes upscale"),
        (
            vec!["runwayml/upscale-v1"],
            "use wavespeed-ai/video-upscaler-pro",
        ),
        (vec!["google/veo3.1/video-extend"], "continues only"),
        (vec![good[0], good[1], "a/b", "c/d", "e/f"], "at most 4"),
    ] {
        let faults = table(&ids).expect_err(about).faults;
        assert_eq!(faults[0].field, "models.extend.fallback");
        let told: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert!(
            told.iter().any(|told| told.contains(about)),
            "{about}: {told:?}"
        );
    }
}
