//! The size that is shown longest, as far as a look at the first key frames tells.
//!
//! A call that is recorded begins small and grows. Headers of containers tell the size it begins
//! with, and a render counts all frames. Before anything is paid neither will do: here, key frames
//! are decoded, within bounds, and the last size seen is taken to go on.

use crate::media::av::{
    AvError, Decoder, DecoderOptions, Demuxer, Frame, Packet, Received, StreamInfo, decoder_name,
};
use crate::media::limits::Limits;
use crate::media::sizes::{Size, Sizes};

/// Pixels of key frames that are decoded: 16 of 1080 lines, 36 of 720, 2330 of 160×90. That
/// is a tenth of a second or so.
const PIXELS: u64 = 32 << 20;

/// Looks at the packets of a video.
pub(super) struct Look {
    decoder: Decoder,
    frame: Frame,
    sizes: Sizes,
    first: Option<i64>,
    /// The key frame that was looked at last.
    from: i64,
    /// Where the last picture so far ends.
    reached: i64,
    left: u64,
}

impl Look {
    /// `None` where there is no need to look: an index that counts the pictures has a description
    /// of their size, and a GIF has one canvas.
    pub(super) fn of(demuxer: &Demuxer, video: &StreamInfo, limits: &Limits) -> Option<Self> {
        if video.frames > 0 {
            return None;
        }
        let options = DecoderOptions {
            threads: 1,
            max_pixels: limits.max_pixels,
            strict: false,
        };
        let params = demuxer.params(video.index).ok()?;
        let name = decoder_name(&video.codec)?;
        Some(Self {
            decoder: Decoder::open(name, Some(&params), video.time_base, options).ok()?,
            frame: Frame::new().ok()?,
            sizes: Sizes::default(),
            first: None,
            from: 0,
            reached: 0,
            left: PIXELS,
        })
    }

    /// Whether it would decode any more.
    pub(super) fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// Takes one packet of the video.
    pub(super) fn take(&mut self, packet: &Packet) -> Result<(), AvError> {
        let Some(at) = packet.pts().or(packet.dts()) else {
            return Ok(());
        };
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.reached = self.reached.max(at.saturating_add(packet.duration()));
        if !packet.is_key() || !self.goes_on() {
            return Ok(());
        }
        if let Some((width, height)) = self.size_of(packet)? {
            self.sizes.shown(at.saturating_sub(self.from));
            self.sizes.begin((width, height));
            self.from = at;
            let pixels = u64::from(width) * u64::from(height);
            self.left = self.left.saturating_sub(pixels.max(1));
        }
        Ok(())
    }

    /// Of a key frame by itself; what does not decode has none.
    fn size_of(&mut self, packet: &Packet) -> Result<Option<Size>, AvError> {
        let mut size = None;
        for packet in [Some(packet), None] {
            // Damage is for whoever renders it.
            match self.decoder.send(packet) {
                Err(error) if error.is_memory() => return Err(error),
                _ => {}
            }
            while matches!(self.decoder.receive(&mut self.frame), Ok(Received::Item)) {
                size.get_or_insert((self.frame.width(), self.frame.height()));
            }
        }
        self.decoder.flush();
        Ok(size)
    }

    /// The size shown longest in a video of so many ticks; 0 for one that ends where it was looked
    /// at last.
    pub(super) fn longest(mut self, length: i64) -> Option<Size> {
        let end = self.first?.saturating_add(length).max(self.reached);
        self.sizes.shown(end.saturating_sub(self.from));
        self.sizes.longest()
    }
}
