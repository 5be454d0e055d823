//! Whom to tell.

use serde_json::{Value, json};

use super::rules::UNKNOWN;
use crate::fields::{Described, Fault, Field, Json, Object, Scalar, object_schema, text};
use crate::http::HttpSettings;
use crate::http::jobs::shape;
use crate::http::jobs::texts::reference;
use crate::job::Notify;
use crate::outgoing;

/// An address that is told.
struct Webhook<'a>(&'a HttpSettings);

impl Scalar for Webhook<'_> {
    type Value = url::Url;

    fn of_json(&self, value: &Value) -> Result<url::Url, String> {
        let text = text(value)?;
        let webhook: url::Url = text.parse().map_err(|error| format!("{error}"))?;
        if text.chars().count() > shape::MAX_ADDRESS_CHARS {
            return Err(format!(
                "an address is at most {} characters long",
                shape::MAX_ADDRESS_CHARS
            ));
        }
        outgoing::check_url(&webhook, self.0.allow_loopback)
            .map_err(|refused| refused.to_string())?;
        if !shape::fits_address(text) {
            return Err("must be an address without spaces and backslashes".to_owned());
        }
        Ok(webhook)
    }

    fn schema(&self) -> Value {
        json!({
            "type": "string",
            "maxLength": shape::MAX_ADDRESS_CHARS,
            "pattern": shape::address(self.0.allow_loopback),
        })
    }
}

/// FCM's own tokens have some 160 characters; how many there may be it does not say.
struct FcmToken;

impl Scalar for FcmToken {
    type Value = String;

    fn of_json(&self, value: &Value) -> Result<String, String> {
        let token = value.as_str().filter(|token| {
            token.len() <= shape::MAX_FCM_TOKEN_CHARS && shape::fits_fcm_token(token)
        });
        token.map(str::to_owned).ok_or_else(|| {
            format!(
                "must be a device's registration token of at most {} characters",
                shape::MAX_FCM_TOKEN_CHARS
            )
        })
    }

    fn schema(&self) -> Value {
        json!({
            "type": "string",
            "maxLength": shape::MAX_FCM_TOKEN_CHARS,
            "pattern": shape::FCM_TOKEN,
        })
    }
}

/// `notify`.
pub(super) struct NotifyForm<'a>(pub(super) &'a HttpSettings);

impl<'a> NotifyForm<'a> {
    fn webhook(&self) -> Field<Webhook<'a>> {
        let about = "An https address on the public internet.";
        Field::optional("webhook", Webhook(self.0), about)
    }

    fn fcm_token() -> Field<FcmToken> {
        let about = "A device's registration token of Firebase Cloud Messaging.";
        Field::optional("fcm_token", FcmToken, about)
    }

    /// The schema that others refer to.
    pub(super) fn object(&self) -> Value {
        let absent = |name: &str| json!({"properties": {name: {"type": "null"}}});
        let (webhook, fcm_token) = (self.webhook(), Self::fcm_token());
        let mut schema = object_schema(&[&webhook, &fcm_token]);
        schema["description"] = "Whom to tell when the job has ended; one way. Without it: the \
                                 service's own webhook, if it has one."
            .into();
        let ways: [&dyn Described; 2] = [&webhook, &fcm_token];
        schema["anyOf"] = ways.iter().map(|way| absent(way.name())).collect();
        schema
    }
}

impl Json for NotifyForm<'_> {
    type Value = Notify;

    fn read(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Notify> {
        let object = Object::read(value, at, faults)?;
        let (webhook, fcm_token) = (self.webhook(), Self::fcm_token());
        object.only(&[&webhook, &fcm_token], UNKNOWN, faults);
        let notify = Notify {
            webhook: object.field(&webhook, faults),
            fcm_token: object.field(&fcm_token, faults),
        };
        if notify.webhook.is_some() && notify.fcm_token.is_some() {
            faults.push(Fault::new(at, "names one way, webhook or fcm_token"));
        }
        Some(notify)
    }

    fn schema(&self) -> Value {
        reference("NewNotify")
    }
}
