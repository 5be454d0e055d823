//! No file stands on itself, at whatever distance.

use super::imports::imports;
use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>;

/// Each ring, largest first, with the names that tie it; and what could not be followed.
pub(super) fn rings(sources: &[Source]) -> Vec<String> {
    let found = imports(sources);
    let knots = knots(&found.edges);
    let tied = knots.iter().map(|knot| told(knot, &found.edges));
    let globs = found
        .globs
        .iter()
        .map(|(file, line)| format!("{file}:{line}: `use …::*` cannot be followed to a file"));
    tied.chain(globs).collect()
}

/// Files that reach each other.
fn knots<'a>(edges: &Edges<'a>) -> Vec<BTreeSet<&'a str>> {
    let reach: BTreeMap<&str, BTreeSet<&'a str>> = edges
        .keys()
        .map(|from| (*from, reached(from, edges)))
        .collect();
    let mut knots: Vec<BTreeSet<&'a str>> = Vec::new();
    for (from, far) in &reach {
        if !far.contains(from) || knots.iter().any(|knot| knot.contains(from)) {
            continue;
        }
        let back = |to: &&str| reach.get(to).is_some_and(|far| far.contains(from));
        knots.push(far.iter().copied().filter(back).collect());
    }
    knots.sort_by_key(|knot| std::cmp::Reverse(knot.len()));
    knots
}

fn reached<'a>(from: &str, edges: &Edges<'a>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = vec![from];
    while let Some(at) = next.pop() {
        for to in edges.get(at).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(*to) {
                next.push(to);
            }
        }
    }
    seen
}

fn told(knot: &BTreeSet<&str>, edges: &Edges<'_>) -> String {
    let mut text = format!("a ring of {} files:", knot.len());
    for from in knot {
        for (to, names) in &edges[from] {
            if knot.contains(to) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let _ = write!(text, "\n    {from} -> {to}: {}", names.join(", "));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        rings(&sources)
    }

    /// The rings of each tree, by the arrows that are told.
    fn assert_ring(files: &[(&str, &str)], arrows: &[&str]) {
        let found = found(files);
        assert_eq!(found.len(), 1, "{files:?}: {found:?}");
        let told: Vec<&str> = found[0].lines().skip(1).map(str::trim).collect();
        assert_eq!(told, arrows, "{files:?}");
    }

    #[test]
    fn a_ring_is_named_with_what_ties_it() {
        assert_ring(
            &[
                ("src/a.rs", "use crate::b::{self, B}; pub struct A;"),
                ("src/b.rs", "pub struct B; fn f() { crate::c::go() }"),
                ("src/c.rs", "use super::a; pub fn go() { a::A::new() }"),
                ("src/d.rs", "use crate::a::A;"),
            ],
            &[
                "src/a.rs -> src/b.rs: B",
                "src/b.rs -> src/c.rs: go",
                "src/c.rs -> src/a.rs: A",
            ],
        );
    }

    #[test]
    fn a_name_that_is_handed_on_is_followed_to_its_file() {
        assert_ring(
            &[
                ("src/lib.rs", "pub mod a; pub mod z; pub use z::Z as Q;"),
                ("src/a.rs", "pub mod inner; pub use inner::Thing;"),
                ("src/a/inner.rs", "use crate::Q; pub struct Thing;"),
                ("src/z.rs", "use crate::a::Thing as T; pub struct Z(T);"),
            ],
            &[
                "src/a/inner.rs -> src/z.rs: Z",
                "src/z.rs -> src/a/inner.rs: Thing",
            ],
        );
    }

    #[test]
    fn a_parent_that_only_hands_on_stands_on_nobody() {
        let files = [
            (
                "src/a.rs",
                "mod b; mod c; pub use b::B; pub use c::{C, make as made};",
            ),
            ("src/a/b.rs", "pub struct B;"),
            (
                "src/a/c.rs",
                "use super::B; pub struct C(B); pub fn make() -> C {}",
            ),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_child_that_asks_a_parent_which_uses_it_is_in_a_ring() {
        let b = ("src/a/b.rs", "pub struct B;");
        let c = ("src/a/c.rs", "use super::B; pub fn make(b: B) {}");
        let ring = ["src/a.rs -> src/a/c.rs: make", "src/a/c.rs -> src/a.rs: B"];
        // By its path, and by a name that it hands on as well.
        for parent in [
            "mod b; mod c; pub use b::B; fn f() { c::make(g()) }",
            "mod b; mod c; pub use b::B; pub use c::make; fn f() { make(g()) }",
        ] {
            assert_ring(&[("src/a.rs", parent), b, c], &ring);
        }
        // Straight from its brother it is in none.
        let c = ("src/a/c.rs", "use super::b::B; pub fn make(b: B) {}");
        let parent = "mod b; mod c; pub use b::B; fn f() { c::make(g()) }";
        assert_eq!(found(&[("src/a.rs", parent), b, c]), Vec::<String>::new());
    }

    #[test]
    fn what_only_tests_take_ties_nothing() {
        let files = [
            (
                "src/a.rs",
                "pub struct A; mod tests { use crate::b::B; fn f() { crate::b::g() } }",
            ),
            ("src/b.rs", "use crate::a::A; pub struct B; pub fn g() {}"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn an_import_of_everything_is_refused() {
        let told = found(&[
            ("src/a.rs", "use crate::b::*;"),
            ("src/b.rs", "pub struct B;"),
        ]);
        assert_eq!(
            told,
            ["src/a.rs:1: `use …::*` cannot be followed to a file"]
        );
    }
}
