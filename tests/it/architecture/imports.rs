//! Whom a file stands on: each name it takes, followed to the file that defines it.
//!
//! What counts, and why, is written in `docs/architecture.md` ("Files and rings").

use super::source::{Source, Use};
use std::collections::{BTreeMap, BTreeSet};

/// How often one name may be handed on before it is taken to go in a circle.
const HOPS: usize = 16;

/// The files and what each takes from which other: `edges[from][to]` are the names.
pub(super) struct Imports<'a> {
    pub(super) edges: BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>,
    /// Imports that cannot be followed: `use a::*` outside tests.
    pub(super) globs: Vec<(&'a str, usize)>,
}

struct File<'a> {
    source: &'a Source,
    uses: Vec<Use>,
}

impl File<'_> {
    /// What the file calls by this name, where it took it from elsewhere.
    fn taken(&self, name: &str) -> impl Iterator<Item = &Use> {
        self.uses
            .iter()
            .filter(move |taken| !taken.in_tests && taken.name == name)
    }
}

/// By the path of the module, `["media", "probe"]`.
type Files<'a> = BTreeMap<&'a [String], File<'a>>;

pub(super) fn imports(sources: &[Source]) -> Imports<'_> {
    let files: Files<'_> = sources
        .iter()
        // The program hands over to the library: nothing can stand on it.
        .filter(|source| source.path != "src/main.rs")
        .map(|source| {
            let uses = source.uses();
            (source.module.as_slice(), File { source, uses })
        })
        .collect();
    let files = with_children_in_full(files);
    let mut found = Imports {
        edges: BTreeMap::new(),
        globs: Vec::new(),
    };
    for file in files.values() {
        let own = file.source;
        if own.module.last().is_some_and(|name| name == "tests") {
            continue;
        }
        let mut reached = BTreeSet::new();
        let spoken = own.words();
        for taken in file.uses.iter().filter(|taken| !taken.in_tests) {
            if taken.glob {
                found.globs.push((&own.path, taken.line));
            }
            // Handing a name on is no use of it.
            if taken.public && !spoken.contains(taken.name.as_str()) {
                continue;
            }
            follow(&files, own, &taken.path, HOPS, &mut reached);
        }
        for named in own.paths() {
            if !named.in_tests && !named.in_use {
                let path = in_full(&files, file, &named.segments);
                follow(&files, own, &path, HOPS, &mut reached);
            }
        }
        for (to, name) in reached {
            if to != own.path {
                found
                    .edges
                    .entry(&own.path)
                    .or_default()
                    .entry(to)
                    .or_default()
                    .insert(name);
            }
        }
    }
    found
}

/// `use inner::X` names a child without saying `self`, or a crate.
fn with_children_in_full(mut files: Files<'_>) -> Files<'_> {
    let mut full: Vec<Vec<Vec<String>>> = Vec::new();
    for file in files.values() {
        let paths = file.uses.iter();
        full.push(
            paths
                .map(|taken| in_full(&files, file, &taken.path))
                .collect(),
        );
    }
    for (file, paths) in files.values_mut().zip(full) {
        for (taken, path) in file.uses.iter_mut().zip(paths) {
            taken.path = path;
        }
    }
    files
}

/// A path as the file means it: its first name may be one it imported, or a child.
fn in_full(files: &Files<'_>, file: &File<'_>, path: &[String]) -> Vec<String> {
    let first = &path[0];
    if first == "crate" {
        return path.to_vec();
    }
    let module = &file.source.module;
    let child = [module.as_slice(), &path[..1]].concat();
    if files.contains_key(child.as_slice()) {
        return [&["crate".to_owned()], module.as_slice(), path].concat();
    }
    match file.taken(first).next() {
        Some(taken) => [&taken.path, &path[1..]].concat(),
        None => path.to_vec(),
    }
}

/// Walks a path of ours down the modules. Each file whose import hands the name on
/// is stood on, and the file that defines it. A path that ends at a module names
/// nothing yet: what is taken from the module has paths of its own.
fn follow<'a>(
    files: &Files<'a>,
    from: &Source,
    path: &[String],
    hops: usize,
    reached: &mut BTreeSet<(&'a str, String)>,
) {
    if hops == 0 || path.first().is_none_or(|first| first != "crate") {
        return;
    }
    let path = &path[1..];
    for (at, segment) in path.iter().enumerate() {
        let last = at + 1 == path.len();
        let is_child = files.contains_key(&path[..=at]);
        if is_child && !last {
            continue;
        }
        let Some(file) = files.get(&path[..at]) else {
            return;
        };
        let mut handed_on = false;
        for taken in file.taken(segment) {
            handed_on = true;
            if file.source.path != from.path {
                reached.insert((&file.source.path, segment.clone()));
            }
            let onward = [&taken.path, &path[at + 1..]].concat();
            follow(files, from, &onward, hops - 1, reached);
        }
        if !handed_on && !is_child {
            reached.insert((&file.source.path, segment.clone()));
        }
        return;
    }
}
