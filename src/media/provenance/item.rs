//! CBOR (RFC 8949) as others write it, read within bounds.

/// Items within items. Assertions have some eight.
const DEEPEST: usize = 24;

/// Items of one value. The digests of a file of 100 GB are some ten thousand.
const MOST: usize = 1 << 16;

/// A value that borrows from what it was read of.
#[derive(Debug, PartialEq)]
pub(super) enum Item<'a> {
    Unsigned(u64),
    /// −1 − the number.
    Negative(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<Item<'a>>),
    Map(Vec<(Item<'a>, Item<'a>)>),
    Tagged(Box<Item<'a>>),
    /// Numbers with a point, and what is true, false or nothing.
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

/// The first value of the bytes; `None` where it is none, or too much.
pub(super) fn read(bytes: &[u8]) -> Option<Item<'_>> {
    let mut reader = Reader {
        rest: bytes,
        left: MOST,
    };
    reader.item(DEEPEST)
}

impl<'a> Reader<'a> {
    fn item(&mut self, depth: usize) -> Option<Item<'a>> {
        self.left = self.left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        let (kind, number) = self.head()?;
        Some(match kind {
            0 => Item::Unsigned(number?),
            1 => Item::Negative(number?),
            2 => Item::Bytes(self.take(number?)?),
            3 => Item::Text(std::str::from_utf8(self.take(number?)?).ok()?),
            4 => {
                let mut items = Vec::new();
                while self.has_more(number, items.len())? {
                    items.push(self.item(depth)?);
                }
                Item::List(items)
            }
            5 => {
                let mut entries = Vec::new();
                while self.has_more(number, entries.len())? {
                    entries.push((self.item(depth)?, self.item(depth)?));
                }
                Item::Map(entries)
            }
            6 => {
                number?;
                Item::Tagged(Box::new(self.item(depth)?))
            }
            _ => {
                number?;
                Item::Other
            }
        })
    }

    /// A kind and its number; lists and maps may come without one.
    fn head(&mut self) -> Option<(u8, Option<u64>)> {
        let first = *self.take(1)?.first()?;
        let bytes = match first & 31 {
            short @ 0..=23 => return Some((first >> 5, Some(u64::from(short)))),
            long @ 24..=27 => self.take(1 << (long - 24))?,
            31 => return Some((first >> 5, None)),
            _ => return None,
        };
        let number = bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        Some((first >> 5, Some(number)))
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let count = usize::try_from(count).ok()?;
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Whether a list goes on: for its number, or up to the byte that ends it.
    fn has_more(&mut self, number: Option<u64>, have: usize) -> Option<bool> {
        match number {
            Some(number) => Some((have as u64) < number),
            None if self.rest.first()? == &0xff => {
                self.take(1)?;
                Some(false)
            }
            None => Some(true),
        }
    }
}

impl<'a> Item<'a> {
    /// The value behind a key of text.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(&Item::Text(key))
    }

    pub(super) fn entry(&self, key: &Item<'_>) -> Option<&Self> {
        match self {
            Item::Map(entries) => entries
                .iter()
                .find_map(|(found, value)| (found == key).then_some(value)),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self {
            Item::Text(text) => Some(text),
            Item::Tagged(inner) => inner.text(),
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Item::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Item::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list; of anything else, none.
    pub(super) fn list(&self) -> &[Item<'a>] {
        match self {
            Item::List(items) => items,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cbor::Cbor;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let written = Cbor::map([
            ("a", Cbor::Unsigned(1 << 40)),
            ("b", Cbor::List(vec![Cbor::Bytes(vec![7; 300]), Cbor::Null])),
            ("c", Cbor::Tagged(0, Box::new(Cbor::text("ü")))),
            ("d", Cbor::Negative(6)),
        ])
        .encoded();
        let read = read(&written).unwrap();
        assert_eq!(read.get("a").unwrap().number(), Some(1 << 40));
        assert_eq!(
            read.get("b").unwrap().list()[0].bytes(),
            Some(&[7; 300][..])
        );
        assert_eq!(read.get("c").unwrap().text(), Some("ü"));
        assert_eq!(read.get("d"), Some(&Item::Negative(6)));
        assert_eq!(read.get("e"), None);
    }

    #[test]
    fn lengths_may_be_left_open() {
        let bytes = hex::decode("bf6161019f0203ffff").unwrap();
        assert_eq!(read(&bytes), None, "a key that is a list has no value");
        let bytes = hex::decode("bf61619f0203ffff").unwrap();
        let read = read(&bytes).unwrap();
        assert_eq!(read.get("a").unwrap().list().len(), 2);
    }

    #[test]
    fn what_promises_too_much_is_refused() {
        for bytes in [
            &[0x9a, 0xff, 0xff, 0xff, 0xff][..],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x81; 100],
            &[0x9f; 100],
            &[0x1c],
            &[0x62, 0xff, 0xff],
            &[],
        ] {
            assert_eq!(read(bytes), None, "{bytes:02x?}");
        }
        let long = [&[0x9a, 0, 2, 0, 0][..], &[0; 0x2_0000]].concat();
        assert_eq!(read(&long), None);
    }
}
