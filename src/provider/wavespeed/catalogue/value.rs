//! What the parts of a price formula are worth, by JSONata's rules.

use serde_json::Value as Json;

use super::syntax::{Operator, Why};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing is there, which is no error: what is reckoned with it is not there either.
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

use Value::{Bool, List, Null, Number, Object, Text, Undefined};

const NO_NUMBER: Why = "it reckons with something that is no number";
const NO_SUCH_FUNCTION: Why = "it has a function that is not known here";

impl Value {
    /// Of a request's parameter; lists and objects are not looked into.
    pub(super) fn of(value: &Json) -> Self {
        match value {
            Json::Null => Null,
            Json::Bool(flag) => Bool(*flag),
            Json::Number(number) => number.as_f64().map_or(Undefined, Number),
            Json::String(text) => Text(text.clone()),
            Json::Array(items) => List(vec![Null; items.len()]),
            Json::Object(_) => Object(Vec::new()),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Undefined | Null => false,
            Bool(flag) => *flag,
            Number(number) => *number != 0.0,
            Text(text) => !text.is_empty(),
            List(items) => items.iter().any(Self::is_true),
            Object(fields) => !fields.is_empty(),
        }
    }

    /// `None` where nothing is there.
    fn number(&self) -> Result<Option<f64>, Why> {
        match self {
            Undefined => Ok(None),
            Number(number) => Ok(Some(*number)),
            _ => Err(NO_NUMBER),
        }
    }

    /// As many numbers as it holds; one by itself is a list of one.
    fn numbers(&self) -> Result<Option<Vec<f64>>, Why> {
        match self {
            Undefined => Ok(None),
            List(items) => {
                let numbers = items.iter().map(|item| item.number()?.ok_or(NO_NUMBER));
                numbers.collect::<Result<_, _>>().map(Some)
            }
            one => Ok(one.number()?.map(|number| vec![number])),
        }
    }

    fn text(&self) -> Result<Option<String>, Why> {
        Ok(Some(match self {
            Undefined => return Ok(None),
            Null => "null".to_owned(),
            Bool(flag) => flag.to_string(),
            Number(number) => number.to_string(),
            Text(text) => text.clone(),
            List(_) | Object(_) => return Err("it makes a text of a list"),
        }))
    }
}

fn finite(number: f64) -> Result<Value, Why> {
    if number.is_finite() {
        Ok(Number(number))
    } else {
        Err("it divides by nothing or grows too large")
    }
}

/// All but `and` and `or`, which look at one side only where that is enough.
pub(super) fn reckoned(operator: Operator, left: &Value, right: &Value) -> Result<Value, Why> {
    let missing = *left == Undefined || *right == Undefined;
    match operator {
        Operator::Or | Operator::And => Ok(Bool(match operator {
            Operator::Or => left.is_true() || right.is_true(),
            _ => left.is_true() && right.is_true(),
        })),
        Operator::In => Ok(Bool(
            !missing
                && match right {
                    List(items) => items.contains(left),
                    one => one == left,
                },
        )),
        Operator::Equal => Ok(Bool(!missing && left == right)),
        Operator::NotEqual => Ok(Bool(!missing && left != right)),
        Operator::Join => {
            let mut joined = left.text()?.unwrap_or_default();
            joined.push_str(&right.text()?.unwrap_or_default());
            Ok(Text(joined))
        }
        Operator::Less | Operator::LessOrEqual | Operator::More | Operator::MoreOrEqual => {
            let order = match (left, right) {
                (Undefined, Undefined | Number(_) | Text(_)) | (Number(_) | Text(_), Undefined) => {
                    return Ok(Undefined);
                }
                (Number(left), Number(right)) => left.partial_cmp(right),
                (Text(left), Text(right)) => Some(left.cmp(right)),
                _ => None,
            };
            let order = order.ok_or("it compares what cannot be compared")?;
            Ok(Bool(match operator {
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::More => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Remainder => {
            let (Some(left), Some(right)) = (left.number()?, right.number()?) else {
                return Ok(Undefined);
            };
            finite(match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide => left / right,
                _ => left % right,
            })
        }
    }
}

pub(super) fn negative(value: &Value) -> Result<Value, Why> {
    Ok(value.number()?.map_or(Undefined, |number| Number(-number)))
}

/// A list has no holes: what is not there is left out.
pub(super) fn list(items: Vec<Value>) -> Value {
    List(
        items
            .into_iter()
            .filter(|item| *item != Undefined)
            .collect(),
    )
}

/// A function of JSONata's.
pub(super) fn called(name: &str, arguments: &[Value]) -> Result<Value, Why> {
    match arguments {
        [one] => of_one(name, one),
        [one, other] => of_two(name, one, other),
        _ => Err(NO_SUCH_FUNCTION),
    }
}

fn of_one(name: &str, one: &Value) -> Result<Value, Why> {
    let map = |f: fn(f64) -> f64| match one.number()? {
        Some(number) => finite(f(number)),
        None => Ok(Undefined),
    };
    let fold = |f: fn(&[f64]) -> Option<f64>| match one.numbers()? {
        Some(numbers) => f(&numbers).map_or(Ok(Undefined), finite),
        None => Ok(Undefined),
    };
    match name {
        "abs" => map(f64::abs),
        "ceil" => map(f64::ceil),
        "floor" => map(f64::floor),
        // Halves go to the even neighbour.
        "round" => map(f64::round_ties_even),
        "sqrt" => map(f64::sqrt),
        "max" => fold(|all| all.iter().copied().reduce(f64::max)),
        "min" => fold(|all| all.iter().copied().reduce(f64::min)),
        "sum" => fold(|all| Some(all.iter().sum())),
        "average" => {
            fold(|all| (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64))
        }
        "number" => match one {
            Undefined => Ok(Undefined),
            Number(_) => Ok(one.clone()),
            Bool(flag) => Ok(Number(f64::from(u8::from(*flag)))),
            Text(text) => text.parse().map_err(|_| NO_NUMBER).and_then(finite),
            _ => Err(NO_NUMBER),
        },
        "count" => Ok(Number(match one {
            Undefined => 0.0,
            List(items) => items.len() as f64,
            _ => 1.0,
        })),
        "exists" => Ok(Bool(*one != Undefined)),
        "boolean" | "not" if *one == Undefined => Ok(Undefined),
        "boolean" => Ok(Bool(one.is_true())),
        "not" => Ok(Bool(!one.is_true())),
        "string" => Ok(one.text()?.map_or(Undefined, Text)),
        "length" => match one {
            Undefined => Ok(Undefined),
            Text(text) => Ok(Number(text.chars().count() as f64)),
            _ => Err("it asks for the length of something that is no text"),
        },
        _ => Err(NO_SUCH_FUNCTION),
    }
}

fn of_two(name: &str, one: &Value, other: &Value) -> Result<Value, Why> {
    match (name, one, other) {
        ("round" | "power" | "lookup", Undefined, _) => Ok(Undefined),
        ("round", Number(number), Number(places)) => {
            // More places than a float has say nothing.
            let scale = 10_f64.powi(places.clamp(-15.0, 15.0) as i32);
            finite((number * scale).round_ties_even() / scale)
        }
        ("power", Number(base), Number(exponent)) => finite(base.powf(*exponent)),
        ("lookup", Object(fields), Text(key)) => {
            let found = fields.iter().find(|(known, _)| known == key);
            Ok(found.map_or(Undefined, |(_, value)| value.clone()))
        }
        ("lookup", Object(_), Undefined) => Ok(Undefined),
        _ => Err(NO_SUCH_FUNCTION),
    }
}
