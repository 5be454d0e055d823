//! Whom to tell, and how it travels.

use serde::{Deserialize, Serialize};

/// Whom to tell, as the job says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notify {
    /// An https address for Standard Webhooks. Absent: the operator's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<url::Url>,
    /// The registration token of a device, for Firebase Cloud Messaging. A webhook goes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fcm_token: Option<String>,
}

impl Notify {
    /// The channel that the job itself names.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        match (&self.webhook, &self.fcm_token) {
            (Some(url), _) => Some(Channel::Webhook { url: url.clone() }),
            (None, Some(token)) => Some(Channel::Fcm {
                token: token.clone(),
            }),
            (None, None) => None,
        }
    }
}

/// How a notice travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Channel {
    /// A line in the log.
    Log,
    Webhook {
        url: url::Url,
    },
    /// A push message to a device.
    Fcm {
        token: String,
    },
}

impl Channel {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Webhook { .. } => "webhook",
            Self::Fcm { .. } => "fcm",
        }
    }
}
