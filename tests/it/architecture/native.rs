//! What `media::av` takes of libav's bindings: the plain C interface, and of that nothing that
//! makes a Rust enum of a number that a file or a newer library may have chosen.

use super::rules::Finding;
use super::source::Source;

/// The one home of `unsafe` and of libav's types.
const NATIVE: &str = "src/media/av";
const CRATES: [&str; 2] = ["ffmpeg_next", "ffmpeg_sys_next"];

/// Fields that are C enums, and Rust enums in the bindings: `int_field!` reads and writes them.
const ENUM_FIELDS: [&str; 20] = [
    "chroma_location",
    "chroma_sample_location",
    "codec_id",
    "codec_type",
    "color_primaries",
    "color_range",
    "color_space",
    "color_trc",
    "colorspace",
    "discard",
    "field_order",
    "media_type",
    "pict_type",
    "pix_fmt",
    "sample_fmt",
    "skip_frame",
    "skip_idct",
    "skip_loop_filter",
    "sw_pix_fmt",
    "type_",
];

/// Functions that take such a number or give one: `plain` has those that are needed.
const ENUM_FUNCTIONS: [&str; 17] = [
    "av_codec_get_id",
    "av_frame_get_side_data",
    "av_frame_remove_side_data",
    "av_get_bytes_per_sample",
    "av_get_pix_fmt",
    "av_get_pix_fmt_name",
    "av_get_sample_fmt",
    "av_get_sample_fmt_name",
    "av_guess_codec",
    "av_image_fill_arrays",
    "av_image_get_buffer_size",
    "av_pix_fmt_desc_get",
    "av_pix_fmt_desc_get_id",
    "av_samples_set_silence",
    "avcodec_find_decoder",
    "avcodec_find_encoder",
    "avcodec_get_name",
];

pub(super) fn is_native(path: &str) -> bool {
    path == "src/media/av.rs" || path.starts_with("src/media/av/")
}

/// What is in the wrong place, or taken the wrong way.
pub(super) fn bans(source: &Source, findings: &mut Vec<Finding>) {
    let mut report = |line: usize, what: String| {
        findings.push(Finding::new(&source.path, line, what));
    };
    let native = is_native(&source.path);
    for (at, token) in source.tokens.iter().enumerate() {
        let text = token.text.as_str();
        let next = |by: usize| source.tokens.get(at + by).map_or("", |token| &token.text);
        if !native {
            if text == "unsafe" {
                report(token.line, "unsafe outside media::av".to_owned());
            }
            if CRATES.contains(&text) {
                report(token.line, "libav types outside media::av".to_owned());
            }
            continue;
        }
        // Its safe layer has holes: a dictionary that takes bytes of a file for UTF-8, kinds of
        // side data and other enums that are made of any number.
        if CRATES.contains(&text) && (next(1), next(2)) != ("::", "ffi") {
            report(token.line, format!("of {text} only ffi is taken"));
        }
        if text == ")" && next(1) == "." && ENUM_FIELDS.contains(&next(2)) {
            let what = format!("{} is a C enum: use int_field!", next(2));
            report(token.line, what);
        }
        if text == "ffi" && next(1) == "::" && ENUM_FUNCTIONS.contains(&next(2)) {
            report(
                token.line,
                format!("{} has a C enum: see plain.rs", next(2)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        bans(&Source::new(path, text), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_plain_interface_is_taken_and_nothing_that_makes_enums_of_numbers() {
        let file = format!("{NATIVE}/frame.rs");
        for good in [
            "use ffmpeg_next::ffi; fn f() { unsafe { ffi::av_frame_alloc() } }",
            "fn f() { int_field!(self.pointer, color_range = color.range); color.primaries }",
            "fn f() { plain::av_get_pix_fmt(name) }",
        ] {
            assert_eq!(found(&file, good), Vec::<String>::new(), "{good}");
        }
        for (bad, part) in [
            ("use ffmpeg_next as ffmpeg;", "only ffi"),
            ("use ffmpeg_next::{ffi, format};", "only ffi"),
            ("fn f(x: ffmpeg_next::DictionaryRef) {}", "only ffi"),
            ("fn f() { (*self.pointer).color_range }", "int_field!"),
            ("fn f() { (**entry).type_ }", "int_field!"),
            ("fn f() { ffi::av_get_pix_fmt(name) }", "plain.rs"),
        ] {
            let found = found(&file, bad);
            assert!(
                found.len() == 1 && found[0].contains(part),
                "{bad}: {found:?}"
            );
        }
    }
}
