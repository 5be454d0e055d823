//! Nothing has to change in the picture: packets are copied, the container is
//! written anew. A poster still needs one decoded frame.

use std::sync::Arc;

use super::counts::Counts;
use super::graph::{VideoGraph, VideoSpec};
use super::keys::KeyFrames;
use super::open::{Prepared, reserve_for};
use super::order::Render;
use super::outcome::Outcome;
use super::pass::{AHEAD, CUT_OUT, Reader, SoundSource, audio_end_ms, sound_lane};
use super::poster::PosterPicker;
use super::report::{Damage, Narrator};
use super::setback::Setback;
use super::sink::Draft;
use super::sound::SoundLane;
use super::transcode::spec_for;
use crate::media::av::{Decoder, DecoderOptions, Frame, Packet, Received, decoder_name};
use crate::media::color::Color;
use crate::media::error::{MediaCode, MediaError, memory};
use crate::media::h264::ParameterSets;
use crate::media::judge::Truncation;
use crate::media::limits::{Guard, Limits};
use crate::media::output::Output;
use crate::media::probe::{Opened, frame_rate, open};
use crate::media::ratio::{Ratio, Time, to_millis};

/// Why a stream that changes is not copied: an MP4 declares one size.
pub(super) const CHANGES: &str = "it changes in mid-stream and becomes one";

/// Why a stream with an edit list is not copied: what was cut off would still be
/// in the file, for players that do not know such lists and for whoever looks.
const CUT_OFF: &str = "what its edit list cuts off is left out";

/// Why a stream is not copied whose packets have no place in an MP4 as they are: without a
/// decoding time, or shown before the first whole picture.
pub(super) const UNFIT: &str = "its packets do not fit into an MP4 as they are";

/// Why a stream is not copied that begins in the middle of a group of pictures.
const NO_KEY: &str = "it does not begin with a whole picture";

/// Whether a copied packet brings another size or profile with it.
struct Changes(Option<ParameterSets>);

impl Changes {
    /// Only H.264 is ever copied.
    fn new(codec: &str, configuration: &[u8]) -> Self {
        Self((codec == "h264").then(|| ParameterSets::new(configuration)))
    }

    /// Whether a packet can be copied as it is.
    fn allow(&mut self, packet: &Packet) -> Result<(), Setback> {
        if self.brought_by(packet) {
            return Err(Setback::CannotCopy(CHANGES));
        }
        if packet.is_cut_off() {
            return Err(Setback::CannotCopy(CUT_OFF));
        }
        Ok(())
    }

    /// Parameters change at key frames only.
    fn brought_by(&mut self, packet: &Packet) -> bool {
        self.0.as_mut().is_some_and(|sets| {
            sets.several()
                || packet
                    .new_configuration()
                    .is_some_and(|configuration| sets.configuration_changes(configuration))
                || (packet.is_key() && sets.packet_changes(packet.bytes()))
        })
    }
}

/// Counted again, since headers lie; `at_ms` is where the last of so many frames begins.
fn within(frames: u64, at_ms: u64, limits: &Limits) -> Result<(), MediaError> {
    if frames > limits.max_frames {
        return Err(MediaError::new(
            MediaCode::TooManyFrames,
            format!("more than {} frames", limits.max_frames),
        ));
    }
    if at_ms > limits.max_duration_ms {
        return Err(MediaError::new(
            MediaCode::TooLong,
            format!("longer than {} ms", limits.max_duration_ms),
        ));
    }
    Ok(())
}

#[allow(
    clippy::too_many_lines,
    reason = "one pass over the packets, from the header to the index"
)]
pub(super) fn run(
    prepared: Prepared<'_>,
    output: &mut dyn Output,
    narrator: &mut Narrator<'_>,
) -> Result<Outcome, Setback> {
    let picker = prepared.stills().poster;
    let mut keys = KeyFrames::of(&prepared)?;
    let Prepared {
        render,
        guard,
        mut main,
        source,
        plan,
        statement,
        ..
    } = prepared;
    let limits = &render.limits;
    let stream = main.video.clone();
    let mut draft = Draft::create(output, limits, guard, &statement)?;
    let params = main.demuxer.params(stream.index).map_err(memory)?;
    let mut changes = Changes::new(&stream.codec, params.configuration());
    let index = draft.add_copied(
        &params,
        &stream.codec,
        stream.time_base,
        Some(frame_rate(&stream)),
    )?;
    draft.set_picture(index);
    let mut sound = sound_lane(&plan.audio, &main, source.as_ref(), limits, &mut draft)?;
    let room = render.index_room;
    let mut sink = draft.start(room.unwrap_or_else(|| reserve_for(&main, source.as_ref())))?;
    let mut source = source.map(SoundSource::new).transpose()?;
    let audio = main.audio.as_ref().map(|audio| audio.index);
    let mut wanted = main.awaited.clone();
    wanted.extend([Some(stream.index), audio].into_iter().flatten());
    main.demuxer.keep_only(&wanted);

    let offset = main.begins().ticks(stream.time_base);
    let name = render.main.describe();
    let mut counts = Counts::default();
    let (mut reached_ms, mut audio_reached_ms, mut sounds) = (0, 0, 0u64);
    let mut reader = Reader::default();
    let mut packet = Packet::new().map_err(memory)?;
    while reader.next(&mut main, &mut packet, &name, guard)? {
        if packet.stream() == stream.index {
            counts.packets += 1;
            changes.allow(&packet)?;
            if counts.packets == 1 && !packet.is_key() {
                return Err(Setback::CannotCopy(NO_KEY));
            }
            packet.subtract(offset);
            if packet
                .pts()
                .is_none_or(|pts| sink.comes_before_first(pts, stream.time_base))
            {
                return Err(Setback::CannotCopy(UNFIT));
            }
            let begins = packet.pts().or(packet.dts()).unwrap_or(0);
            within(counts.packets, to_millis(begins, stream.time_base), limits)?;
            if let Some(keys) = &mut keys {
                keys.see(&packet, to_millis(begins, stream.time_base))?;
            }
            let end = packet.pts().unwrap_or(0).saturating_add(packet.duration());
            reached_ms = reached_ms.max(to_millis(end, stream.time_base));
            let at = packet.dts().map(|dts| Time::of(dts, stream.time_base));
            sink.write(&mut packet, index, stream.time_base)
                .map_err(|error| match error.code {
                    MediaCode::DamagedMedia => Setback::CannotCopy(UNFIT),
                    _ => error.into(),
                })?;
            if let (Some(source), Some(lane), Some(at)) = (&mut source, &mut sound, at) {
                source.feed(Some(at + AHEAD), lane, &mut sink, guard)?;
            }
            narrator.progress(counts.packets, reached_ms);
        } else if let Some(lane) = sound
            .as_mut()
            // Streams that are left out may still show packets read while probing.
            .filter(|_| source.is_none() && Some(packet.stream()) == audio)
        {
            sounds += 1;
            audio_reached_ms = audio_reached_ms.max(audio_end_ms(&main, &packet));
            lane.packet(&mut packet, &mut sink)?;
        } else {
            main.refuse_late_sound(&packet)?;
        }
        if sound.as_ref().is_some_and(SoundLane::holds_what_was_cut) {
            return Err(Setback::CannotCopySound(CUT_OUT));
        }
    }
    if let Some(audio) = audio.filter(|_| sound.is_some() && source.is_none() && sounds == 0) {
        return Err(Setback::NoSound(audio));
    }
    if let Some(lane) = &mut sound {
        if let Some(source) = &mut source {
            source.feed_all(lane, &mut sink, guard)?;
        }
        lane.finish(&mut sink)?;
    }
    counts.bad_packets = u64::from(reader.bad);
    counts.truncated = Truncation {
        claimed_ms: main.probe.container.duration_ms,
        reached_ms: reached_ms.max(audio_reached_ms),
        claimed_frames: stream.frames,
        frames: counts.packets,
        longest_ms: 0,
        ending: main.ending,
        bytes: main.probe.container.bytes,
    }
    .judge(limits)
    .map_err(|error| error.at("read").with_log())?;
    // Only an MP4's own table knows how long the last picture stands: what libav says of a packet
    // among B-frames is a guess.
    let probe = &main.probe;
    if let (Some(start), Some(video), "mp4" | "mov") =
        (stream.start, &probe.video, probe.container.format.as_str())
        && !counts.truncated
    {
        let length = Time::from_millis(i64::try_from(video.duration_ms).unwrap_or(0));
        let end = start
            .saturating_sub(offset)
            .saturating_add(length.ticks(stream.time_base));
        sink.picture_lasts_until(end, stream.time_base);
    }
    let finished = sink.finish()?;
    let (poster, color) = find_poster(render, picker, guard)?;
    Ok(Outcome {
        poster,
        storyboard: keys.map(KeyFrames::into_board),
        color,
        damage: Damage::new(
            counts,
            sound.as_ref().map(SoundLane::counts).unwrap_or_default(),
        ),
        finished,
        heard: sound.as_ref().is_some_and(SoundLane::heard),
        length_ms: None,
        looked: None,
        frames: counts.packets,
    })
}

/// Where frames are looked at for a poster, in eighths of the length, and how many at most: from
/// the first place on until one shows something; at the others one, whether it is much lighter.
const POSTER_PLACES: [(i64, u32); 4] = [(1, 300), (3, 1), (5, 1), (7, 1)];

/// Decodes from the key frame before each of a few places.
fn find_poster(
    render: &Render,
    picker: Option<PosterPicker>,
    guard: &Arc<Guard>,
) -> Result<(Option<(Frame, u64)>, Color), MediaError> {
    let Some(mut picker) = picker else {
        // Without a poster nobody asks for its colours.
        return Ok((None, Color::SDR_HD));
    };
    let mut main = open(render.main.as_ref(), &render.limits, guard)?;
    let video = main.probe.require_video()?;
    let spec = spec_for(&main, video.display_width & !1, video.display_height & !1)?;
    let stream = main.video.clone();
    main.demuxer.keep_only(&[stream.index]);
    let begins = main.begins();
    let eighth_ms = i64::try_from(main.probe.container.duration_ms / 8).unwrap_or(0);
    let options = DecoderOptions {
        threads: render.threads,
        max_pixels: render.limits.max_pixels,
        strict: false,
    };
    let params = main.demuxer.params(stream.index).map_err(memory)?;
    let codec = decoder_name(&stream.codec).unwrap_or_default();
    let look = Look {
        offset: begins.ticks(stream.time_base),
        name: render.main.describe(),
        spec: &spec,
        guard,
    };
    for (place, most) in POSTER_PLACES {
        let at = begins + Time::from_millis(eighth_ms.saturating_mul(place));
        // Without an index all that can be looked at is the beginning.
        if main
            .demuxer
            .seek(stream.index, at.ticks(stream.time_base))
            .is_err()
            && place > 1
        {
            break;
        }
        let decoder = Decoder::open(codec, Some(&params), stream.time_base, options);
        look.on(&mut main, decoder.map_err(memory)?, &mut picker, most)?;
    }
    Ok((picker.take(), spec.color))
}

/// What is the same for all places.
struct Look<'a> {
    /// Start of the container in the stream's time base.
    offset: i64,
    name: String,
    spec: &'a VideoSpec,
    guard: &'a Guard,
}

impl Look<'_> {
    /// Shows the picker frames until one is content, but no more than `most`.
    fn on(
        &self,
        main: &mut Opened,
        mut decoder: Decoder,
        picker: &mut PosterPicker,
        most: u32,
    ) -> Result<(), MediaError> {
        let stream = main.video.clone();
        let mut packet = Packet::new().map_err(memory)?;
        let mut frame = Frame::new().map_err(memory)?;
        let mut reader = Reader::default();
        let (mut seen, mut more) = (0, true);
        while more {
            more = reader.next(main, &mut packet, &self.name, self.guard)?;
            if more && packet.stream() != stream.index {
                continue;
            }
            let _ = decoder.send(more.then_some(&packet));
            while matches!(decoder.receive(&mut frame), Ok(Received::Item)) {
                let pts = frame.best_effort().unwrap_or(0).saturating_sub(self.offset);
                frame.set_pts(pts);
                let ready = through_graph(self.spec, &mut frame, stream.time_base)?;
                picker
                    .consider(&ready, to_millis(pts, stream.time_base))
                    .map_err(memory)?;
                seen += 1;
                if seen >= most || (most > 1 && picker.is_content()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn through_graph(spec: &VideoSpec, frame: &mut Frame, base: Ratio) -> Result<Frame, MediaError> {
    let mut graph = VideoGraph::build(spec, frame, base, None)?;
    let mut out = Frame::new().map_err(memory)?;
    graph.push(Some(frame)).map_err(memory)?;
    graph.push(None).map_err(memory)?;
    graph.pull(&mut out).map_err(memory)?;
    out.set_color(Color { ..spec.color });
    Ok(out)
}
