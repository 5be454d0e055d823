//! CBOR (RFC 8949) as far as manifests need it: written with definite lengths and the shortest heads.

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cbor {
    Unsigned(u64),
    /// −1 − the number.
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Cbor>),
    /// In the order in which it is written.
    Map(Vec<(Cbor, Cbor)>),
    Tagged(u64, Box<Cbor>),
    Null,
}

impl Cbor {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A map with keys of text.
    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        let entries = entries.into_iter();
        Self::Map(
            entries
                .map(|(key, value)| (Self::text(key), value))
                .collect(),
        )
    }

    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned(number) => head(0, *number, out),
            Self::Negative(number) => head(1, *number, out),
            Self::Bytes(bytes) => {
                head(2, bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                head(3, text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
            Self::List(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                head(5, entries.len() as u64, out);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Tagged(tag, inner) => {
                head(6, *tag, out);
                inner.write(out);
            }
            Self::Null => out.push(0xf6),
        }
    }
}

/// A kind and its number, in as few bytes as it takes.
fn head(kind: u8, number: u64, out: &mut Vec<u8>) {
    let kind = kind << 5;
    match number {
        0..=23 => out.push(kind | number as u8),
        24..=0xff => out.extend([kind | 24, number as u8]),
        0x100..=0xffff => {
            out.push(kind | 25);
            out.extend((number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(kind | 26);
            out.extend((number as u32).to_be_bytes());
        }
        _ => {
            out.push(kind | 27);
            out.extend(number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_standard_shows_them() {
        // RFC 8949, appendix A.
        for (value, expected) in [
            (Cbor::Unsigned(0), "00"),
            (Cbor::Unsigned(23), "17"),
            (Cbor::Unsigned(24), "1818"),
            (Cbor::Unsigned(1000), "1903e8"),
            (Cbor::Unsigned(1_000_000), "1a000f4240"),
            (Cbor::Unsigned(1_000_000_000_000), "1b000000e8d4a51000"),
            (Cbor::Negative(99), "3863"),
            (Cbor::Bytes(vec![1, 2, 3, 4]), "4401020304"),
            (Cbor::text("ü"), "62c3bc"),
            (
                Cbor::Tagged(1, Box::new(Cbor::Unsigned(1_363_896_240))),
                "c11a514b67b0",
            ),
            (Cbor::Null, "f6"),
            (
                Cbor::map([
                    ("a", Cbor::Unsigned(1)),
                    ("b", Cbor::List(vec![Cbor::Unsigned(2), Cbor::Unsigned(3)])),
                ]),
                "a26161016162820203",
            ),
        ] {
            assert_eq!(hex::encode(value.encoded()), expected, "{value:?}");
        }
    }
}
