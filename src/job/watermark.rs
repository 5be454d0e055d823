//! A watermark in words. The media engine gives them their meaning.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MediaRef;

/// One layer of a watermark as asked for. What is left out is the operator's, or the engine's
/// default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WatermarkSpec {
    /// Absent: the operator's logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<MediaRef>,
    /// Text in place of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Family of the text's font; absent: the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font: Option<String>,
    /// Height of the text's capital letters: `4%` of the short side, or pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Of the text: `#rrggbb`, or `#rrggbbaa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Of a line around each letter, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stroke: Option<String>,
    /// Of a box behind the text, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Width of the logo: `15%` of the short side, or pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// Distance from the anchored left or right edge: `3%` of the short side, or pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_x: Option<String>,
    /// Distance from the anchored top or bottom edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opacity: Option<f32>,
    /// Shown from here on, in milliseconds of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Shown until before this; absent: to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fade_in_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fade_out_ms: Option<u64>,
}

/// The form that [`one_or_many`] writes, for the API's document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum OneOrMany {
    One(Box<WatermarkSpec>),
    Many(Vec<WatermarkSpec>),
}

/// One value, or a list of them.
pub(super) mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::WatermarkSpec;

    pub(in super::super) fn serialize<S: Serializer>(
        layers: &[WatermarkSpec],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match layers {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<WatermarkSpec>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Many(Vec<WatermarkSpec>),
            One(Box<WatermarkSpec>),
        }
        // A creator of documents may write null for "none".
        Ok(match Option::<Given>::deserialize(deserializer)? {
            Some(Given::Many(layers)) => layers,
            Some(Given::One(layer)) => vec![*layer],
            None => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Output;

    fn read(value: Value) -> Output {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn one_layer_is_a_map_and_several_are_a_list() {
        let one = json!({"profile": "web", "watermark": {"anchor": "top"}});
        assert_eq!(read(one.clone()).watermark.len(), 1);
        assert_eq!(serde_json::to_value(read(one.clone())).unwrap(), one);
        let listed = json!({"profile": "web", "watermark": [{"anchor": "top"}]});
        assert_eq!(read(listed), read(one));
        let two = json!({"profile": "web", "watermark": [{"anchor": "top"}, {"from_ms": 5}]});
        assert_eq!(serde_json::to_value(read(two.clone())).unwrap(), two);
        for none in [
            json!({"profile": "web"}),
            json!({"profile": "web", "watermark": null}),
        ] {
            assert!(read(none).watermark.is_empty());
        }
    }
}
