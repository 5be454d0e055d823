//! Boxes of a manifest (JUMBF, ISO 19566-5) as others write them, read within bounds.

/// Superboxes within superboxes: a store, a manifest, its assertions, one of them.
const DEEPEST: usize = 6;

/// Boxes of one store.
const MOST: usize = 4096;

/// A superbox.
#[derive(Debug)]
pub(super) struct Superbox<'a> {
    pub kind: [u8; 4],
    pub label: &'a str,
    /// With its head.
    pub whole: &'a [u8],
    /// What its digest is over.
    pub inside: &'a [u8],
    pub boxes: Vec<Superbox<'a>>,
    /// The content of the first box in it that holds CBOR.
    pub cbor: Option<&'a [u8]>,
}

struct Plain<'a> {
    kind: [u8; 4],
    whole: &'a [u8],
    content: &'a [u8],
}

/// The first box, and what follows it.
fn next(bytes: &[u8]) -> Option<(Plain<'_>, &[u8])> {
    let (head, _) = bytes.split_first_chunk::<8>()?;
    let [a, b, c, d, kind @ ..] = *head;
    let (begins, size) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, bytes.len()),
        1 => {
            let size = bytes.get(8..16)?.first_chunk()?;
            (16, usize::try_from(u64::from_be_bytes(*size)).ok()?)
        }
        size => (8, usize::try_from(size).ok()?),
    };
    let (whole, rest) = bytes.split_at_checked(size)?;
    let content = whole.get(begins..)?;
    Some((
        Plain {
            kind,
            whole,
            content,
        },
        rest,
    ))
}

/// The superbox that the bytes begin with; `None` where it is none, or too much.
pub(super) fn read(bytes: &[u8]) -> Option<Superbox<'_>> {
    let (first, _) = next(bytes)?;
    superbox(&first, DEEPEST, &mut { MOST })
}

fn superbox<'a>(found: &Plain<'a>, depth: usize, left: &mut usize) -> Option<Superbox<'a>> {
    let depth = depth.checked_sub(1)?;
    if &found.kind != b"jumb" {
        return None;
    }
    let (description, mut rest) = next(found.content)?;
    if &description.kind != b"jumd" {
        return None;
    }
    let (kind, label) = described(description.content)?;
    let (mut boxes, mut cbor) = (Vec::new(), None);
    while !rest.is_empty() {
        *left = left.checked_sub(1)?;
        let (inner, after) = next(rest)?;
        match &inner.kind {
            b"jumb" => boxes.push(superbox(&inner, depth, left)?),
            b"cbor" if cbor.is_none() => cbor = Some(inner.content),
            _ => {}
        }
        rest = after;
    }
    Some(Superbox {
        kind,
        label,
        whole: found.whole,
        inside: found.content,
        boxes,
        cbor,
    })
}

/// What a description says the superbox is, and its label.
fn described(description: &[u8]) -> Option<([u8; 4], &str)> {
    const HAS_LABEL: u8 = 2;
    let (kind, _) = description.split_first_chunk::<4>()?;
    let (toggles, rest) = description.get(16..)?.split_first()?;
    let label = match toggles & HAS_LABEL {
        0 => "",
        _ => std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()?,
    };
    Some((*kind, label))
}

impl<'a> Superbox<'a> {
    /// The one box in it of that label.
    pub(super) fn only(&self, label: &str) -> Option<&Superbox<'a>> {
        let mut found = self.boxes.iter().filter(|inner| inner.label == label);
        found.next().filter(|_| found.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::super::jumbf;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let content = jumbf::plain(b"cbor", b"\xf6");
        let inner = jumbf::superbox(b"c2as", "inner", &[&content]);
        let outer = jumbf::superbox(b"c2pa", "outer", &[&inner, &jumbf::plain(b"free", b"")]);
        let read = read(&outer).unwrap();
        assert_eq!((read.label, &read.kind), ("outer", b"c2pa"));
        assert_eq!(read.whole, outer);
        let found = read.only("inner").unwrap();
        assert_eq!((found.whole, found.cbor), (&inner[..], Some(&b"\xf6"[..])));
        assert_eq!(found.inside, &inner[8..]);
        assert!(read.only("other").is_none());
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_refused() {
        let mut deep = jumbf::superbox(b"c2as", "0", &[]);
        for _ in 0..DEEPEST {
            deep = jumbf::superbox(b"c2as", "", &[&deep]);
        }
        assert!(read(&deep).is_none());
        let free = jumbf::plain(b"free", b"");
        let many = |count: usize| jumbf::superbox(b"c2as", "", &[&free.repeat(count)[..]]);
        assert!(read(&many(MOST)).is_some());
        assert!(read(&many(MOST + 1)).is_none());
        for end in 0..deep.len() {
            assert!(read(&deep[..end]).is_none());
        }
    }
}
