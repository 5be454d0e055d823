//! Lists and tables within a section: read as any other setting, and each fault named by its place.

use super::load;
use crate::config::{Role, Secret};
use crate::job::{DurationMeaning, Kind, Owner, Resolution};
use crate::provider::wavespeed::Returns;

fn faults(file: &str) -> Vec<String> {
    let faults = load(file, &[]).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

/// As operators have written them since the first release.
const FILE: &str = r#"
    [[server.api_tokens]]
    token = "operator-token-16"
    [[server.api_tokens]]
    token = "alices-token-of-16"
    owner = "alice"
    role = "viewer"
    [[server.api_tokens]]
    token = 1234567890123456
    owner = "bob"
    role = "editor"

    [credits.prices.extend]
    base = 3
    per_second = { "480p" = 1, "4k" = "2.5" }
    [credits.prices.upscale]
    base = 0
    per_second = {}

    [owners.own.alice]
    jobs = 7
    credits_a_day = "500"
    [owners.own."Bob-2"]

    [provider.models.extend]
    id = "alibaba/wan-2.6/video-extend"
    fallback = ["wavespeed-ai/ltx-2.3/video-extend"]
    min_source_s = 1
    max_source_s = 30.5
    max_source_pixels = 2_000_000
    seconds = [4, 12]
    only_seconds = [4, 8, 12]
    max_total_s = 60
    duration = "whole"
    resolutions = ["1080p", "720p", "720p"]
    returns = "segment"
    usual_base_s = 0.0
    usual_per_second_s = 0
    bills_source = true
    least_billed_s = 2
    usd_per_second = { "720p" = 0.1, "1080p" = 1 }
    extra = { generate_audio = false, tuning = { steps = 4, names = ["a"] } }
    [provider.models.upscale]
"#;

#[test]
fn nested_settings_are_read_as_they_always_were() {
    let env = [("FILMLAB_OWNERS__OWN__CAROL__WAITING", "5")];
    let config = load(FILE, &env).unwrap();
    let tokens: Vec<_> = config
        .server
        .api_tokens
        .iter()
        .map(|known| {
            let owner = known.owner.as_ref().map(Owner::as_str);
            (known.token.clone(), owner, known.role)
        })
        .collect();
    let wanted = [
        ("operator-token-16", None, Role::Editor),
        ("alices-token-of-16", Some("alice"), Role::Viewer),
        ("1234567890123456", Some("bob"), Role::Editor),
    ];
    assert_eq!(
        tokens,
        wanted.map(|(token, owner, role)| (Secret::new(token), owner, role))
    );

    let prices = &config.credits.prices.0;
    let extend = &prices[&Kind::Extend];
    assert_eq!(extend.base, 3);
    assert_eq!(
        extend.per_second,
        [(Resolution::P480, 1.0), (Resolution::K4, 2.5)].into()
    );
    assert!(prices[&Kind::Upscale].per_second.is_empty());
    assert_eq!(prices[&Kind::CharacterReplace].base, 1);

    let own = |name: &str| config.owners.own[&name.parse().unwrap()];
    assert_eq!(
        (
            own("alice").jobs,
            own("alice").waiting,
            own("alice").credits_a_day
        ),
        (Some(7), None, Some(500))
    );
    assert_eq!(own("Bob-2"), crate::ledger::limits::OwnerLimit::default());
    assert_eq!(own("carol").waiting, Some(5));

    let models = &config.provider.models;
    let model = models.model(Kind::Extend);
    assert_eq!(model.id, "alibaba/wan-2.6/video-extend");
    assert_eq!(
        models.fallbacks(Kind::Extend)[0].id,
        "wavespeed-ai/ltx-2.3/video-extend"
    );
    assert_eq!((model.min_source_s, model.max_source_s), (1.0, 30.5));
    assert_eq!(model.max_source_pixels, 2_000_000);
    assert_eq!(model.seconds, Some((4, 12)));
    assert_eq!(model.only_seconds, [4, 8, 12]);
    assert_eq!(model.max_total_s, Some(60.0));
    assert_eq!(model.duration, DurationMeaning::Whole);
    assert_eq!(model.resolutions, [Resolution::P720, Resolution::P1080]);
    assert_eq!(model.returns, Returns::Segment);
    assert_eq!((model.usual_base_s, model.usual_per_second_s), (0.0, 0.0));
    assert_eq!((model.bills_source, model.least_billed_s), (true, 2.0));
    assert_eq!(
        model.usd_per_second,
        [(Resolution::P720, 0.1), (Resolution::P1080, 1.0)].into()
    );
    let listed = &models.listed(Kind::Extend)[0];
    assert!(listed.parameters.contains(&"generate_audio".to_owned()));
    assert!(listed.parameters.contains(&"tuning".to_owned()));
    let unset = load("", &[]).unwrap();
    let upscale = models.model(Kind::Upscale);
    assert_eq!(upscale, unset.provider.models.model(Kind::Upscale));
}

#[test]
fn every_fault_of_nested_settings_is_told_by_its_place() {
    let told = faults(
        r#"
        [server]
        api_tokens = [
            { token = "short", owner = "a/b", role = "boss" },
            { owner = "alice" },
            { token = "alices-token-of-16", colour = "red" },
            "operator-token-16",
        ]
        api_token = "short too"
        [credits.prices.extend]
        base = 1.5
        per_second = { "480p" = -1.0, "481p" = 1.0 }
        [credits.prices.upscale]
        per_second = 3
        bse = 1
        [credits.prices.film]
        base = 1
        [owners.own.alice]
        jobs = 0
        credits_a_day = -1
        colour = "red"
        [owners.own."a.b"]
        jobs = 1
        [provider.models.extend]
        fallback = "wavespeed-ai/ltx-2.3/video-extend"
        max_source_s = 0.5
        max_source_pixels = 0
        seconds = [5]
        only_seconds = [4, 601, "many"]
        duration = "half"
        resolutions = ["8k"]
        bills_source = "perhaps"
        usd_per_second = { "720p" = "dear" }
        idd = "x"
        [provider.models.upscale]
        seconds = [1, 2]
        [provider.models.film]
        id = "x"
        "#,
    );
    let sizes = "480p, 540p, 720p, 768p, 1080p, 2k, 4k";
    let kinds = "character_replace, extend, upscale";
    let mut told = told;
    told.sort_unstable();
    let mut wanted = vec![
        "server.api_tokens[0].token: must have at least 16 characters".to_owned(),
        "server.api_tokens[0].owner: “a/b” is not usable: an owner must be 1 to 128 characters of A–Z, a–z, 0–9, '_' and '-'".into(),
        "server.api_tokens[0].role: “boss” is not one of editor, viewer".into(),
        "server.api_tokens[1].token: is required".into(),
        "server.api_tokens[2].colour: is not a setting".into(),
        "server.api_tokens[3]: must be a table".into(),
        "server.api_token: must have at least 16 characters".into(),
        "credits.prices.extend.base: must be a whole number, found “1.5”".into(),
        "credits.prices.extend.per_second.480p: must be at least 0, found “-1”".into(),
        format!("credits.prices.extend.per_second.481p: “481p” is not one of {sizes}"),
        "credits.prices.upscale.base: is required".into(),
        "credits.prices.upscale.bse: is not a setting".into(),
        "credits.prices.upscale.per_second: must be a table".into(),
        format!("credits.prices.film: “film” is not one of {kinds}"),
        "owners.own.alice.jobs: must be from 1 to 100000, found “0”".into(),
        "owners.own.alice.credits_a_day: must be a whole number, found “-1”".into(),
        "owners.own.alice.colour: is not a setting".into(),
        "owners.own.a.b: “a.b” is not usable: an owner must be 1 to 128 characters of A–Z, a–z, 0–9, '_' and '-'".into(),
        "provider.models.extend.fallback: must be a list".into(),
        "provider.models.extend.max_source_s: must be from 1 to 86400, found “0.5”".into(),
        "provider.models.extend.max_source_pixels: must be at least 1, found “0”".into(),
        "provider.models.extend.seconds: must be two numbers".into(),
        "provider.models.extend.only_seconds[1]: must be from 1 to 600, found “601”".into(),
        "provider.models.extend.only_seconds[2]: must be from 1 to 600, found “many”".into(),
        "provider.models.extend.duration: “half” is not one of added, whole".into(),
        format!("provider.models.extend.resolutions[0]: “8k” is not one of {sizes}"),
        "provider.models.extend.bills_source: must be true or false, found “perhaps”".into(),
        "provider.models.extend.usd_per_second.720p: must be at least 0, found “dear”".into(),
        "provider.models.extend.idd: is not a setting".into(),
        "provider.models.upscale.seconds: belongs to extend only".into(),
        format!("provider.models.film: “film” is not one of {kinds}"),
    ];
    wanted.sort_unstable();
    assert_eq!(told, wanted);
}
