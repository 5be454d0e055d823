//! Which container some bytes are, out of a fixed list.

use std::io::Read;
use std::os::raw::c_int;

use ffmpeg_next::ffi;

use super::error::OpenError;
use super::text;
use crate::media::input::ReadSeek;

/// Demuxers we let near untrusted bytes, by libav's names.
pub(super) const FORMATS: &str = "mov,matroska,avi,mpegts,gif,flv,mpeg";
/// Demuxers that recognise what a transport stream does not name. They are never
/// opened; what they recognise is decoded or refused by [`whitelist`].
pub(super) const RECOGNISERS: &str = "aac,ac3,eac3,dts,truehd,h264,hevc,loas,m4v,mp3,mpegvideo";
/// Bytes looked at to recognise the container. Long enough for an ID3 tag or
/// a transport stream with junk in front.
const SNIFFED: u64 = 256 << 10;

/// Recognises the container from its first bytes.
///
/// Returns libav's name for it; the reader is back at 0 afterwards.
pub(super) fn identify(reader: &mut dyn ReadSeek) -> Result<(String, Vec<u8>), OpenError> {
    let mut head = Vec::new();
    reader
        .take(SNIFFED)
        .read_to_end(&mut head)
        .map_err(OpenError::Io)?;
    reader.rewind().map_err(OpenError::Io)?;
    let (format, score) = guess(&head);
    if format.is_null() {
        return Err(OpenError::Unknown);
    }
    // SAFETY: a demuxer of libav's static table.
    let name = unsafe { text((*format).name) };
    let allowed = FORMATS
        .split(',')
        .any(|known| name.split(',').any(|part| part == known));
    // libav itself calls a quarter of the maximum "try again with more bytes":
    // noise reaches that, our containers score above.
    if !allowed {
        return Err(if score > 25 {
            OpenError::Refused(name)
        } else {
            OpenError::Unknown
        });
    }
    Ok((name, head))
}

/// The demuxer that these bytes look most like, and how much so: 100 is certain.
pub(super) fn guess(head: &[u8]) -> (*const ffi::AVInputFormat, c_int) {
    let mut padded = head.to_vec();
    padded.resize(head.len() + ffi::AVPROBE_PADDING_SIZE as usize, 0);
    let data = ffi::AVProbeData {
        // An empty name, so that no extension has a say.
        filename: c"".as_ptr(),
        buf: padded.as_mut_ptr(),
        buf_size: head.len() as c_int,
        mime_type: std::ptr::null(),
    };
    let mut score: c_int = 0;
    // SAFETY: the buffer is padded with zeros as asked and outlives the call.
    let format = unsafe { ffi::av_probe_input_format3(&data, 1, &mut score) };
    (format, score)
}
