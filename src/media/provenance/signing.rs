//! A manifest for a file that is written in one pass: media first, what stands before them last.

use std::io;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::certificate;
use super::cose::{SIGNATURE, Signer};
use super::leaves::Leaves;
use super::made::{Made, claim};
use super::manifest::{self, Binding, Claim};
use super::terms::Provenance;

/// What a result is signed with.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub said: Provenance,
    pub made: Made,
    pub signer: Arc<dyn Signer>,
}

/// A box at the top of a file, and where it begins.
pub(crate) type Placed<'a> = (u64, &'a [u8]);

/// Signs nothing, to see how long a manifest is.
#[derive(Debug)]
struct Measure<'a>(&'a dyn Signer);

impl Signer for Measure<'_> {
    fn chain(&self) -> &[Vec<u8>] {
        self.0.chain()
    }

    fn sign(&self, _bytes: &[u8]) -> io::Result<Vec<u8>> {
        Ok(vec![0; SIGNATURE])
    }

    fn stamp_room(&self) -> usize {
        self.0.stamp_room()
    }
}

impl Signing {
    fn measured(&self, claim: &Claim, binding: &Binding) -> io::Result<u64> {
        let measure = Measure(self.signer.as_ref());
        Ok(manifest::signed(claim, binding, &measure)?.len() as u64)
    }

    /// The longest manifest of a file of so many bytes.
    pub(crate) fn room(&self, bytes: u64) -> io::Result<u64> {
        let at = self.said.created_at;
        for (from, until) in self
            .signer
            .chain()
            .iter()
            .filter_map(|der| certificate::times(der))
        {
            // No reader would believe it.
            if !(from..until).contains(&at) {
                let message = format!("a certificate is good from {from} to {until} only");
                return Err(io::Error::other(message));
            }
        }
        self.measured(&claim(&self.said, &self.made), &Binding::largest(bytes))
    }
}

/// Bytes between the room for the index and the media: a box that is free and the head of the
/// media's, or one long head.
const GAP: u64 = 16;

/// Sees what is written behind the room for the index.
pub(crate) struct Digests {
    signing: Signing,
    gap: [u8; GAP as usize],
    /// The first bytes of the media, which a short head leaves outside the leaves.
    first: Vec<u8>,
    leaves: Leaves,
    seen: u64,
}

/// All media are written.
pub(crate) struct Closed {
    claim: Claim,
    signer: Arc<dyn Signer>,
    binding: Binding,
    /// Where the media's box begins behind the room, and its first 16 bytes.
    media: (u64, Vec<u8>),
    length: u64,
}

impl Digests {
    pub(crate) fn new(signing: Signing) -> Self {
        Self {
            signing,
            gap: [0; GAP as usize],
            first: Vec::new(),
            leaves: Leaves::default(),
            seen: 0,
        }
    }

    /// Bytes that are written so far behind the room.
    pub(crate) fn saw(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let within = usize::try_from(GAP.saturating_sub(offset)).unwrap_or(0);
        let (gap, media) = bytes.split_at(within.min(bytes.len()));
        if let Ok(offset) = usize::try_from(offset)
            && let Some(place) = self.gap.get_mut(offset..offset + gap.len())
        {
            // The head is written again once the size is known.
            place.copy_from_slice(gap);
        }
        if media.is_empty() {
            return Ok(());
        }
        if offset.max(GAP) - GAP != self.seen {
            return Err(io::Error::other("media were written out of order"));
        }
        let short = self.first.len();
        self.first
            .extend_from_slice(&media[..media.len().min(8 - short.min(8))]);
        self.leaves.add(media);
        self.seen += media.len() as u64;
        Ok(())
    }

    /// There are no more media, and what it is made of is known.
    pub(crate) fn close(self) -> io::Result<Closed> {
        let long = self.gap[..4] == [0, 0, 0, 1] && self.gap[4..8] == *b"mdat";
        let short = !long && self.gap[12..16] == *b"mdat";
        if !(long || short) || self.seen < 8 {
            return Err(io::Error::other("there are no media to sign for"));
        }
        let media = match long {
            true => (0, self.gap.to_vec()),
            false => (8, [&self.gap[8..], &self.first].concat()),
        };
        let binding = Binding {
            head: [0; 32],
            leaves: self.leaves.finish(long),
        };
        let claim = claim(&self.signing.said, &self.signing.made);
        let length = self.signing.measured(&claim, &binding)?;
        Ok(Closed {
            claim,
            signer: self.signing.signer,
            binding,
            media,
            length,
        })
    }
}

impl Closed {
    /// Bytes of the manifest.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The manifest of a file with these boxes besides the media, whose room ends at `end`. Boxes
    /// that are free, the file's type and the manifest itself are not bound.
    pub(crate) fn sign(self, boxes: &[Placed<'_>], end: u64) -> io::Result<Vec<u8>> {
        let (offset, media) = &self.media;
        let mut all = boxes.to_vec();
        all.push((end + offset, media));
        all.sort_unstable_by_key(|(place, _)| *place);
        let mut head = Context::new(&SHA256);
        for (place, bytes) in all {
            head.update(&place.to_be_bytes());
            head.update(bytes);
        }
        let mut binding = self.binding;
        binding.head.copy_from_slice(head.finish().as_ref());
        manifest::signed(&self.claim, &binding, self.signer.as_ref())
    }
}
