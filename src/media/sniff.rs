//! Pictures by their first bytes.

/// Recognises a picture by its first bytes: our name and libav's decoder.
pub(crate) fn sniff(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(("png", "png"))
    } else if head.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(("jpeg", "mjpeg"))
    } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        Some(("webp", "webp"))
    } else {
        None
    }
}
