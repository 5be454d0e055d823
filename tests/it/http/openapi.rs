//! The document says what the routes do, and the routes do what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use filmlab::http::{ApiToken, TasksAuth};
use serde_json::{Value, json};

use super::{App, TASK_TOKEN};

mod bodies;

/// The document of a service with everything switched on and its usual settings.
pub(crate) async fn document() -> Value {
    let app = App::with(|settings| {
        settings.profiles = ["archive", "small", "web"].map(str::to_owned).to_vec();
    });
    served(&app).await
}

async fn served(app: &App) -> Value {
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let answer = app.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((path.as_str(), method.as_str(), operation));
        }
    }
    found
}

/// A path with something in the place of each parameter.
fn filled(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        out += "x1";
        rest = after.split_once('}').unwrap().1;
    }
    out + rest
}

#[tokio::test]
async fn every_documented_operation_is_routed_and_no_other_method_is() {
    let app = App::new();
    let document = served(&app).await;
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document) {
        let methods = methods.entry(path).or_default();
        methods.insert(method.to_uppercase());
        if method == "get" {
            // axum answers HEAD wherever it answers GET.
            methods.insert("HEAD".to_owned());
        }
    }
    assert!(methods.len() >= 12, "{methods:?}");
    for (path, documented) in methods {
        let request = Request::builder()
            .method(Method::TRACE)
            .uri(filled(path))
            .header("authorization", format!("Bearer {TASK_TOKEN}"))
            .body(Body::empty())
            .unwrap();
        let answer = app.send(request).await;
        answer.problem(405, "method_not_allowed");
        let allowed: BTreeSet<String> = answer
            .header("allow")
            .unwrap()
            .split(',')
            .map(|method| method.trim().to_owned())
            .collect();
        assert_eq!(allowed, documented, "{path}");
    }
}

/// Routes come in through `routes!` alone, which takes them from their entries in the document.
#[test]
fn no_route_goes_past_the_document() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    let mut files = vec![folders[0].with_extension("rs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Pages for people are no part of the contract.
                if !path.ends_with("console") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !path.ends_with("console.rs")
            {
                files.push(path);
            }
        }
    }
    let mut routed = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        routed += text.matches(".routes(routes!(").count();
        for past in [
            ".route(",
            ".route_service(",
            ".nest",
            "fallback_service(",
            "::routing::",
        ] {
            assert!(!text.contains(past), "{}: {past}", file.display());
        }
    }
    assert!(routed >= 10, "{routed}");
}

#[tokio::test]
async fn the_document_holds_together() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect(&place);
        assert!(ids.insert(id), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{place}");
        let parameters = match operation.get("parameters") {
            Some(list) => list.as_array().expect(&place).clone(),
            None => Vec::new(),
        };
        for name in path
            .split('{')
            .skip(1)
            .map(|part| part.split_once('}').unwrap().0)
        {
            let known = parameters
                .iter()
                .any(|parameter| parameter["in"] == "path" && parameter["name"] == name);
            assert!(known, "{place}: {name}");
        }
        for requirement in operation["security"].as_array().into_iter().flatten() {
            for scheme in requirement.as_object().unwrap().keys() {
                let schemes = &document["components"]["securitySchemes"];
                assert!(schemes[scheme].is_object(), "{place}: {scheme}");
            }
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let text = format!("{place} {status}");
            let response = match response["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => response,
            };
            assert!(
                !response["description"].as_str().unwrap().is_empty(),
                "{text}"
            );
            assert!(response["headers"]["X-Request-Id"].is_object(), "{text}");
        }
        assert!(operation["responses"]["500"].is_object(), "{place}");
    }
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values()
                .for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_of_the_service_that_serves_it() {
    let token = |document: &Value| document["paths"]["/v1/jobs"]["post"]["security"].clone();
    assert_eq!(token(&document().await), json!([{"apiToken": []}]));
    // An open API asks for no token, custom profiles are named, what is off is not there.
    let app = App::with(|settings| {
        settings.api_tokens = Vec::<ApiToken>::new();
        settings.profiles = vec!["tiny".into()];
        settings.tasks_auth = TasksAuth::Closed;
    });
    let document = served(&app).await;
    assert_eq!(token(&document), Value::Null);
    let profile = "/components/schemas/NewOutput/properties/profile/anyOf/0/enum";
    assert_eq!(document.pointer(profile), Some(&json!(["tiny"])));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/v1/jobs") && !paths.contains_key("/tasks/sweep"));
}

#[tokio::test]
async fn whoever_may_come_again_is_told_when() {
    let app = App::new();
    app.ledger
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = app.get("/v1/jobs").await;
    answer.problem(503, "ledger_unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    let refused = app.get("/v1/jobs?limit=0").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.header("retry-after"), None);
}
