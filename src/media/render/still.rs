//! One frame as JPEG.

use crate::media::av::{AvError, Encoder, Frame, NewGraph, Packet, Received, VideoSource};
use crate::media::color::{Color, FULL, SMPTE170M};
use crate::media::ratio::Ratio;

/// The frame as JFIF wants it: full range, BT.601; at `size`, if one is given.
pub(super) fn full_range(
    mut frame: Frame,
    color: Color,
    size: Option<(u32, u32)>,
) -> Result<Frame, AvError> {
    frame.set_pts(0);
    let mut graph = NewGraph::new(1)?;
    let source = graph.video_source(VideoSource::of(&frame, Ratio::new(1, 25), None))?;
    let mut settings = vec![
        (c"in_color_matrix", color.sws_matrix().to_owned()),
        (c"in_range", "limited".to_owned()),
        (c"out_color_matrix", "bt601".to_owned()),
        (c"out_range", "full".to_owned()),
        (c"flags", "accurate_rnd".to_owned()),
    ];
    if let Some((width, height)) = size {
        settings.push((c"w", width.to_string()));
        settings.push((c"h", height.to_string()));
        // Every pixel counts: what is thin does not flicker from tile to tile.
        settings[4].1 = "area+accurate_rnd".to_owned();
    }
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let scale = graph.then(source, c"scale", &settings)?;
    let format = graph.then(scale, c"format", &[(c"pix_fmts", "yuvj420p")])?;
    let exit = graph.video_exit(format)?;
    let mut graph = graph.start()?;
    graph.push(source, Some(&mut frame))?;
    graph.push(source, None)?;
    let mut full = Frame::new()?;
    if graph.pull(exit, &mut full)? != Received::Item {
        return Err(AvError::invalid("av_buffersink_get_frame"));
    }
    full.set_color(of_jfif(color));
    full.forget_origin();
    Ok(full)
}

/// The colours of a picture of [`full_range`].
pub(super) fn of_jfif(color: Color) -> Color {
    Color {
        matrix: SMPTE170M,
        range: FULL,
        ..color
    }
}

/// A picture of [`full_range`] as JPEG; `quality` is on libav's scale, 2 is the best.
pub(super) fn jpeg(full: &Frame, color: Color, quality: u8) -> Result<Vec<u8>, AvError> {
    let color = of_jfif(color);
    let mut encoder = Encoder::jpeg(full.width(), full.height(), color, quality)?;
    let mut packet = Packet::new()?;
    encoder.send(Some(full))?;
    encoder.send(None)?;
    if encoder.receive(&mut packet)? != Received::Item {
        return Err(AvError::invalid("avcodec_receive_packet"));
    }
    Ok(packet.bytes().to_vec())
}
