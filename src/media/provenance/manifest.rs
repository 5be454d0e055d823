//! A C2PA manifest (specification 2.2): what a result says of itself, signed.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use super::cbor::Cbor;
use super::cose::{self, Signer};
use super::ingredient::{Ingredient, Kept};
use super::jumbf;
use super::leaves::{self, Leaf};

/// What is signed besides the file itself.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// `urn:c2pa:` and a UUID.
    pub label: String,
    /// Of the file, as its XMP has it.
    pub id: String,
    /// Program and its version.
    pub generator: (String, String),
    /// IPTC's full name of how it was made.
    pub source_type: Option<String>,
    /// The model.
    pub agent: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What it was made of: the input first, then what stands before it.
    pub(super) ingredients: Vec<Ingredient>,
    /// The manifests that these brought.
    pub(super) kept: Vec<Kept>,
    /// Packets were copied; else the picture was encoded.
    pub copied: bool,
    /// Pictures or text are laid over it.
    pub marked: bool,
}

/// The digests that bind it to a file.
pub(super) struct Binding {
    /// Of all that is not media.
    pub head: [u8; 32],
    pub leaves: Vec<Leaf>,
}

impl Binding {
    /// One as large as any of so many bytes.
    pub(super) fn largest(bytes: u64) -> Self {
        Self {
            head: [0; 32],
            leaves: vec![(u64::MAX, [0; 32]); leaves::count(bytes) + 1],
        }
    }

    fn assertion(&self) -> Cbor {
        let whole = |path: &str| Cbor::map([("xpath", Cbor::text(path))]);
        let manifest = Cbor::map([
            ("xpath", Cbor::text("/uuid")),
            (
                "data",
                Cbor::List(vec![Cbor::map([
                    ("offset", Cbor::Unsigned(8)),
                    ("value", Cbor::Bytes(jumbf::UUID.to_vec())),
                ])]),
            ),
        ]);
        let media = Cbor::map([
            ("xpath", Cbor::text("/mdat")),
            (
                "subset",
                Cbor::List(vec![Cbor::map([
                    ("offset", Cbor::Unsigned(16)),
                    ("length", Cbor::Unsigned(0)),
                ])]),
            ),
        ]);
        let sizes = self.leaves.iter().map(|(size, _)| Cbor::Unsigned(*size));
        let hashes = self
            .leaves
            .iter()
            .map(|(_, hash)| Cbor::Bytes(hash.to_vec()));
        let mut exclusions = vec![manifest];
        exclusions.extend(["/ftyp", "/mfra", "/free", "/skip"].map(whole));
        exclusions.push(media);
        Cbor::map([
            ("exclusions", Cbor::List(exclusions)),
            ("alg", Cbor::text("sha256")),
            ("hash", Cbor::Bytes(self.head.to_vec())),
            (
                "merkle",
                Cbor::List(vec![Cbor::map([
                    ("uniqueId", Cbor::Unsigned(0)),
                    ("localId", Cbor::Unsigned(0)),
                    ("count", Cbor::Unsigned(self.leaves.len() as u64)),
                    ("alg", Cbor::text("sha256")),
                    ("hashes", Cbor::List(hashes.collect())),
                    ("variableBlockSizes", Cbor::List(sizes.collect())),
                ])]),
            ),
            ("name", Cbor::text("file")),
        ])
    }
}

/// Assertions, by label.
struct Assertions(Vec<(String, Vec<u8>)>);

impl Assertions {
    /// Adds one; returns how others refer to it.
    fn add(&mut self, label: &str, content: &Cbor) -> Cbor {
        let content = jumbf::plain(b"cbor", &content.encoded());
        let inside = jumbf::inside(b"cbor", label, &[&content]);
        let hash = digest(&SHA256, &inside).as_ref().to_vec();
        self.0
            .push((label.to_owned(), jumbf::plain(b"jumb", &inside)));
        Cbor::map([
            (
                "url",
                Cbor::text(format!("self#jumbf=c2pa.assertions/{label}")),
            ),
            ("hash", Cbor::Bytes(hash)),
        ])
    }
}

/// The whole box, signed.
pub(super) fn signed(claim: &Claim, binding: &Binding, signer: &dyn Signer) -> io::Result<Vec<u8>> {
    let mut assertions = Assertions(Vec::new());
    let mut listed = Vec::new();
    let mut opened = Vec::new();
    for (number, ingredient) in claim.ingredients.iter().enumerate() {
        let (label, relationship) = match number {
            0 => ("c2pa.ingredient.v3".to_owned(), "parentOf"),
            number => (format!("c2pa.ingredient.v3__{number}"), "componentOf"),
        };
        let link = assertions.add(&label, &ingredient.assertion(relationship));
        opened.push(link.clone());
        listed.push(link);
    }
    listed.push(assertions.add("c2pa.actions.v2", &actions(claim, &opened)));
    listed.push(assertions.add("c2pa.hash.bmff.v3", &binding.assertion()));

    let (program, version) = &claim.generator;
    let content = Cbor::map([
        ("instanceID", Cbor::text(&claim.id)),
        (
            "claim_generator_info",
            Cbor::map([
                ("name", Cbor::text(program)),
                ("version", Cbor::text(version)),
            ]),
        ),
        (
            "signature",
            Cbor::text(format!("self#jumbf=/c2pa/{}/c2pa.signature", claim.label)),
        ),
        ("created_assertions", Cbor::List(listed)),
        ("alg", Cbor::text("sha256")),
    ])
    .encoded();
    let signature = cose::sign(&content, signer)?;

    let assertions: Vec<&[u8]> = assertions
        .0
        .iter()
        .map(|(_, whole)| whole.as_slice())
        .collect();
    let content = jumbf::plain(b"cbor", &content);
    let signature = jumbf::plain(b"cbor", &signature);
    let manifest = jumbf::superbox(
        b"c2ma",
        &claim.label,
        &[
            &jumbf::superbox(b"c2as", "c2pa.assertions", &assertions),
            &jumbf::superbox(b"c2cl", "c2pa.claim.v2", &[&content]),
            &jumbf::superbox(b"c2cs", "c2pa.signature", &[&signature]),
        ],
    );
    // The last one speaks for the file.
    let mut store: Vec<&[u8]> = claim.kept.iter().map(|kept| &kept.bytes[..]).collect();
    store.push(&manifest);
    Ok(jumbf::in_mp4(&jumbf::superbox(b"c2pa", "c2pa", &store)))
}

/// What was done, in order.
fn actions(claim: &Claim, ingredients: &[Cbor]) -> Cbor {
    let when = || {
        (
            Cbor::text("when"),
            Cbor::Tagged(0, Box::new(Cbor::text(claim.at.to_string()))),
        )
    };
    let action = |name: &str, more: Vec<(Cbor, Cbor)>| {
        let mut entries = vec![(Cbor::text("action"), Cbor::text(name)), when()];
        entries.extend(more);
        Cbor::Map(entries)
    };
    let of = |ingredient: &Cbor| {
        let list = Cbor::List(vec![ingredient.clone()]);
        vec![(Cbor::text("parameters"), Cbor::map([("ingredients", list)]))]
    };
    let mut done = Vec::new();
    for (number, ingredient) in ingredients.iter().enumerate() {
        let name = if number == 0 {
            "c2pa.opened"
        } else {
            "c2pa.placed"
        };
        done.push(action(name, of(ingredient)));
    }
    let mut edited = Vec::new();
    if let Some(source_type) = &claim.source_type {
        edited.push((Cbor::text("digitalSourceType"), Cbor::text(source_type)));
    }
    if let Some(agent) = &claim.agent {
        edited.push((
            Cbor::text("softwareAgent"),
            Cbor::map([("name", Cbor::text(agent))]),
        ));
    }
    if !edited.is_empty() {
        done.push(action("c2pa.edited", edited));
    }
    if claim.marked {
        // The standard's own word for watermarks is kept for those that nobody sees.
        let what = "a visible mark was laid over the picture";
        let said = vec![(Cbor::text("description"), Cbor::text(what))];
        done.push(action("c2pa.edited", said));
    }
    let last = if claim.copied {
        "c2pa.repackaged"
    } else {
        "c2pa.transcoded"
    };
    done.push(action(last, Vec::new()));
    Cbor::map([("actions", Cbor::List(done))])
}
