//! What a write changes of a document: fields that are set and fields that go, by their paths.

use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{MapValue, Value, Write};

use super::paths::DocumentPath;
use super::values::{self, Fields};
use super::writes::{Only, update};

/// Fields to set and fields to remove (`None`), by their paths.
#[derive(Debug, Default)]
pub(super) struct Difference(Vec<(Vec<String>, Option<Value>)>);

impl Difference {
    /// `there` is what the document holds, `before` what of it we understood.
    pub(super) fn note(
        &mut self,
        path: &[&str],
        (there, before, after): (Option<&Value>, Option<&Value>, Option<&Value>),
    ) {
        let Some(after) = after else {
            if before.is_some() {
                self.remove(path);
            }
            return;
        };
        match (there.and_then(map), map(after)) {
            (Some(there), Some(after)) => {
                let before = before.and_then(map);
                let gone = before.iter().flat_map(|map| map.keys());
                let mut names: Vec<&String> = gone.chain(after.keys()).collect();
                names.sort_unstable();
                names.dedup();
                for name in names {
                    let path = [path, &[name.as_str()]].concat();
                    let before = before.and_then(|map| map.get(name));
                    self.note(&path, (there.get(name), before, after.get(name)));
                }
            }
            _ if there.is_none() || before != Some(after) => self.set(path, after.clone()),
            _ => {}
        }
    }

    pub(super) fn remove(&mut self, path: &[&str]) {
        self.note_step(path, None);
    }

    pub(super) fn set(&mut self, path: &[&str], value: Value) {
        self.note_step(path, Some(value));
    }

    fn note_step(&mut self, path: &[&str], value: Option<Value>) {
        let path = path.iter().map(|name| (*name).to_owned());
        self.0.push((path.collect(), value));
    }

    /// What the write makes of a document's fields.
    pub(super) fn applied_to(&self, fields: &Fields) -> Fields {
        let mut fields = fields.clone();
        for (path, value) in &self.0 {
            put(&mut fields, path, value.as_ref());
        }
        fields
    }

    pub(super) fn into_write(self, place: &DocumentPath, only: Only) -> Write {
        let mut fields = Fields::new();
        let mut mask = Vec::new();
        for (path, value) in &self.0 {
            mask.push(joined(path));
            if value.is_some() {
                put(&mut fields, path, value.as_ref());
            }
        }
        update(place, fields, mask, only)
    }
}

/// Sets what lies at the path, or takes it away.
fn put(fields: &mut Fields, path: &[String], value: Option<&Value>) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        match value {
            Some(value) => fields.insert(name.clone(), value.clone()),
            None => fields.remove(name),
        };
        return;
    }
    let there = fields.get_mut(name).map(|value| &mut value.value_type);
    match (there, value) {
        (Some(Some(ValueType::MapValue(map))), _) => put(&mut map.fields, rest, value),
        (_, None) => {}
        (_, Some(_)) => {
            let mut map = MapValue::default();
            put(&mut map.fields, rest, value);
            fields.insert(name.clone(), values::of(ValueType::MapValue(map)));
        }
    }
}

pub(super) fn map(value: &Value) -> Option<&Fields> {
    match &value.value_type {
        Some(ValueType::MapValue(map)) => Some(&map.fields),
        _ => None,
    }
}

/// A path as masks name it: quoted where a name is more than letters, digits and `_`.
pub(super) fn joined(path: &[String]) -> String {
    let parts = path.iter().map(|name| {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        if plain && !name.is_empty() {
            name.clone()
        } else {
            format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
        }
    });
    parts.collect::<Vec<_>>().join(".")
}
