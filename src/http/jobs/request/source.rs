//! What a job is made from.

use serde_json::{Value, json};

use super::rules::{Rules, UNKNOWN};
use crate::fields::{Described, Fault, Field, Json, Object, Scalar, object_schema, text};
use crate::http::jobs::shape;
use crate::http::jobs::texts::{Pattern, reference};
use crate::job::{Kind, MediaRef, Source, inputs};
use crate::outgoing;

/// An input: somewhere we may go, or one of the owner's own objects.
pub(super) struct Input<'a>(pub(super) Rules<'a>);

impl Input<'_> {
    /// The schema that others refer to.
    pub(super) fn text(&self) -> Value {
        json!({
            "type": "string",
            "maxLength": shape::MAX_ADDRESS_CHARS,
            "pattern": shape::input(self.0.settings.allow_loopback),
            "description": "An https address on the public internet without user name and \
                            password, or an upload of the job's owner as `POST /v1/sources` named it.",
            "examples": ["https://media.example.com/clip.mp4"],
        })
    }

    /// Why we do not go there.
    fn refusal(&self, reference: &MediaRef) -> Option<String> {
        match reference {
            MediaRef::Web(url) => outgoing::check_url(url, self.0.settings.allow_loopback)
                .err()
                .map(|refused| refused.to_string()),
            MediaRef::Object(object) => {
                let own = inputs::folder_of(self.0.owner?) + "/";
                (!object.starts_with(&own) || object.len() == own.len())
                    .then(|| format!("must be an upload of yours, under {own}"))
            }
        }
    }
}

impl Scalar for Input<'_> {
    type Value = MediaRef;

    fn of_json(&self, value: &Value) -> Result<MediaRef, String> {
        let text = text(value)?;
        let reference: MediaRef = text.parse().map_err(|error| format!("{error}"))?;
        // The wrong place is told in words of its own; then the form is held to the letter.
        let refused = self.refusal(&reference).or_else(|| {
            (!shape::fits_input(text)).then(|| {
                "must be an address without spaces and backslashes, or an upload's name".to_owned()
            })
        });
        refused.map_or(Ok(reference), Err)
    }

    fn schema(&self) -> Value {
        reference("Input")
    }
}

/// The picture, which some kinds need and others have no use for.
struct Image<'a> {
    input: Input<'a>,
    unused_by: Option<Kind>,
}

impl Json for Image<'_> {
    type Value = MediaRef;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<MediaRef> {
        if let Some(kind) = self.unused_by {
            let message = format!("is not used by {}", kind.as_str());
            faults.push(Fault::new(at, message));
        }
        self.input.read(value, at, faults)
    }

    fn schema(&self) -> Value {
        match self.unused_by {
            None => Json::schema(&self.input),
            Some(_) => json!({"type": "null"}),
        }
    }
}

/// `source`.
pub(super) struct SourceForm<'a> {
    video: Field<Input<'a>>,
    image: Field<Image<'a>>,
    audio_track: Field<Pattern>,
}

impl<'a> SourceForm<'a> {
    pub(super) fn of(kind: Option<Kind>, rules: Rules<'a>) -> Self {
        let unused_by = kind.filter(|kind| !kind.needs_image());
        let input = Input(rules);
        let image = Image { input, unused_by };
        Self {
            video: Field::needed("video", Input(rules), ""),
            image: match kind {
                Some(kind) if kind.needs_image() => Field::needed("image", image, ""),
                Some(_) => Field::told("image", image, ""),
                None => Field::optional("image", image, ""),
            },
            audio_track: Field::optional(
                "audio_track",
                Pattern {
                    pattern: shape::AUDIO_TRACK,
                    fits: shape::fits_audio_track,
                    otherwise: "must be the number of a track of sound, from 1, or a language \
                                such as deu",
                    examples: &["2", "deu"],
                },
                "Which of the video's tracks of sound is put into the result: its number, from 1, \
                 or its language as the file writes it. Left out: what the provider returns, or \
                 the first that can be used.",
            ),
        }
    }

    fn listed(&self) -> [&dyn Described; 3] {
        [&self.video, &self.image, &self.audio_track]
    }
}

impl Json for SourceForm<'_> {
    type Value = Source;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Source> {
        let object = Object::read(value, at, faults)?;
        object.only(&self.listed(), UNKNOWN, faults);
        let image = object.field(&self.image, faults);
        let audio_track = object.field(&self.audio_track, faults);
        Some(Source {
            video: object.field(&self.video, faults)?,
            image,
            audio_track,
        })
    }

    fn schema(&self) -> Value {
        object_schema(&self.listed())
    }
}
