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
/// opened; what they recognise is decoded or refused by [`super::codec::whitelist`].
pub(super) const RECOGNISERS: &str = "aac,ac3,eac3,dts,truehd,h264,hevc,loas,m4v,mp3,mpegvideo";
/// Bytes looked at to recognise the container. Long enough for an ID3 tag or
/// a transport stream with junk in front.
const SNIFFED: u64 = 256 << 10;
/// Most containers say who they are at their beginning, and every demuxer looks through all that
/// it is shown: with the longer piece that was a quarter of the instructions of a job whose video
/// is copied.
const FIRST: usize = 16 << 10;
/// What a demuxer says that has no doubt.
const CERTAIN: c_int = 100;

/// A container that we read.
pub(super) struct Recognised {
    /// Of libav's static table.
    pub demuxer: *const ffi::AVInputFormat,
    /// libav's name for it.
    pub name: String,
}

/// Recognises the container from its first bytes; the reader is back at 0 afterwards.
pub(super) fn identify(reader: &mut dyn ReadSeek) -> Result<Recognised, OpenError> {
    let mut head = Vec::new();
    let first = (&mut *reader).take(FIRST as u64).read_to_end(&mut head);
    first.map_err(OpenError::Io)?;
    let (mut demuxer, mut score) = guess(&head);
    if (demuxer.is_null() || score < CERTAIN) && head.len() == FIRST {
        let mut more = (&mut *reader).take(SNIFFED - FIRST as u64);
        more.read_to_end(&mut head).map_err(OpenError::Io)?;
        (demuxer, score) = guess(&head);
    }
    reader.rewind().map_err(OpenError::Io)?;
    if demuxer.is_null() {
        return Err(OpenError::Unknown);
    }
    // SAFETY: a demuxer of libav's static table.
    let name = unsafe { text((*demuxer).name) };
    let allowed = FORMATS
        .split(',')
        .any(|known| name.split(',').any(|part| part == known));
    // libav itself calls a quarter of the maximum "try again with more bytes":
    // noise reaches that, our containers score above.
    if !allowed {
        return Err(if score > CERTAIN / 4 {
            OpenError::Refused(name)
        } else {
            OpenError::Unknown
        });
    }
    Ok(Recognised { demuxer, name })
}

/// The demuxer that these bytes look most like, and how much so.
fn guess(head: &[u8]) -> (*const ffi::AVInputFormat, c_int) {
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
