//! What is done to each frame, as filters: one function a step.

use super::spec::{Overlay, VideoSpec};
use crate::media::av::{AvError, Entry, Frame, NewGraph, Node, VideoSource};
use crate::media::color::{Color, transfer_name};
use crate::media::plan::nearest_even;
use crate::media::probe::display_size;
use crate::media::profile::{Background, Deinterlace};
use crate::media::ratio::Ratio;

/// Fills in the lines of the other moment from what moves and what does not, by each frame's own
/// flags. Before anything else: a turn or a change of size would mix the lines.
pub(super) fn deinterlace(
    graph: &mut NewGraph,
    node: Node,
    how: Deinterlace,
) -> Result<Node, AvError> {
    let mode = match how {
        Deinterlace::Double => "send_field",
        _ => "send_frame",
    };
    graph.then(
        node,
        c"bwdif",
        &[
            (c"mode", mode),
            (c"parity", "auto"),
            (c"deint", "interlaced"),
        ],
    )
}

/// Lays transparent parts on one colour, before any scaling: the colours that files hide under
/// transparency (a green screen, noise) would bleed into the edges. Multiplying by the alpha lays
/// on black; between two negatives the same lays on white.
pub(super) fn flatten(
    graph: &mut NewGraph,
    mut node: Node,
    spec: &VideoSpec,
    frame: &Frame,
) -> Result<Node, AvError> {
    let negative = |graph: &mut NewGraph, node| match spec.background {
        Background::White => graph.then(node, c"negate", &[]),
        Background::Black => Ok(node),
    };
    if let Some(format) = frame.pixel_format().filter(|format| !format.is_rgb) {
        let full = format.is_full_range || frame.color().range == crate::media::color::FULL;
        let source = frame.color().resolved(spec.height);
        let options = [
            (c"flags", "lanczos+accurate_rnd+full_chroma_int"),
            (c"in_color_matrix", source.sws_matrix()),
            (c"in_range", if full { "full" } else { "limited" }),
        ];
        node = graph.then(node, c"scale", &options)?;
    }
    let node = graph.then(node, c"format", &[(c"pix_fmts", "gbrap")])?;
    let node = negative(graph, node)?;
    let node = graph.then(node, c"premultiply", &[(c"inplace", "1")])?;
    let node = negative(graph, node)?;
    graph.then(node, c"format", &[(c"pix_fmts", "gbrp")])
}

/// Mirrors, then turns clockwise: the order the probe's orientation means.
pub(super) fn orient(
    graph: &mut NewGraph,
    mut node: Node,
    spec: &VideoSpec,
) -> Result<Node, AvError> {
    if spec.flipped {
        node = graph.then(node, c"hflip", &[])?;
    }
    match spec.rotation {
        90 => graph.then(node, c"transpose", &[(c"dir", "clock")]),
        180 => {
            node = graph.then(node, c"hflip", &[])?;
            graph.then(node, c"vflip", &[])
        }
        270 => graph.then(node, c"transpose", &[(c"dir", "cclock")]),
        _ => Ok(node),
    }
}

/// PQ or HLG to BT.709, by way of linear light.
pub(super) fn tone_map(graph: &mut NewGraph, node: Node, from: Color) -> Result<Node, AvError> {
    let transfer = transfer_name(from.transfer);
    let node = graph.then(
        node,
        c"zscale",
        &[
            (c"transferin", transfer),
            (c"matrixin", "bt2020nc"),
            (c"primariesin", "bt2020"),
            (c"rangein", "limited"),
            (c"transfer", "linear"),
            // Reference white of standard-range screens, in cd/m².
            (c"npl", "100"),
        ],
    )?;
    let node = graph.then(node, c"format", &[(c"pix_fmts", "gbrpf32le")])?;
    let node = graph.then(node, c"zscale", &[(c"primaries", "bt709")])?;
    let node = graph.then(node, c"tonemap", &[(c"tonemap", "hable"), (c"desat", "0")])?;
    let node = graph.then(
        node,
        c"zscale",
        &[
            (c"transfer", "bt709"),
            (c"matrix", "bt709"),
            (c"range", "limited"),
        ],
    )?;
    graph.then(node, c"format", &[(c"pix_fmts", "yuv420p")])
}

/// Brings size, pixel format, range and matrix to what the encoder was opened
/// with; leaves frames untouched that already fit.
pub(super) fn fit(
    graph: &mut NewGraph,
    mut node: Node,
    spec: &VideoSpec,
    frame: &Frame,
    (visible_width, visible_height): (u32, u32),
    (from, flat): (Color, bool),
) -> Result<Node, AvError> {
    let (shown_width, shown_height) = display_size(
        visible_width,
        visible_height,
        spec.sample_aspect,
        spec.rotation,
    );
    let (mut width, mut height) = if matches!(spec.rotation, 90 | 270) {
        (visible_height, visible_width)
    } else {
        (visible_width, visible_height)
    };
    let square = (shown_width, shown_height) == (width, height);
    if square
        && (width & !1, height & !1) == (spec.width, spec.height)
        && (width, height) != (spec.width, spec.height)
    {
        let (w, h) = (spec.width.to_string(), spec.height.to_string());
        node = graph.then(
            node,
            c"crop",
            &[
                (c"w", &w),
                (c"h", &h),
                (c"x", "0"),
                (c"y", "0"),
                (c"exact", "1"),
            ],
        )?;
        (width, height) = (spec.width, spec.height);
    }
    let format = frame.pixel_format();
    let rgb = flat || format.as_ref().is_some_and(|format| format.is_rgb);
    let full = rgb
        || from.range == crate::media::color::FULL
        || format.as_ref().is_some_and(|format| format.is_full_range);
    let source = from.resolved(spec.height);
    let converted = spec.tone_map;
    let same_format = converted
        || format
            .as_ref()
            .is_some_and(|format| format.name == "yuv420p");
    let same_color = source.sws_matrix() == spec.color.sws_matrix() && (converted || !full);
    if (width, height) == (spec.width, spec.height) && same_format && same_color {
        return Ok(node);
    }
    let (inner_width, inner_height) = inside((shown_width, shown_height), spec);
    let (w, h) = (inner_width.to_string(), inner_height.to_string());
    let mut options = vec![
        (c"w", w.as_str()),
        (c"h", h.as_str()),
        (c"flags", "lanczos+accurate_rnd+full_chroma_int"),
        (c"out_color_matrix", spec.color.sws_matrix()),
        (c"out_range", "limited"),
    ];
    if !rgb || converted {
        options.push((c"in_color_matrix", source.sws_matrix()));
        options.push((
            c"in_range",
            if full && !converted {
                "full"
            } else {
                "limited"
            },
        ));
    }
    node = graph.then(node, c"scale", &options)?;
    node = graph.then(node, c"format", &[(c"pix_fmts", "yuv420p")])?;
    if (inner_width, inner_height) != (spec.width, spec.height) {
        let (w, h) = (spec.width.to_string(), spec.height.to_string());
        let middle = |outer: u32, inner: u32| ((outer - inner) / 4 * 2).to_string();
        let (x, y) = (
            middle(spec.width, inner_width),
            middle(spec.height, inner_height),
        );
        let options = [(c"w", &*w), (c"h", &*h), (c"x", &*x), (c"y", &*y)];
        node = graph.then(node, c"pad", &options)?;
    }
    graph.then(node, c"setsar", &[(c"sar", "1")])
}

/// The size a picture gets within the result: all of it, unless its shape is
/// another (it changed in mid-stream), which gets bars rather than be stretched.
fn inside((width, height): (u32, u32), spec: &VideoSpec) -> (u32, u32) {
    let factor = (f64::from(spec.width) / f64::from(width.max(1)))
        .min(f64::from(spec.height) / f64::from(height.max(1)));
    let fitted = |side: u32, most: u32| nearest_even(f64::from(side) * factor).min(most);
    let (w, h) = (fitted(width, spec.width), fitted(height, spec.height));
    // Even sizes leave two pixels to rounding.
    if spec.width - w <= 2 && spec.height - h <= 2 {
        (spec.width, spec.height)
    } else {
        (w, h)
    }
}

/// Returns the overlay and the source its picture goes into.
pub(super) fn lay_over(
    graph: &mut NewGraph,
    node: Node,
    spec: &VideoSpec,
    overlay: &Overlay,
    time_base: Ratio,
) -> Result<(Node, Entry), AvError> {
    let format = Frame::video("yuva420p", 2, 2)?.format();
    let source = graph.video_source(VideoSource {
        width: overlay.image.width,
        height: overlay.image.height,
        format,
        // The same as the video's, or the graph would invent a finer one.
        time_base: spec.fps.map_or(time_base, Ratio::inverse),
        sample_aspect: Ratio::new(1, 1),
        frame_rate: None,
        color: spec.color,
    })?;
    let options = [
        (c"x", overlay.x.as_str()),
        (c"y", overlay.y.as_str()),
        (c"eval", "frame"),
        (c"format", "yuv420"),
        (c"eof_action", "repeat"),
        (c"alpha", "straight"),
    ];
    let mark = graph.filter(c"overlay", &options)?;
    graph.link(node, mark, 0)?;
    graph.link(source, mark, 1)?;
    Ok((mark, source))
}
