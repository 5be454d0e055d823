//! The filter graph between decoder and encoder.

mod spec;
mod steps;

use crate::media::av::{self, AvError, Entry, Exit, Frame, Graph, NewGraph, VideoSource};
use crate::media::color::Color;
use crate::media::error::{MediaCode, MediaError};
use crate::media::logo;
use crate::media::profile::Deinterlace;
use crate::media::ratio::Ratio;
/// Laid on by `synth` alone.
#[cfg(feature = "sandbox")]
pub(crate) use spec::Overlay;
pub(crate) use spec::VideoSpec;
use steps::{deinterlace, fit, flatten, lay_over, orient, tone_map};

/// A configured graph and what it was built for.
pub(crate) struct VideoGraph {
    graph: Graph,
    source: Entry,
    exit: Exit,
    width: u32,
    height: u32,
    format: i32,
    /// Whether interlaced frames may come.
    deinterlaces: bool,
}

impl VideoGraph {
    /// Builds a graph for frames like `frame`, whose `pts` is set.
    pub(crate) fn build(
        spec: &VideoSpec,
        frame: &Frame,
        time_base: Ratio,
        frame_rate: Option<Ratio>,
    ) -> Result<Self, MediaError> {
        let failed = |error: AvError| {
            MediaError::new(
                MediaCode::EncoderFailed,
                format!("the filters do not fit: {error}"),
            )
            .at("filter")
            .with_log()
        };
        if spec.tone_map && !(av::has_filter(c"zscale") && av::has_filter(c"tonemap")) {
            return Err(MediaError::new(
                MediaCode::HdrNotSupported,
                "this is HDR video, and this build cannot convert it",
            ));
        }
        Self::assemble(spec, frame, time_base, frame_rate).map_err(failed)
    }

    fn assemble(
        spec: &VideoSpec,
        frame: &Frame,
        time_base: Ratio,
        frame_rate: Option<Ratio>,
    ) -> Result<Self, AvError> {
        let mut graph = NewGraph::new(spec.threads)?;
        let source = graph.video_source(VideoSource {
            // Squaring is ours to do; filters must not see another shape.
            sample_aspect: Ratio::new(1, 1),
            ..VideoSource::of(frame, time_base, frame_rate)
        })?;
        let visible = spec.visible(frame);
        let deinterlaces = spec.deinterlace != Deinterlace::Off && frame.is_interlaced();
        let mut node = source.into();
        if deinterlaces {
            node = deinterlace(&mut graph, node, spec.deinterlace)?;
        }
        if let Some(crop) = spec.crop_of(frame) {
            let sides = [crop.width, crop.height, crop.left, crop.top].map(|side| side.to_string());
            let [w, h, x, y] = &sides;
            node = graph.then(node, c"crop", &[(c"w", w), (c"h", h), (c"x", x), (c"y", y)])?;
        }
        let flat = frame.pixel_format().is_some_and(|format| format.has_alpha);
        if flat {
            node = flatten(&mut graph, node, spec, frame)?;
        }
        node = orient(&mut graph, node, spec)?;
        if let Some(rate) = spec.fps {
            let rate = format!("{}/{}", rate.num, rate.den);
            node = graph.then(node, c"fps", &[(c"fps", &rate)])?;
        }
        let mut from = frame.color();
        if spec.tone_map {
            node = tone_map(&mut graph, node, from)?;
            from = Color::SDR_HD;
        }
        node = fit(&mut graph, node, spec, frame, visible, (from, flat))?;
        let mut logo = None;
        if let Some(overlay) = &spec.overlay {
            let (mark, logo_source) = lay_over(&mut graph, node, spec, overlay, time_base)?;
            node = mark;
            logo = Some((overlay, logo_source));
        }
        let exit = graph.video_exit(node)?;
        let mut graph = graph.start()?;
        if let Some((overlay, source)) = logo {
            // One frame, then the end: the overlay filter repeats it for ever.
            let mut picture = logo::to_frame(&overlay.image, spec.color)?;
            // Not later than the first frame, which would go without otherwise.
            picture.set_pts(frame.pts().unwrap_or(0).min(0));
            graph.push(source, Some(&mut picture))?;
            graph.push(source, None)?;
        }
        Ok(Self {
            graph,
            source,
            exit,
            width: frame.width(),
            height: frame.height(),
            format: frame.format(),
            deinterlaces,
        })
    }

    /// Whether the graph was built for frames like this one. One for interlaced frames lets
    /// progressive ones pass; the other way round it has to be built anew.
    pub(crate) fn fits(&self, frame: &Frame, spec: &VideoSpec) -> bool {
        let combs = frame.is_interlaced() && spec.deinterlace != Deinterlace::Off;
        (self.width, self.height, self.format) == (frame.width(), frame.height(), frame.format())
            && (self.deinterlaces || !combs)
    }

    pub(crate) fn push(&mut self, frame: Option<&mut Frame>) -> Result<(), AvError> {
        let Some(frame) = frame else {
            return self.graph.push(self.source, None);
        };
        frame.set_sample_aspect(Ratio::new(1, 1));
        self.graph.push(self.source, Some(frame))
    }

    /// The end: the last frame is shown until then, which counts where frames
    /// are brought to another rate.
    pub(crate) fn close(&mut self, end: i64) -> Result<(), AvError> {
        self.graph.close(self.source, end)
    }

    pub(crate) fn pull(&mut self, frame: &mut Frame) -> Result<av::Received, AvError> {
        self.graph.pull(self.exit, frame)
    }

    pub(crate) fn time_base(&self) -> Result<Ratio, AvError> {
        self.graph.time_base(self.exit)
    }
}
