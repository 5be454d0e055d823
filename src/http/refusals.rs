//! Refusals and failures in the document: one response for each status, with the codes it may
//! carry.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{
    AllOfBuilder, ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response,
    ResponseBuilder, Type,
};

use super::problem::status_of;
use crate::job::{Code, Fault};

/// A failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:filmlab:error:` and the code.
    r#type: String,
    /// What the code says of itself.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time.
    detail: String,
    code: Code,
    /// As in `X-Request-Id`.
    request_id: String,
    /// Every fault of the request, at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
}

/// Declares the failures of a route as a type that `responses(…)` takes: codes, with the status
/// where it is not the code's own. `internal` is every route's.
macro_rules! problems {
    ($name:ident: $($code:ident $(as $status:ident)?),* $(,)?) => {
        struct $name;
        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                #[allow(unused_mut, reason = "the list may be empty")]
                let mut list: Vec<(crate::job::Code, Option<http::StatusCode>)> = vec![
                    $((
                        crate::job::Code::$code,
                        None $(.or(Some(http::StatusCode::$status)))?,
                    )),*
                ];
                $crate::http::refusals::answers(&list)
            }
        }
    };
}
pub(in crate::http) use problems;

/// The responses for these codes.
pub(in crate::http) fn answers(
    list: &[(Code, Option<StatusCode>)],
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for (code, status) in list.iter().chain(&[(Code::Internal, None)]) {
        let status = status.unwrap_or_else(|| status_of(*code));
        by_status.entry(status.as_u16()).or_default().push(*code);
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), answer(status, &codes).into()))
        .collect()
}

fn answer(status: u16, codes: &[Code]) -> Response {
    let names: Vec<&'static str> = codes.iter().map(|code| (*code).into()).collect();
    let about: Vec<String> = codes
        .iter()
        .zip(&names)
        .map(|(code, name)| format!("`{name}`: {}", code.about()))
        .collect();
    let narrowed = ObjectBuilder::new()
        .property(
            "code",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(names.clone())),
        )
        .property(
            "status",
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .enum_values(Some([status])),
        );
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(narrowed);
    let content = ContentBuilder::new()
        .schema(Some(schema))
        .example((status == 400).then(example))
        .build();
    let mut response = ResponseBuilder::new()
        .description(about.join("\n\n"))
        .content("application/problem+json", content);
    let text = || ObjectBuilder::new().schema_type(Type::String);
    if status == 401 {
        let header = HeaderBuilder::new()
            .description(Some("How to be let in."))
            .schema(Some(text()));
        response = response.header("WWW-Authenticate", header.build());
    }
    if status == 503 {
        response = response.header_ref("Retry-After", Ref::new("#/components/headers/RetryAfter"));
    }
    response.build()
}

fn example() -> serde_json::Value {
    let code = Code::InvalidRequest;
    json!({
        "type": format!("urn:filmlab:error:{code}"),
        "title": code.about(),
        "status": 400,
        "detail": "limit: must be a whole number from 1 to 100",
        "code": code,
        "request_id": "01jd8z6q4mxv7v0q4w3k5t2c9e",
        "errors": [{"field": "limit", "message": "must be a whole number from 1 to 100"}],
    })
}
