//! A signature over a claim that stands elsewhere (`COSE_Sign1`, RFC 9052).

use std::io;

use aws_lc_rs::digest::{SHA256, digest};

use super::cbor::Cbor;
use super::certificate::{SEQUENCE, value};

/// Bytes of an ES256 signature.
pub(super) const SIGNATURE: usize = 64;

/// Signs, with the chain of certificates that goes into the file: the signer's first, DER.
pub trait Signer: Send + Sync + std::fmt::Debug {
    /// The chain.
    fn chain(&self) -> &[Vec<u8>];

    /// ES256: both numbers, 64 bytes.
    ///
    /// # Errors
    /// Whatever keeps it from signing.
    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>>;

    /// Bytes of the longest time stamp; 0 where none is asked for.
    fn stamp_room(&self) -> usize {
        0
    }

    /// A time stamp of a digest (SHA-256): the token of RFC 3161. `None`: there is to be none.
    ///
    /// # Errors
    /// Whatever keeps it from being had, where it has to be.
    fn stamp(&self, _digest: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// The 64 bytes of an ES256 signature that comes as DER: a sequence of its two numbers.
#[must_use]
pub fn es256_of_der(der: &[u8]) -> Option<Vec<u8>> {
    const NUMBER: u8 = 2;
    let (_, mut rest, _) = value(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let mut signature = Vec::with_capacity(SIGNATURE);
    for _ in 0..2 {
        let (_, number, after) = value(rest).filter(|(tag, ..)| *tag == NUMBER)?;
        // A zero before a first bit that is set keeps it from being negative.
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = &number[zeros..];
        let missing = (SIGNATURE / 2).checked_sub(number.len())?;
        signature.resize(signature.len() + missing, 0);
        signature.extend_from_slice(number);
        rest = after;
    }
    Some(signature)
}

/// The bytes that are signed, of a protected header and a claim.
pub(super) fn to_be_signed(protected: &[u8], claim: &[u8]) -> Vec<u8> {
    structure("Signature1", protected, claim.to_vec()).encoded()
}

fn structure(context: &str, protected: &[u8], payload: Vec<u8>) -> Cbor {
    Cbor::List(vec![
        Cbor::text(context),
        Cbor::Bytes(protected.to_vec()),
        Cbor::Bytes(Vec::new()),
        Cbor::Bytes(payload),
    ])
}

/// The signature of a claim.
pub(super) fn sign(claim: &[u8], signer: &dyn Signer) -> io::Result<Vec<u8>> {
    /// ES256, and the chain of certificates (RFC 9360).
    const ALGORITHM: (Cbor, Cbor) = (Cbor::Unsigned(1), Cbor::Negative(6));
    const CHAIN: Cbor = Cbor::Unsigned(33);
    let chain = signer.chain().iter().cloned().map(Cbor::Bytes).collect();
    let protected = Cbor::Map(vec![ALGORITHM, (CHAIN, Cbor::List(chain))]).encoded();
    let signature = signer.sign(&to_be_signed(&protected, claim))?;
    if signature.len() != SIGNATURE {
        return Err(io::Error::other("a signature that is none"));
    }
    let whole = Cbor::List(vec![
        Cbor::Bytes(protected.clone()),
        stamped(&signature, &protected, signer)?,
        Cbor::Null,
        Cbor::Bytes(signature),
    ]);
    Ok(Cbor::Tagged(18, Box::new(whole)).encoded())
}

/// The header that is not signed: a time stamp of the signature, if there is to be one. Its room is the
/// same with one and without, since the place of everything behind it is signed.
fn stamped(signature: &[u8], protected: &[u8], signer: &dyn Signer) -> io::Result<Cbor> {
    /// Names and heads of a stamp and its padding, and padding whose length takes two bytes.
    const AROUND: usize = 512;
    let room = signer.stamp_room();
    if room == 0 {
        return Ok(Cbor::Map(Vec::new()));
    }
    // What the reference implementation stamps: a countersignature's structure around the signature.
    let signature = Cbor::Bytes(signature.to_vec()).encoded();
    let stamped = structure("CounterSignature", protected, signature).encoded();
    let token = signer.stamp(digest(&SHA256, &stamped).as_ref())?;
    let mut entries = Vec::new();
    if let Some(token) = token {
        if token.len() > room {
            return Err(io::Error::other("a time stamp that is too long"));
        }
        let tokens = Cbor::List(vec![Cbor::map([("val", Cbor::Bytes(token))])]);
        let stamp = Cbor::map([("tstTokens", tokens)]);
        entries.push((Cbor::text("sigTst2"), stamp));
    }
    let with = |padding: usize| {
        let mut entries = entries.clone();
        entries.push((Cbor::text("pad"), Cbor::Bytes(vec![0; padding])));
        Cbor::Map(entries)
    };
    let least = with(256).encoded().len();
    let missing = (room + AROUND).checked_sub(least);
    let missing = missing.ok_or_else(|| io::Error::other("a time stamp that is too long"))?;
    Ok(with(256 + missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stamps(Option<usize>);

    impl Signer for Stamps {
        fn chain(&self) -> &[Vec<u8>] {
            &[]
        }

        fn sign(&self, _bytes: &[u8]) -> io::Result<Vec<u8>> {
            Ok(vec![1; SIGNATURE])
        }

        fn stamp_room(&self) -> usize {
            1000
        }

        fn stamp(&self, digest: &[u8]) -> io::Result<Option<Vec<u8>>> {
            assert_eq!(digest.len(), 32);
            Ok(self.0.map(|length| vec![2; length]))
        }
    }

    #[test]
    fn a_signature_in_der_is_two_numbers() {
        let number = |bytes: &[u8]| [&[2, bytes.len() as u8][..], bytes].concat();
        let der = |numbers: &[u8]| [&[0x30, numbers.len() as u8][..], numbers].concat();
        let long = [&[0, 0xff][..], &[7; 31]].concat();
        let found = es256_of_der(&der(&[number(&[5]), number(&long)].concat())).unwrap();
        assert_eq!(found[..31], [0; 31]);
        assert_eq!((found[31], &found[32..]), (5, &long[1..]));
        for wrong in [
            der(&number(&[5])),
            der(&[number(&[1; 33]), number(&[5])].concat()),
            vec![],
        ] {
            assert_eq!(es256_of_der(&wrong), None);
        }
    }

    #[test]
    fn a_signature_has_one_length_with_a_time_stamp_and_without() {
        let none = sign(b"claim", &Stamps(None)).unwrap().len();
        for length in [0, 23, 24, 255, 256, 999, 1000] {
            let stamped = sign(b"claim", &Stamps(Some(length))).unwrap();
            assert_eq!(stamped.len(), none, "{length}");
        }
        assert!(sign(b"claim", &Stamps(Some(1001))).is_err());
    }
}
