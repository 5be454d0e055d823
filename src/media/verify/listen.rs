//! Listens to a track until something is heard.

use crate::media::av::{
    AvError, Decoder, DecoderOptions, Demuxer, Frame, Packet, Received, StreamInfo, decoder_name,
};
use crate::media::judge::is_heard;

/// Decodes sound until something is heard.
pub(super) struct Listener {
    decoder: Option<Decoder>,
    frame: Frame,
    pub heard: bool,
}

impl Listener {
    /// Sound that no decoder opens is not judged here: it counts as heard.
    pub(super) fn open(demuxer: &Demuxer, audio: &StreamInfo) -> Result<Self, AvError> {
        let options = DecoderOptions {
            threads: 1,
            max_pixels: u64::MAX,
            strict: false,
        };
        let decoder = decoder_name(&audio.codec).and_then(|name| {
            let params = demuxer.params(audio.index).ok()?;
            Decoder::open(name, Some(&params), audio.time_base, options).ok()
        });
        Ok(Self {
            heard: decoder.is_none(),
            decoder,
            frame: Frame::new()?,
        })
    }

    /// Takes a packet, or the end. Damage is for others to find.
    pub(super) fn take(&mut self, packet: Option<&Packet>) {
        let Some(decoder) = self.decoder.as_mut().filter(|_| !self.heard) else {
            return;
        };
        let _ = decoder.send(packet);
        while matches!(decoder.receive(&mut self.frame), Ok(Received::Item)) {
            self.heard |= is_heard(&self.frame);
        }
    }
}
