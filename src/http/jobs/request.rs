//! What a creation asks for, read strictly: a misspelt field would otherwise be paid for and
//! silently left out. Every fault is told at once. Each field is declared once; the schemas of the
//! API's document are made from the same declarations.

mod notify;
mod options;
mod output;
mod rules;
mod source;

use std::time::Duration;

use serde_json::{Map, Value, json};
use strum::IntoEnumIterator as _;

pub(super) use options::{read_links, read_replay, read_retry};

use self::notify::NotifyForm;
use self::options::deadline;
use self::output::{Layer, OutputForm};
use self::rules::{Rules, UNKNOWN};
use self::source::{Input, SourceForm};
use super::texts::{Dollars, OwnerName, Tags, Words, owner, reference};
use crate::fields::{Bounds, Described, Fault, Field, Object, Real, Scalar, object_schema, one_of};
use crate::http::caller::Caller;
use crate::http::{HttpSettings, HttpState, LOCAL_OWNER};
use crate::job::{Kind, Label, LabelChoice, Notify, Output, Owner, Params, Source};
use crate::media::MOST_LABEL;

/// A job as asked for, checked.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    pub(in crate::http) owner: Owner,
    pub(in crate::http) params: Params,
    pub(in crate::http) source: Source,
    pub(in crate::http) output: Output,
    pub(in crate::http) notify: Notify,
    pub(in crate::http) deadline: Option<Duration>,
    pub(in crate::http) max_price: Option<f64>,
    pub(in crate::http) tags: Vec<String>,
    /// Absent: as the settings have it.
    label: Option<LabelChoice>,
}

/// US dollars: no video costs as much.
const MOST_PRICE: f64 = 10_000.0;

/// The fields of a creation.
struct NewJob<'a> {
    kind: Field<KindName>,
    owner: Field<OwnerName>,
    params: ParamsField,
    source: Field<SourceForm<'a>>,
    output: Field<OutputForm<'a>>,
    notify: Field<NotifyForm<'a>>,
    deadline: Field<options::Seconds>,
    max_price: Field<Dollars>,
    tags: Field<Tags>,
    label: Field<Words>,
}

impl<'a> NewJob<'a> {
    /// `kind`: `None` where a body names none that there is.
    fn of(kind: Option<Kind>, rules: Rules<'a>) -> Self {
        Self {
            kind: Field::needed("kind", KindName(kind), ""),
            owner: Field::optional(
                "owner",
                OwnerName,
                "Whose job it is. A token that belongs to an owner allows only that owner, and is \
                 the default; with an operator's token anybody.",
            ),
            params: ParamsField(kind),
            source: Field::needed("source", SourceForm::of(kind, rules), ""),
            output: Field::optional("output", OutputForm(rules), ""),
            notify: Field::optional("notify", NotifyForm(rules.settings), ""),
            deadline: deadline(),
            max_price: Field::optional(
                "max_price",
                Dollars(Real(Bounds::Within(0.0, MOST_PRICE))),
                "US dollars that the provider may be paid by its price list. A model that costs \
                 more, or has no listed price, is not asked.",
            ),
            tags: Field::optional("tags", Tags, "Words of yours, for lists and notices."),
            label: Field::optional(
                "label",
                Words(MOST_LABEL),
                "The visible label of the result: `on`, `off`, or words of yours. Left out: as the \
                 operator has it.",
            ),
        }
    }

    fn listed(&self) -> [&dyn Described; 10] {
        [
            &self.kind,
            &self.owner,
            &self.params,
            &self.source,
            &self.output,
            &self.notify,
            &self.deadline,
            &self.max_price,
            &self.tags,
            &self.label,
        ]
    }
}

impl Wanted {
    /// The visible label of its result: as it says, else as the service has it.
    pub(in crate::http) fn label(&self, settings: &HttpSettings) -> Option<Label> {
        match &self.label {
            Some(choice) => choice.clone().label(&settings.label),
            None => settings.provenance.label.clone(),
        }
    }
}

/// Reads a creation's body. Text is laid out to see that it can be drawn.
pub(in crate::http) async fn read(
    body: &Value,
    caller: &Caller,
    state: &HttpState,
) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Vec::new();
    let found = fields_of(body, caller, state, &mut faults);
    let words = found.words(&state.settings.label);
    let layers = &found.output.watermark;
    faults.extend(state.check_marks.faults(layers, words.as_ref()).await);
    match (found.owner, found.params, found.source) {
        (Some(owner), Some(params), Some(source)) if faults.is_empty() => Ok(Wanted {
            owner,
            params,
            source,
            output: found.output,
            notify: found.notify,
            deadline: found.deadline.map(Duration::from_secs),
            max_price: found.max_price,
            tags: found.tags,
            label: found.label,
        }),
        _ => Err(faults),
    }
}

/// What of a body could be read.
#[derive(Default)]
struct Found {
    owner: Option<Owner>,
    params: Option<Params>,
    source: Option<Source>,
    output: Output,
    notify: Notify,
    deadline: Option<u64>,
    max_price: Option<f64>,
    tags: Vec<String>,
    label: Option<LabelChoice>,
}

impl Found {
    /// A label in words of the job's own.
    fn words(&self, usual: &Label) -> Option<Label> {
        let choice = self.label.clone();
        let own = choice.filter(|choice| matches!(choice, LabelChoice::Words(_)));
        own.and_then(|own| own.label(usual))
    }
}

fn fields_of(body: &Value, caller: &Caller, state: &HttpState, faults: &mut Vec<Fault>) -> Found {
    let Some(body) = Object::read(body, "", faults) else {
        return Found::default();
    };
    let named = body.get("kind").map(|kind| KindName(None).of_json(kind));
    let kind = named.clone().and_then(Result::ok);
    // Faults that depend on whose job it is are looked for even when that is not known.
    let mut owners = Vec::new();
    let owner = owner(body, caller, &mut owners);
    let assumed = owner.clone().or_else(|| LOCAL_OWNER.parse().ok());
    let fields = NewJob::of(
        kind,
        Rules {
            settings: &state.settings,
            owner: assumed.as_ref(),
        },
    );
    body.only(&fields.listed(), UNKNOWN, faults);
    faults.append(&mut owners);
    Found {
        params: params(body, named, faults),
        source: body.field(&fields.source, faults),
        output: body.field(&fields.output, faults).unwrap_or_default(),
        notify: body.field(&fields.notify, faults).unwrap_or_default(),
        deadline: body.field(&fields.deadline, faults),
        max_price: body.field(&fields.max_price, faults),
        tags: body.field(&fields.tags, faults).unwrap_or_default(),
        label: body
            .field(&fields.label, faults)
            .map(|words| LabelChoice::of(words.trim())),
        owner,
    }
}

fn params(
    body: Object<'_>,
    named: Option<Result<Kind, String>>,
    faults: &mut Vec<Fault>,
) -> Option<Params> {
    let named = named.unwrap_or_else(|| Err(format!("is required and {}", one_of::<Kind>())));
    let kind = match named {
        Ok(kind) => kind,
        Err(message) => {
            faults.push(Fault::new("kind", message));
            return None;
        }
    };
    let given = body.get("params").unwrap_or(&Value::Null);
    Params::parse(kind, given)
        .map_err(|found| faults.extend(found))
        .ok()
}

/// Which kind a schema is about.
struct KindName(Option<Kind>);

impl Scalar for KindName {
    type Value = Kind;

    fn of_json(&self, value: &Value) -> Result<Kind, String> {
        let kind = value.as_str().and_then(|kind| kind.parse().ok());
        kind.ok_or_else(one_of::<Kind>)
    }

    fn schema(&self) -> Value {
        let kinds: Vec<&str> = self.0.iter().map(|kind| kind.as_str()).collect();
        json!({"type": "string", "enum": kinds})
    }
}

/// The parameters of a kind, which say themselves whether they may be left out.
struct ParamsField(Option<Kind>);

impl ParamsField {
    fn fields(&self) -> &'static [&'static dyn Described] {
        self.0.map_or(&[], Params::fields)
    }
}

impl Described for ParamsField {
    fn name(&self) -> &'static str {
        "params"
    }

    fn is_needed(&self) -> bool {
        self.fields().iter().any(|field| field.is_needed())
    }

    fn about(&self) -> &'static str {
        ""
    }

    fn form_schema(&self) -> Value {
        object_schema(self.fields())
    }

    fn schema(&self) -> Value {
        let schema = self.form_schema();
        if self.is_needed() {
            return schema;
        }
        json!({"anyOf": [schema, {"type": "null"}]})
    }
}

/// Schemas that are no type of ours, by name.
pub(in crate::http) fn schemas(settings: &HttpSettings) -> Vec<(&'static str, Value)> {
    let rules = Rules {
        settings,
        owner: None,
    };
    let mut schemas = vec![
        ("NewJob", new_job()),
        ("NewOutput", OutputForm(rules).object()),
        ("NewWatermark", Layer(rules).object()),
        ("NewNotify", NotifyForm(settings).object()),
        ("Input", Input(rules).text()),
        ("RetryOptions", options::schema(&deadline())),
        ("ReplayOptions", options::schema(&options::replay_fields())),
        (
            "LinksOptions",
            options::schema(&options::links_fields(settings.longest_link)),
        ),
    ];
    schemas.extend(Kind::iter().map(|kind| {
        let fields = NewJob::of(Some(kind), rules);
        (name_of(kind), object_schema(&fields.listed()))
    }));
    schemas
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::CharacterReplace => "NewCharacterReplace",
        Kind::Extend => "NewExtend",
        Kind::Upscale => "NewUpscale",
    }
}

fn new_job() -> Value {
    let kinds: Vec<Value> = Kind::iter().map(|kind| reference(name_of(kind))).collect();
    let mapping: Map<String, Value> = Kind::iter()
        .map(|kind| {
            let place = format!("#/components/schemas/{}", name_of(kind));
            (kind.as_str().to_owned(), Value::from(place))
        })
        .collect();
    json!({
        "description": "A job as asked for. `null` says the same as leaving a field out.",
        "oneOf": kinds,
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    })
}
