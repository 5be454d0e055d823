//! The packet of XMP (ISO 16684-1) in a `uuid` box, as other programs read it.

use std::fmt::Write as _;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use super::terms::{MOST_TEXT, Provenance, ProvenanceInfo, SourceType, shown};

/// The box's name.
pub(crate) const UUID: [u8; 16] = [
    0xBE, 0x7A, 0xCF, 0xCB, 0x97, 0xA9, 0x42, 0xE8, 0x9C, 0x71, 0x99, 0x94, 0x91, 0xE3, 0xAF, 0xAC,
];

/// Longest packet that is read. Those of cameras and editors have some kilobytes.
pub(crate) const MOST: usize = 256 << 10;

/// Elements within elements that are followed; XMP has some eight. The parser counts them in 16 bits.
const DEEPEST: usize = 100;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const IPTC: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const MM: &str = "http://ns.adobe.com/xap/1.0/mm/";
const DC: &str = "http://purl.org/dc/elements/1.1/";

/// The packet of a result.
pub(super) fn packet(said: &Provenance) -> String {
    // The byte order mark and the id are the standard's own.
    let mut text = format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n <rdf:RDF xmlns:rdf=\"{RDF}\">\n  \
         <rdf:Description rdf:about=\"\" xmlns:Iptc4xmpExt=\"{IPTC}\" xmlns:xmp=\"{XMP}\" \
         xmlns:xmpMM=\"{MM}\" xmlns:dc=\"{DC}\">\n"
    );
    let mut property = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "   <{name}>{}</{name}>", escaped(value));
    };
    if let Some(source_type) = said.source_type {
        property("Iptc4xmpExt:DigitalSourceType", &source_type.uri());
    }
    if let Some(model) = &said.model {
        property("Iptc4xmpExt:AISystemUsed", model);
    }
    property(
        "xmp:CreatorTool",
        concat!("filmlab ", env!("CARGO_PKG_VERSION")),
    );
    property("xmp:CreateDate", &said.created_at.to_string());
    property("xmpMM:DocumentID", &said.id);
    if let Some(provider) = &said.provider {
        let _ = writeln!(
            text,
            "   <dc:publisher><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></dc:publisher>",
            escaped(provider)
        );
    }
    text.push_str("  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"r\"?>");
    text
}

/// A packet in its box.
pub(super) fn boxed(packet: &str) -> Vec<u8> {
    let size = u32::try_from(packet.len().saturating_add(24)).unwrap_or(u32::MAX);
    [&size.to_be_bytes()[..], b"uuid", &UUID, packet.as_bytes()].concat()
}

/// Text as XML takes it; characters that it has no way to write are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if letter.is_control() => {}
            _ => out.push(letter),
        }
    }
    out
}

/// The properties that are read.
#[derive(Clone, Copy)]
enum Property {
    SourceType,
    CreatorTool,
    CreatedAt,
    Id,
    Provider,
    Model,
}

/// What a packet says; of what is damaged, as far as it can be read.
pub(crate) fn read(packet: &[u8]) -> ProvenanceInfo {
    let mut info = ProvenanceInfo::default();
    let text = String::from_utf8_lossy(packet);
    let mut reader = NsReader::from_str(&text);
    // The property whose element is open, how deep in it we are, and its text so far.
    let mut open: Option<(Property, usize, String)> = None;
    let mut depth = 0_usize;
    while depth <= DEEPEST
        && let Ok(event) = reader.read_event()
    {
        match event {
            Event::Start(element) => {
                depth += 1;
                attributes(&reader, &element, &mut info);
                match &mut open {
                    Some((_, within, _)) => *within += 1,
                    None => {
                        let name = reader.resolver().resolve_element(element.name());
                        open = known(&name.0, name.1.as_ref())
                            .map(|property| (property, 0, String::new()));
                    }
                }
            }
            Event::Empty(element) => attributes(&reader, &element, &mut info),
            Event::Text(words) => {
                if let (Some((_, _, value)), Ok(words)) = (&mut open, words.decode()) {
                    add(value, &words);
                }
            }
            Event::CData(words) => {
                if let (Some((_, _, value)), Ok(words)) = (&mut open, words.decode()) {
                    add(value, &words);
                }
            }
            Event::GeneralRef(name) => {
                if let Some((_, _, value)) = &mut open {
                    let letter = match name.resolve_char_ref() {
                        Ok(Some(letter)) => Some(letter),
                        _ => match &*name {
                            b"amp" => Some('&'),
                            b"lt" => Some('<'),
                            b"gt" => Some('>'),
                            b"quot" => Some('"'),
                            b"apos" => Some('\''),
                            _ => None,
                        },
                    };
                    add(value, letter.map(String::from).as_deref().unwrap_or(""));
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                match open.take() {
                    Some((property, 0, value)) => set(&mut info, property, &value),
                    Some((property, within, value)) => open = Some((property, within - 1, value)),
                    None => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    info
}

fn add(value: &mut String, more: &str) {
    // A few bytes of white space stand around what is long enough already.
    if value.len() <= 4 * MOST_TEXT {
        value.push_str(more.get(..4 * MOST_TEXT).unwrap_or(more));
    }
}

/// A property may stand in an attribute as well.
fn attributes(reader: &NsReader<&[u8]>, element: &BytesStart<'_>, info: &mut ProvenanceInfo) {
    for attribute in element.attributes().with_checks(false).flatten() {
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        if let Some(property) = known(&namespace, name.as_ref())
            && let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0)
        {
            set(info, property, &value);
        }
    }
}

fn known(namespace: &ResolveResult<'_>, name: &[u8]) -> Option<Property> {
    let ResolveResult::Bound(Namespace(namespace)) = namespace else {
        return None;
    };
    let is = |uri: &str| *namespace == uri.as_bytes();
    Some(match name {
        b"DigitalSourceType" if is(IPTC) => Property::SourceType,
        b"AISystemUsed" if is(IPTC) => Property::Model,
        b"CreatorTool" if is(XMP) => Property::CreatorTool,
        b"CreateDate" if is(XMP) => Property::CreatedAt,
        b"DocumentID" if is(MM) => Property::Id,
        b"publisher" if is(DC) => Property::Provider,
        _ => return None,
    })
}

/// The first value of a property counts.
fn set(info: &mut ProvenanceInfo, property: Property, value: &str) {
    let (field, value) = match property {
        Property::SourceType => (&mut info.source_type, SourceType::word(value)),
        Property::CreatorTool => (&mut info.creator_tool, value),
        Property::CreatedAt => (&mut info.created_at, value),
        Property::Id => (&mut info.id, value),
        Property::Provider => (&mut info.provider, value),
        Property::Model => (&mut info.model, value),
    };
    let plain = shown(value.trim());
    if field.is_none() && !plain.is_empty() {
        *field = Some(plain);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(provider: &str) -> Provenance {
        Provenance {
            source_type: Some(SourceType::AlgorithmicallyEnhanced),
            id: "urn:uuid:7".to_owned(),
            created_at: "2026-11-27T12:00:00Z".parse().unwrap(),
            provider: Some(provider.to_owned()),
            model: Some("a/model".to_owned()),
            aigc_producer: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let hostile = "<rdf:li>&amp; \"it's\" ]]> </xmp:CreatorTool><?xpacket end=\"w\"?> é 漢";
        let info = read(packet(&said(hostile)).as_bytes());
        assert_eq!(info.provider.as_deref(), Some(hostile));
        assert_eq!(info.source_type.as_deref(), Some("algorithmicallyEnhanced"));
        assert_eq!(info.id.as_deref(), Some("urn:uuid:7"));
        assert_eq!(info.model.as_deref(), Some("a/model"));
        assert_eq!(info.created_at.as_deref(), Some("2026-11-27T12:00:00Z"));
        let tool = info.creator_tool.unwrap();
        assert!(tool.starts_with("filmlab "), "{tool}");
    }

    #[test]
    fn other_programs_write_attributes_and_prefixes_of_their_own() {
        let info = read(
            br#"<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description
                xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:x="http://ns.adobe.com/xap/1.0/"
                e:DigitalSourceType="https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
                x:CreatorTool="a &amp; b" DigitalSourceType="none"/></r:RDF>"#,
        );
        assert_eq!(info.source_type.as_deref(), Some("trainedAlgorithmicMedia"));
        assert_eq!(info.creator_tool.as_deref(), Some("a & b"));
    }

    #[test]
    fn what_is_said_is_short_and_plain() {
        let text = format!("a\u{1b}[31m{}", "x".repeat(100_000));
        let info = read(packet(&said(&text)).as_bytes());
        let provider = info.provider.unwrap();
        assert!(provider.starts_with("a[31mx") && provider.len() == MOST_TEXT);
    }

    #[test]
    fn a_thousand_damaged_packets_are_read_as_far_as_they_go() {
        let whole = packet(&said("a provider")).into_bytes();
        let mut seed = 7_u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize
        };
        for _ in 0..1000 {
            let mut damaged = whole.clone();
            for _ in 0..1 + next() % 8 {
                let at = next() % damaged.len();
                damaged[at] = next() as u8;
            }
            damaged.truncate(next() % (whole.len() + 1));
            let info = read(&damaged);
            let json = serde_json::to_string(&info).unwrap();
            assert!(json.len() < 10 * MOST_TEXT);
        }
        // Nesting costs no stack, and is not followed for ever.
        assert_eq!(
            read("<a>".repeat(80_000).as_bytes()),
            ProvenanceInfo::default()
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_without_its_control_characters(text in "\\PC{0,60}") {
            let info = read(packet(&said(&text)).as_bytes());
            let plain = text.trim();
            prop_assert_eq!(info.provider.unwrap_or_default(), plain);
        }
    }
}
