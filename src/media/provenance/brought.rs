//! The manifest that a file brings: read, checked, and kept for what is made of the file.
//!
//! Everything in it is held against what was signed: each assertion, and the claim. Nothing is
//! fetched. Who signs is told, and not judged: that a certificate is on anybody's list is not looked
//! up.

use aws_lc_rs::digest::{Algorithm, SHA256, digest};

use super::binding::{self, Binding};
use super::boxes::{self, Superbox};
use super::certificate;
use super::cose;
use super::holding::Shared;
use super::ingredient::{Finding, Kept, Links, UNTRUSTED};
use super::item::{self, Item};
use super::terms::{IngredientInfo, ManifestInfo, ManifestState, SourceType, shown};

/// Longest manifest that is read and kept. Those of cameras and editors have some hundred kilobytes,
/// most of them small pictures.
pub(crate) const MOST_MANIFEST: usize = 2 << 20;

/// Manifests of one store that are kept: each edit adds one.
const MOST_KEPT: usize = 64;

/// Actions and ingredients that are shown.
const MOST_SHOWN: usize = 32;

/// What a file brings.
pub(crate) struct Brought {
    pub info: ManifestInfo,
    pub(super) findings: Vec<Finding>,
    pub(super) kept: Vec<Kept>,
    pub(super) links: Option<Links>,
    pub(super) binding: Option<(String, Result<Binding, &'static str>)>,
    /// What is still to be seen of the file, and what that is held against.
    pub(super) following: Option<(String, Shared)>,
    pub(super) certificate: Option<Vec<u8>>,
    /// Manifests that its ingredients refer to: name, digest and its kind.
    linked: Vec<(String, Vec<u8>, &'static Algorithm)>,
}

/// Why reading ends.
enum Fault {
    /// It is no manifest, or none that holds.
    Invalid(&'static str),
    /// It may be one; this is not followed.
    NotFollowed(&'static str),
}

use Fault::{Invalid, NotFollowed};

impl Brought {
    fn of(bytes: u64) -> Self {
        Self {
            info: ManifestInfo {
                bytes,
                state: ManifestState::Unchecked,
                why: None,
                generator: None,
                signer: None,
                source_type: None,
                actions: Vec::new(),
                ingredients: Vec::new(),
            },
            findings: Vec::new(),
            kept: Vec::new(),
            links: None,
            binding: None,
            following: None,
            certificate: None,
            linked: Vec::new(),
        }
    }

    /// Reads what stands in the box behind its name. Never fails: what is wrong is the finding. Of a
    /// box that is too large, nothing is given.
    pub(crate) fn read(content: &[u8], bytes: u64) -> Self {
        let mut brought = Self::of(bytes);
        let ended = match content.is_empty() {
            true => Err(NotFollowed("it is too large")),
            false => brought.store(content),
        };
        match ended {
            Ok(()) => {}
            Err(Invalid(why)) => {
                brought.find("general.error", String::new(), false);
                brought.settle(why);
            }
            Err(NotFollowed(why)) => brought.settle(why),
        }
        if let Some(bad) = brought.findings.iter().find(|finding| !finding.good) {
            brought.info.why.get_or_insert(bad.code.to_owned());
            brought.info.state = ManifestState::Invalid;
        } else if brought.info.why.is_none() {
            brought.info.why = Some("the media were not held against it".to_owned());
        }
        brought
    }

    /// Whether what stands in another manifest is what was signed, as far as it can be said.
    fn is_sound(&mut self, manifest: &Superbox<'_>) -> bool {
        match self.manifest(manifest) {
            Ok(()) => self.is_good(),
            Err(NotFollowed(_)) => true,
            Err(Invalid(_)) => false,
        }
    }

    fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.good)
    }

    pub(super) fn find(&mut self, code: &'static str, url: String, good: bool) {
        self.findings.push(Finding { code, url, good });
    }

    pub(super) fn settle(&mut self, why: &str) {
        self.info.why = Some(why.to_owned());
    }

    fn store(&mut self, content: &[u8]) -> Result<(), Fault> {
        // Version and flags, what the box holds, and where a first proof is.
        let content = content.get(4..).ok_or(Invalid("its box is cut"))?;
        let store = content
            .strip_prefix(b"manifest\0")
            .ok_or(NotFollowed("its box holds something else"))?;
        let store = store.get(8..).ok_or(Invalid("its box is cut"))?;
        let store = boxes::read(store).ok_or(Invalid("its boxes are damaged"))?;
        let active = store.boxes.last();
        let active = active.ok_or(Invalid("there is no manifest in it"))?;
        match &active.kind {
            b"c2ma" => {}
            b"c2um" => return Err(NotFollowed("it only adds to another one")),
            _ => return Err(NotFollowed("it is of a kind that is not known")),
        }
        self.manifest(active)?;
        if self.binding.is_none() && self.is_good() {
            return Err(Invalid("claim.hardBindings.missing"));
        }
        if store.boxes.len() > MOST_KEPT {
            return Err(NotFollowed("it holds very many others"));
        }
        let mut linked = std::mem::take(&mut self.linked);
        let mut sound = true;
        for manifest in store.boxes.iter().rev().skip(1) {
            let mut other = Self::of(0);
            sound &= other.is_sound(manifest);
            linked.append(&mut other.linked);
        }
        for (label, hash, algorithm) in linked {
            let found = store.only(&label);
            let same = found.is_some_and(|found| digest(algorithm, found.inside).as_ref() == hash);
            let code = match same {
                true => "ingredient.manifest.validated",
                false => "ingredient.manifest.mismatch",
            };
            self.find(code, format!("self#jumbf=/c2pa/{label}"), same);
        }
        // One that is damaged may keep others from reading all that it stands in.
        if sound && self.is_good() {
            let kept = store.boxes.iter().map(|manifest| Kept {
                label: manifest.label.to_owned(),
                bytes: manifest.whole.to_vec(),
            });
            self.kept = kept.collect();
        }
        Ok(())
    }

    fn manifest(&mut self, manifest: &Superbox<'_>) -> Result<(), Fault> {
        let claims = ["c2pa.claim.v2", "c2pa.claim"];
        let claim = claims.iter().find_map(|label| manifest.only(label));
        let claim = claim.and_then(|claim| claim.cbor);
        let claim = claim.ok_or(Invalid("claim.missing"))?;
        let said = item::read(claim).ok_or(Invalid("claim.malformed"))?;
        self.info.generator = generator(&said);
        let signature = manifest.only("c2pa.signature");
        let signature = signature.ok_or(Invalid("claimSignature.missing"))?;
        let of = |part: &str| format!("self#jumbf=/c2pa/{}/{part}", manifest.label);
        let signed = self.signature(claim, signature.cbor.unwrap_or_default())?;
        let code = match signed {
            true => "claimSignature.validated",
            false => "claimSignature.mismatch",
        };
        self.find(code, of("c2pa.signature"), signed);
        let named = said.get("alg").and_then(Item::text).unwrap_or("sha256");
        let usual = binding::algorithm(named).ok_or(NotFollowed("an unknown digest"))?;
        self.assertions(manifest, &said, usual)?;
        let sum = |part: &Superbox<'_>| digest(&SHA256, part.inside).as_ref().to_vec();
        self.links = Some(Links {
            label: manifest.label.to_owned(),
            manifest: sum(manifest),
            signature: sum(signature),
        });
        Ok(())
    }

    /// Whether the claim is signed (`COSE_Sign1`, RFC 9052), and by whom.
    fn signature(&mut self, claim: &[u8], signature: &[u8]) -> Result<bool, Fault> {
        const DAMAGED: Fault = Invalid("claimSignature.missing");
        let signature = item::read(signature).ok_or(DAMAGED)?;
        let parts = match &signature {
            Item::Tagged(inner) => inner.list(),
            untagged => untagged.list(),
        };
        let [protected, open, _, signature] = parts else {
            return Err(DAMAGED);
        };
        let (protected, signature) = (protected.bytes(), signature.bytes());
        let (Some(protected), Some(signature)) = (protected, signature) else {
            return Err(DAMAGED);
        };
        let header = item::read(protected).ok_or(DAMAGED)?;
        let Some(Item::Negative(algorithm)) = header.entry(&Item::Unsigned(1)) else {
            return Err(NotFollowed("an unknown signature"));
        };
        // RFC 9360; those before it wrote the name.
        let chain = [&header, open]
            .into_iter()
            .find_map(|header| {
                let numbered = header.entry(&Item::Unsigned(33));
                numbered.or_else(|| header.get("x5chain"))
            })
            .ok_or(DAMAGED)?;
        let leaf = chain.bytes().or_else(|| chain.list().first()?.bytes());
        let leaf = leaf.ok_or(DAMAGED)?;
        let certificate = certificate::read(leaf);
        let certificate = certificate.ok_or(Invalid("signingCredential.invalid"))?;
        self.info.signer = certificate.holder.map(shown);
        self.certificate = Some(leaf.to_vec());
        let message = cose::to_be_signed(protected, claim);
        certificate
            .verifies(*algorithm, &message, signature)
            .ok_or(NotFollowed("an unknown signature"))
    }

    fn assertions(
        &mut self,
        manifest: &Superbox<'_>,
        claim: &Item<'_>,
        usual: &'static Algorithm,
    ) -> Result<(), Fault> {
        let store = manifest.only("c2pa.assertions");
        let store = store.ok_or(Invalid("assertion.missing"))?;
        let lists = ["created_assertions", "gathered_assertions", "assertions"];
        let links = lists.iter().filter_map(|list| claim.get(list));
        for link in links.flat_map(Item::list) {
            let url = link.get("url").and_then(Item::text).unwrap_or_default();
            let label = url.rsplit('/').next().unwrap_or_default();
            let here = format!(
                "self#jumbf=/c2pa/{}/c2pa.assertions/{label}",
                manifest.label
            );
            let Some(assertion) = store.only(label) else {
                self.find("assertion.missing", here, false);
                continue;
            };
            let algorithm = match link.get("alg").and_then(Item::text) {
                Some(name) => binding::algorithm(name).ok_or(NotFollowed("an unknown digest"))?,
                None => usual,
            };
            let hash = link.get("hash").and_then(Item::bytes);
            let same = hash == Some(digest(algorithm, assertion.inside).as_ref());
            let code = match same {
                true => "assertion.hashedURI.match",
                false => "assertion.hashedURI.mismatch",
            };
            self.find(code, here.clone(), same);
            // What was not signed is not shown.
            let content = assertion.cbor.filter(|_| same).and_then(item::read);
            if let Some(content) = content {
                self.assertion(label, here, &content, usual);
            }
        }
        Ok(())
    }

    fn assertion(
        &mut self,
        label: &str,
        url: String,
        content: &Item<'_>,
        usual: &'static Algorithm,
    ) {
        // Several of a kind are numbered: `c2pa.ingredient.v3__2`.
        let kind = label.split("__").next().unwrap_or_default();
        match kind {
            "c2pa.actions" | "c2pa.actions.v2" => {
                let actions = content.get("actions").map_or(&[][..], Item::list);
                for action in actions {
                    let text = |key: &str| action.get(key).and_then(Item::text);
                    if self.info.actions.len() < MOST_SHOWN {
                        self.info.actions.extend(text("action").map(shown));
                    }
                    let source_type = text("digitalSourceType").map(SourceType::word);
                    self.info.source_type = self.info.source_type.take().or(source_type.map(shown));
                }
            }
            "c2pa.ingredient" | "c2pa.ingredient.v2" | "c2pa.ingredient.v3" => {
                if self.info.ingredients.len() < MOST_SHOWN {
                    self.info.ingredients.push(ingredient(content));
                }
                // Those of the versions before were taken in another way.
                let link = content.get("activeManifest");
                let text = |key: &str| link.and_then(|link| link.get(key)?.text());
                let hash = link.and_then(|link| link.get("hash")?.bytes());
                let algorithm = text("alg").map_or(Some(usual), binding::algorithm);
                if let (Some(url), Some(hash), Some(algorithm)) = (text("url"), hash, algorithm) {
                    let label = url.rsplit('/').next().unwrap_or_default();
                    let label = label.rsplit('=').next().unwrap_or_default();
                    self.linked
                        .push((label.to_owned(), hash.to_vec(), algorithm));
                }
            }
            // The first version left much open and is withdrawn.
            "c2pa.hash.bmff.v2" | "c2pa.hash.bmff.v3" if self.binding.is_none() => {
                self.binding = Some((url, Binding::of(content, usual)));
            }
            _ if kind.starts_with("c2pa.hash.") && self.binding.is_none() => {
                self.binding = Some((url, Err("it binds the file in another way")));
            }
            _ => {}
        }
    }
}

fn generator(claim: &Item<'_>) -> Option<String> {
    let told = claim.get("claim_generator_info");
    let told = told.map(|told| told.list().first().unwrap_or(told));
    let text = |key: &str| told.and_then(|told| told.get(key)).and_then(Item::text);
    let plain = claim.get("claim_generator").and_then(Item::text);
    match (text("name"), text("version")) {
        (Some(name), Some(version)) => Some(shown(&format!("{name} {version}"))),
        (name, _) => name.or(plain).map(shown),
    }
}

fn ingredient(content: &Item<'_>) -> IngredientInfo {
    let text = |key: &str| content.get(key).and_then(Item::text).map(shown);
    let manifest = content
        .get("activeManifest")
        .or_else(|| content.get("c2pa_manifest"));
    let found = content
        .get("validationResults")
        .and_then(|found| found.get("activeManifest"));
    let state = found.map(|found| {
        let failures = found.get("failure").map_or(&[][..], Item::list);
        // Whoever checked it did not know the signer: that says nothing of the file.
        let bad = failures
            .iter()
            .any(|failure| failure.get("code").and_then(Item::text) != Some(UNTRUSTED));
        let known = found.get("success").map_or(&[][..], Item::list);
        match (bad, known.is_empty()) {
            (true, _) => ManifestState::Invalid,
            (false, false) => ManifestState::Valid,
            (false, true) => ManifestState::Unchecked,
        }
    });
    IngredientInfo {
        relationship: text("relationship").unwrap_or_default(),
        format: text("dc:format"),
        manifest: manifest.is_some(),
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ingredient::Ingredient;
    use super::super::local::LocalSigner;
    use super::super::manifest::{self, Claim};
    use super::*;

    /// Name and size of the box.
    const HEAD: usize = 24;

    fn signed(number: u8, ingredients: Vec<Ingredient>, kept: Vec<Kept>) -> Vec<u8> {
        let claim = Claim {
            label: format!("urn:c2pa:{number}"),
            id: format!("urn:uuid:{number}"),
            generator: ("a program".to_owned(), "1".to_owned()),
            source_type: Some(SourceType::TrainedAlgorithmicMedia.uri()),
            agent: Some("a/model".to_owned()),
            at: "2026-11-27T12:00:00Z".parse().unwrap(),
            ingredients,
            kept,
            copied: true,
            marked: false,
        };
        let folder = tempfile::tempdir().unwrap();
        let signer = LocalSigner::load_or_make(&folder.path().join("key.pem")).unwrap();
        let binding = manifest::Binding::largest(1 << 20);
        manifest::signed(&claim, &binding, &signer).unwrap()
    }

    fn peak_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    }

    #[test]
    fn a_thousand_damaged_manifests_are_read_within_bounds() {
        let first = signed(1, Vec::new(), Vec::new());
        let first = Brought::read(&first[HEAD..], 0);
        let (ingredient, kept) = (first.ingredient("video/mp4"), first.kept);
        assert_eq!(kept.len(), 1);
        let whole = signed(2, vec![ingredient], kept).split_off(HEAD);
        let good = Brought::read(&whole, 0);
        assert_eq!(good.info.state, ManifestState::Unchecked, "{:?}", good.info);
        assert_eq!(good.kept.len(), 2);
        assert_eq!(
            good.info.actions,
            ["c2pa.opened", "c2pa.edited", "c2pa.repackaged"]
        );
        let [told] = &good.info.ingredients[..] else {
            panic!("{:?}", good.info)
        };
        assert!(told.manifest, "{told:?}");

        let mut seed = 7_u64;
        let mut next = move |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let (before, mut found) = (peak_kib(), 0);
        for _ in 0..1000 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next((bytes.len() - 8).max(1));
                match next(5) {
                    // Lengths and counts are what a reader may trust too much.
                    0 => bytes[at..at + 4].fill(0xff),
                    1 => bytes[at] = 0x9b,
                    2 => bytes[at] ^= 1 << next(8),
                    3 => bytes.copy_within(..4, at),
                    _ => bytes.truncate(at + 8),
                }
            }
            let read = Brought::read(&bytes, 0);
            found += u32::from(read.info.state == ManifestState::Invalid);
            // What is damaged is not handed on.
            assert!(read.kept.is_empty() || read.is_good(), "{:?}", read.info);
            assert!(serde_json::to_string(&read.info).unwrap().len() < 64 << 10);
        }
        // A few bytes are bound by nothing, such as the padding of a description.
        assert!(found > 900, "{found}");
        let grown = peak_kib() - before;
        assert!(grown < 32 << 10, "{grown} KiB more");
    }
}
