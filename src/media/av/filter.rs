//! Filter graphs, built by API calls only.
//!
//! Options are set one by one from numbers and constants of ours, never by
//! parsing a graph description: client text cannot reach a filter. The graph
//! owns its contexts, so none can outlive it.

use std::ffi::{CStr, CString};
use std::os::raw::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

use ffmpeg_next::ffi;

use super::components;
use super::decode::Received;
use super::error::{AvError, check};
use super::frame::Frame;
use super::{EINVAL, ratio, rational};
use crate::media::color::{Color, matrix_name, range_name};
use crate::media::ratio::Ratio;

/// A filter within the graph that made it. Another graph takes it for nothing of
/// its own, and says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    graph: u64,
    index: usize,
}

/// Where frames go in. Only these may be pushed to: libav takes the private data
/// of whatever it is given for a source's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(Node);

impl From<Entry> for Node {
    fn from(entry: Entry) -> Self {
        entry.0
    }
}

/// Where frames come out. Only these may be pulled from, for the same reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit(Node);

/// What a picture source will deliver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VideoSource {
    pub width: u32,
    pub height: u32,
    pub format: i32,
    pub time_base: Ratio,
    pub sample_aspect: Ratio,
    pub frame_rate: Option<Ratio>,
    pub color: Color,
}

impl VideoSource {
    /// The parameters of a frame at hand.
    pub(crate) fn of(frame: &Frame, time_base: Ratio, frame_rate: Option<Ratio>) -> Self {
        let aspect = frame.sample_aspect();
        Self {
            width: frame.width(),
            height: frame.height(),
            format: frame.format(),
            time_base,
            sample_aspect: if aspect.is_valid() {
                aspect
            } else {
                Ratio::new(1, 1)
            },
            frame_rate,
            color: frame.color(),
        }
    }
}

/// Owns an `AVFilterGraph` and the contexts in it.
struct Filters {
    graph: *mut ffi::AVFilterGraph,
    /// No other graph of this process has it.
    id: u64,
    nodes: Vec<*mut ffi::AVFilterContext>,
}

/// A graph that is laid out: filters are added and linked.
pub(crate) struct NewGraph(Filters);

/// A graph that runs: frames go in and come out. What its sinks say of themselves is known only
/// now, and libav reads fields that nobody has set where they are asked before.
pub(crate) struct Graph(Filters);

impl Filters {
    /// The context of a node, if this graph made it. libav would take any other.
    fn context(&self, node: Node) -> Result<*mut ffi::AVFilterContext, AvError> {
        let own = (node.graph == self.id).then(|| self.nodes.get(node.index));
        let own = own.flatten().copied();
        own.ok_or_else(|| AvError::new(EINVAL, "a filter of another graph"))
    }
}

impl NewGraph {
    pub(crate) fn new(threads: usize) -> Result<Self, AvError> {
        static GRAPHS: AtomicU64 = AtomicU64::new(0);
        // SAFETY: alloc takes nothing; the graph is ours.
        unsafe {
            let graph = ffi::avfilter_graph_alloc();
            if graph.is_null() {
                return Err(AvError::memory("avfilter_graph_alloc"));
            }
            (*graph).nb_threads = c_int::try_from(threads).unwrap_or(0);
            Ok(Self(Filters {
                graph,
                id: GRAPHS.fetch_add(1, Ordering::Relaxed),
                nodes: Vec::new(),
            }))
        }
    }

    fn allocate(&mut self, filter: &CStr) -> Result<*mut ffi::AVFilterContext, AvError> {
        debug_assert!(
            components::is_listed(filter),
            "list {filter:?} in media::av::components and in vendor/ffmpeg/components"
        );
        let name = CString::new(format!("n{}", self.0.nodes.len()))
            .map_err(|_| AvError::new(EINVAL, "avfilter_graph_alloc_filter"))?;
        // SAFETY: the filter is looked up in static tables and checked; the
        // context belongs to the graph and dies with it.
        unsafe {
            let filter = ffi::avfilter_get_by_name(filter.as_ptr());
            if filter.is_null() {
                return Err(AvError::new(
                    ffi::AVERROR_FILTER_NOT_FOUND,
                    "avfilter_get_by_name",
                ));
            }
            let context = ffi::avfilter_graph_alloc_filter(self.0.graph, filter, name.as_ptr());
            if context.is_null() {
                return Err(AvError::memory("avfilter_graph_alloc_filter"));
            }
            Ok(context)
        }
    }

    fn initialise(&mut self, context: *mut ffi::AVFilterContext) -> Result<Node, AvError> {
        // SAFETY: a context of this graph whose options are set.
        let code = unsafe { ffi::avfilter_init_str(context, std::ptr::null()) };
        check(code, "avfilter_init_str")?;
        self.0.nodes.push(context);
        Ok(Node {
            graph: self.0.id,
            index: self.0.nodes.len() - 1,
        })
    }

    /// Adds a filter with its options.
    pub(crate) fn filter(
        &mut self,
        name: &CStr,
        options: &[(&CStr, &str)],
    ) -> Result<Node, AvError> {
        let context = self.allocate(name)?;
        for (key, value) in options {
            set(context, key, value)?;
        }
        self.initialise(context)
    }

    /// Adds a filter behind `from` and returns it: the usual way to build a chain.
    pub(crate) fn then(
        &mut self,
        from: impl Into<Node>,
        name: &CStr,
        options: &[(&CStr, &str)],
    ) -> Result<Node, AvError> {
        let node = self.filter(name, options)?;
        self.link(from, node, 0)?;
        Ok(node)
    }

    pub(crate) fn video_source(&mut self, source: VideoSource) -> Result<Entry, AvError> {
        let context = self.allocate(c"buffer")?;
        // SAFETY: the parameters are zeroed by their allocator and freed below;
        // the call copies what it needs.
        unsafe {
            let params = ffi::av_buffersrc_parameters_alloc();
            if params.is_null() {
                return Err(AvError::memory("av_buffersrc_parameters_alloc"));
            }
            (*params).format = source.format;
            (*params).width = c_int::try_from(source.width).unwrap_or(0);
            (*params).height = c_int::try_from(source.height).unwrap_or(0);
            (*params).time_base = rational(source.time_base);
            (*params).sample_aspect_ratio = rational(source.sample_aspect);
            if let Some(rate) = source.frame_rate.filter(|rate| rate.is_valid()) {
                (*params).frame_rate = rational(rate);
            }
            let code = ffi::av_buffersrc_parameters_set(context, params);
            ffi::av_free(params.cast());
            check(code, "av_buffersrc_parameters_set")?;
        }
        // FFmpeg 7 negotiates colour too; older versions do not know the options.
        let color = source.color.for_filters();
        let _ = set(context, c"colorspace", matrix_name(color.matrix));
        let _ = set(context, c"range", range_name(color.range));
        self.initialise(context).map(Entry)
    }

    pub(crate) fn audio_source(
        &mut self,
        frame: &Frame,
        time_base: Ratio,
    ) -> Result<Entry, AvError> {
        let context = self.allocate(c"abuffer")?;
        // SAFETY: as for pictures; the channel layout is copied from the frame
        // and released after the call.
        unsafe {
            let params = ffi::av_buffersrc_parameters_alloc();
            if params.is_null() {
                return Err(AvError::memory("av_buffersrc_parameters_alloc"));
            }
            (*params).format = frame.format();
            (*params).sample_rate = frame.sample_rate();
            (*params).time_base = rational(time_base);
            let code =
                ffi::av_channel_layout_copy(&mut (*params).ch_layout, &(*frame.as_ptr()).ch_layout);
            let code = if code < 0 {
                code
            } else {
                ffi::av_buffersrc_parameters_set(context, params)
            };
            ffi::av_channel_layout_uninit(&mut (*params).ch_layout);
            ffi::av_free(params.cast());
            check(code, "av_buffersrc_parameters_set")?;
        }
        self.initialise(context).map(Entry)
    }

    /// Ends a chain of pictures.
    pub(crate) fn video_exit(&mut self, from: impl Into<Node>) -> Result<Exit, AvError> {
        self.then(from, c"buffersink", &[]).map(Exit)
    }

    /// Ends a chain of sound.
    pub(crate) fn audio_exit(&mut self, from: impl Into<Node>) -> Result<Exit, AvError> {
        self.then(from, c"abuffersink", &[]).map(Exit)
    }

    /// Connects the first output of `from` to input `pad` of `to`.
    pub(crate) fn link(
        &mut self,
        from: impl Into<Node>,
        to: Node,
        pad: u32,
    ) -> Result<(), AvError> {
        let (from, to) = (self.0.context(from.into())?, self.0.context(to)?);
        // SAFETY: both contexts belong to this graph.
        let code = unsafe { ffi::avfilter_link(from, 0, to, pad) };
        check(code, "avfilter_link").map(|_| ())
    }

    /// Ends the layout: formats and sizes are agreed on.
    pub(crate) fn start(self) -> Result<Graph, AvError> {
        // SAFETY: the graph is ours.
        let code = unsafe { ffi::avfilter_graph_config(self.0.graph, std::ptr::null_mut()) };
        check(code, "avfilter_graph_config")?;
        Ok(Graph(self.0))
    }
}

impl Graph {
    /// Makes an exit of sound deliver exactly this many samples at a time.
    pub(crate) fn set_frame_size(&mut self, exit: Exit, samples: u32) -> Result<(), AvError> {
        let exit = self.0.context(exit.0)?;
        // SAFETY: a configured sink of this graph.
        unsafe { ffi::av_buffersink_set_frame_size(exit, samples) };
        Ok(())
    }

    pub(crate) fn time_base(&self, exit: Exit) -> Result<Ratio, AvError> {
        let exit = self.0.context(exit.0)?;
        // SAFETY: a configured sink of this graph.
        Ok(ratio(unsafe { ffi::av_buffersink_get_time_base(exit) }))
    }

    /// Moves a frame into a source, leaving it empty; `None` ends the source.
    pub(crate) fn push(&mut self, source: Entry, frame: Option<&mut Frame>) -> Result<(), AvError> {
        let source = self.0.context(source.0)?;
        let pointer = frame.map_or(std::ptr::null_mut(), |frame| {
            // As the source was told; sound has no colours.
            if frame.width() > 0 {
                frame.set_color(frame.color().for_filters());
            }
            frame.as_ptr()
        });
        // SAFETY: a source of this graph; the frame is exclusively borrowed
        // and emptied by the call, so no slice of it can be alive.
        let code = unsafe { ffi::av_buffersrc_add_frame_flags(source, pointer, 0) };
        check(code, "av_buffersrc_add_frame").map(|_| ())
    }

    /// Ends a source at a time of its own: how long the last frame is shown.
    pub(crate) fn close(&mut self, source: Entry, end: i64) -> Result<(), AvError> {
        let source = self.0.context(source.0)?;
        // SAFETY: a source of this graph.
        let code = unsafe { ffi::av_buffersrc_close(source, end, 0) };
        check(code, "av_buffersrc_close").map(|_| ())
    }

    pub(crate) fn pull(&mut self, exit: Exit, frame: &mut Frame) -> Result<Received, AvError> {
        let exit = self.0.context(exit.0)?;
        // SAFETY: a sink of this graph; the frame is emptied before it is filled.
        let code = unsafe {
            ffi::av_frame_unref(frame.as_ptr());
            ffi::av_buffersink_get_frame(exit, frame.as_ptr())
        };
        Received::from_code(code, "av_buffersink_get_frame")
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        self.nodes.clear();
        // SAFETY: ours, dropped once; frees the contexts too.
        unsafe { ffi::avfilter_graph_free(&mut self.graph) };
    }
}

fn set(context: *mut ffi::AVFilterContext, key: &CStr, value: &str) -> Result<(), AvError> {
    let value = CString::new(value).map_err(|_| AvError::new(EINVAL, "av_opt_set"))?;
    // SAFETY: an allocated, not yet initialised context; strings are copied.
    let code = unsafe {
        ffi::av_opt_set(
            context.cast(),
            key.as_ptr(),
            value.as_ptr(),
            ffi::AV_OPT_SEARCH_CHILDREN as c_int,
        )
    };
    check(code, "av_opt_set").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::media::av::typestate::{is_none, lacks};

    #[test]
    fn who_takes_one_for_another_is_told_by_the_compiler() {
        lacks!(NewGraph: push, pull, close, time_base, set_frame_size);
        lacks!(Graph: filter, then, link, video_source, audio_source, video_exit, start);
        // Frames are pushed to entries and pulled from exits, and an exit feeds nothing.
        is_none!(Node: Into<Entry>);
        is_none!(Exit: Into<Entry>);
        is_none!(Node: Into<Exit>);
        is_none!(Entry: Into<Exit>);
        is_none!(Exit: Into<Node>);
    }

    /// A source and a sink with nothing between them, the graph of their own.
    fn running() -> (Graph, Entry, Exit) {
        let frame = Frame::video("rgba", 16, 16).unwrap();
        let mut graph = NewGraph::new(1).unwrap();
        let source = VideoSource::of(&frame, Ratio::new(1, 25), None);
        let entry = graph.video_source(source).unwrap();
        let exit = graph.video_exit(entry).unwrap();
        (graph.start().unwrap(), entry, exit)
    }

    #[test]
    fn a_node_of_another_graph_is_refused() {
        let told = |error: AvError| error.to_string().contains("another graph");
        let mut one = NewGraph::new(1).unwrap();
        let mut other = NewGraph::new(1).unwrap();
        let (node, own) = (one.filter(c"hflip", &[]), other.filter(c"hflip", &[]));
        let (node, own) = (node.unwrap(), own.unwrap());
        assert!(other.video_exit(node).is_err_and(told));
        assert!(other.link(own, node, 0).is_err_and(told));
        assert!(other.link(node, own, 0).is_err_and(told));

        let (mut graph, entry, exit) = running();
        let (mut other, own_entry, own_exit) = running();
        let mut frame = Frame::video("rgba", 16, 16).unwrap();
        assert!(other.push(entry, Some(&mut frame)).is_err_and(told));
        assert_eq!(frame.width(), 16, "the frame is still the caller's");
        assert!(other.close(entry, 1).is_err_and(told));
        assert!(other.pull(exit, &mut frame).is_err_and(told));
        assert!(other.time_base(exit).is_err_and(told));
        assert!(other.set_frame_size(exit, 1).is_err_and(told));
        // Neither graph is the worse for it.
        for (graph, entry, exit) in [(&mut graph, entry, exit), (&mut other, own_entry, own_exit)] {
            let mut frame = Frame::video("rgba", 16, 16).unwrap();
            graph.push(entry, Some(&mut frame)).unwrap();
            let pulled = graph.pull(exit, &mut frame).unwrap();
            assert!(matches!(pulled, Received::Item));
        }
    }
}
