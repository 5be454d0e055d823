//! What a result was made of, as its manifest says it.

use super::cbor::Cbor;

/// The specification's word for a signer that is on no list.
pub(super) const UNTRUSTED: &str = "signingCredential.untrusted";

/// A code of the specification, what it is about, and whether it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub code: &'static str,
    pub url: String,
    pub good: bool,
}

/// A manifest that came with an ingredient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub label: String,
    /// The whole box.
    pub bytes: Vec<u8>,
}

/// The digests by which an ingredient refers to its manifest.
#[derive(Clone, Debug)]
pub(super) struct Links {
    pub label: String,
    pub manifest: Vec<u8>,
    pub signature: Vec<u8>,
}

/// One file that went into a result.
#[derive(Clone, Debug)]
pub(super) struct Ingredient {
    /// Such as `video/mp4`.
    pub format: &'static str,
    /// What was found out about its manifest, where it brings one.
    pub findings: Option<Vec<Finding>>,
    /// Where that is kept.
    pub links: Option<Links>,
}

impl Ingredient {
    /// The assertion about it.
    pub(super) fn assertion(&self, relationship: &str) -> Cbor {
        let mut entries = vec![
            (Cbor::text("dc:format"), Cbor::text(self.format)),
            (Cbor::text("relationship"), Cbor::text(relationship)),
        ];
        if let Some(links) = &self.links {
            let store = format!("self#jumbf=/c2pa/{}", links.label);
            let signature = format!("{store}/c2pa.signature");
            entries.push((Cbor::text("activeManifest"), link(store, &links.manifest)));
            entries.push((
                Cbor::text("claimSignature"),
                link(signature, &links.signature),
            ));
        }
        if let Some(findings) = &self.findings {
            let of = |good: bool| {
                let these = findings.iter().filter(|finding| finding.good == good);
                let entry = |finding: &Finding| {
                    Cbor::map([
                        ("code", Cbor::text(finding.code)),
                        ("url", Cbor::text(&finding.url)),
                    ])
                };
                Cbor::List(these.map(entry).collect())
            };
            let found = Cbor::map([
                ("success", of(true)),
                ("informational", Cbor::List(Vec::new())),
                ("failure", of(false)),
            ]);
            let results = Cbor::map([("activeManifest", found)]);
            entries.push((Cbor::text("validationResults"), results));
        }
        Cbor::Map(entries)
    }
}

fn link(url: String, hash: &[u8]) -> Cbor {
    Cbor::map([
        ("url", Cbor::text(url)),
        ("hash", Cbor::Bytes(hash.to_vec())),
    ])
}
