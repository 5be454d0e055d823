//! What a file is that is no video we take, by its first bytes and in words for people.
//!
//! libav knows many of these, but which depends on its build: told apart here, they
//! are called the same by all of them.

use crate::media::error::{MediaCode, MediaError};
use crate::media::sniff::sniff;

/// Enough for the chunks of a PNG or WebP that say whether it moves.
pub(super) const HEAD: u64 = 4096;

/// What is taken; every refusal of a format names it.
pub(super) const TAKEN: &str = "MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG-PS, FLV and GIF are taken";

/// Why a file that begins like this is refused; `None` leaves it to libav.
pub(super) fn refusal(head: &[u8]) -> Option<MediaError> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let riff = |kind: &[u8]| starts(b"RIFF") && head.get(8..12) == Some(kind);
    let picture = |what: &str| {
        let message = format!("this is {what}, not a video");
        Some(MediaError::new(MediaCode::NotAVideo, message))
    };
    let animation = |what: &str| {
        let message = format!("animated {what} is not supported; {TAKEN}");
        Some(MediaError::new(MediaCode::UnsupportedFormat, message))
    };
    let format = |what: &str| {
        let message = format!("{what} is not supported; {TAKEN}");
        Some(MediaError::new(MediaCode::UnsupportedFormat, message))
    };
    match sniff(head) {
        Some(("png", _)) if png_moves(head) => return animation("PNG"),
        // The extended header's flags; the second bit is animation.
        Some(("webp", _)) if head.get(12..16) == Some(b"VP8X") && head.get(20)? & 2 != 0 => {
            return animation("WebP");
        }
        Some(_) => return picture("a still picture"),
        None => {}
    }
    if head.get(4..8) == Some(b"ftyp") {
        return match head.get(8..12)? {
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" => picture("a HEIC picture"),
            b"avif" => picture("an AVIF picture"),
            b"hevc" | b"hevx" | b"msf1" => animation("HEIC"),
            b"avis" => animation("AVIF"),
            _ => None,
        };
    }
    if starts(&[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11]) {
        format("Windows Media (WMV, ASF)")
    } else if starts(b"OggS") {
        format("Ogg")
    } else if starts(b".RMF") {
        format("RealMedia")
    } else if starts(&[0x06, 0x0e, 0x2b, 0x34]) {
        format("MXF")
    } else if starts(b"CWS") || starts(b"FWS") || starts(b"ZWS") {
        format("Flash (SWF)")
    } else if starts(&[0x1f, 0x07, 0x00]) {
        format("raw DV")
    } else if starts(b"fLaC") || riff(b"WAVE") || starts(b"#!AMR") {
        picture("a sound file")
    } else if starts(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        picture("a BMP picture")
    } else if starts(b"II*\0") || starts(b"MM\0*") {
        picture("a TIFF or raw picture")
    } else if starts(b"%PDF") {
        picture("a PDF document")
    } else if starts(b"PK\x03\x04") {
        picture("a ZIP archive")
    } else {
        None
    }
}

/// A PNG that moves says so before its first picture.
fn png_moves(head: &[u8]) -> bool {
    let mut at = 8usize;
    while let Some(chunk) = head.get(at..).filter(|rest| rest.len() >= 8) {
        let size = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        match &chunk[4..8] {
            b"acTL" => return true,
            b"IDAT" => return false,
            // Length, kind and checksum.
            _ => at = at.saturating_add(size as usize).saturating_add(12),
        }
    }
    false
}

/// What libav's name of a format means to a person.
pub(super) fn name(format: &str) -> &str {
    match format {
        "asf" => "Windows Media (WMV, ASF)",
        "ogg" => "Ogg",
        "mp3" | "aac" | "ac3" | "eac3" | "flac" | "wav" | "amr" | "dts" | "truehd" | "loas" => {
            "a file of nothing but sound"
        }
        "h264" | "hevc" | "m4v" | "mpegvideo" => "a bare stream without a container",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(head: &[u8]) -> (MediaCode, String) {
        let error = refusal(head).unwrap();
        (error.code, error.message)
    }

    #[test]
    fn each_is_called_what_it_is() {
        let (code, message) = said(b"\0\0\0\x18ftypheic");
        assert_eq!(code, MediaCode::NotAVideo);
        assert_eq!(message, "this is a HEIC picture, not a video");
        let (code, message) = said(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11");
        assert_eq!(code, MediaCode::UnsupportedFormat);
        assert!(message.starts_with("Windows Media (WMV, ASF) is not supported; MP4"));
        let (_, message) = said(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02");
        assert!(message.starts_with("animated WebP"), "{message}");
        let (_, message) = said(b"RIFF\0\0\0\0WEBPVP8 \x0a\0\0\0\x02");
        assert!(message.starts_with("this is a still picture"), "{message}");
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x01IHDRxcccc";
        let moving = [&png[..], b"\0\0\0\x08acTL"].concat();
        let still = [&png[..], b"\0\0\0\x08IDATacTL"].concat();
        assert!(said(&moving).1.starts_with("animated PNG"));
        assert!(said(&still).1.starts_with("this is a still picture"));
    }

    #[test]
    fn videos_and_nonsense_are_left_to_libav() {
        for head in [
            &b""[..],
            b"\0\0\0\x18ftypisom",
            b"\0\0\0\x18ftyp",
            b"RIFF\0\0\0\0AVI ",
            b"\x1a\x45\xdf\xa3",
            b"GIF89a",
            b"FLV\x01",
            b"\0\0\x01\xba",
        ] {
            assert!(refusal(head).is_none(), "{head:?}");
        }
    }
}
