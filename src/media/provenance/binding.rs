//! What binds a manifest to its file, held against the file (`c2pa.hash.bmff`, versions 2 and 3).
//!
//! Of files of one piece with one box of media. What others may do besides (fragments, proofs in
//! boxes of their own, boxes within boxes left out) is told, and not followed.

use std::io::{self, SeekFrom};

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512};

use super::holding::{HardBinding, Holding, Step, Track};
use super::item::Item;
use crate::media::input::ReadSeek;
use crate::media::limits::Guard;

/// Boxes at the top of a file. More are in fragments, which are not followed.
const MOST_BOXES: usize = 4096;

/// Exclusions of one manifest, and conditions of each: others have some ten.
const MOST_EXCLUSIONS: usize = 64;

/// Bytes that are compared for an exclusion.
const MOST_VALUE: usize = 64;

/// A manifest binds the media from here on, from the beginning of their box.
const MEDIA_BEGIN: u64 = 16;

pub(super) struct Binding {
    exclusions: Vec<Exclusion>,
    algorithm: &'static Algorithm,
    head: Vec<u8>,
    tree: Option<Tree>,
}

#[derive(Debug)]
struct Exclusion {
    kind: [u8; 4],
    length: Option<u64>,
    data: Vec<(u64, Vec<u8>)>,
    /// Parts that are left out; none: all of the box.
    parts: Vec<(u64, u64)>,
}

struct Tree {
    algorithm: &'static Algorithm,
    leaves: Vec<Vec<u8>>,
    sizes: Sizes,
}

#[derive(Debug)]
enum Sizes {
    One,
    Fixed(u64),
    Each(Vec<u64>),
}

/// The algorithm of a name.
pub(super) fn algorithm(name: &str) -> Option<&'static Algorithm> {
    match name {
        "sha256" => Some(&SHA256),
        "sha384" => Some(&SHA384),
        "sha512" => Some(&SHA512),
        _ => None,
    }
}

impl Binding {
    /// Of an assertion; in words, what of it is not followed.
    pub(super) fn of(
        assertion: &Item<'_>,
        usual: &'static Algorithm,
    ) -> Result<Self, &'static str> {
        let named = |item: &Item<'_>, usual| match item.get("alg").and_then(Item::text) {
            Some(name) => algorithm(name).ok_or("an unknown digest"),
            None => Ok(usual),
        };
        let own = named(assertion, usual)?;
        let head = assertion.get("hash").and_then(Item::bytes);
        let head = head.ok_or("a file in fragments")?.to_vec();
        let exclusions = assertion.get("exclusions").map_or(&[][..], Item::list);
        if exclusions.len() > MOST_EXCLUSIONS {
            return Err("very many exclusions");
        }
        let exclusions = exclusions
            .iter()
            .map(Exclusion::of)
            .collect::<Result<_, _>>()?;
        let tree = match assertion.get("merkle").map(Item::list) {
            None => None,
            Some([tree]) => Some(Tree::of(tree, named(tree, own)?)?),
            Some(_) => return Err("several boxes of media"),
        };
        Ok(Self {
            exclusions,
            algorithm: own,
            head,
            tree,
        })
    }

    /// What has to be read of the file, and where. Reads the heads of its boxes only.
    pub(super) fn plan(
        &self,
        reader: &mut dyn ReadSeek,
        length: u64,
        guard: &Guard,
    ) -> io::Result<Result<Holding, HardBinding>> {
        let mut file = File { reader, guard };
        let mut head = Track::new(self.algorithm);
        let mut media = None;
        let (mut at, mut boxes) = (0, 0);
        while at < length {
            boxes += 1;
            if boxes > MOST_BOXES {
                return Ok(Err(HardBinding::NotFollowed("very many boxes")));
            }
            let Some((kind, size)) = file.box_at(at, length)? else {
                return Ok(Err(HardBinding::Mismatch));
            };
            let left_out = self.exclusion(&mut file, kind, at, size)?;
            if left_out.is_none_or(|exclusion| !exclusion.parts.is_empty()) {
                head.then(Step::Said(at));
                let parts = left_out.map_or(&[][..], |exclusion| &exclusion.parts);
                for (from, to) in kept(size, parts) {
                    head.then(Step::Read(at + from, at + to));
                }
            }
            if &kind == b"mdat"
                && let Some(tree) = &self.tree
            {
                if media.is_some() {
                    return Ok(Err(HardBinding::NotFollowed("several boxes of media")));
                }
                let size = size.checked_sub(MEDIA_BEGIN);
                let leaves = size.and_then(|size| tree.track(at + MEDIA_BEGIN, size));
                let Some(leaves) = leaves else {
                    return Ok(Err(HardBinding::Mismatch));
                };
                media = Some(leaves);
            }
            at += size;
        }
        if self.tree.is_some() && media.is_none() {
            return Ok(Err(HardBinding::Mismatch));
        }
        head.then(Step::Is(self.head.clone()));
        Ok(Ok(Holding::new(head, media)))
    }

    fn exclusion(
        &self,
        file: &mut File<'_>,
        kind: [u8; 4],
        at: u64,
        size: u64,
    ) -> io::Result<Option<&Exclusion>> {
        for exclusion in self.exclusions.iter().filter(|one| one.kind == kind) {
            let mut fits = exclusion.length.is_none_or(|length| length == size);
            for (offset, value) in &exclusion.data {
                let end = offset.saturating_add(value.len() as u64);
                fits = fits && end <= size && file.has(at + offset, value)?;
            }
            if fits {
                return Ok(Some(exclusion));
            }
        }
        Ok(None)
    }
}

/// What is left of a box without the parts that are left out.
fn kept(size: u64, parts: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut parts: Vec<(u64, u64)> = parts
        .iter()
        .map(|(offset, length)| match length {
            // To the end.
            0 => (*offset, size),
            length => (*offset, offset.saturating_add(*length)),
        })
        .collect();
    parts.sort_unstable();
    let (mut from, mut kept) = (0, Vec::new());
    for (begin, end) in parts {
        if begin.min(size) > from {
            kept.push((from, begin.min(size)));
        }
        from = from.max(end.min(size));
    }
    if from < size {
        kept.push((from, size));
    }
    kept
}

impl Exclusion {
    fn of(item: &Item<'_>) -> Result<Self, &'static str> {
        const INSIDE: &str = "boxes within boxes left out";
        let path = item.get("xpath").and_then(Item::text).ok_or(INSIDE)?;
        let kind = path.strip_prefix('/').ok_or(INSIDE)?.as_bytes();
        let kind = <[u8; 4]>::try_from(kind).map_err(|_| INSIDE)?;
        let has = |key: &str| item.get(key).is_some_and(|found| *found != Item::Other);
        if has("version") || has("flags") {
            return Err("boxes left out for their flags");
        }
        let list = |key: &str| match item.get(key).map_or(&[][..], Item::list) {
            list if list.len() > MOST_EXCLUSIONS => Err("very many exclusions"),
            list => Ok(list),
        };
        let number = |item: &Item<'_>, key: &str| item.get(key).and_then(Item::number);
        let data = list("data")?.iter().map(|entry| {
            let value = entry.get("value").and_then(Item::bytes);
            let value = value.filter(|value| value.len() <= MOST_VALUE);
            Some((number(entry, "offset")?, value?.to_vec()))
        });
        let parts = list("subset")?
            .iter()
            .map(|entry| Some((number(entry, "offset")?, number(entry, "length")?)));
        Ok(Self {
            kind,
            length: number(item, "length"),
            data: data
                .collect::<Option<_>>()
                .ok_or("an exclusion that is none")?,
            parts: parts
                .collect::<Option<_>>()
                .ok_or("an exclusion that is none")?,
        })
    }
}

impl Tree {
    fn of(item: &Item<'_>, algorithm: &'static Algorithm) -> Result<Self, &'static str> {
        if item
            .get("initHash")
            .is_some_and(|hash| *hash != Item::Other)
        {
            return Err("a file in fragments");
        }
        let hashes = item.get("hashes").map_or(&[][..], Item::list);
        let leaves: Option<Vec<Vec<u8>>> = hashes
            .iter()
            .map(|hash| Some(hash.bytes()?.to_vec()))
            .collect();
        let leaves = leaves.ok_or("digests that are none")?;
        if item.get("count").and_then(Item::number) != Some(leaves.len() as u64) {
            return Err("digests that stand elsewhere");
        }
        let fixed = item.get("fixedBlockSize").and_then(Item::number);
        let each = item.get("variableBlockSizes").map(Item::list);
        let sizes = match (fixed, each) {
            (Some(size), None) => Sizes::Fixed(size),
            (None, Some(sizes)) => {
                let sizes: Option<Vec<u64>> = sizes.iter().map(Item::number).collect();
                Sizes::Each(sizes.ok_or("sizes that are none")?)
            }
            (None, None) => Sizes::One,
            (Some(_), Some(_)) => return Err("sizes of two kinds"),
        };
        Ok(Self {
            algorithm,
            leaves,
            sizes,
        })
    }

    /// Its leaves over so many bytes; `None` where they are not of as many.
    fn track(&self, begins: u64, size: u64) -> Option<Track> {
        let mut track = Track::new(self.algorithm);
        let mut done = 0;
        for (number, leaf) in self.leaves.iter().enumerate() {
            let left = size - done;
            let now = match &self.sizes {
                Sizes::One => left,
                Sizes::Fixed(fixed) => left.min(*fixed),
                Sizes::Each(sizes) => sizes.get(number).copied().unwrap_or(0),
            };
            if now == 0 || now > left {
                return None;
            }
            track.then(Step::Read(begins + done, begins + done + now));
            track.then(Step::Is(leaf.clone()));
            done += now;
        }
        (done == size).then_some(track)
    }
}

struct File<'a> {
    reader: &'a mut dyn ReadSeek,
    guard: &'a Guard,
}

impl File<'_> {
    /// Kind and size of the box there; `None` where there is none.
    fn box_at(&mut self, at: u64, length: u64) -> io::Result<Option<([u8; 4], u64)>> {
        let left = length - at;
        if left < 8 {
            return Ok(None);
        }
        let mut head = [0; 8];
        self.read(at, &mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => left,
            1 if left < 16 => return Ok(None),
            1 => {
                let mut long = [0; 8];
                self.read(at + 8, &mut long)?;
                u64::from_be_bytes(long)
            }
            size => u64::from(size),
        };
        Ok((8..=left).contains(&size).then_some((kind, size)))
    }

    fn has(&mut self, at: u64, value: &[u8]) -> io::Result<bool> {
        let mut found = vec![0; value.len()];
        self.read(at, &mut found)?;
        Ok(found == value)
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        if self.guard.tripped() {
            return Err(io::Error::other("the work was stopped"));
        }
        self.reader.seek(SeekFrom::Start(at))?;
        self.reader.read_exact(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_box() {
        assert_eq!(kept(100, &[]), [(0, 100)]);
        assert_eq!(kept(100, &[(16, 0)]), [(0, 16)]);
        assert_eq!(kept(100, &[(50, 10), (0, 20)]), [(20, 50), (60, 100)]);
        assert_eq!(kept(100, &[(200, 0), (90, u64::MAX)]), [(0, 90)]);
        assert_eq!(kept(8, &[(16, 0)]), [(0, 8)]);
    }
}
