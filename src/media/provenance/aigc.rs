//! The entry `AIGC` of GB 45438-2025, which China asks for since September 2025.

use serde::Serialize;

use super::terms::{Provenance, SourceType};

/// Longest entry that is taken over from an input: ours has some 200 bytes.
const MOST: usize = 4096;

/// The fields, in the standard's order and by its names.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    /// 1: it is made by a model.
    label: &'a str,
    content_producer: &'a str,
    #[serde(rename = "ProduceID")]
    produce_id: &'a str,
    reserved_code1: &'a str,
    content_propagator: &'a str,
    #[serde(rename = "PropagateID")]
    propagate_id: &'a str,
    reserved_code2: &'a str,
}

/// The entry of a result: ours, where a producer is named and a model made it; else the input's,
/// if that is an object of JSON at all.
pub(super) fn entry(said: &Provenance, brought: Option<&str>) -> Option<String> {
    let of_a_model = said.source_type.is_some_and(SourceType::is_of_a_model);
    match &said.aigc_producer {
        Some(producer) if of_a_model => serde_json::to_string(&Entry {
            label: "1",
            content_producer: producer,
            produce_id: &said.id,
            reserved_code1: "",
            content_propagator: "",
            propagate_id: "",
            reserved_code2: "",
        })
        .ok(),
        _ => brought.filter(|text| is_usable(text)).map(str::to_owned),
    }
}

fn is_usable(text: &str) -> bool {
    type Object = serde_json::Map<String, serde_json::Value>;
    text.len() <= MOST && serde_json::from_str::<Object>(text).is_ok()
}
