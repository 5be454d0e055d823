//! A look at a drawing's markup before it is read for good: how much it is, how deep, how often its
//! parts are repeated, and whether it holds what is not drawn.
//!
//! The reader behind it follows references from part to part and calls itself for each, so that a file
//! of some kilobytes could take all memory, or the stack.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Elements of a file.
const MOST_ELEMENTS: usize = 10_000;
/// Elements that they become where references repeat them.
const MOST_REPEATED: usize = 100_000;
/// Elements within elements. Editors write some ten.
const DEEPEST: usize = 40;
/// References within what is referred to.
const LONGEST_CHAIN: usize = 6;
/// Style sheets together: each rule is tried on each element.
const MOST_STYLE: usize = 32 << 10;

/// What is not drawn here, and would be elsewhere.
const REFUSED: [(&str, &str); 15] = [
    ("script", "a script"),
    ("image", "a picture inside"),
    ("feImage", "a picture inside"),
    ("foreignObject", "a part that is not SVG"),
    (
        "text",
        "text: convert it to outlines, or use a layer of text",
    ),
    (
        "tspan",
        "text: convert it to outlines, or use a layer of text",
    ),
    (
        "textPath",
        "text: convert it to outlines, or use a layer of text",
    ),
    ("animate", "an animation"),
    ("animateTransform", "an animation"),
    ("animateMotion", "an animation"),
    ("set", "an animation"),
    ("video", "a video"),
    ("audio", "sound"),
    ("iframe", "a page"),
    ("include", "a part of another file"),
];

#[derive(Default)]
struct Element {
    parent: Option<usize>,
    id: Option<String>,
    classes: Vec<String>,
    refs: Vec<String>,
    /// This one and all below it.
    size: usize,
}

#[derive(Default)]
struct Scan {
    elements: Vec<Element>,
    /// References that a class of a style sheet brings.
    styles: HashMap<String, Vec<String>>,
    style_bytes: usize,
}

/// # Errors
/// What is wrong, as a sentence.
pub(super) fn scan(text: &str) -> Result<(), String> {
    let mut scan = Scan::default();
    let mut reader = Reader::from_str(text);
    let broken = |error: &dyn std::fmt::Display| format!("the SVG picture cannot be read: {error}");
    let mut open: Vec<usize> = Vec::new();
    let mut style = None;
    loop {
        match reader.read_event().map_err(|error| broken(&error))? {
            Event::Start(start) => {
                let at = scan.element(&start, open.last().copied())?;
                open.push(at);
                if open.len() > DEEPEST {
                    return Err(format!(
                        "the SVG picture has elements within elements, more than {DEEPEST} deep"
                    ));
                }
                if start.local_name().as_ref() == "style".as_bytes() {
                    style = Some(String::new());
                }
            }
            Event::Empty(start) => {
                scan.element(&start, open.last().copied())?;
            }
            Event::End(end) => {
                open.pop();
                if end.local_name().as_ref() == "style".as_bytes() {
                    scan.style(&style.take().unwrap_or_default())?;
                }
            }
            Event::Text(text) => {
                if let Some(style) = &mut style {
                    style.push_str(&text.decode().map_err(|error| broken(&error))?);
                }
            }
            Event::CData(text) => {
                if let Some(style) = &mut style {
                    style.push_str(&text.decode().map_err(|error| broken(&error))?);
                }
            }
            Event::GeneralRef(_) if style.is_some() => {
                return Err("the SVG picture has entities in a style sheet".to_owned());
            }
            Event::DocType(kind) if kind.contains(&b'[') => {
                return Err("the SVG picture declares entities, which are not taken".to_owned());
            }
            Event::PI(instruction) if instruction.target() == "xml-stylesheet".as_bytes() => {
                return Err("the SVG picture refers to another file".to_owned());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    scan.references()
}

impl Scan {
    fn element(&mut self, start: &BytesStart<'_>, parent: Option<usize>) -> Result<usize, String> {
        if self.elements.len() >= MOST_ELEMENTS {
            return Err(format!(
                "the SVG picture has more than {MOST_ELEMENTS} elements"
            ));
        }
        let name = start.local_name();
        let refused = REFUSED
            .iter()
            .find(|(refused, _)| name.as_ref() == refused.as_bytes());
        if let Some((_, what)) = refused {
            return Err(format!("the SVG picture has {what}"));
        }
        let mut element = Element {
            parent,
            size: 1,
            ..Element::default()
        };
        // A link leads somewhere when it is clicked at, which a frame is not.
        let link = name.as_ref() == "a".as_bytes();
        for attribute in start.attributes() {
            let broken =
                |error: &dyn std::fmt::Display| format!("the SVG picture cannot be read: {error}");
            let attribute = attribute.map_err(|error| broken(&error))?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| broken(&error))?;
            let key = attribute.key.local_name();
            let key = std::str::from_utf8(key.as_ref()).unwrap_or_default();
            match key {
                "id" => element.id = Some(value.clone().into_owned()),
                "class" => {
                    element.classes = value.split_whitespace().map(str::to_owned).collect();
                }
                "href" if !link => element.refs.push(inner(&value)?.to_owned()),
                _ => {}
            }
            let markers = key.starts_with("marker") && value.contains("url(");
            if markers || (key == "style" && marks(&value)) {
                return Err("the SVG picture has markers on its lines".to_owned());
            }
            urls(&value, &mut element.refs)?;
        }
        let mut above = parent;
        while let Some(at) = above {
            self.elements[at].size += 1;
            above = self.elements[at].parent;
        }
        self.elements.push(element);
        Ok(self.elements.len() - 1)
    }

    /// Rules with references count for the classes they name; they may name nothing else.
    fn style(&mut self, text: &str) -> Result<(), String> {
        self.style_bytes += text.len();
        if self.style_bytes > MOST_STYLE {
            return Err(format!(
                "the SVG picture has more than {} KiB of style sheets",
                MOST_STYLE >> 10
            ));
        }
        if text.contains("@import") {
            return Err("the SVG picture refers to another file".to_owned());
        }
        if marks(text) {
            return Err("the SVG picture has markers on its lines".to_owned());
        }
        let text = without_comments(text);
        for rule in text.split('}') {
            let Some((selectors, said)) = rule.rsplit_once('{') else {
                continue;
            };
            let mut refs = Vec::new();
            urls(said, &mut refs)?;
            if refs.is_empty() {
                continue;
            }
            for selector in selectors.split(',') {
                let plain = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
                match selector.trim().strip_prefix('.') {
                    Some(class) if class.chars().all(plain) => {
                        let of = self.styles.entry(class.to_owned()).or_default();
                        of.extend(refs.iter().cloned());
                    }
                    _ => {
                        let message = "the SVG picture has a style with a reference for more than a \
                                       class";
                        return Err(message.to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    fn references(&self) -> Result<(), String> {
        let ids = self.elements.iter().enumerate();
        let ids = ids.filter_map(|(at, element)| Some((element.id.as_deref()?, at)));
        // Whichever of several with one id a reader takes.
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (id, at) in ids {
            named.entry(id).or_default().push(at);
        }
        // What each element with an id refers to, from all that is in it; the root stands for all.
        let mut refs: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, element) in self.elements.iter().enumerate() {
            let styled = element
                .classes
                .iter()
                .filter_map(|class| self.styles.get(class));
            let wanted = element.refs.iter().chain(styled.flatten());
            let wanted: Vec<usize> = wanted
                .filter_map(|id| named.get(id.as_str()))
                .flatten()
                .copied()
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let mut above = Some(at);
            while let Some(at) = above {
                let holder = &self.elements[at];
                if holder.id.is_some() || holder.parent.is_none() {
                    refs.entry(at).or_default().extend(&wanted);
                }
                above = holder.parent;
            }
        }
        let mut known = HashMap::new();
        let roots = self.elements.iter().enumerate();
        let roots = roots.filter(|(_, element)| element.parent.is_none());
        for (root, _) in roots {
            let size = self.repeated(root, 0, &refs, &mut known)?;
            if size > MOST_REPEATED {
                return Err("the SVG picture repeats its parts too often".to_owned());
            }
        }
        Ok(())
    }

    /// Elements that one becomes, with all that it refers to.
    fn repeated(
        &self,
        at: usize,
        chain: usize,
        refs: &HashMap<usize, Vec<usize>>,
        known: &mut HashMap<(usize, usize), usize>,
    ) -> Result<usize, String> {
        if chain > LONGEST_CHAIN {
            let message = "the SVG picture refers to parts that refer to others, and so on";
            return Err(message.to_owned());
        }
        // By the chain, too: what is known for a short one may be too long for another.
        if let Some(size) = known.get(&(at, chain)) {
            return Ok(*size);
        }
        let mut size = self.elements[at].size;
        for to in refs.get(&at).into_iter().flatten() {
            size = size.saturating_add(self.repeated(*to, chain + 1, refs, known)?);
        }
        known.insert((at, chain), size);
        Ok(size)
    }
}

/// A reference to a part of the same file.
fn inner(reference: &str) -> Result<&str, String> {
    let id = reference.trim().strip_prefix('#');
    id.ok_or_else(|| "the SVG picture refers to something outside of it".to_owned())
}

/// A comment may hold the end of a rule that is none.
fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        left.push_str(part.split_once("*/").map_or("", |(_, behind)| behind));
    }
    left
}

/// Whether a style lays markers on lines.
fn marks(style: &str) -> bool {
    let after = style.match_indices("marker").map(|(at, _)| &style[at..]);
    after
        .filter_map(|text| text.split([';', '}']).next())
        .any(|text| text.contains("url("))
}

/// The parts that `url(…)` names.
fn urls(text: &str, into: &mut Vec<String>) -> Result<(), String> {
    for (at, found) in text.match_indices("url(") {
        let rest = &text[at + found.len()..];
        let inside = rest.split(')').next().unwrap_or(rest);
        let inside = inside.trim().trim_matches(['"', '\'']);
        into.push(inner(inside)?.to_owned());
    }
    Ok(())
}
