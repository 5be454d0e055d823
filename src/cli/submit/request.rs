//! What is sent for the flags given. Only the service says what is wrong with a value, so that
//! there is one truth about it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::args::SubmitArgs;
use crate::cli::client::Client;
use crate::cli::console::Console;
use crate::job::Failure;

/// Uploads what lies on this machine, and gives the creation's body.
pub(super) async fn body(
    args: &SubmitArgs,
    client: &Client,
    console: &dyn Console,
) -> Result<Value, Failure> {
    let mut source = Map::new();
    for (name, given) in [("video", Some(&args.video)), ("image", args.image.as_ref())] {
        if let Some(given) = given {
            source.insert(name.into(), input(given, client, console).await?.into());
        }
    }
    let mut body = json!({
        "kind": args.kind,
        "params": params(args),
        "source": source,
    });
    if let Some(profile) = &args.profile {
        body["output"] = json!({"profile": profile});
    }
    if !args.tags.is_empty() {
        body["tags"] = args.tags.clone().into();
    }
    if let Some(price) = args.max_price {
        body["max_price"] = price.into();
    }
    Ok(body)
}

/// An address goes as it is, and so does the name of an upload; everything else is a file here.
async fn input(given: &str, client: &Client, console: &dyn Console) -> Result<String, Failure> {
    let path = Path::new(given);
    let elsewhere = given.contains("://") || (given.starts_with("sources/") && !path.exists());
    if elsewhere {
        return Ok(given.to_owned());
    }
    console.note(&format!("uploading {given}"));
    Ok(client.upload(path).await?)
}

fn params(args: &SubmitArgs) -> Map<String, Value> {
    let mut params: Map<String, Value> = args
        .params
        .iter()
        .map(|(name, value)| {
            // `seconds=5` is a number; a text that looks like one has a flag of its own.
            let value = match serde_json::from_str(value) {
                Ok(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar,
                _ => Value::from(value.as_str()),
            };
            (name.clone(), value)
        })
        .collect();
    let flags = [
        ("prompt", args.prompt.clone().map(Value::from)),
        ("seconds", args.seconds.map(Value::from)),
        ("resolution", args.resolution.clone().map(Value::from)),
        ("target", args.target.clone().map(Value::from)),
        ("seed", args.seed.map(Value::from)),
    ];
    for (name, value) in flags {
        if let Some(value) = value {
            params.insert(name.to_owned(), value);
        }
    }
    params
}
