//! Reads typed values out of merged sources and remembers every fault.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use config::{Config, ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

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
    pub(super) fn get<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
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

    pub(super) fn get_or<T: DeserializeOwned>(&mut self, key: &str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// A value within bounds; whatever is wrong with it, the fault says them. `None` where it is
    /// not set.
    pub(super) fn within<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let text: String = self.get(key)?;
        // What is no number at all is in no range either.
        let value = text.parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (least, most) = range.into_inner();
            self.fault(
                key,
                format!("must be from {least} to {most}, found “{text}”"),
            );
        }
        value
    }

    /// A value with a textual form of its own.
    pub(super) fn parse<T>(&mut self, key: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text: String = self.get(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(key, format!("“{text}” is not usable: {error}"));
                None
            }
        }
    }

    /// A duration such as `90s` or `2h 30m`.
    pub(super) fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(text) = self.get::<String>(key) else {
            return default;
        };
        humantime::parse_duration(&text).unwrap_or_else(|error| {
            self.fault(
                key,
                format!("“{text}” is not a duration such as 90s or 2h: {error}"),
            );
            default
        })
    }

    /// A size such as `512 MiB`.
    pub(super) fn bytes(&mut self, key: &str, default: u64) -> u64 {
        self.parse::<bytesize::ByteSize>(key)
            .map_or(default, |size| size.as_u64())
    }

    /// One of a few words.
    pub(super) fn word<T>(&mut self, key: &str, default: T) -> T
    where
        T: FromStr + strum::IntoEnumIterator + Into<&'static str>,
    {
        let Some(text) = self.get::<String>(key) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            let words: Vec<&'static str> = T::iter().map(Into::into).collect();
            self.fault(key, format!("“{text}” is not one of {}", words.join(", ")));
            default
        })
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

    /// How many items the list at `key` has; `None` where it is not set.
    pub(super) fn items(&mut self, key: &str) -> Option<usize> {
        self.get::<Vec<Value>>(key).map(|items| items.len())
    }

    /// Whether something is set at `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.config.get::<Value>(key).is_ok()
    }

    /// How many faults there are so far.
    pub(super) fn count(&self) -> usize {
        self.faults.len()
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
                self.fault(&leaf, "is not a setting");
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
