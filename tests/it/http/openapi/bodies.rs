//! A creation's body: what the schema takes, the parser takes, and nothing else.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use filmlab::http::CheckMarks;
use filmlab::media::Placement;
use filmlab::worker::{BrandMark, BrandWatermark};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::{App, served};

struct Contract {
    runtime: tokio::runtime::Runtime,
    router: Router,
    document: Value,
    validator: jsonschema::Validator,
    _app: App,
}

impl Contract {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut app = App::new();
        // As `app` puts it together.
        let fonts = filmlab::media::Fonts::default();
        let brand = BrandWatermark {
            mark: BrandMark::Picture("logo.png".into()),
            placement: Placement::default(),
        };
        app.state.check_marks = CheckMarks::new(move |layers, label| {
            filmlab::worker::mark_faults(&fonts, Some(&brand), layers, label)
        });
        let document = runtime.block_on(served(&app));
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&json!({
                "$ref": "#/components/schemas/NewJob",
                "components": document["components"],
            }))
            .unwrap();
        Self {
            router: app.router(),
            runtime,
            document,
            validator,
            _app: app,
        }
    }

    /// The faults that the parser finds; none where it makes a job.
    fn faults(&self, body: &Value) -> Vec<(String, String)> {
        let request = Request::post("/v1/jobs")
            .header("authorization", "Bearer alice-token")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            if status == 201 {
                return Vec::new();
            }
            assert_eq!(status, 400, "{body}: {answer}");
            let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
            answer["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|fault| (text(fault, "field"), text(fault, "message")))
                .collect()
        })
    }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// Values of a schema: the bounds themselves as often as what lies between them.
fn values_of(schema: &Value, document: &Value) -> BoxedStrategy<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return values_of(document.pointer(&reference[1..]).unwrap(), document);
    }
    if let Some(values) = schema["enum"].as_array() {
        return select(values.clone()).boxed();
    }
    let choice = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(choice) = choice.filter(|_| schema["type"].is_null()) {
        let branches: Vec<_> = choice.iter().map(|one| values_of(one, document)).collect();
        return proptest::strategy::Union::new(branches).boxed();
    }
    match schema["type"].as_str().unwrap() {
        "null" => Just(Value::Null).boxed(),
        "integer" => {
            let (low, high) = bounds(schema);
            prop_oneof![Just(low), Just(high), low..=high]
                .prop_map(Value::from)
                .boxed()
        }
        "number" => prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0f64]
            .prop_map(Value::from)
            .boxed(),
        "string" => texts_of(schema),
        "object" => objects_of(schema, document),
        "array" => {
            let most = schema["maxItems"].as_u64().unwrap() as usize;
            proptest::collection::vec(values_of(&schema["items"], document), 1..=most)
                .prop_map(Value::from)
                .boxed()
        }
        other => panic!("no strategy for {other}"),
    }
}

fn bounds(schema: &Value) -> (i64, i64) {
    (
        schema["minimum"].as_i64().unwrap(),
        schema["maximum"].as_i64().unwrap(),
    )
}

fn texts_of(schema: &Value) -> BoxedStrategy<Value> {
    let most = schema["maxLength"].as_u64().unwrap_or(64) as usize;
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    // Unanchored patterns ask for one such character somewhere.
    let texts = if pattern.starts_with('^') {
        // The generator knows no anchors; the patterns have them at their ends only.
        let inside = &pattern[1..pattern.len() - 1];
        proptest::string::string_regex(inside).unwrap().boxed()
    } else {
        prop_oneof![
            proptest::string::string_regex("\\PC{1,80}").unwrap(),
            Just("ü".repeat(most)),
            Just(format!("\u{2003}x\n{}", " ".repeat(most - 3))),
        ]
        .boxed()
    };
    let (pattern, least) = (
        pattern.to_owned(),
        schema["minLength"].as_u64().unwrap_or(0),
    );
    texts
        .prop_filter("within the bounds", move |text| {
            let length = text.chars().count();
            (least as usize..=most).contains(&length)
                && (pattern.starts_with('^')
                    || pattern.is_empty()
                    || text.chars().any(|c| !c.is_whitespace()))
        })
        .prop_map(Value::from)
        .boxed()
}

fn objects_of(schema: &Value, document: &Value) -> BoxedStrategy<Value> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields: Vec<BoxedStrategy<Option<(String, Value)>>> = schema["properties"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, schema)| {
            let name_of = name.clone();
            let value =
                values_of(schema, document).prop_map(move |value| Some((name_of.clone(), value)));
            if required.contains(&name.as_str()) {
                value.boxed()
            } else {
                prop_oneof![Just(None), value].boxed()
            }
        })
        .collect();
    fields
        .prop_map(|fields| Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>()))
        .boxed()
}

/// What a schema cannot say: where an address leads, whose an upload is, that there are not two
/// ways to be told (which `values_of` does not look at).
fn is_about_meaning(field: &str, message: &str) -> bool {
    let field = field
        .split_once('[')
        .map_or(field.to_owned(), |(before, after)| {
            format!("{before}{}", after.split_once(']').unwrap().1)
        });
    match field.as_str() {
        "output.watermark.until_ms" => {
            message.contains("behind from_ms") || message.contains("than the fades take")
        }
        "output.watermark.image"
        | "output.watermark.font"
        | "output.watermark.size"
        | "output.watermark.color"
        | "output.watermark.stroke"
        | "output.watermark.background"
            if message.contains("with text") || message.contains("which is not there") =>
        {
            true
        }
        "output.watermark.scale" => message.starts_with("is for pictures"),
        "output.watermark.text" => {
            message.contains("which no font here has")
                || message.contains("has no letters")
                || message.contains("control character")
        }
        "label" => {
            message.contains("too long for a label")
                || message.contains("which no font here has")
                || message.contains("has no letters")
                || message.contains("control character")
        }
        "owner" => message == "is not the owner of your token",
        "notify" => message.starts_with("names one way"),
        "source.video" | "source.image" | "output.watermark.image" | "notify.webhook" => {
            message.contains("public internet")
                || message.starts_with("must be an upload of yours")
                // A host that only a URL parser can refuse: `https://a%/`, `https://[`.
                || message.starts_with("an input is an http(s) address")
                || message.contains("invalid")
                || message.contains("empty host")
        }
        _ => false,
    }
}

#[test]
fn the_parser_takes_what_the_schema_makes() {
    let contract = Contract::new();
    let bodies = values_of(
        &json!({"$ref": "#/components/schemas/NewJob"}),
        &contract.document,
    );
    runner(400)
        .run(&bodies, |body| {
            let names_two =
                !body["notify"]["webhook"].is_null() && !body["notify"]["fcm_token"].is_null();
            prop_assert_eq!(contract.validator.is_valid(&body), !names_two, "{}", body);
            for (field, message) in contract.faults(&body) {
                prop_assert!(
                    is_about_meaning(&field, &message),
                    "{field}: {message}: {body}"
                );
            }
            Ok(())
        })
        .unwrap();
    // With inputs that are sure to be fine nothing may be refused at all.
    runner(400)
        .run(&bodies, |mut body| {
            for place in ["video", "image"] {
                if body["source"][place].is_string() {
                    body["source"][place] = json!("sources/alice/1/a.bin");
                }
            }
            let layers = match &mut body["output"]["watermark"] {
                Value::Array(layers) => layers.iter_mut().collect(),
                layer @ Value::Object(_) => vec![layer],
                _ => Vec::new(),
            };
            for layer in layers {
                layer["image"] = json!("https://a.example/logo.png");
                layer["until_ms"] = Value::Null;
                for of_text in ["text", "font", "size", "color", "stroke", "background"] {
                    layer[of_text] = Value::Null;
                }
            }
            if !body["notify"].is_null() {
                body["notify"] = json!({"webhook": "https://a.example/hook?x=1"});
            }
            body["label"] = json!("on");
            body["owner"] = json!("alice");
            prop_assert_eq!(contract.faults(&body), vec![], "{}", body);
            Ok(())
        })
        .unwrap();
}

/// Good in every field; what is done to it makes it bad, or not.
fn full(kind: &str) -> Value {
    let mut body = json!({
        "kind": kind,
        "owner": "alice",
        "params": {},
        "source": {"video": "https://a.example/v.mp4"},
        "output": {"profile": "web", "watermark": {
            "image": "sources/alice/1/logo.png", "anchor": "top", "scale": "15%", "opacity": 0.5,
            "offset_x": "3%", "from_ms": 5, "until_ms": 80_000_000}},
        "notify": {"webhook": "https://a.example/hook"},
        "deadline_s": 600,
    });
    match kind {
        "character_replace" => {
            body["source"]["image"] = json!("https://a.example/i.png");
            body["params"] = json!({"prompt": "x", "resolution": "480p", "seed": 1});
        }
        "extend" => {
            body["params"] = json!({"prompt": "x", "seconds": 5, "resolution": "720p", "seed": 1});
        }
        _ => body["params"] = json!({"target": "4k"}),
    }
    body
}

/// Whose token it is no schema can say.
fn belongs_to_another(body: &Value) -> bool {
    let owner = body["owner"].as_str().unwrap_or("alice");
    owner != "alice" && owner.parse::<filmlab::job::Owner>().is_ok()
}

const PLACES: [&str; 27] = [
    "/kind",
    "/owner",
    "/params",
    "/params/prompt",
    "/params/resolution",
    "/params/seconds",
    "/params/seed",
    "/params/target",
    "/source",
    "/source/video",
    "/source/image",
    "/source/audio_track",
    "/output",
    "/output/profile",
    "/output/watermark",
    "/output/watermark/image",
    "/output/watermark/anchor",
    "/output/watermark/scale",
    "/output/watermark/opacity",
    "/output/watermark/offset_x",
    "/output/watermark/offset_y",
    "/output/watermark/from_ms",
    "/output/watermark/fade_in_ms",
    "/output/watermark/fade_out_ms",
    "/notify/webhook",
    "/notify/fcm_token",
    "/deadline_s",
];

/// What is put into a place: right in some, wrong in others, at the edge in most.
fn odd_values() -> Vec<Value> {
    let long = |length: usize, unit: &str| unit.repeat(length);
    let mut values = vec![
        Value::Null,
        json!(true),
        json!({}),
        json!([]),
        json!({"odd": 1}),
        json!(-2),
        json!(-1),
        json!(0),
        json!(1),
        json!(5.0),
        json!(5.5),
        json!(9),
        json!(10),
        json!(30),
        json!(31),
        json!(1.0000001),
        json!(86_400),
        json!(86_401),
        json!(2_147_483_647_u32),
        json!(2_147_483_648_u32),
        json!(1e300),
        json!(u64::MAX),
        json!(long(4000, "ü")),
        json!(long(4001, "x")),
        json!(format!("https://a.example/{}", long(2030, "ü"))),
        json!(format!("https://a.example/{}", long(2031, "x"))),
        json!(format!("sources/alice/{}", long(2034, "x"))),
        json!(long(4096, "t")),
        json!(86_400_001),
        json!([{}]),
        json!([null]),
        json!([{"anchor": "top"}, {"scale": "24px", "odd": 1}]),
        json!(vec![json!({}); 8]),
        json!(vec![json!({}); 9]),
    ];
    for text in [
        "",
        " ",
        "\u{a0}\u{3000}",
        "\u{feff}",
        "x",
        "x\n",
        "alice",
        "a/b",
        "a\n",
        "upscale",
        "extend",
        "character_replace",
        "Upscale",
        "480p",
        "720p",
        "1080p",
        "2k",
        "4k",
        "8k",
        "web",
        "archive",
        "huge",
        "top",
        "bottom-right",
        "middle",
        "15%",
        "0%",
        "-3%",
        "24px",
        "24",
        "1e3",
        "10000px",
        "0.001%",
        "https://a.example/v.mp4",
        "https://a.example/v w",
        "https://a.example\\v",
        "HTTPS://a.example",
        "http://a.example/",
        "ftp://a.example/",
        "https:a.example",
        "https://u:p@a.example/",
        "https://a.example/\t",
        "sources/alice/x",
        "sources/alice/",
        "sources/alice/../x",
        "sources/alice//x",
        "sources/alice/.x",
        "gs://bucket/sources/alice/x",
        "gs:///sources/alice/x",
        "gs://B/sources/alice/x",
        "results/j/1/video.mp4",
        "token with space",
        "töken",
    ] {
        values.push(json!(text));
    }
    values
}

#[test]
fn schema_and_parser_judge_alike() {
    let contract = Contract::new();
    let change = (select(PLACES.to_vec()), select(odd_values()), 0..10u8);
    let bodies = (
        select(vec!["character_replace", "extend", "upscale"]),
        proptest::collection::vec(change, 0..4),
    );
    let (good, bad) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    runner(4000)
        .run(&bodies, |(kind, changes)| {
            let mut body = full(kind);
            for (place, value, how) in changes {
                let (parent, name) = place.rsplit_once('/').unwrap();
                let Some(parent) = body.pointer_mut(parent).and_then(Value::as_object_mut) else {
                    continue;
                };
                match how {
                    0 => drop(parent.remove(name)),
                    1 => drop(parent.insert("odd".into(), value)),
                    _ => drop(parent.insert(name.into(), value)),
                }
            }
            if belongs_to_another(&body) {
                return Ok(());
            }
            let faults = contract.faults(&body);
            let valid = contract.validator.is_valid(&body);
            prop_assert_eq!(valid, faults.is_empty(), "{} {:?}", body, faults);
            let count = if valid { &good } else { &bad };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    let (good, bad) = (good.get(), bad.get());
    assert!(good > 500 && bad > 1000, "{good} good, {bad} bad");
}

#[test]
fn every_odd_value_in_every_place_is_judged_alike() {
    let contract = Contract::new();
    for kind in ["character_replace", "extend", "upscale"] {
        for place in PLACES {
            for value in odd_values() {
                let mut body = full(kind);
                let (parent, name) = place.rsplit_once('/').unwrap();
                let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                parent.insert(name.into(), value);
                if belongs_to_another(&body) {
                    continue;
                }
                let faults = contract.faults(&body);
                let valid = contract.validator.is_valid(&body);
                assert_eq!(valid, faults.is_empty(), "{place}: {body} {faults:?}");
            }
        }
    }
}

#[test]
fn the_examples_are_taken() {
    let contract = Contract::new();
    let media = &contract.document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"];
    let examples = media["application/json"]["examples"].as_object().unwrap();
    assert_eq!(examples.len(), 3);
    for (name, example) in examples {
        let mut body = example["value"].clone();
        // The double knows two profiles.
        if body["output"]["profile"] == "small" {
            body["output"]["profile"] = json!("web");
        }
        assert!(contract.validator.is_valid(&body), "{name}");
        assert_eq!(contract.faults(&body), vec![], "{name}");
    }
}
