//! What the platform says of itself.

use std::collections::HashMap;

use super::reader::Reader;

/// What Cloud Run tells a container: <https://cloud.google.com/run/docs/container-contract>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Platform {
    pub(super) port: Option<u16>,
    pub(super) service: Option<String>,
    pub(super) revision: Option<String>,
}

impl Platform {
    pub(super) fn read(r: &mut Reader, env: &HashMap<String, String>) -> Self {
        let given = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
        let port = given("PORT").and_then(|text| match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => {
                r.fault("PORT", format!("“{text}” is not a port"));
                None
            }
        });
        Self {
            port,
            service: given("K_SERVICE"),
            revision: given("K_REVISION"),
        }
    }
}
