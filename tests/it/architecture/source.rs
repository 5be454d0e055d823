//! A source file as the paths it names, after comments and literals are gone.

use std::collections::BTreeSet;
use std::ops::Range;

/// One file under `src/`.
pub(super) struct Source {
    /// From the root of the repository: `src/ledger/sqlite.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// `["ledger", "sqlite"]`; empty for `lib.rs` and `main.rs`.
    pub(super) module: Vec<String>,
    pub(super) tokens: Vec<Token>,
    paths: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A path as named somewhere: `crate::`, `self::` and `super::` are resolved, so
/// one of ours begins with `crate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    /// Within `mod tests { … }` or a file `tests.rs`.
    pub(super) in_tests: bool,
    /// Part of a `use` declaration.
    pub(super) in_use: bool,
}

/// One name that a `use` declaration brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// As in [`Named`].
    pub(super) path: Vec<String>,
    /// What it is called here: the last name of the path, or the one behind `as`.
    pub(super) name: String,
    pub(super) line: usize,
    /// `pub use`, `pub(super) use`: handed on to others.
    pub(super) public: bool,
    pub(super) glob: bool,
    pub(super) in_tests: bool,
}

/// Where a token stands.
struct Position<'a> {
    at: usize,
    /// The inline modules around it.
    inline: Vec<&'a str>,
    in_tests: bool,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let mut module: Vec<String> = path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if matches!(
            module.last().map(String::as_str),
            Some("mod" | "lib" | "main")
        ) {
            module.pop();
        }
        let tokens = tokens(text);
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            module,
            tokens,
            paths: Vec::new(),
        };
        source.paths = source.find_paths();
        source
    }

    /// Every path of two segments or more, groups in braces spread out.
    pub(super) fn paths(&self) -> &[Named] {
        &self.paths
    }

    fn find_paths(&self) -> Vec<Named> {
        let declared = self.declarations();
        let mut named = Vec::new();
        for place in self.places() {
            let at = place.at;
            let begins = is_name(self.text_at(at))
                && self.text_at(at + 1) == "::"
                && (at == 0 || self.text_at(at - 1) != "::" || self.is_absolute(at));
            // A group within a use tree is reached from its own head only.
            if !begins || self.within_use_group(at) {
                continue;
            }
            let here = self.here(&place);
            let mut found = Vec::new();
            self.tree(at, Vec::new(), &mut found);
            named.extend(found.into_iter().map(|leaf| Named {
                segments: resolve(leaf.path, &here),
                line: leaf.line,
                in_tests: place.in_tests,
                in_use: declared.iter().any(|range| range.contains(&at)),
            }));
        }
        named
    }

    /// Every name that is brought in by `use`.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for place in self.places() {
            if self.text_at(place.at) != "use" || !self.is_statement(place.at) {
                continue;
            }
            let here = self.here(&place);
            let before = place.at.checked_sub(1).map_or("", |at| self.text_at(at));
            // `pub use` and `pub(super) use`.
            let public = matches!(before, "pub" | ")");
            let mut found = Vec::new();
            self.tree(place.at + 1, Vec::new(), &mut found);
            for leaf in found {
                let Some(last) = leaf.path.iter().rfind(|part| *part != "self").cloned() else {
                    continue;
                };
                uses.push(Use {
                    path: resolve(leaf.path, &here),
                    name: leaf.alias.unwrap_or(last),
                    line: leaf.line,
                    public,
                    glob: leaf.glob,
                    in_tests: place.in_tests,
                });
            }
        }
        uses
    }

    /// Names that the code itself says, outside tests, `use` and `mod x;`, and
    /// neither behind `.` nor behind `::`.
    pub(super) fn words(&self) -> BTreeSet<&str> {
        let declared = self.declarations();
        self.places()
            .iter()
            .filter(|place| {
                let before = place.at.checked_sub(1).map_or("", |at| self.text_at(at));
                !place.in_tests
                    && is_name(self.text_at(place.at))
                    && !matches!(before, "." | "::" | "mod")
                    && !declared.iter().any(|range| range.contains(&place.at))
            })
            .map(|place| self.text_at(place.at))
            .collect()
    }

    /// The tokens of each `use` declaration.
    fn declarations(&self) -> Vec<Range<usize>> {
        (0..self.tokens.len())
            .filter(|at| self.text_at(*at) == "use" && self.is_statement(*at))
            .map(|at| {
                let length = self.tokens[at..]
                    .iter()
                    .position(|token| token.text == ";")
                    .unwrap_or(0);
                at..at + length
            })
            .collect()
    }

    /// `use` as a declaration, not `impl Trait + use<'a>`.
    fn is_statement(&self, at: usize) -> bool {
        self.text_at(at + 1) != "<"
    }

    fn here(&self, place: &Position<'_>) -> Vec<String> {
        ["crate"]
            .into_iter()
            .chain(self.module.iter().map(String::as_str))
            .chain(place.inline.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    /// Each token with the inline modules around it.
    fn places(&self) -> Vec<Position<'_>> {
        let mut places = Vec::with_capacity(self.tokens.len());
        // With the depth of their braces.
        let mut inline: Vec<(&str, usize)> = Vec::new();
        let mut depth = 0_usize;
        let whole_file_is_tests = self.module.last().is_some_and(|name| name == "tests");
        for at in 0..self.tokens.len() {
            match self.text_at(at) {
                "{" => {
                    depth += 1;
                    if at >= 2 && self.text_at(at - 2) == "mod" {
                        inline.push((self.text_at(at - 1), depth));
                    }
                }
                "}" => {
                    if inline.last().is_some_and(|(_, opened)| *opened == depth) {
                        inline.pop();
                    }
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            let names: Vec<&str> = inline.iter().map(|(name, _)| *name).collect();
            places.push(Position {
                at,
                in_tests: whole_file_is_tests || names.contains(&"tests"),
                inline: names,
            });
        }
        places
    }

    fn text_at(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    /// `::std::x`, where the leading `::` follows no name.
    fn is_absolute(&self, at: usize) -> bool {
        at < 2 || !is_name(self.text_at(at - 2)) && self.text_at(at - 2) != ">"
    }

    /// Whether the name at `at` stands in `a::{ … }`.
    fn within_use_group(&self, at: usize) -> bool {
        let mut open = 0_i32;
        for back in (0..at).rev() {
            match self.text_at(back) {
                "}" => open += 1,
                "{" if open > 0 => open -= 1,
                // Any other brace opens a block.
                "{" => return back > 0 && self.text_at(back - 1) == "::",
                ";" if open == 0 => return false,
                _ => {}
            }
        }
        false
    }

    /// Reads the tree that begins at `at` and returns the position behind it.
    fn tree(&self, mut at: usize, prefix: Vec<String>, found: &mut Vec<Leaf>) -> usize {
        let mut leaf = Leaf {
            path: prefix,
            alias: None,
            glob: false,
            line: self.tokens.get(at).map_or(0, |token| token.line),
        };
        loop {
            match self.text_at(at) {
                "{" => {
                    at += 1;
                    while !matches!(self.text_at(at), "}" | "") {
                        at = self.tree(at, leaf.path.clone(), found);
                        while !matches!(self.text_at(at), "," | "}" | "") {
                            at += 1;
                        }
                        if self.text_at(at) == "," {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                "*" => {
                    leaf.glob = true;
                    at += 1;
                    break;
                }
                name if is_name(name) => {
                    leaf.path.push(name.to_owned());
                    at += 1;
                }
                // A turbofish, or the end of something that was no path.
                _ => break,
            }
            if self.text_at(at) != "::" {
                break;
            }
            at += 1;
        }
        if self.text_at(at) == "as" {
            leaf.alias = Some(self.text_at(at + 1).to_owned());
            at += 2;
        }
        found.push(leaf);
        at
    }
}

/// The end of a use tree.
struct Leaf {
    path: Vec<String>,
    alias: Option<String>,
    glob: bool,
    line: usize,
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

fn resolve(segments: Vec<String>, here: &[String]) -> Vec<String> {
    let mut rest = segments.as_slice();
    let mut base = match rest.first().map(String::as_str) {
        Some("crate") => {
            rest = &rest[1..];
            vec!["crate".to_owned()]
        }
        // The binary's own view of the library.
        Some("filmlab") => {
            rest = &rest[1..];
            vec!["crate".to_owned()]
        }
        Some("self" | "super") => here.to_vec(),
        _ => return segments,
    };
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = &rest[1..];
    }
    base.extend(rest.iter().filter(|segment| *segment != "self").cloned());
    base
}

/// Names, numbers, `::` and single signs; comments, strings and characters left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    let look = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let start = at;
        let first = look(at);
        if first == '/' && look(at + 1) == '/' {
            while at < chars.len() && look(at) != '\n' {
                at += 1;
            }
        } else if first == '/' && look(at + 1) == '*' {
            let mut nested = 0_usize;
            loop {
                if look(at) == '/' && look(at + 1) == '*' {
                    nested += 1;
                    at += 2;
                } else if look(at) == '*' && look(at + 1) == '/' {
                    nested -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if nested == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_string(&chars, at) {
            at = end;
        } else if first == '"' || (matches!(first, 'b' | 'c') && look(at + 1) == '"') {
            at += if first == '"' { 1 } else { 2 };
            while at < chars.len() && look(at) != '"' {
                at += if look(at) == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if first == '\'' && (look(at + 1) == '\\' || look(at + 2) == '\'') {
            // A character. Anything else after the quote is a lifetime.
            at += if look(at + 1) == '\\' { 3 } else { 2 };
            while at < chars.len() && look(at) != '\'' {
                at += 1;
            }
            at += 1;
        } else if first == '_' || first.is_alphanumeric() {
            while look(at) == '_' || look(at).is_alphanumeric() {
                at += 1;
            }
            tokens.push(Token {
                text: chars[start..at].iter().collect(),
                line,
            });
        } else if first == ':' && look(at + 1) == ':' {
            at += 2;
            tokens.push(Token {
                text: "::".to_owned(),
                line,
            });
        } else {
            at += 1;
            if !first.is_whitespace() {
                tokens.push(Token {
                    text: first.to_string(),
                    line,
                });
            }
        }
        let end = at.min(chars.len());
        line += chars[start..end].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The end of `r"…"`, `r#"…"#`, `br"…"` that begins at `at`, if one does.
fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let look = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let mut quote = at;
    if matches!(look(quote), 'b' | 'c') {
        quote += 1;
    }
    if look(quote) != 'r' {
        return None;
    }
    quote += 1;
    let mut hashes = 0;
    while look(quote) == '#' {
        hashes += 1;
        quote += 1;
    }
    if look(quote) != '"' {
        return None;
    }
    let mut end = quote + 1;
    while end < chars.len() {
        if look(end) == '"' && (1..=hashes).all(|hash| look(end + hash) == '#') {
            return Some(end + 1 + hashes);
        }
        end += 1;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(path: &str, text: &str) -> Vec<String> {
        Source::new(path, text)
            .paths()
            .iter()
            .map(|named| named.segments.join("::"))
            .collect()
    }

    #[test]
    fn groups_are_spread_out() {
        let text = "use crate::{ledger::{self, sqlite::Db as D}, clock, job::*};";
        let found = paths("src/worker.rs", text);
        let wanted = [
            "crate::ledger",
            "crate::ledger::sqlite::Db",
            "crate::clock",
            "crate::job",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn relative_paths_are_resolved() {
        let text = "use super::firestore::X; fn f() { self::wire::go::<u8>() }
            mod inner { use super::super::y; }";
        let found = paths("src/ledger/sqlite.rs", text);
        let wanted = [
            "crate::ledger::firestore::X",
            "crate::ledger::sqlite::wire::go",
            "crate::ledger::y",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = r##"
            // crate::a::b
            /* crate::c /* nested */ crate::d */
            const S: &str = "crate::e \" crate::f"; const R: &str = r#"crate::g " "#;
            fn f<'a>(x: &'a str) -> char { '"' } const Q: char = '\''; use crate::seen::it;
        "##;
        assert_eq!(paths("src/x.rs", text), ["crate::seen::it"]);
    }

    #[test]
    fn a_block_after_a_path_is_no_group() {
        let text = "fn f() { match x { job::A::B => { crate::q::r() } } }";
        assert_eq!(paths("src/x.rs", text), ["job::A::B", "crate::q::r"]);
    }

    #[test]
    fn modules_come_from_file_names() {
        assert_eq!(Source::new("src/lib.rs", "").module, Vec::<String>::new());
        assert_eq!(Source::new("src/media/av.rs", "").module, ["media", "av"]);
        assert_eq!(
            Source::new("src/media/av/mod.rs", "").module,
            ["media", "av"]
        );
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let source = Source::new("src/x.rs", "/*\n\n*/ \"a\nb\";\nuse crate::y::z;");
        assert_eq!(source.paths()[0].line, 5);
    }
}
