//! Opening what decodes, resamples and encodes sound.

use super::counts::Counts;
use super::sink::Sink;
use crate::media::av::{
    AacSettings, AvError, Decoder, DecoderOptions, Demuxer, Encoder, Entry, Exit, Frame, Graph,
    NewGraph, Packet, Received, StreamInfo, channel, decoder_name,
};
use crate::media::error::{MediaCode, MediaError, memory};
use crate::media::probe::HIGHEST_SAMPLE_RATE;
use crate::media::ratio::Ratio;

/// Opens the decoder of a stream of sound.
pub(super) fn open_decoder(demuxer: &Demuxer, stream: &StreamInfo) -> Result<Decoder, MediaError> {
    let refuse = |error: AvError| {
        MediaError::new(
            MediaCode::UnsupportedCodec,
            format!("this {} stream cannot be decoded: {error}", stream.codec),
        )
        .at("decode")
        .on_stream(stream.index)
        .with_log()
    };
    let name = decoder_name(&stream.codec)
        .ok_or_else(|| refuse(AvError::invalid("avcodec_find_decoder_by_name")))?;
    // Sound decodes far faster than real time on one thread.
    let options = DecoderOptions {
        threads: 1,
        max_pixels: u64::MAX,
        strict: false,
    };
    demuxer
        .params(stream.index)
        .and_then(|params| Decoder::open(name, Some(&params), stream.time_base, options))
        .map_err(refuse)
}

/// A graph that makes of frames like this one what the encoder takes.
pub(super) fn resampler(
    frame: &Frame,
    base: Ratio,
    settings: AacSettings,
) -> Result<(Graph, Entry, Exit), AvError> {
    let mut graph = NewGraph::new(1)?;
    let source = graph.audio_source(frame, base)?;
    // Gaps in the source become silence: an encoder has no notion of them. The sum of what is
    // mixed into one channel stays within full scale: floats may exceed it, and would be clipped
    // by whoever plays them.
    let options = [(c"async", "1"), (c"rematrix_maxval", "1.0")];
    let resample = graph.then(source, c"aresample", &options)?;
    let rate = settings.sample_rate.to_string();
    let layout = match settings.channels {
        1 => "mono",
        6 => "5.1",
        8 => "7.1",
        _ => "stereo",
    };
    let format = graph.then(
        resample,
        c"aformat",
        &[
            (c"sample_fmts", "fltp"),
            (c"sample_rates", &rate),
            (c"channel_layouts", layout),
        ],
    )?;
    let exit = graph.audio_exit(format)?;
    Ok((graph.start()?, source, exit))
}

/// Samples beyond this are noise that a damaged frame was decoded to, 120 dB above full scale: the
/// encoder refuses what it makes of them.
const LOUDEST: f32 = 1e6;

/// Whether a resampler can be made for a decoded frame: damage may claim any rate.
pub(super) fn can_be_resampled(frame: &Frame) -> bool {
    frame.sample_rate().unsigned_abs() <= HIGHEST_SAMPLE_RATE
}

/// Makes silence of planar floats that are no sound, and counts them as damage.
pub(super) fn hush(samples: &mut Frame, counts: &mut Counts) -> Result<(), MediaError> {
    let mut channels = (0..).map_while(|index| channel(samples, index));
    // What is no number is not below anything.
    let is_sound = channels.all(|channel| channel.iter().all(|sample| sample.abs() < LOUDEST));
    if !is_sound {
        counts.bad_frames += 1;
        let silence = samples.silence(samples.samples()).map_err(memory)?;
        let pts = samples.pts();
        *samples = silence;
        samples.set_pts(pts.unwrap_or(0));
    }
    Ok(())
}

/// Writes what the encoder has ready.
pub(super) fn drain(
    encoder: &mut Encoder,
    packet: &mut Packet,
    stream: usize,
    sink: &mut Sink,
) -> Result<(), MediaError> {
    let base = encoder.time_base();
    while encoder.receive(packet).map_err(encode_error)? == Received::Item {
        sink.write(packet, stream, base)?;
    }
    Ok(())
}

pub(super) fn encode_error(error: AvError) -> MediaError {
    MediaError::new(
        MediaCode::EncoderFailed,
        format!("the sound cannot be encoded: {error}"),
    )
    .at("encode")
    .with_log()
}
