//! What is known of how a result and its inputs were made, for whoever has the job.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// What a file says of how it was made. Words of others are cut, and prove nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Origin {
    /// The program that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// IPTC's word for how it was made, such as `trainedAlgorithmicMedia`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// What the check of its C2PA manifest found: `trusted`, `valid`, `unchecked` or `invalid`; absent
    /// where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What is wrong with that, by the specification's code, or what was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it was made of, by that; eight at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingredients: Vec<Ingredient>,
}

/// A file that another was made of, as that one's manifest says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OriginIngredient)]
pub struct Ingredient {
    /// Such as `parentOf`.
    pub relationship: String,
    /// Its manifest is kept.
    #[serde(default)]
    pub manifest: bool,
    /// What the check of its manifest found when the other file was made; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultOrigin {
    /// The id that is written into the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(flatten)]
    pub said: Origin,
    /// Whether a C2PA manifest signs for it.
    pub signed: bool,
    /// Why none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<Unsigned>,
    /// The inputs that say something of themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputOrigin>,
}

/// Why a result is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsigned {
    /// It was to be signed, and the service has no key.
    NoKey,
    /// It was not to be signed.
    Off,
}

/// Of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputOrigin {
    pub input: Input,
    #[serde(flatten)]
    pub said: Origin,
}

/// What a result is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OriginInput)]
pub enum Input {
    /// What the user gave.
    Source,
    /// What the provider returned.
    Generated,
}

/// A word of a later release is no reason to leave the job alone: nothing is decided by it.
pub(super) fn if_readable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let given = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(given).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Published;

    #[test]
    fn a_result_of_a_later_release_is_read_without_what_is_not_known() {
        let read = |provenance: serde_json::Value| -> Published {
            let published = json!({
                "video": "v", "poster": "p", "metadata": "m",
                "bytes": 1, "duration_ms": 1, "width": 2, "height": 2,
                "provenance": provenance,
            });
            serde_json::from_value(published).unwrap()
        };
        let known = json!({"signed": false, "unsigned": "no_key", "generator": "a program"});
        let read_known = read(known.clone()).provenance.unwrap();
        assert_eq!(serde_json::to_value(read_known).unwrap(), known);
        let later = json!({"signed": false, "unsigned": "a word of tomorrow"});
        assert_eq!(read(later).provenance, None);
        assert_eq!(read(json!(null)).provenance, None);
    }
}
