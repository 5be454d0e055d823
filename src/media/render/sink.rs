//! The file being written: muxer, index reservation, error translation.

use std::sync::Arc;

use super::track::PictureTrack;
use crate::media::av::{AvError, CodecParams, Encoder, Muxer, NewMuxer, Packet};
use crate::media::error::{MediaCode, MediaError, memory};
use crate::media::head::{HeadHandle, head_writer, room_for};
use crate::media::limits::{Guard, Limits};
use crate::media::output::Output;
use crate::media::probe::unreadable;
use crate::media::provenance::{Digests, Following, ManifestInfo, Statement};
use crate::media::ratio::{Ratio, Time, rescale};
use crate::media::seal::{Seal, Sealed};

/// What is said of a copied packet that the muxer refuses.
pub(super) const DOES_NOT_FIT: &str = "a packet of the input does not fit into the result";

/// An MP4 that is laid out: it has no header yet, and takes streams.
pub(crate) struct Draft {
    muxer: NewMuxer,
    head: HeadHandle,
    /// Bytes kept free for what is said besides the index.
    room: u64,
    streams: usize,
    /// Streams whose packets are the input's own.
    copied: Vec<usize>,
    picture: Option<(usize, PictureTrack)>,
    guard: Arc<Guard>,
    max_duration_ms: u64,
    inputs: Vec<Following>,
}

/// What a file that was written is.
pub(crate) struct Finished {
    /// The index stands first.
    pub faststart: bool,
    /// The picture's packets, where we encoded them.
    pub sealed: Option<Sealed>,
}

/// An MP4 that is written: it has a header, and takes packets.
pub(crate) struct Sink {
    muxer: Muxer,
    head: HeadHandle,
    /// Last decoding time written per stream, in the stream's time base.
    last_dts: Vec<Option<i64>>,
    /// Streams whose packets are the input's own.
    copied: Vec<usize>,
    /// The stream that is seen, and its track.
    picture: Option<(usize, PictureTrack)>,
    /// Of a picture that we encoded.
    seal: Option<Seal>,
    guard: Arc<Guard>,
    max_duration_ms: u64,
    /// Held against their manifests meanwhile.
    inputs: Vec<Following>,
}

impl Draft {
    pub(crate) fn create(
        output: &mut dyn Output,
        limits: &Limits,
        guard: &Arc<Guard>,
        statement: &Statement,
    ) -> Result<Self, MediaError> {
        let writer = output.create().map_err(|error| {
            MediaError::new(
                MediaCode::OutputUnwritable,
                format!("{} cannot be written: {error}", output.describe()),
            )
        })?;
        let boxes = statement.boxes.clone();
        let room = room_for(&boxes).saturating_add(statement.index_room());
        let signing = statement.signing.as_ref();
        let signed = signing.map(|signing| signing.room(limits.max_output_bytes));
        let signed = signed.transpose().map_err(|error| {
            let message = format!("the result cannot be signed: {error}");
            MediaError::new(MediaCode::OutputUnwritable, message).at("mux")
        })?;
        let room = room.saturating_add(signed.unwrap_or(0));
        let digests = signing.cloned().map(Digests::new);
        let (writer, head) = head_writer(writer, limits.max_output_bytes, boxes, digests);
        let mut muxer = NewMuxer::new(Box::new(writer), Arc::clone(guard)).map_err(mux_error)?;
        if let Some(entry) = &statement.aigc {
            muxer.set_metadata(c"AIGC", entry).map_err(mux_error)?;
        }
        Ok(Self {
            muxer,
            head,
            room,
            streams: 0,
            copied: Vec::new(),
            picture: None,
            guard: Arc::clone(guard),
            max_duration_ms: limits.max_duration_ms,
            inputs: statement.inputs.clone(),
        })
    }

    pub(crate) fn add_encoded(
        &mut self,
        encoder: &Encoder,
        frame_rate: Option<Ratio>,
    ) -> Result<usize, MediaError> {
        self.streams += 1;
        self.muxer
            .add_encoded(encoder, frame_rate)
            .map_err(mux_error)
    }

    pub(crate) fn add_copied(
        &mut self,
        params: &CodecParams,
        codec: &str,
        time_base: Ratio,
        frame_rate: Option<Ratio>,
    ) -> Result<usize, MediaError> {
        self.streams += 1;
        let index = self
            .muxer
            .add_copied(params, codec, time_base, frame_rate)
            .map_err(mux_error)?;
        self.copied.push(index);
        Ok(index)
    }

    /// Says which stream is the picture: it begins at 0 and its table holds its whole length.
    pub(crate) fn set_picture(&mut self, stream: usize) {
        self.picture = Some((stream, PictureTrack::default()));
    }

    /// Writes the header, with `reserve` bytes for the index, and room for what else is said.
    pub(crate) fn start(self, reserve: u64) -> Result<Sink, MediaError> {
        let muxer = self
            .muxer
            .start(reserve.saturating_add(self.room))
            .map_err(|(error, failure)| explain(&self.head, error, failure))?;
        let encoded = |(stream, _): &&(usize, _)| !self.copied.contains(stream);
        let seal = self.picture.as_ref().filter(encoded).map(|_| Seal::new());
        Ok(Sink {
            muxer,
            seal: seal.transpose().map_err(memory)?,
            head: self.head,
            last_dts: vec![None; self.streams],
            copied: self.copied,
            picture: self.picture,
            guard: self.guard,
            max_duration_ms: self.max_duration_ms,
            inputs: self.inputs,
        })
    }
}

impl Sink {
    /// Whether something may begin at a time of the result: timestamps lie, and what fills the
    /// time up to them costs as if it had been there.
    pub(crate) fn admit(&self, at: Time) -> Result<(), MediaError> {
        self.guard.check()?;
        if at.millis() > self.max_duration_ms {
            return Err(MediaError::new(
                MediaCode::TooLong,
                format!("longer than {} ms", self.max_duration_ms),
            ));
        }
        Ok(())
    }

    /// The picture is shown until then, whatever its packets say.
    pub(crate) fn picture_lasts_until(&mut self, end: i64, base: Ratio) {
        if let Some((stream, track)) = &mut self.picture {
            track.lasts_until(rescale(end, base, self.muxer.time_base(*stream)));
        }
    }

    /// Whether a packet of the picture, times in `base`, is shown before the first one.
    pub(crate) fn comes_before_first(&self, pts: i64, base: Ratio) -> bool {
        self.picture.as_ref().is_some_and(|(stream, track)| {
            track.comes_before_first(rescale(pts, base, self.muxer.time_base(*stream)))
        })
    }

    /// Writes a packet whose timestamps are in `base`.
    pub(crate) fn write(
        &mut self,
        packet: &mut Packet,
        stream: usize,
        base: Ratio,
    ) -> Result<(), MediaError> {
        packet.rescale(base, self.muxer.time_base(stream));
        // Copied streams with damaged timestamps would stop the muxer: decoding
        // times must grow, and showing cannot come before decoding.
        if let (Some(dts), Some(last)) =
            (packet.dts(), self.last_dts.get(stream).copied().flatten())
            && dts <= last
        {
            let next = last.saturating_add(1);
            packet.set_dts(next);
            if packet.pts().is_some_and(|pts| pts < next) {
                packet.set_pts(next);
            }
        }
        if let (Some(slot), Some(dts)) = (self.last_dts.get_mut(stream), packet.dts()) {
            *slot = Some(dts);
        }
        match &mut self.picture {
            Some((picture, track)) if *picture == stream => match track.next(packet) {
                Ok(ready) => self.put_all(ready, stream),
                Err(error) => Err(self.misfit(error, stream)),
            },
            _ => self.put(packet, stream),
        }
    }

    fn put_all(&mut self, packets: Vec<Packet>, stream: usize) -> Result<(), MediaError> {
        packets
            .into_iter()
            .try_for_each(|mut packet| self.put(&mut packet, stream))
    }

    fn put(&mut self, packet: &mut Packet, stream: usize) -> Result<(), MediaError> {
        let is_picture = self.picture.as_ref().map(|(picture, _)| *picture) == Some(stream);
        if let Some(seal) = self.seal.as_mut().filter(|_| is_picture) {
            seal.encoded(packet.bytes());
        }
        self.muxer
            .write(packet, stream)
            .map_err(|error| self.misfit(error, stream))
    }

    /// What we encoded fits; what the input brought may not.
    fn misfit(&mut self, error: AvError, stream: usize) -> MediaError {
        let error = self.explain(error);
        if self.copied.contains(&stream) && error.code == MediaCode::EncoderFailed {
            return MediaError {
                code: MediaCode::DamagedMedia,
                message: DOES_NOT_FIT.to_owned(),
                ..error
            };
        }
        error
    }

    /// Writes trailer and index.
    pub(crate) fn finish(mut self) -> Result<Finished, MediaError> {
        if let Some((stream, track)) = &mut self.picture {
            let (stream, last) = (*stream, track.last());
            self.put_all(last, stream)?;
        }
        // What the head says of them is known then.
        for input in &self.inputs {
            known(input, &self.guard)?;
        }
        // Closes libav's side of the writer before ours patches the head.
        let (trailer, flushed) = self.muxer.finish();
        if self.head.over_limit() {
            return Err(too_large());
        }
        if let Err(error) = flushed {
            return Err(unwritable(&error.to_string()));
        }
        let faststart = self.head.complete(trailer.is_ok());
        let faststart = faststart.map_err(|error| match trailer {
            Ok(()) => unwritable(&error.to_string()),
            Err(trailer) => mux_error(trailer),
        })?;
        Ok(Finished {
            faststart,
            sealed: self.seal.map(Seal::finish),
        })
    }

    fn explain(&mut self, error: AvError) -> MediaError {
        let failure = self.muxer.take_failure();
        explain(&self.head, error, failure)
    }
}

/// What was found out about the manifest of an input of which all was read that was needed.
pub(crate) fn known(input: &Following, guard: &Guard) -> Result<ManifestInfo, MediaError> {
    input.finish().or_else(|error| {
        guard.check()?;
        Err(unreadable(&input.describe(), &error).at("open"))
    })
}

fn explain(head: &HeadHandle, error: AvError, failure: Option<std::io::Error>) -> MediaError {
    if head.over_limit() {
        return too_large();
    }
    match failure {
        Some(failure) => unwritable(&failure.to_string()),
        None => mux_error(error),
    }
}

fn too_large() -> MediaError {
    MediaError::new(
        MediaCode::OutputTooLarge,
        "the result grew larger than it may",
    )
    .at("mux")
}

fn unwritable(message: &str) -> MediaError {
    MediaError::new(
        MediaCode::OutputUnwritable,
        format!("the result cannot be written: {message}"),
    )
    .at("mux")
    .with_log()
}

fn mux_error(error: AvError) -> MediaError {
    MediaError::new(
        MediaCode::EncoderFailed,
        format!("the result cannot be packed: {error}"),
    )
    .at("mux")
    .with_log()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::media::input::FileInput;
    use crate::media::judge::{DecodeDepth, Expectation};
    use crate::media::limits::Cancel;
    use crate::media::output::FileOutput;
    use crate::media::probe::open;
    use crate::media::verify::verify;

    /// Copies the video of the committed clip with `reserve` bytes for the index.
    fn copied(reserve: u64, name: &str) -> (tempfile::TempDir, PathBuf, bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/bigbuckbunny.mp4");
        let limits = Limits::default();
        let guard = Guard::new(&Cancel::new(), &limits);
        let mut main = open(&FileInput::new(clip), &limits, &guard).unwrap();
        let mut output = FileOutput::new(&path);
        let mut draft = Draft::create(&mut output, &limits, &guard, &Statement::default()).unwrap();
        let base = main.video.time_base;
        let params = main.demuxer.params(main.video.index).unwrap();
        let stream = draft.add_copied(&params, "h264", base, None).unwrap();
        let mut sink = draft.start(reserve).unwrap();
        let mut packet = Packet::new().unwrap();
        while main.demuxer.read(&mut packet).is_ok_and(|more| more) {
            if packet.stream() == main.video.index {
                sink.write(&mut packet, stream, base).unwrap();
            }
        }
        let faststart = sink.finish().unwrap().faststart;
        output.commit().unwrap();
        (folder, path, faststart)
    }

    #[test]
    fn an_index_too_large_for_its_reservation_goes_to_the_end_unharmed() {
        // 132 frames need about 3 KB.
        for (reserve, first) in [(200_000, true), (500, false)] {
            let (_folder, path, faststart) = copied(reserve, "copy.mp4");
            assert_eq!(faststart, first, "{reserve}");
            let whole = Expectation {
                frames: Some((132, 0)),
                depth: DecodeDepth::Full,
                ..Expectation::default()
            };
            let found = verify(
                &FileInput::new(&path),
                &whole,
                &Limits::default(),
                &Cancel::new(),
            )
            .unwrap();
            assert_eq!(found.decoded_frames, 132, "{reserve}");
            assert_eq!(found.probe.container.faststart, Some(first), "{reserve}");
        }
    }
}
