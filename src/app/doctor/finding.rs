//! What was found.

use std::borrow::Cow;

use serde::Serialize;
use strum::IntoStaticStr;

use crate::job::Party;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Standing {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub standing: Standing,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Cow<'static, str>>,
    /// A line for a shell that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Who can mend it; for failures only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
}

impl Finding {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            standing: Standing::Ok,
            message: message.into(),
            advice: None,
            command: None,
            party: None,
        }
    }

    pub(super) fn warn(
        name: &'static str,
        message: impl Into<String>,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            standing: Standing::Warn,
            advice: Some(advice.into()),
            ..Self::ok(name, message)
        }
    }

    pub(super) fn fail(
        name: &'static str,
        party: Party,
        message: impl Into<String>,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            standing: Standing::Fail,
            party: Some(party),
            advice: Some(advice.into()),
            ..Self::ok(name, message)
        }
    }

    pub(super) fn service(
        name: &'static str,
        error: impl std::fmt::Display,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::fail(name, Party::Service, error.to_string(), advice)
    }

    pub(super) fn command(mut self, command: String) -> Self {
        self.command = Some(command);
        self
    }
}
