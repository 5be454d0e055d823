//! What is known of a model, and what follows for its price and its parameters.

use serde_json::{Value, json};
use url::Url;

use crate::job::Kind;

use Shape::{Address, Flag, NumberOf, OneOf, Text, Whole};

/// A model of the stand-in.
#[derive(Debug)]
pub(in crate::sandbox) struct CatalogModel {
    pub(in crate::sandbox) id: &'static str,
    pub(in crate::sandbox) kind: Kind,
    /// US dollars for a second of video, by size; the last one where no size is said.
    pub(super) rates: &'static [(&'static str, f64)],
    /// The source's seconds are billed besides the new ones.
    pub(in crate::sandbox) bills_source: bool,
    /// Seconds that are billed at least.
    pub(in crate::sandbox) least_s: u32,
    /// `duration` is that of the whole video, not of the new part.
    pub(in crate::sandbox) whole: bool,
    pub(super) parameters: &'static [Parameter],
}

/// Name, whether it has to be there, and what may stand there.
pub(super) type Parameter = (&'static str, bool, Shape);

#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Address,
    Text,
    Flag,
    OneOf(&'static [&'static str]),
    Whole(i64, i64),
    NumberOf(&'static [i64]),
}

/// A parameter at fault: the business code (1400 missing, 1401 invalid) and the words.
pub(in crate::sandbox) type Invalid = (i64, String);

impl CatalogModel {
    pub(super) fn listed(&self) -> Value {
        let required: Vec<_> = self
            .parameters
            .iter()
            .filter(|(_, required, _)| *required)
            .map(|(name, ..)| *name)
            .collect();
        let properties: serde_json::Map<_, _> = self
            .parameters
            .iter()
            .map(|(name, _, shape)| ((*name).to_owned(), shape.schema()))
            .collect();
        json!({
            "model_id": self.id,
            "name": self.id,
            "description": "made on this machine",
            "type": "video-to-video",
            "base_price": self.usual_rate() * 5.0,
            "formula": self.formula(),
            "api_schema": {"api_schemas": [{
                "type": "model_run",
                "method": "POST",
                "api_path": format!("/api/v3/{}", self.id),
                "request_schema": {
                    "type": "object", "properties": properties, "required": required,
                },
            }]},
        })
    }

    fn usual_rate(&self) -> f64 {
        self.rates.last().map_or(0.0, |(_, rate)| *rate)
    }

    fn size_parameter(&self) -> &'static str {
        match self.kind {
            Kind::Upscale => "target_resolution",
            Kind::CharacterReplace | Kind::Extend => "resolution",
        }
    }

    /// US dollars for `video_s` seconds of input.
    pub(in crate::sandbox) fn price(&self, inputs: &Value, video_s: f64) -> f64 {
        let size = inputs[self.size_parameter()].as_str();
        let rate = self
            .rates
            .iter()
            .find(|(name, _)| Some(*name) == size)
            .map_or(self.usual_rate(), |(_, rate)| *rate);
        let seconds = match self.kind {
            Kind::Extend => {
                let source = if self.bills_source { video_s } else { 0.0 };
                inputs["duration"].as_f64().unwrap_or(5.0) + source
            }
            Kind::CharacterReplace | Kind::Upscale => video_s,
        };
        rate * seconds.max(f64::from(self.least_s))
    }

    /// The same, as the catalogue words it: in millionths of a dollar.
    fn formula(&self) -> String {
        let size = self.size_parameter();
        let millionths = |rate: f64| (rate * 1e6).round();
        let mut rate = "base_price / 5".to_owned();
        for (name, dollars) in self.rates.iter().rev().skip(1) {
            rate = format!("({size} = \"{name}\" ? {} : {rate})", millionths(*dollars));
        }
        let seconds = match self.kind {
            Kind::Extend if self.bills_source => "(get_duration_v3(video) + duration)".to_owned(),
            Kind::Extend => "duration".to_owned(),
            Kind::CharacterReplace | Kind::Upscale => {
                format!("$max([{}, get_duration_v3(video)])", self.least_s)
            }
        };
        format!("{{\"total_price\": {rate} * {seconds}}}")
    }

    /// Checks a body; parameters nobody documents are let through, as far as is known.
    pub(in crate::sandbox) fn check(&self, body: &Value) -> Result<(), Invalid> {
        if !body.is_object() {
            return Err((1401, "The request body must be a JSON object.".into()));
        }
        for (name, required, _) in self.parameters {
            if *required && body[*name].is_null() {
                return Err((1400, format!("Missing required parameter: {name}.")));
            }
        }
        for (name, _, shape) in self.parameters {
            let value = &body[*name];
            if !value.is_null() && !shape.admits(value) {
                return Err((1401, format!("Invalid parameter: {name}.")));
            }
        }
        Ok(())
    }
}

impl Shape {
    fn admits(self, value: &Value) -> bool {
        match self {
            Address => value
                .as_str()
                .and_then(|text| Url::parse(text).ok())
                .is_some_and(|url| matches!(url.scheme(), "http" | "https")),
            Text => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Flag => value.is_boolean(),
            OneOf(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
            Whole(least, most) => value
                .as_i64()
                .is_some_and(|number| (least..=most).contains(&number)),
            NumberOf(choices) => value
                .as_i64()
                .is_some_and(|number| choices.contains(&number)),
        }
    }

    fn schema(self) -> Value {
        match self {
            Address => json!({"type": "string", "format": "uri"}),
            Text => json!({"type": "string"}),
            Flag => json!({"type": "boolean"}),
            OneOf(choices) => json!({"type": "string", "enum": choices}),
            Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            NumberOf(choices) => json!({"type": "integer", "enum": choices}),
        }
    }
}
