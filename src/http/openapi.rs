//! `/openapi.json`: the contract of this very service, made from its routes.
//!
//! Each handler's `utoipa::path` is both its route and its entry in the document, so neither can
//! be there without the other. What a request's body must be is a JSON Schema beside the parser
//! that reads it. `docs/openapi.yaml` is this document with everything switched on.
//!
//! A new route: `problems!` for its failures, `#[utoipa::path]` on its handler, `.routes(routes!(…))`
//! in its module, then `FILMLAB_BLESS=1 cargo nextest run --test it docs::`.

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{NoStranger, is_open};
use super::refusals::{Problem, answers, problems};
use super::routes::Routes;
use super::settings::HttpSettings;
use super::{jobs, tasks};
use crate::job::{JobId, Kind, Owner, Status};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "filmlab",
        description = include_str!("openapi/about.md"),
    ),
    tags(
        (name = "jobs", description = "Creating, reading, listing and cancelling jobs."),
        (name = "sources", description = "Uploading inputs."),
        (name = "files", description = "Objects behind signed links."),
        (name = "tasks", description = "What the queue and the scheduler bring; nobody else."),
        (name = "callbacks", description = "What the provider says."),
        (name = "health", description = "For probes, and this document."),
    ),
    // What only parameters name does not come in by itself.
    components(schemas(Problem, Kind, Status, JobId, Owner)),
)]
struct About;

/// An empty set of routes under the document's head.
pub(super) fn about() -> Routes {
    OpenApiRouter::with_openapi(About::openapi())
}

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(document))
}

/// The document, written when somebody asks for it first: few services are ever asked, and it would
/// take a fifth of the way to the first answer.
pub(super) struct Document {
    collected: utoipa::openapi::OpenApi,
    settings: Arc<HttpSettings>,
    written: OnceLock<Bytes>,
}

impl Document {
    /// Of what the routes collected.
    pub(super) fn new(
        collected: utoipa::openapi::OpenApi,
        settings: &Arc<HttpSettings>,
    ) -> Arc<Self> {
        Arc::new(Self {
            collected,
            settings: Arc::clone(settings),
            written: OnceLock::new(),
        })
    }

    fn bytes(&self) -> Bytes {
        let written = self.written.get_or_init(|| {
            let document = finish(&self.collected, &self.settings);
            document.to_string().into()
        });
        written.clone()
    }
}

problems!(DocumentProblems: Unauthorized);

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    tag = "health",
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = serde_json::Value),
        DocumentProblems,
    ),
)]
async fn document(_: NoStranger, Extension(document): Extension<Arc<Document>>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], document.bytes()).into_response()
}

/// Finishes what the routes collected.
fn finish(api: &utoipa::openapi::OpenApi, settings: &HttpSettings) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["info"] = json!({
        "title": api.info.title,
        "description": api.info.description,
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    document["components"]["securitySchemes"] = security_schemes();
    document["components"]["headers"] = headers();
    document["components"]["responses"] = json!({"Internal": internal_response()});
    let schemas = jobs::schemas(settings).into_iter().chain(tasks::schemas());
    for (name, schema) in schemas {
        document["components"]["schemas"][name] = schema;
    }
    let paths = document["paths"].take();
    document["paths"] = finish_paths(paths, settings);
    document
}

fn security_schemes() -> Value {
    json!({
        "apiToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `server.api_tokens`. A service on loopback without any \
                            token needs none.",
        },
        "queueToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The OIDC token that the queue signs for its service account, or the \
                            secret of `server.task_token`.",
        },
        "callbackToken": {
            "type": "apiKey",
            "in": "query",
            "name": "t",
            "description": "Our own HMAC of job and intent; it stands in the address that the \
                            provider was given.",
        },
        "linkSignature": {
            "type": "apiKey",
            "in": "query",
            "name": "sig",
            "description": "The signature of the link, over its object, end and name.",
        },
    })
}

fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "Names the request in our logs: the caller's own `X-Request-Id` if it \
                            sent a usable one, else a fresh one.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        "RetryAfter": {
            "description": "Seconds to wait before asking again.",
            "schema": {"type": "integer", "minimum": 1},
        },
    })
}

fn finish_paths(paths: Value, settings: &HttpSettings) -> Value {
    let Value::Object(paths) = paths else {
        return paths;
    };
    let mut finished = Map::new();
    let internal = internal_response();
    for (path, mut item) in paths {
        if let Some(item) = item.as_object_mut() {
            let several = item.len() > 1;
            for (method, operation) in item.iter_mut() {
                finish_operation(method, operation, several, &internal, settings);
            }
        }
        // axum's way of writing "and everything below".
        finished.insert(path.replace("{*", "{"), item);
    }
    Value::Object(finished)
}

fn name_request(response: &mut Value) {
    response["headers"]["X-Request-Id"] = json!({"$ref": "#/components/headers/RequestId"});
}

/// What every operation may come to, written once.
fn internal_response() -> Value {
    let mut answers = serde_json::to_value(answers(&[])).unwrap_or_default();
    name_request(&mut answers["500"]);
    answers["500"].take()
}

fn finish_operation(
    method: &str,
    operation: &mut Value,
    several: bool,
    internal: &Value,
    settings: &HttpSettings,
) {
    // One handler for two methods is two operations, which need two names.
    if several && method == "put" {
        let id = operation["operationId"].as_str().unwrap_or_default();
        operation["operationId"] = json!(format!("{id}ByPut"));
    }
    let asks_for_token = operation["security"][0].get("apiToken").is_some();
    if asks_for_token
        && is_open(settings)
        && let Some(operation) = operation.as_object_mut()
    {
        operation.remove("security");
    }
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        // What an optional parameter is not is absent, never `null`.
        if let Some([only, _null]) = parameter["schema"]["type"].as_array().map(Vec::as_slice) {
            parameter["schema"]["type"] = only.clone();
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        // Options may be left out as a whole.
        let schema = body["content"]["application/json"]["schema"]["$ref"].as_str();
        let required = !schema.is_some_and(|name| name.ends_with("Options"));
        body["required"] = json!(required);
    }
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        name_request(response);
        if status == "500" && response["content"] == internal["content"] {
            *response = json!({"$ref": "#/components/responses/Internal"});
        }
    }
}
