//! Decoding some groups of pictures of a file that is read to its end.

use crate::media::av::{Decoder, DecoderOptions, Frame, Packet, Received, decoder_name};
use crate::media::error::{MediaCode, MediaError};
use crate::media::h264::ParameterSets;
use crate::media::judge::{DecodeDepth, Watch};
use crate::media::limits::Limits;
use crate::media::probe::Opened;

/// A group of pictures longer than this is decoded in part only.
const MOST_FRAMES: u64 = 1200;
/// The same where every packet is known to be the one that was encoded: decoding shows that its
/// parameters, references and times are what decoders take, which a second's worth of frames does.
/// A clip of five seconds is one group of x264's, and decoding all of it an eighth of the pass.
const MOST_SEALED: u64 = 24;

/// Decodes the first group of pictures, the last, and those that begin with
/// other parameters; all of them at full depth, and nothing where packets will do.
pub(super) struct Ends {
    decoder: Decoder,
    frame: Frame,
    depth: DecodeDepth,
    /// Looks at the frames, where that was asked for.
    pub watch: Option<Watch>,
    /// Of H.264, the parameters seen so far.
    sets: Option<ParameterSets>,
    /// Whether the current group is decoded, and what had been when it began.
    within: bool,
    before: u64,
    /// Most frames of a group that are decoded.
    most: u64,
    /// Key frames seen.
    pub keys: u64,
    pub decoded: u64,
    pub bad: u64,
    size: Option<(u32, u32)>,
    /// The sizes before and after a change in mid-stream.
    pub change: Option<[(u32, u32); 2]>,
}

impl Ends {
    pub(super) fn open(
        input: &Opened,
        depth: DecodeDepth,
        sealed: bool,
        limits: &Limits,
    ) -> Result<Self, MediaError> {
        let stream = &input.video;
        let broken = |error: crate::media::av::AvError| {
            MediaError::new(
                MediaCode::NotDecodable,
                format!("the video cannot be decoded: {error}"),
            )
        };
        let name = decoder_name(&stream.codec).unwrap_or_default();
        let options = DecoderOptions {
            threads: limits.threads,
            max_pixels: limits.max_pixels,
            strict: true,
        };
        let params = input.demuxer.params(stream.index).map_err(broken)?;
        Ok(Self {
            decoder: Decoder::open(name, Some(&params), stream.time_base, options)
                .map_err(broken)?,
            frame: Frame::new().map_err(broken)?,
            depth,
            watch: None,
            sets: (stream.codec == "h264").then(|| ParameterSets::new(params.configuration())),
            within: true,
            before: 0,
            most: if sealed { MOST_SEALED } else { MOST_FRAMES },
            keys: 0,
            decoded: 0,
            bad: 0,
            size: None,
            change: None,
        })
    }

    /// Takes a packet of the forward pass, decoding it if its group is wanted.
    pub(super) fn take(&mut self, packet: &Packet) {
        if self.depth == DecodeDepth::Packets {
            return;
        }
        if packet.is_key() {
            self.keys += 1;
            let changes = packet.new_configuration().is_some()
                || self
                    .sets
                    .as_mut()
                    .is_some_and(|sets| sets.packet_changes(packet.bytes()));
            let within = self.keys <= 1 || changes || self.depth == DecodeDepth::Full;
            // What is still inside comes out before frames are left out.
            if self.within && !within {
                self.send(None);
                self.decoder.flush();
            }
            if within && !self.within {
                self.before = self.decoded;
            }
            self.within = within;
        }
        let enough = self.decoded - self.before >= self.most;
        if self.depth == DecodeDepth::Full || (self.within && !enough) {
            self.send(Some(packet));
        }
    }

    /// Starts over after a seek.
    pub(super) fn restart(&mut self) {
        self.decoder.flush();
        self.before = self.decoded;
    }

    /// Frames decoded since [`Ends::restart`], and whether they are enough.
    pub(super) fn since(&self) -> (u64, bool) {
        let count = self.decoded - self.before;
        (count, count > self.most)
    }

    pub(super) fn send(&mut self, packet: Option<&Packet>) {
        if self.decoder.send(packet).is_err() {
            self.bad += 1;
        }
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Item) => {
                    self.decoded += 1;
                    self.bad += u64::from(self.frame.is_damaged());
                    if let Some(watch) = &mut self.watch {
                        let at = self.frame.best_effort().unwrap_or(0);
                        watch.see(&self.frame, at);
                    }
                    let size = (self.frame.width(), self.frame.height());
                    if let Some(known) = self.size.filter(|known| *known != size) {
                        self.change.get_or_insert([known, size]);
                    }
                    self.size = Some(size);
                }
                Ok(_) => return,
                Err(_) => {
                    self.bad += 1;
                    return;
                }
            }
        }
    }
}
