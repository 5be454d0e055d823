//! The query of a request: its parameters are fields as those of a body are.

use serde_json::{Map, Value};
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use super::fault::Fault;
use super::object::{Described, Object};

/// What a query says, by the names of its parameters.
#[derive(Debug, Clone, Default)]
pub struct Query(Map<String, Value>);

impl Query {
    /// Reads a query in which `known` may stand. A parameter that is given twice has two meanings.
    /// What is not known is kept, for [`Object::only`].
    pub fn read(text: &str, known: &[&dyn Described], faults: &mut Vec<Fault>) -> Self {
        let mut given = Map::new();
        for (name, text) in url::form_urlencoded::parse(text.as_bytes()) {
            let field = known.iter().find(|field| field.name() == name);
            if given.contains_key(name.as_ref()) {
                let fault = field.map(|field| Fault::new(field.name(), "is given twice"));
                faults.extend(fault.filter(|fault| !faults.contains(fault)));
                continue;
            }
            let schema = field.map(|field| field.form_schema()).unwrap_or_default();
            given.insert(name.into_owned(), value(&text, &schema));
        }
        Self(given)
    }

    /// Texts that were taken apart already.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let given = texts.into_iter();
        Self(
            given
                .map(|(name, text)| (name.to_owned(), text.into()))
                .collect(),
        )
    }

    #[must_use]
    pub fn object(&self) -> Object<'_> {
        Object::whole(&self.0)
    }
}

/// A query is all text: what of it is a number, the field says.
fn value(text: &str, schema: &Value) -> Value {
    let number = (schema["type"] == "integer").then(|| text.parse::<i64>().ok());
    number.flatten().map_or_else(|| text.into(), Value::from)
}

/// The parameters of a query, for the API's document. One that may be left out is absent then,
/// never `null`.
#[must_use]
pub fn query_parameters(fields: &[&dyn Described]) -> Vec<Parameter> {
    let parameter = |field: &&dyn Described| {
        let schema = serde_json::from_value(field.form_schema()).ok();
        let builder = ParameterBuilder::new()
            .name(field.name())
            .parameter_in(ParameterIn::Query)
            .required(match field.is_needed() {
                true => Required::True,
                false => Required::False,
            })
            .description(Some(field.about()))
            .schema::<utoipa::openapi::RefOr<utoipa::openapi::Schema>>(schema);
        builder.build()
    };
    fields.iter().map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::{Bounds, Field, Usual, Whole};

    static LIMIT: Usual<Whole<u32>> = Usual::new(
        "limit",
        Whole(Bounds::Within(1, 100)),
        20,
        "at most so many",
    );
    static ROUND: Field<Whole<u32>> = Field::needed("round", Whole(Bounds::AtLeast(1)), "which");
    static KNOWN: &[&dyn Described] = &[&LIMIT, &ROUND];

    fn read(text: &str) -> Result<(u32, Option<u32>), Vec<String>> {
        let mut faults = Vec::new();
        let query = Query::read(text, KNOWN, &mut faults);
        let limit = query.object().usual(&LIMIT, &mut faults);
        let round = query.object().field(&ROUND, &mut faults);
        query.object().only(KNOWN, "is not known", &mut faults);
        match faults.is_empty() {
            true => Ok((limit, round)),
            false => Err(faults.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_query_is_read_by_its_fields() {
        assert_eq!(read("round=2&limit=100"), Ok((100, Some(2))));
        assert_eq!(read("round=2"), Ok((20, Some(2))));
        assert_eq!(
            read("limit=101&sort=up&sort=down&limit=5").unwrap_err(),
            [
                "limit: is given twice",
                "limit: must be a whole number from 1 to 100",
                "round: is required",
                "sort: is not known",
            ]
        );
        for wrong in ["limit=", "limit=many", "limit=1.5", "limit=%205"] {
            let faults = read(&format!("round=1&{wrong}")).unwrap_err();
            let told = "limit: must be a whole number from 1 to 100";
            assert_eq!(faults, [told], "{wrong}");
        }
    }

    #[test]
    fn the_document_says_what_the_reader_takes() {
        let told = serde_json::to_value(query_parameters(KNOWN)).unwrap();
        assert_eq!(
            told,
            json!([
                {
                    "name": "limit", "in": "query", "required": false,
                    "description": "at most so many",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
                },
                {
                    "name": "round", "in": "query", "required": true, "description": "which",
                    "schema": {"type": "integer", "minimum": 1},
                },
            ])
        );
    }
}
