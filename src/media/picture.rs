//! Still pictures: watermark logos and character pictures.

pub(super) mod exif;

use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::exif::Orientation;
use super::av::{self, Decoder, DecoderOptions, Frame, NewGraph, Packet, Received, VideoSource};
use super::drawing::{self, Drawing};
use super::error::{MediaCode, MediaError};
use super::image::Image;
use super::input::Input;
use super::limits::{Cancel, Guard, Limits};
use super::logo::Logo;
use super::probe::{checked_length, unreadable};
use super::ratio::Ratio;
use super::sniff::sniff;

/// What a picture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureProbe {
    /// `png`, `jpeg`, `webp` or `svg`.
    pub format: String,
    /// Width in pixels, as shown: a camera's orientation is undone. An SVG has none: its sides give
    /// its proportions.
    pub width: u32,
    /// Height in pixels, as shown.
    pub height: u32,
    /// Whether the format carries transparency.
    pub alpha: bool,
    /// Size in bytes.
    pub bytes: u64,
}

/// Bytes of a picture that we are ready to hold in memory. Pictures are small: a larger one is a
/// mistake.
pub const MAX_PICTURE_BYTES: u64 = 64 << 20;

impl PictureProbe {
    /// A picture of pixels: nobody but who lays marks on takes a drawing.
    ///
    /// # Errors
    /// `not_a_picture`.
    pub fn require_pixels(self) -> Result<Self, MediaError> {
        match self.format.as_str() {
            SVG => Err(mark_only()),
            _ => Ok(self),
        }
    }
}

const SVG: &str = "svg";

fn mark_only() -> MediaError {
    MediaError::new(
        MediaCode::NotAPicture,
        "an SVG picture is taken as a watermark only",
    )
}

/// Decodes a PNG, JPEG or WebP picture, or reads an SVG one, and says what it is.
///
/// # Errors
/// `not_a_picture`, `empty_file`, `input_unreadable`, `input_too_large`,
/// `too_many_pixels`, `damaged_media`, `cancelled`, `deadline_exceeded`.
pub fn probe_picture(
    input: &dyn Input,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<PictureProbe, MediaError> {
    super::shielded(|| {
        let guard = Guard::new(cancel, limits);
        let bytes = read(input, limits, &guard)?;
        if drawing::is_svg(&bytes) {
            let drawing = Drawing::read(&bytes)?;
            return Ok(PictureProbe {
                format: SVG.to_owned(),
                width: drawing.width,
                height: drawing.height,
                alpha: true,
                bytes: bytes.len() as u64,
            });
        }
        let decoded = decode(&bytes, limits)?;
        let frame = decoded.frame;
        let (width, height) = if decoded.orientation.swaps_sides() {
            (frame.height(), frame.width())
        } else {
            (frame.width(), frame.height())
        };
        Ok(PictureProbe {
            format: decoded.format.to_owned(),
            width,
            height,
            alpha: frame.pixel_format().is_some_and(|format| format.has_alpha),
            bytes: bytes.len() as u64,
        })
    })
}

/// Reads and decodes a picture into RGBA, upright.
#[cfg(any(feature = "sandbox", fuzzing))]
pub(crate) fn load(
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Image, MediaError> {
    let bytes = read(input, limits, guard)?;
    if drawing::is_svg(&bytes) {
        return Err(mark_only());
    }
    upright(&bytes, limits)
}

/// The same of a watermark's picture, which may be a drawing.
pub(crate) fn load_mark(
    input: &dyn Input,
    limits: &Limits,
    guard: &Arc<Guard>,
) -> Result<Logo, MediaError> {
    let bytes = read(input, limits, guard)?;
    if drawing::is_svg(&bytes) {
        return Drawing::read(&bytes).map(|drawing| Logo::Drawing(Box::new(drawing)));
    }
    upright(&bytes, limits).map(Logo::Picture)
}

fn upright(bytes: &[u8], limits: &Limits) -> Result<Image, MediaError> {
    let decoded = decode(bytes, limits)?;
    to_image(decoded.frame)
        .map(|image| image.turned(decoded.orientation))
        .map_err(|error| {
            MediaError::new(
                MediaCode::DamagedMedia,
                format!("the picture cannot be used: {error}"),
            )
            .at("picture")
            .with_log()
        })
}

struct Decoded {
    frame: Frame,
    format: &'static str,
    orientation: Orientation,
}

fn read(input: &dyn Input, limits: &Limits, guard: &Arc<Guard>) -> Result<Vec<u8>, MediaError> {
    guard.check()?;
    let most = limits.max_bytes.min(MAX_PICTURE_BYTES);
    checked_length(input, most)?;
    let reader = input
        .open()
        .map_err(|error| unreadable(&input.describe(), &error))?;
    let mut bytes = Vec::new();
    // The length was asked before; a file that grew since is cut, not followed.
    reader
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&input.describe(), &error))?;
    Ok(bytes)
}

fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, MediaError> {
    av::init();
    av::log::clear();
    let (format, decoder) = sniff(bytes).ok_or_else(|| {
        let packed = bytes.starts_with(&[0x1f, 0x8b]);
        let message = if packed {
            "the file is compressed (gzip); unpack it first"
        } else {
            "the file is not a PNG, JPEG, WebP or SVG picture"
        };
        MediaError::new(MediaCode::NotAPicture, message)
    })?;
    let frame = decode_bytes(bytes, decoder, limits).map_err(|error| {
        let too_large = av::log::recent()
            .iter()
            .any(|line| line.contains("Picture size") || line.contains("max_pixels"));
        let (code, message) = if too_large {
            (
                MediaCode::TooManyPixels,
                "the picture has too many pixels".to_owned(),
            )
        } else {
            (
                MediaCode::DamagedMedia,
                format!("the picture cannot be decoded: {error}"),
            )
        };
        MediaError::new(code, message).at("picture").with_log()
    })?;
    let pixels = u64::from(frame.width()) * u64::from(frame.height());
    if pixels > limits.max_pixels {
        return Err(MediaError::new(
            MediaCode::TooManyPixels,
            "the picture has too many pixels",
        ));
    }
    Ok(Decoded {
        frame,
        format,
        orientation: Orientation::of(bytes),
    })
}

fn decode_bytes(bytes: &[u8], decoder: &str, limits: &Limits) -> Result<Frame, av::AvError> {
    let options = DecoderOptions {
        threads: 1,
        max_pixels: limits.max_pixels,
        strict: false,
    };
    let mut decoder = Decoder::open(decoder, None, Ratio::new(1, 25), options)?;
    let packet = Packet::from_bytes(bytes)?;
    let mut frame = Frame::new()?;
    decoder.send(Some(&packet))?;
    if decoder.receive(&mut frame)? == Received::Item {
        return Ok(frame);
    }
    decoder.send(None)?;
    match decoder.receive(&mut frame)? {
        Received::Item => Ok(frame),
        _ => Err(av::AvError::invalid("avcodec_receive_frame")),
    }
}

fn to_image(mut frame: Frame) -> Result<Image, av::AvError> {
    frame.set_pts(0);
    let mut graph = NewGraph::new(1)?;
    let source = graph.video_source(VideoSource::of(&frame, Ratio::new(1, 25), None))?;
    let scale = graph.then(
        source,
        c"scale",
        &[(c"flags", "accurate_rnd+full_chroma_int")],
    )?;
    let format = graph.then(scale, c"format", &[(c"pix_fmts", "rgba")])?;
    let exit = graph.video_exit(format)?;
    let mut graph = graph.start()?;
    graph.push(source, Some(&mut frame))?;
    graph.push(source, None)?;
    let mut rgba = Frame::new()?;
    if graph.pull(exit, &mut rgba)? != Received::Item {
        return Err(av::AvError::invalid("av_buffersink_get_frame"));
    }
    let (width, height) = (rgba.width(), rgba.height());
    let (data, stride) = rgba.plane(0).ok_or(av::AvError::invalid("plane"))?;
    let row = width as usize * 4;
    let mut pixels = Vec::with_capacity(row * height as usize);
    for line in data.chunks(stride).take(height as usize) {
        pixels.extend_from_slice(&line[..row]);
    }
    Ok(Image {
        width,
        height,
        rgba: pixels,
    })
}
