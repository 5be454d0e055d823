//! The part of JSONata that prices are written in, read into a tree.
//!
//! Formulas seen in the catalogue are arithmetic over a request's parameters:
//!
//! ```text
//! {"total_price": base_price * (resolution = "720p" ? 2 : 1) * $max([5, get_duration_v3(video)])}
//! ```
//!
//! It is read here and not by a crate, since a formula comes from outside and must be bounded. Of
//! the crates there are, the ones that are kept (`jsonata-core`, `async_jsonata_rust`) turn
//! `serde_json/preserve_order` on for the whole program, which changes the digests that
//! idempotency keys are compared by; `jsonata-rs` panics at what it does not implement; `seuil`
//! overflows its stack at a hundred parentheses. What is left out here (paths, ranges, variables,
//! lambdas) is what would need a limit of time: without it, the work is bounded by the formula's
//! length. A formula that has any of it gives no price.

/// Ten times the longest that has been seen.
const MAX_CHARS: usize = 4096;
/// Signs, names and literals of one formula: a chain of operators makes a tree as deep.
const MAX_TOKENS: usize = 600;
/// Brackets and signs within each other.
const MAX_DEPTH: usize = 48;

/// Why a formula gives no price.
pub(super) type Why = &'static str;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A parameter, or the base price.
    Name(String),
    List(Vec<Node>),
    Object(Vec<(Node, Node)>),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Choice(Box<Node>, Box<Node>, Option<Box<Node>>),
    /// A function of JSONata's, without its `$`.
    Call(String, Vec<Node>),
    /// Length of what lies at the address in this parameter: a function of the provider's.
    Seconds(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    In,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Join,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Function(String),
    Sign(&'static str),
}

/// Longer ones first: `<=` is not `<`.
const SIGNS: &[&str] = &[
    "!=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "&", "?", ":", ",", "(", ")", "[",
    "]", "{", "}",
];

fn tokens(text: &str) -> Result<Vec<Token>, Why> {
    if text.len() > MAX_CHARS {
        return Err("it is too long");
    }
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if found.len() == MAX_TOKENS {
            return Err("it has too many parts");
        }
        let (token, after) = if first.is_ascii_digit() {
            number(rest)?
        } else if matches!(first, '"' | '\'') {
            quoted(&rest[1..], first)?
        } else if first == '$' {
            let (name, after) = word(&rest[1..]);
            if name.is_empty() || !after.trim_start().starts_with('(') {
                return Err("it has variables");
            }
            (Token::Function(name), after)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let (name, after) = word(rest);
            (Token::Name(name), after)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or("it has a sign that is not known here")?;
            (Token::Sign(sign), &rest[sign.len()..])
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn word(text: &str) -> (String, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

fn number(text: &str) -> Result<(Token, &str), Why> {
    let digits = |from: usize| {
        text[from..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(text.len(), |end| from + end)
    };
    let mut end = digits(0);
    let point = text[end..].strip_prefix('.');
    if point.is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        end = digits(end + 1 + sign);
    }
    let number: f64 = text[..end].parse().map_err(|_| "it has an odd number")?;
    if number.is_finite() {
        Ok((Token::Number(number), &text[end..]))
    } else {
        Err("it has an odd number")
    }
}

fn quoted(text: &str, end: char) -> Result<(Token, &str), Why> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == end => return Ok((Token::Text(found), &text[at + c.len_utf8()..])),
            '\\' => match chars.next() {
                Some((_, c @ ('"' | '\'' | '\\' | '/'))) => found.push(c),
                _ => return Err("it has an odd text"),
            },
            _ => found.push(c),
        }
    }
    Err("a text in it does not end")
}

/// Reads a formula.
pub(super) fn parse(text: &str) -> Result<Node, Why> {
    let mut tokens = tokens(text)?;
    tokens.reverse();
    let mut parser = Parser { rest: tokens };
    let node = parser.expression(0, 0)?;
    match parser.rest.last() {
        None => Ok(node),
        Some(_) => Err("it goes on after its end"),
    }
}

struct Parser {
    /// The next one last.
    rest: Vec<Token>,
}

/// How strongly `?` holds its sides together; see JSONata's own table.
const CHOICE: u8 = 20;

fn infix(token: &Token) -> Option<(Operator, u8)> {
    Some(match token {
        Token::Name(name) => match name.as_str() {
            "or" => (Operator::Or, 25),
            "and" => (Operator::And, 30),
            "in" => (Operator::In, 40),
            _ => return None,
        },
        Token::Sign(sign) => match *sign {
            "=" => (Operator::Equal, 40),
            "!=" => (Operator::NotEqual, 40),
            "<" => (Operator::Less, 40),
            "<=" => (Operator::LessOrEqual, 40),
            ">" => (Operator::More, 40),
            ">=" => (Operator::MoreOrEqual, 40),
            "&" => (Operator::Join, 50),
            "+" => (Operator::Add, 50),
            "-" => (Operator::Subtract, 50),
            "*" => (Operator::Multiply, 60),
            "/" => (Operator::Divide, 60),
            "%" => (Operator::Remainder, 60),
            _ => return None,
        },
        _ => return None,
    })
}

impl Parser {
    fn takes(&mut self, sign: &'static str) -> bool {
        let is_next = self.rest.last() == Some(&Token::Sign(sign));
        if is_next {
            self.rest.pop();
        }
        is_next
    }

    fn needs(&mut self, sign: &'static str) -> Result<(), Why> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err("something is missing in it")
        }
    }

    /// What binds more strongly than `least`.
    fn expression(&mut self, least: u8, depth: usize) -> Result<Node, Why> {
        if depth > MAX_DEPTH {
            return Err("it is too deep");
        }
        let mut left = self.first(depth)?;
        loop {
            if CHOICE > least && self.takes("?") {
                let then = self.expression(0, depth + 1)?;
                let otherwise = if self.takes(":") {
                    Some(Box::new(self.expression(0, depth + 1)?))
                } else {
                    None
                };
                left = Node::Choice(Box::new(left), Box::new(then), otherwise);
                continue;
            }
            let Some((operator, strength)) = self.rest.last().and_then(infix) else {
                return Ok(left);
            };
            if strength <= least {
                return Ok(left);
            }
            self.rest.pop();
            let right = self.expression(strength, depth + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    fn first(&mut self, depth: usize) -> Result<Node, Why> {
        Ok(match self.rest.pop().ok_or("it ends too early")? {
            Token::Number(number) => Node::Number(number),
            Token::Text(text) => Node::Text(text),
            Token::Function(name) => {
                self.needs("(")?;
                Node::Call(name, self.list(")", depth)?)
            }
            Token::Name(name) => match name.as_str() {
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                "null" => Node::Null,
                _ if self.takes("(") => seconds(&name, self.list(")", depth)?)?,
                _ => Node::Name(name),
            },
            Token::Sign("(") => {
                let inner = self.expression(0, depth + 1)?;
                self.needs(")")?;
                inner
            }
            Token::Sign("[") => Node::List(self.list("]", depth)?),
            Token::Sign("{") => Node::Object(self.fields(depth)?),
            // Stronger than every operator between two.
            Token::Sign("-") => Node::Negative(Box::new(self.expression(70, depth + 1)?)),
            Token::Sign(_) => return Err("it cannot be read"),
        })
    }

    fn list(&mut self, end: &'static str, depth: usize) -> Result<Vec<Node>, Why> {
        let mut found = Vec::new();
        if self.takes(end) {
            return Ok(found);
        }
        loop {
            found.push(self.expression(0, depth + 1)?);
            if self.takes(end) {
                return Ok(found);
            }
            self.needs(",")?;
        }
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, Why> {
        let mut found = Vec::new();
        if self.takes("}") {
            return Ok(found);
        }
        loop {
            let name = self.expression(0, depth + 1)?;
            self.needs(":")?;
            found.push((name, self.expression(0, depth + 1)?));
            if self.takes("}") {
                return Ok(found);
            }
            self.needs(",")?;
        }
    }
}

/// `get_duration_v3(video)` and whatever its next version is called.
fn seconds(function: &str, mut arguments: Vec<Node>) -> Result<Node, Why> {
    let measures = function.starts_with("get_") && function.contains("duration");
    match (measures, arguments.pop(), arguments.is_empty()) {
        (true, Some(Node::Name(name)), true) => Ok(Node::Seconds(name)),
        _ => Err("it has a function that is not known here"),
    }
}
