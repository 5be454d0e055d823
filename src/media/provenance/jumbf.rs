//! The boxes of a manifest (JUMBF, ISO 19566-5) and the one around them in an MP4.

/// What a superbox is; the last twelve bytes are those of all kinds.
const KIND_REST: [u8; 12] = [
    0x00, 0x11, 0x00, 0x10, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71,
];

/// The `uuid` box of C2PA.
pub(crate) const UUID: [u8; 16] = [
    0xD8, 0xFE, 0xC3, 0xD6, 0x1B, 0x0E, 0x48, 0x3C, 0x92, 0x97, 0x58, 0x28, 0x87, 0x7E, 0xC4, 0x81,
];

pub(super) fn plain(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len().saturating_add(8)).unwrap_or(u32::MAX);
    [&size.to_be_bytes()[..], kind, content].concat()
}

/// What a superbox holds: its description and its contents. Digests are over these.
pub(super) fn inside(kind: &[u8; 4], label: &str, contents: &[&[u8]]) -> Vec<u8> {
    // 3: it has a label, and may be asked for by it.
    let description = [kind, &KIND_REST[..], &[3], label.as_bytes(), &[0]].concat();
    [&plain(b"jumd", &description), &contents.concat()[..]].concat()
}

pub(super) fn superbox(kind: &[u8; 4], label: &str, contents: &[&[u8]]) -> Vec<u8> {
    plain(b"jumb", &inside(kind, label, contents))
}

/// A store of manifests as the box of an MP4.
pub(super) fn in_mp4(store: &[u8]) -> Vec<u8> {
    // Version and flags, what it holds, and where a first proof would be: there is none.
    let content = [&UUID[..], &[0; 4], b"manifest\0", &[0; 8], store].concat();
    plain(b"uuid", &content)
}
