//! What has to be linked in, by libav's names.
//!
//! `vendor/ffmpeg/components` enables exactly this in the build filmlab is
//! deployed with; a test holds one against the other.

use std::ffi::{CStr, CString};

use ffmpeg_next::ffi;

use super::codec::decoders;
use super::recognise::{FORMATS, RECOGNISERS};
use super::{has_encoder, has_filter};

/// Encoders: the result, its sound, the poster.
const ENCODERS: &[&CStr] = &[c"libx264", c"aac", c"mjpeg"];

/// The container of the result.
const MUXERS: &[&CStr] = &[c"mp4"];

/// Every filter a graph may be built of.
const FILTERS: &[&CStr] = &[
    c"buffer",
    c"buffersink",
    c"abuffer",
    c"abuffersink",
    c"bwdif",
    c"hflip",
    c"vflip",
    c"transpose",
    c"bwdif",
    c"fps",
    c"scale",
    c"format",
    c"crop",
    c"pad",
    c"setsar",
    c"overlay",
    c"lut",
    c"negate",
    c"premultiply",
    c"aresample",
    c"aformat",
];

/// For HDR; without them such videos are refused with a code of their own.
const HDR_FILTERS: &[&CStr] = &[c"zscale", c"tonemap"];

/// Whether a filter is in the lists above: one that is not would be missing
/// from the deployed build only.
pub(super) fn is_listed(filter: &CStr) -> bool {
    FILTERS.contains(&filter) || HDR_FILTERS.contains(&filter)
}

/// What can be done without: AV1 and HDR have refusals of their own.
const SPARE: &[&str] = &["decoder libdav1d", "filter zscale", "filter tonemap"];

/// All of it as `kind name`, as in `vendor/ffmpeg/components`.
fn listed() -> Vec<(&'static str, String)> {
    let text = |name: &&CStr| name.to_string_lossy().into_owned();
    let mut all = Vec::new();
    let demuxers = FORMATS.split(',').chain(RECOGNISERS.split(','));
    all.extend(demuxers.map(|name| ("demuxer", name.to_owned())));
    all.extend(decoders().map(|name| ("decoder", name.to_owned())));
    all.extend(ENCODERS.iter().map(|name| ("encoder", text(name))));
    all.extend(MUXERS.iter().map(|name| ("muxer", text(name))));
    let filters = FILTERS.iter().chain(HDR_FILTERS);
    all.extend(filters.map(|name| ("filter", text(name))));
    all
}

fn is_linked(kind: &str, name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: `name` is a C string; the lookups only read static tables.
    unsafe {
        match kind {
            "demuxer" => !ffi::av_find_input_format(name.as_ptr()).is_null(),
            "decoder" => !ffi::avcodec_find_decoder_by_name(name.as_ptr()).is_null(),
            "encoder" => has_encoder(&name),
            "muxer" => {
                !ffi::av_guess_format(name.as_ptr(), std::ptr::null(), std::ptr::null()).is_null()
            }
            "bsf" => !ffi::av_bsf_get_by_name(name.as_ptr()).is_null(),
            _ => has_filter(&name),
        }
    }
}

/// What is not linked in: `(all of it, what cannot be done without)`.
pub(crate) fn missing() -> (Vec<String>, Vec<String>) {
    let all: Vec<String> = listed()
        .into_iter()
        .filter(|(kind, name)| !is_linked(kind, name))
        .map(|(kind, name)| format!("{kind} {name}"))
        .collect();
    let needed = all
        .iter()
        .filter(|name| !SPARE.contains(&name.as_str()))
        .cloned()
        .collect();
    (all, needed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The recipe's lines without comments.
    fn recipe() -> BTreeSet<String> {
        include_str!("../../../vendor/ffmpeg/components")
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
            .collect()
    }

    #[test]
    fn the_recipe_enables_what_is_named_here_and_nothing_else() {
        // `configure` has names of its own for these.
        let configured = |name: String| match name.as_str() {
            "mpeg" => "mpegps".to_owned(),
            "msmpeg4" => "msmpeg4v3".to_owned(),
            _ => name,
        };
        let ours: BTreeSet<String> = listed()
            .into_iter()
            .map(|(kind, name)| format!("{kind} {}", configured(name)))
            .collect();
        // libav asks for these two by itself, for the codecs and formats above.
        let (inner, recipe): (BTreeSet<_>, BTreeSet<_>) = recipe()
            .into_iter()
            .partition(|line| line.starts_with("parser ") || line.starts_with("bsf "));
        assert_eq!(recipe, ours);
        for line in &inner {
            if let Some(name) = line.strip_prefix("bsf ") {
                assert!(is_linked("bsf", name), "{line}");
            }
        }
    }

    #[test]
    fn nothing_that_is_named_is_missing() {
        super::super::init();
        assert_eq!(missing(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert!(!is_linked("filter", "no_such_filter"));
        assert!(!is_linked("decoder", "no_such_decoder"));
        assert!(!is_linked("demuxer", "no_such_demuxer"));
        assert!(!is_linked("muxer", "no_such_muxer"));
        assert!(!is_linked("encoder", "no_such_encoder"));
    }
}
