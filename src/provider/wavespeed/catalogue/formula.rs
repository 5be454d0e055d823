//! What a request would cost by the formula that the catalogue gives for its model.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::syntax::{Node, Operator, Why, parse};
use super::value::{Value, called, list, negative, reckoned};

/// A formula reckons in millionths of a dollar, `base_price` included; the catalogue's own
/// `base_price` is in dollars.
const MILLION: f64 = 1e6;
/// Nobody makes a video for this; a price above it is a slip.
const MOST_USD: f64 = 10_000.0;

/// What a formula may look at.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    /// The request.
    pub(super) body: &'a Map<String, Json>,
    /// What a parameter is where the request does not have it.
    pub(super) defaults: BTreeMap<&'a str, &'a Json>,
    /// US dollars.
    pub(super) base_price: Option<f64>,
    /// Length of the request's `video`.
    pub(super) video_s: f64,
}

/// US dollars.
pub(super) fn price(formula: &str, inputs: &Inputs<'_>) -> Result<f64, Why> {
    let total = match inputs.worth(&parse(formula)?)? {
        Value::Object(fields) => {
            let total = fields.into_iter().find(|(name, _)| name == "total_price");
            total.ok_or("it gives no total_price")?.1
        }
        other => other,
    };
    let usd = match total {
        Value::Number(millionths) => millionths / MILLION,
        Value::Undefined => return Err("it needs a parameter that is not sent"),
        _ => return Err("it gives no number"),
    };
    if (0.0..=MOST_USD).contains(&usd) {
        Ok(usd)
    } else {
        Err("it gives no price")
    }
}

impl Inputs<'_> {
    /// As deep as the tree, which `syntax` bounds; each node once.
    fn worth(&self, node: &Node) -> Result<Value, Why> {
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(flag) => Value::Bool(*flag),
            Node::Number(number) => Value::Number(*number),
            Node::Text(text) => Value::Text(text.clone()),
            Node::Name(name) => self.named(name),
            Node::Seconds(name) if name == "video" => Value::Number(self.video_s),
            Node::Seconds(_) => return Err("it measures something that is not sent"),
            Node::List(items) => {
                let items = items.iter().map(|item| self.worth(item));
                list(items.collect::<Result<_, _>>()?)
            }
            Node::Object(fields) => {
                let mut found = Vec::new();
                for (name, value) in fields {
                    let Value::Text(name) = self.worth(name)? else {
                        return Err("a field in it has no name");
                    };
                    found.push((name, self.worth(value)?));
                }
                Value::Object(found)
            }
            Node::Negative(inner) => negative(&self.worth(inner)?)?,
            Node::Choice(asked, then, otherwise) => {
                if self.worth(asked)?.is_true() {
                    self.worth(then)?
                } else {
                    match otherwise {
                        Some(otherwise) => self.worth(otherwise)?,
                        None => Value::Undefined,
                    }
                }
            }
            Node::Binary(operator, left, right) => {
                let left = self.worth(left)?;
                match (operator, left.is_true()) {
                    (Operator::Or, true) => Value::Bool(true),
                    (Operator::And, false) => Value::Bool(false),
                    _ => reckoned(*operator, &left, &self.worth(right)?)?,
                }
            }
            Node::Call(name, arguments) => {
                let arguments = arguments.iter().map(|one| self.worth(one));
                called(name, &arguments.collect::<Result<Vec<_>, _>>()?)?
            }
        })
    }

    fn named(&self, name: &str) -> Value {
        if name == "base_price" {
            let millionths = self.base_price.map(|usd| usd * MILLION);
            return millionths.map_or(Value::Undefined, Value::Number);
        }
        let told = self.body.get(name);
        let told = told.or_else(|| self.defaults.get(name).copied());
        told.map_or(Value::Undefined, Value::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn worth(formula: &str) -> Result<f64, Why> {
        let body = json!({"resolution": "720p", "duration": 5, "hd": true, "video": "https://a/b",
            "prompt": "four", "nothing": 0, "images": ["a", "b", "c"]});
        let Json::Object(body) = body else {
            unreachable!()
        };
        let quality = json!("medium");
        price(
            formula,
            &Inputs {
                body: &body,
                defaults: BTreeMap::from([("quality", &quality)]),
                base_price: Some(0.75),
                video_s: 5.04,
            },
        )
    }

    /// The first ones are as the catalogue words them; figures by hand.
    #[test]
    fn formulas_give_what_they_give_elsewhere() {
        for (formula, usd) in [
            (r#"{"total_price":base_price * 1}"#, 0.75),
            (r#"{"total_price": base_price * duration / 5}"#, 0.75),
            (r#"{"total_price": base_price * (hd ? 1.5 : 1)}"#, 1.125),
            (
                r#"{"total_price": $max([5, $min([$ceil(get_duration_v3(video)), 600])]) / 5
                    * base_price * (resolution = "720p" ? 2 : 1)}"#,
                1.8,
            ),
            (
                r#"{"total_price": 75000 * (resolution = "4k" ? 10 : (resolution = "1080p" ? 5 :
                    (resolution = "720p" ? 2 : 1))) * ($max([2, $ceil($min([$number($ceil(
                    get_duration_v3(video))), 15]))]) + (duration ? $number(duration) :
                    $max([4, $min([15, $ceil($number($ceil(get_duration_v3(video))))])])))}"#,
                1.65,
            ),
            (
                r#"{"total_price": ((resolution = "0.5k" ? 45000 : base_price *
                    (resolution = "2k" ? 1.5 : (resolution = "4k" ? 2 : 1))) +
                    (enable_web_search ? 14000 : 0) + (enable_image_search ? 14000 : 0))  }"#,
                0.75,
            ),
            (
                r#"{"total_price": ((quality = "low") ? 20000 : 70000) + (($count(images) - 1) * 12000)}"#,
                0.094,
            ),
            (
                r#"{"total_price": base_price * $ceil($length(prompt) / 3)}"#,
                1.5,
            ),
            (
                r#"{"total_price": $lookup({"480p": 1, '720p': 2}, resolution) * base_price}"#,
                1.5,
            ),
            (
                r#"resolution in ["720p", "1080p"] and duration >= 5 ? 20000 : 10000"#,
                0.02,
            ),
            ("1000000 - 2000 * 3 - 4000", 0.99),
            ("-1000 * -1000", 1.0),
            ("1e6 * 2.5 % 2e6", 0.5),
            ("$round(2.5) * 1000000", 2.0),
            ("$round(12345.678, 1) * 100", 1.23457),
            ("$sum([1, missing, 2]) * 1000000", 3.0),
            ("missing != 3 ? 1000000 : 2000000", 2.0),
            ("$string(duration) & \"s\" = '5s' ? 1000000 : 0", 1.0),
        ] {
            let found = worth(formula).unwrap_or_else(|why| panic!("{formula}: {why}"));
            assert!((found - usd).abs() < 1e-9, "{formula}: {found}");
        }
    }

    #[test]
    fn what_is_not_known_gives_no_price() {
        for (formula, why) in [
            ("", "it ends too early"),
            ("hd or missing(", "it ends too early"),
            ("{\"total_price\": 1", "something is missing in it"),
            ("1 2", "it goes on after its end"),
            ("{}", "it gives no total_price"),
            (
                "{\"total_price\": missing * 2}",
                "it needs a parameter that is not sent",
            ),
            ("{\"total_price\": \"much\"}", "it gives no number"),
            ("-1", "it gives no price"),
            ("1e300 * 10", "it gives no price"),
            ("1e308 * 10", "it divides by nothing or grows too large"),
            (
                "base_price / nothing",
                "it divides by nothing or grows too large",
            ),
            ("1e999", "it has an odd number"),
            (
                "resolution * 2",
                "it reckons with something that is no number",
            ),
            ("resolution > 2", "it compares what cannot be compared"),
            ("($x := 1; $x)", "it has variables"),
            (
                "$map([1, 2], f)",
                "it has a function that is not known here",
            ),
            (
                "get_duration_v3(audio)",
                "it measures something that is not sent",
            ),
            (
                "get_price(video)",
                "it has a function that is not known here",
            ),
            ("[1..9]", "it has a sign that is not known here"),
            ("a.b", "it has a sign that is not known here"),
            ("\"open", "a text in it does not end"),
            ("\"\\u0041\"", "it has an odd text"),
        ] {
            assert_eq!(worth(formula), Err(why), "{formula}");
        }
    }

    #[test]
    fn the_work_is_bounded_by_what_is_read() {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("-", ""),
            ("$abs(", ")"),
            ("1?", ":1"),
        ] {
            for times in [10, 40, 47, 49, 100, 1000, 100_000] {
                let formula = format!("{}1{}", open.repeat(times), close.repeat(times));
                let found = worth(&formula);
                assert!(times < 49 || found.is_err(), "{open} {times}: {found:?}");
            }
        }
        let sum = |times| format!("1{}", "+1".repeat(times));
        assert_eq!(worth(&sum(299)), Ok(300.0 / 1e6));
        assert_eq!(worth(&sum(300)), Err("it has too many parts"));
        assert_eq!(worth(&" ".repeat(4097)), Err("it is too long"));
    }
}
