//! Tiles of a picture that is copied: its key frames, each decoded by itself as it passes by, so
//! that nothing is read twice and hardly anything decoded.

use super::graph::{VideoGraph, VideoSpec};
use super::open::Prepared;
use super::storyboard::{Storyboard, tile_size};
use super::transcode::spec_for;
use crate::media::av::{
    AvError, CodecParams, Decoder, DecoderOptions, Frame, Packet, Received, decoder_name,
};
use crate::media::color::Color;
use crate::media::error::{MediaError, memory};
use crate::media::ratio::Ratio;

pub(super) struct KeyFrames {
    board: Storyboard,
    /// Of a tile's size.
    spec: VideoSpec,
    codec: &'static str,
    params: CodecParams,
    time_base: Ratio,
    options: DecoderOptions,
}

impl KeyFrames {
    /// `None` where no storyboard is wanted.
    pub(super) fn of(prepared: &Prepared<'_>) -> Result<Option<Self>, MediaError> {
        let (Some(board), Some(codec)) = (
            prepared.stills().storyboard,
            decoder_name(&prepared.main.video.codec),
        ) else {
            return Ok(None);
        };
        let video = prepared.main.probe.require_video()?;
        let (width, height) = tile_size(video.display_width, video.display_height);
        let stream = &prepared.main.video;
        Ok(Some(Self {
            board,
            spec: spec_for(&prepared.main, width, height)?,
            codec,
            params: prepared.main.demuxer.params(stream.index).map_err(memory)?,
            time_base: stream.time_base,
            options: DecoderOptions {
                // One picture has no use for more.
                threads: 1,
                max_pixels: prepared.render.limits.max_pixels,
                strict: false,
            },
        }))
    }

    /// Considers a packet shown at `at_ms`. One that does not decode by itself is no tile: whether
    /// the picture is whole is for the verification to say.
    pub(super) fn see(&mut self, packet: &Packet, at_ms: u64) -> Result<(), MediaError> {
        if !packet.is_key() || !self.board.wants(at_ms) {
            return Ok(());
        }
        let Ok(Some(frame)) = self.decode(packet) else {
            return Ok(());
        };
        self.board.consider(&frame, at_ms).map_err(memory)
    }

    fn decode(&self, packet: &Packet) -> Result<Option<Frame>, AvError> {
        let mut decoder =
            Decoder::open(self.codec, Some(&self.params), self.time_base, self.options)?;
        let mut frame = Frame::new()?;
        decoder.send(Some(packet))?;
        if decoder.receive(&mut frame)? != Received::Item {
            decoder.send(None)?;
            if decoder.receive(&mut frame)? != Received::Item {
                return Ok(None);
            }
        }
        frame.set_pts(0);
        let graph = VideoGraph::build(&self.spec, &frame, self.time_base, None);
        let Ok(mut graph) = graph else {
            return Ok(None);
        };
        let mut out = Frame::new()?;
        graph.push(Some(&mut frame))?;
        graph.push(None)?;
        if graph.pull(&mut out)? != Received::Item {
            return Ok(None);
        }
        out.set_color(Color { ..self.spec.color });
        Ok(Some(out))
    }

    pub(super) fn into_board(self) -> Storyboard {
        self.board
    }
}
