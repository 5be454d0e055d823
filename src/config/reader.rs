//! Reads settings out of merged sources, by what the table says of them, and remembers every fault.

use std::collections::BTreeSet;
use std::fmt;

use config::{Config, ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::table::{Formed, Keyed as _, Nested, Open, Setting};
use crate::fields::Form;

pub(super) const NO_SETTING: &str = "is not a setting";

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

    /// A list or a table.
    pub(super) fn nested<T: DeserializeOwned>(&mut self, setting: &Open<Nested>) -> Option<T> {
        self.get(&setting.key())
    }

    /// A table of the file, by its dotted name.
    pub(super) fn table<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.get(key)
    }

    /// The names of the tables below `key`.
    pub(super) fn tables(&mut self, key: &str) -> Vec<String> {
        match self.config.get_table(key) {
            Ok(table) => table.into_keys().collect(),
            Err(ConfigError::NotFound(_)) => Vec::new(),
            Err(_) => {
                self.fault(key, "must be a table");
                Vec::new()
            }
        }
    }

    /// How many items a list has; `None` where it is not set.
    pub(super) fn items(&mut self, setting: &Open<Nested>) -> Option<usize> {
        self.nested::<Vec<Value>>(setting).map(|items| items.len())
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
