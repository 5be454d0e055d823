//! The models the sandbox knows, with the parameters their pages document.

mod known;
mod model;

use serde_json::Value;

use known::CATALOG;
pub(super) use known::SEGMENT;
pub(super) use model::{CatalogModel, Invalid};

pub(super) fn find(id: &str) -> Option<&'static CatalogModel> {
    CATALOG.iter().find(|model| model.id == id)
}

/// What `GET /models` answers with while nothing has drifted.
pub(super) fn listing() -> Vec<Value> {
    CATALOG.iter().map(CatalogModel::listed).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_checked_as_documented() {
        let animate = find("wavespeed-ai/wan-2.2/animate").expect("known");
        let good = json!({"image": "https://a.example/i.png", "video": "https://a.example/v.mp4",
            "mode": "replace", "resolution": "720p", "seed": -1});
        assert_eq!(animate.check(&good), Ok(()));
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            animate.check(&body).map_err(|(code, _)| code)
        };
        assert_eq!(with("image", Value::Null), Err(1400));
        assert_eq!(with("video", json!("file:///etc/passwd")), Err(1401));
        assert_eq!(with("mode", json!("swap")), Err(1401));
        assert_eq!(with("resolution", json!("1080p")), Err(1401));
        assert_eq!(with("seed", json!("7")), Err(1401));
        assert_eq!(with("sparkle", json!(true)), Ok(()));
        assert_eq!(
            animate.check(&json!([])).map_err(|(code, _)| code),
            Err(1401)
        );
        assert!(find("wavespeed-ai/wan-9/animate").is_none());
    }
}
