//! The official Firestore emulator, as other programs see it: over its REST interface.
//!
//! `make test` starts one for the whole run and names it in `FIRESTORE_EMULATOR_HOST`. Every test
//! takes a project of its own, so that tests at the same time do not see each other.
#![allow(
    dead_code,
    reason = "a kit: not every part of it is in use at every time"
)]

use base64::Engine as _;
use filmlab::job::Timestamp;
use serde_json::{Map, Value, json};

use super::require::{require, variable};

const HOW_TO_GET_IT: &str = "no Firestore emulator: install the Google Cloud CLI with its package \
    google-cloud-cli-firestore-emulator and a Java runtime; `make test` starts it then";

/// Where the emulator listens, as `host:port`; otherwise the skip is written down.
pub(crate) fn host() -> Option<String> {
    let host = variable("FIRESTORE_EMULATOR_HOST");
    let host = host.into_string().ok().filter(|host| !host.is_empty());
    require("emulator", host, HOW_TO_GET_IT)
}

/// A project in the emulator, empty and shared with nobody.
#[derive(Debug, Clone)]
pub(crate) struct Emulator {
    pub(crate) host: String,
    pub(crate) project: String,
    http: reqwest::Client,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// A service with the project's own credentials: no rules bind it.
    Owner,
    /// A user who signed in.
    User(&'a str),
    Nobody,
}

impl Emulator {
    pub(crate) fn fresh() -> Option<Self> {
        Some(Self {
            host: host()?,
            project: format!("filmlab-{:016x}", rand::random::<u64>()),
            http: reqwest::Client::new(),
        })
    }

    /// A document as stored, in Firestore's typed JSON.
    pub(crate) async fn stored(&self, path: &str) -> Option<Value> {
        let (status, body) = self.get(Caller::Owner, path).await;
        (status == 200).then(|| body["fields"].clone())
    }

    pub(crate) async fn get(&self, caller: Caller<'_>, path: &str) -> (u16, Value) {
        self.send(self.http.get(self.url(&format!("/{path}"))), caller)
            .await
    }

    /// Writes top-level fields and no others: JSON in, typed values out. Null removes a field.
    pub(crate) async fn write(&self, caller: Caller<'_>, path: &str, fields: &Value) -> u16 {
        let fields = fields.as_object().expect("an object of fields");
        let typed: Map<String, Value> = fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), typed(value)))
            .collect();
        self.write_typed(caller, path, fields.keys(), typed.into())
            .await
    }

    /// Writes the named fields as they are given, in Firestore's typed JSON.
    pub(crate) async fn write_typed(
        &self,
        caller: Caller<'_>,
        path: &str,
        mask: impl Iterator<Item = &String>,
        fields: Value,
    ) -> u16 {
        let mask: Vec<_> = mask
            .map(|name| format!("updateMask.fieldPaths={name}"))
            .collect();
        let url = self.url(&format!("/{path}?{}", mask.join("&")));
        let request = self.http.patch(url).json(&json!({"fields": fields}));
        self.send(request, caller).await.0
    }

    pub(crate) async fn delete(&self, caller: Caller<'_>, path: &str) -> u16 {
        let request = self.http.delete(self.url(&format!("/{path}")));
        self.send(request, caller).await.0
    }

    /// A structured query at the top; gives the documents' names.
    pub(crate) async fn query(&self, caller: Caller<'_>, query: Value) -> (u16, Vec<String>) {
        let request = self
            .http
            .post(self.url(":runQuery"))
            .json(&json!({"structuredQuery": query}));
        let (status, body) = self.send(request, caller).await;
        let found = body.as_array().into_iter().flatten();
        let names = found.filter_map(|row| row["document"]["name"].as_str());
        let last = names.filter_map(|name| name.rsplit('/').next());
        (status, last.map(str::to_owned).collect())
    }

    /// Every document of the collections of that name, wherever they lie, as it is answered.
    pub(crate) async fn documents(&self, collection: &str) -> Vec<Value> {
        let query = json!({"structuredQuery": {
            "from": [{"collectionId": collection, "allDescendants": true}],
        }});
        let request = self.http.post(self.url(":runQuery")).json(&query);
        let (status, body) = self.send(request, Caller::Owner).await;
        assert_eq!(status, 200, "{body}");
        let rows = body.as_array().into_iter().flatten();
        rows.filter_map(|row| row.get("document").cloned())
            .collect()
    }

    /// Adds to a whole-number field.
    pub(crate) async fn increment(&self, path: &str, field: &str, by: i64) {
        let name = format!(
            "projects/{}/databases/(default)/documents/{path}",
            self.project
        );
        let transform = json!({
            "document": name,
            "fieldTransforms": [{"fieldPath": field, "increment": {"integerValue": by.to_string()}}],
        });
        let request = self
            .http
            .post(self.url(":commit"))
            .json(&json!({"writes": [{"transform": transform}]}));
        let (status, body) = self.send(request, Caller::Owner).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Writes whole documents in one commit, in Firestore's typed JSON: at most 500.
    pub(crate) async fn put_all(&self, documents: Vec<(String, Value)>) {
        let root = format!("projects/{}/databases/(default)/documents", self.project);
        let writes = documents.into_iter().map(|(path, fields)| {
            json!({"update": {"name": format!("{root}/{path}"), "fields": fields}})
        });
        let writes: Vec<Value> = writes.collect();
        let request = self.http.post(self.url(":commit"));
        let request = request.json(&json!({"writes": writes}));
        let (status, body) = self.send(request, Caller::Owner).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Removes every document of the project.
    pub(crate) async fn clear(&self) {
        let url = format!(
            "http://{}/emulator/v1/projects/{}/databases/(default)/documents",
            self.host, self.project
        );
        let (status, body) = self.send(self.http.delete(url), Caller::Owner).await;
        assert_eq!(status, 200, "{body}");
    }

    fn url(&self, rest: &str) -> String {
        format!(
            "http://{}/v1/projects/{}/databases/(default)/documents{rest}",
            self.host, self.project
        )
    }

    async fn send(&self, request: reqwest::RequestBuilder, caller: Caller<'_>) -> (u16, Value) {
        let request = match caller {
            Caller::Owner => request.bearer_auth("owner"),
            Caller::User(uid) => request.bearer_auth(self.token(uid)),
            Caller::Nobody => request,
        };
        let answer = request.send().await.expect("the emulator answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// What Firebase Auth would issue, unsigned, as the emulator takes it.
    fn token(&self, uid: &str) -> String {
        let part = |value: Value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
        };
        let head = part(json!({"alg": "none", "typ": "JWT"}));
        let claims = part(json!({
            "sub": uid, "user_id": uid, "aud": self.project,
            "iss": format!("https://securetoken.google.com/{}", self.project),
            "iat": 1_700_000_000, "auth_time": 1_700_000_000, "exp": 4_000_000_000u64,
            "firebase": {"sign_in_provider": "custom"},
        }));
        format!("{head}.{claims}.")
    }
}

/// A typed value; a text that is a moment becomes one.
pub(crate) fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({"nullValue": null}),
        Value::Bool(flag) => json!({"booleanValue": flag}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"integerValue": number.to_string()}),
        Value::String(text) if text.parse::<Timestamp>().is_ok() => json!({"timestampValue": text}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(typed).collect::<Vec<_>>()}})
        }
        Value::Object(fields) => {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| (name.clone(), typed(value)))
                .collect();
            json!({"mapValue": {"fields": fields}})
        }
    }
}
