//! Reads settings out of merged sources, by what the table says of them, and remembers every fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use config::{Config, ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::table::{AsItIs, EachOf, Formed, Keyed as _, ListOf, Listed, Nested, Open, Setting};
use crate::fields::{Form, Word};

const NO_SETTING: &str = "is not a setting";

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The dotted key, or the file.
    pub key: String,
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

#[derive(Debug)]
pub(super) struct Reader {
    config: Config,
    known: BTreeSet<String>,
    faults: Vec<ConfigFault>,
}

impl Reader {
    pub(super) fn new(config: Config, faults: Vec<ConfigFault>) -> Self {
        Self {
            config,
            known: BTreeSet::new(),
            faults,
        }
    }

    pub(super) fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(ConfigFault {
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// A value as serde reads it; `None` where it is not set.
    fn get<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.known.insert(key.to_owned());
        match self.config.get::<T>(key) {
            Ok(value) => Some(value),
            Err(ConfigError::NotFound(_)) => None,
            Err(error) => {
                let message = match error {
                    ConfigError::Type {
                        unexpected,
                        expected,
                        ..
                    } => {
                        format!("expected {expected}, found {unexpected}")
                    }
                    other => other.to_string(),
                };
                self.fault(key, message);
                None
            }
        }
    }

    fn read<F: Form>(&mut self, key: &str, form: &F) -> Option<F::Value> {
        let text: String = self.get(key)?;
        match form.of_text(&text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(key, message);
                None
            }
        }
    }

    /// What a setting says, or its default.
    pub(super) fn value<F: Form>(&mut self, setting: &Setting<F>) -> F::Value {
        self.given(setting)
            .unwrap_or_else(|| setting.default.clone())
    }

    /// What a setting says; `None` where it is not set.
    pub(super) fn given<S: Formed>(&mut self, setting: &S) -> Option<<S::Form as Form>::Value> {
        self.read(&setting.key(), setting.form())
    }

    /// As [`Self::given`], in another table than the setting's own.
    pub(super) fn given_at<S: Formed>(
        &mut self,
        at: &str,
        setting: &S,
    ) -> Option<<S::Form as Form>::Value> {
        self.read(&format!("{at}.{}", setting.field()), setting.form())
    }

    /// As [`Self::value`], in another table than the setting's own.
    pub(super) fn value_at<F: Form>(&mut self, at: &str, setting: &Setting<F>) -> F::Value {
        self.given_at(at, setting)
            .unwrap_or_else(|| setting.default.clone())
    }

    /// As [`Self::given_at`], where it has to be there.
    pub(super) fn needed_at<S: Formed>(
        &mut self,
        at: &str,
        setting: &S,
    ) -> Option<<S::Form as Form>::Value> {
        self.is_there(at, setting.field());
        self.given_at(at, setting)
    }

    fn is_there(&mut self, at: &str, field: &str) {
        let key = format!("{at}.{field}");
        if !self.has(&key) {
            self.fault(&key, "is required");
        }
    }

    /// A list of plain values; `None` where it is not set, or one of them is wrong.
    pub(super) fn list_at<F: Form>(
        &mut self,
        at: &str,
        setting: &Open<ListOf<F>>,
    ) -> Option<Vec<F::Value>> {
        let items = self.items(&format!("{at}.{}", setting.field()))?;
        let values: Vec<Option<F::Value>> = items
            .iter()
            .map(|item| self.read(item, &setting.form.0))
            .collect();
        values.into_iter().collect()
    }

    /// A table of plain values by words; `None` where it is not set, or something in it is wrong.
    pub(super) fn each_at<K: Ord, F: Form>(
        &mut self,
        at: &str,
        setting: &Open<EachOf<K, F>>,
    ) -> Option<BTreeMap<K, F::Value>>
    where
        Word<K>: Form<Value = K>,
    {
        let key = format!("{at}.{}", setting.field());
        self.has(&key).then_some(())?;
        let EachOf(word, form) = &setting.form;
        let entries: Vec<Option<(K, F::Value)>> = self
            .entries(&key, word)
            .into_iter()
            .map(|(word, at)| Some((word, self.read(&at, form)?)))
            .collect();
        entries.into_iter().collect()
    }

    /// The same where it has to be there.
    pub(super) fn needed_each_at<K: Ord, F: Form>(
        &mut self,
        at: &str,
        setting: &Open<EachOf<K, F>>,
    ) -> Option<BTreeMap<K, F::Value>>
    where
        Word<K>: Form<Value = K>,
    {
        self.is_there(at, setting.field());
        self.each_at(at, setting)
    }

    /// What is passed on as it is.
    pub(super) fn as_it_is_at<T: DeserializeOwned>(
        &mut self,
        at: &str,
        setting: &Open<AsItIs>,
    ) -> Option<T> {
        self.get(&format!("{at}.{}", setting.field()))
    }

    /// What a table below `key` is called by, and where it is. A name that the form does not take
    /// is a fault, and whatever stands there with it.
    pub(super) fn entries<F: Form>(&mut self, key: &str, names: &F) -> Vec<(F::Value, String)> {
        let mut entries = Vec::new();
        for name in self.tables(key) {
            let at = format!("{key}.{name}");
            match names.of_text(&name) {
                Ok(name) => entries.push((name, at)),
                Err(message) => {
                    self.known.insert(at.clone());
                    self.fault(&at, message);
                }
            }
        }
        entries
    }

    /// Where the items of a list are, each a table of these fields and no others; `None` where the
    /// list is not set.
    pub(super) fn listed(
        &mut self,
        setting: &Open<Nested>,
        fields: &[&dyn Listed],
    ) -> Option<Vec<String>> {
        let mut tables = Vec::new();
        for item in self.items(&setting.key())? {
            let Some(names) = self.names(&item) else {
                continue;
            };
            for name in names {
                if !fields.iter().any(|field| field.field() == name) {
                    self.fault(&format!("{item}.{name}"), NO_SETTING);
                }
            }
            tables.push(item);
        }
        Some(tables)
    }

    /// The names of the tables below `key`.
    pub(super) fn tables(&mut self, key: &str) -> Vec<String> {
        self.names(key).unwrap_or_default()
    }

    /// The names in a table; `None` where it is not set, or is none.
    fn names(&mut self, key: &str) -> Option<Vec<String>> {
        match self.config.get_table(key) {
            Ok(table) => {
                let mut names: Vec<String> = table.into_keys().collect();
                names.sort_unstable();
                Some(names)
            }
            Err(ConfigError::NotFound(_)) => None,
            Err(_) => {
                self.known.insert(key.to_owned());
                self.fault(key, "must be a table");
                None
            }
        }
    }

    /// Where the items of a list are; `None` where it is not set.
    fn items(&mut self, key: &str) -> Option<Vec<String>> {
        match self.get::<Value>(key)?.kind {
            ValueKind::Array(items) => {
                let items = 0..items.len();
                Some(items.map(|index| format!("{key}[{index}]")).collect())
            }
            _ => {
                self.fault(key, "must be a list");
                None
            }
        }
    }

    /// Whether something is set at `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.config.get::<Value>(key).is_ok()
    }

    /// Whether something is known to be wrong there.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    /// Every fault, keys that nobody reads among them.
    pub(super) fn finish(mut self) -> Vec<ConfigFault> {
        let mut leaves = Vec::new();
        collect(&self.config.cache, String::new(), &mut leaves);
        for leaf in leaves {
            let read = self.known.iter().any(|known| {
                leaf == *known
                    || leaf
                        .strip_prefix(known.as_str())
                        .is_some_and(|rest| rest.starts_with('.'))
            });
            if !read {
                self.fault(&leaf, NO_SETTING);
            }
        }
        self.faults
    }
}

fn collect(value: &Value, path: String, leaves: &mut Vec<String>) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                collect(value, path, leaves);
            }
        }
        _ => leaves.push(path),
    }
}
