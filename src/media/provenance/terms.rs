//! The words of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// What is said in a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Absent: what the input says of itself, if it does.
    pub source_type: Option<SourceType>,
    /// Of this one file.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who answers for the service.
    pub provider: Option<String>,
    /// The model that made the pictures.
    pub model: Option<String>,
    /// The producer that the entry `AIGC` names; absent: no entry but the input's.
    pub aigc_producer: Option<String>,
}

impl Provenance {
    /// An id of 16 bytes, as XMP writes them.
    #[must_use]
    pub fn id_of(mut bytes: [u8; 16]) -> String {
        // Version 8, of our own making, and the usual variant (RFC 9562).
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex::encode(bytes);
        format!(
            "urn:uuid:{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    /// What a result says that is made of a file which says `brought`: marks that are there stay.
    #[must_use]
    pub(crate) fn of_input(&self, brought: Option<&ProvenanceInfo>) -> Self {
        let told = brought.and_then(|brought| {
            let signed = brought.manifest.as_ref();
            let signed = signed.and_then(|manifest| manifest.source_type.as_ref());
            brought.source_type.as_ref().or(signed)
        });
        let source_type = told.and_then(|word| word.parse().ok());
        Self {
            source_type: self.source_type.or(source_type),
            ..self.clone()
        }
    }
}

/// What a file says of itself. Whether that is true, nothing here says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenanceInfo {
    /// IPTC's word for how it was made, such as `trainedAlgorithmicMedia`; another word as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// The program that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_tool: Option<String>,
    /// When it was made, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Of this one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its C2PA manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestInfo>,
    /// The entry `AIGC` as it is written (GB 45438-2025).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aigc: Option<String>,
}

/// A C2PA manifest: what it says, and whether that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestInfo {
    /// Its size.
    pub bytes: u64,
    /// Whether it holds.
    pub state: ManifestState,
    /// What is wrong, by the specification's code where it has one, or what was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The program that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// Whose certificate signed it, by its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// IPTC's word for how the file was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// What was done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// What the file was made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingredients: Vec<IngredientInfo>,
}

/// One file that another was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngredientInfo {
    /// Such as `parentOf`.
    pub relationship: String,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Its own manifest is kept.
    #[serde(default)]
    pub manifest: bool,
    /// Whether that held when the file was made; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ManifestState>,
}

/// Whether a manifest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ManifestState {
    /// The file is as it was signed, with the certificate of this machine.
    Trusted,
    /// The file is as it was signed; who signed it, nobody here vouches for.
    Valid,
    /// Nothing is wrong with it as far as it was looked at, and not all was.
    Unchecked,
    /// Something is not as it was signed.
    Invalid,
}

/// Longest text of others that is shown, in characters.
pub(super) const MOST_TEXT: usize = 256;

/// Text of others, as terminals and results take it.
pub(super) fn shown(text: &str) -> String {
    let plain = text.chars().filter(|letter| !letter.is_control());
    plain.take(MOST_TEXT).collect()
}

impl ProvenanceInfo {
    /// `None` where nothing is said.
    pub(crate) fn if_any(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// IPTC's words for how a picture was made (`digitalsourcetype`).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
#[allow(missing_docs, reason = "the words are IPTC's")]
pub enum SourceType {
    AlgorithmicMedia,
    AlgorithmicallyEnhanced,
    Composite,
    CompositeCapture,
    CompositeSynthetic,
    CompositeWithTrainedAlgorithmicMedia,
    ComputationalCapture,
    DataDrivenMedia,
    DigitalCapture,
    DigitalCreation,
    HumanEdits,
    NegativeFilm,
    PositiveFilm,
    Print,
    ScreenCapture,
    TrainedAlgorithmicMedia,
    VirtualRecording,
}

/// Where the words are defined.
const VOCABULARY: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";

impl SourceType {
    /// The word's full name.
    pub(crate) fn uri(self) -> String {
        format!("{VOCABULARY}{self}")
    }

    /// Whether a model made it or a part of it.
    pub(crate) fn is_of_a_model(self) -> bool {
        matches!(
            self,
            Self::AlgorithmicallyEnhanced
                | Self::CompositeWithTrainedAlgorithmicMedia
                | Self::TrainedAlgorithmicMedia
        )
    }

    /// The word in a full name; text that is none as it is.
    pub(crate) fn word(text: &str) -> &str {
        let bare = text.trim();
        let https = "https://cv.iptc.org/newscodes/digitalsourcetype/";
        [VOCABULARY, https]
            .iter()
            .find_map(|vocabulary| bare.strip_prefix(vocabulary))
            .unwrap_or(bare)
    }
}
