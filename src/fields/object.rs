//! Objects of a request: each of their fields is declared once, and read and told by that.

use std::fmt::Debug;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::json::Json;

/// One field of an object.
#[derive(Debug, Clone)]
pub struct Field<F> {
    name: &'static str,
    form: F,
    about: &'static str,
    presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Needed,
    /// It may be left out, and then may be `null` as well.
    Optional,
    /// The same, and the form's schema says so itself.
    Told,
}

impl<F> Field<F> {
    #[must_use]
    pub const fn needed(name: &'static str, form: F, about: &'static str) -> Self {
        Self {
            name,
            form,
            about,
            presence: Presence::Needed,
        }
    }

    #[must_use]
    pub const fn optional(name: &'static str, form: F, about: &'static str) -> Self {
        Self {
            name,
            form,
            about,
            presence: Presence::Optional,
        }
    }

    #[must_use]
    pub const fn told(name: &'static str, form: F, about: &'static str) -> Self {
        Self {
            name,
            form,
            about,
            presence: Presence::Told,
        }
    }
}

/// A field that has a default.
#[derive(Debug, Clone)]
pub struct Usual<F: Json> {
    field: Field<F>,
    default: F::Value,
}

impl<F: Json> Usual<F> {
    #[must_use]
    pub const fn new(name: &'static str, form: F, default: F::Value, about: &'static str) -> Self {
        Self {
            field: Field::optional(name, form, about),
            default,
        }
    }
}

/// A field, as the schema of its object tells it.
pub trait Described: Sync {
    fn name(&self) -> &'static str;
    fn is_needed(&self) -> bool;
    fn about(&self) -> &'static str;
    /// What it may be where it is given, and its default.
    fn form_schema(&self) -> Value;
    /// The same in its object: with its meaning, and whether `null` may stand for it.
    fn schema(&self) -> Value;
}

impl<F: Json> Field<F> {
    fn in_object(&self, mut schema: Value) -> Value {
        if !self.about.is_empty() {
            schema["description"] = self.about.into();
        }
        match self.presence {
            Presence::Optional => json!({"anyOf": [schema, {"type": "null"}]}),
            Presence::Needed | Presence::Told => schema,
        }
    }
}

impl<F: Json + Sync> Described for Field<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_needed(&self) -> bool {
        self.presence == Presence::Needed
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn form_schema(&self) -> Value {
        self.form.schema()
    }

    fn schema(&self) -> Value {
        self.in_object(self.form_schema())
    }
}

impl<F> Described for Usual<F>
where
    F: Json<Value: Serialize + Sync> + Sync,
{
    fn name(&self) -> &'static str {
        self.field.name
    }

    fn is_needed(&self) -> bool {
        false
    }

    fn about(&self) -> &'static str {
        self.field.about
    }

    fn form_schema(&self) -> Value {
        let mut schema = self.field.form.schema();
        if let Ok(default) = serde_json::to_value(&self.default) {
            schema["default"] = default;
        }
        schema
    }

    fn schema(&self) -> Value {
        self.field.in_object(self.form_schema())
    }
}

/// The schema of an object with these fields and no others.
#[must_use]
pub fn object_schema(fields: &[&dyn Described]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name().to_owned(), field.schema()))
        .collect();
    let needed: Vec<&str> = fields
        .iter()
        .filter(|field| field.is_needed())
        .map(|field| field.name())
        .collect();
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !needed.is_empty() {
        schema["required"] = needed.into();
    }
    schema
}

/// An object of a request, or none, which has no fields.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    fields: Option<&'a Map<String, Value>>,
    at: &'a str,
}

impl<'a> Object<'a> {
    /// What stands at `at`, where the object of a whole body has no name.
    #[must_use]
    pub fn of(value: &'a Value, at: &'a str) -> Option<Self> {
        let fields = Some(value.as_object()?);
        Some(Self { fields, at })
    }

    pub(super) fn whole(fields: &'a Map<String, Value>) -> Self {
        let fields = Some(fields);
        Self { fields, at: "" }
    }

    #[must_use]
    pub fn none(at: &'a str) -> Self {
        Self { fields: None, at }
    }

    /// The same, where anything else is a fault.
    pub fn read(value: &'a Value, at: &'a str, faults: &mut Vec<Fault>) -> Option<Self> {
        let object = Self::of(value, at);
        if object.is_none() {
            let field = if at.is_empty() { "body" } else { at };
            faults.push(Fault::new(field, "must be an object"));
        }
        object
    }

    fn path(&self, name: &str) -> String {
        match self.at {
            "" => name.to_owned(),
            at => format!("{at}.{name}"),
        }
    }

    /// What is there. `null` says the same as leaving it out.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let fields = self.fields?;
        fields.get(name).filter(|value| !value.is_null())
    }

    /// A misspelt field would otherwise be paid for and silently left out.
    pub fn only(&self, known: &[&dyn Described], otherwise: &str, faults: &mut Vec<Fault>) {
        let names = self.fields.into_iter().flat_map(Map::keys);
        for name in names.filter(|name| !known.iter().any(|field| field.name() == *name)) {
            // What is echoed is bounded; a body is not shown back whole.
            let name: String = name.chars().take(80).collect();
            faults.push(Fault::new(self.path(&name), otherwise));
        }
    }

    pub fn field<F: Json>(&self, field: &Field<F>, faults: &mut Vec<Fault>) -> Option<F::Value> {
        match self.get(field.name) {
            Some(value) => field.form.read(value, &self.path(field.name), faults),
            None => {
                if field.presence == Presence::Needed {
                    faults.push(Fault::new(self.path(field.name), "is required"));
                }
                None
            }
        }
    }

    pub fn usual<F>(&self, usual: &Usual<F>, faults: &mut Vec<Fault>) -> F::Value
    where
        F: Json<Value: Clone>,
    {
        self.field(&usual.field, faults)
            .unwrap_or_else(|| usual.default.clone())
    }
}
