//! Transparency of VP8 and VP9: beside each picture Matroska keeps another one, coded alike, whose
//! lightness is the opacity. libav's decoders leave it out, and show what is hidden under it.

use std::collections::BTreeMap;

use crate::media::av::{AvError, Decoder, DecoderOptions, Frame, Packet, Received};
use crate::media::error::{MediaError, memory};
use crate::media::limits::Limits;
use crate::media::ratio::Ratio;

/// A decoder of pictures holds far fewer; more means their pictures never came.
const MOST: usize = 512;

/// What a picture's opacity is.
enum Opacity {
    /// It has none of its own, which browsers take for opaque.
    Opaque,
    /// As light as this is.
    Shown(Frame),
}

/// Decodes the opacity ahead of the pictures.
pub(super) struct AlphaLane {
    decoder: Decoder,
    frame: Frame,
    /// By the time of the picture.
    ready: BTreeMap<i64, Opacity>,
    last: Option<Frame>,
}

impl AlphaLane {
    pub(super) fn open(decoder: &str, base: Ratio, limits: &Limits) -> Result<Self, MediaError> {
        let options = DecoderOptions {
            // No frame is held back, so that each opacity is there before its picture.
            threads: 1,
            max_pixels: limits.max_pixels,
            strict: false,
        };
        Ok(Self {
            decoder: Decoder::open(decoder, None, base, options).map_err(memory)?,
            frame: Frame::new().map_err(memory)?,
            ready: BTreeMap::new(),
            last: None,
        })
    }

    /// Takes what a packet has beside its picture; whether that decodes.
    pub(super) fn take(&mut self, packet: &Packet) -> Result<bool, MediaError> {
        let at = packet.pts().or(packet.dts()).unwrap_or(0);
        let Some(coded) = packet.beside() else {
            self.keep(at, Opacity::Opaque);
            return Ok(true);
        };
        let mut coded = Packet::from_bytes(coded).map_err(memory)?;
        coded.set_pts(at);
        let mut whole = self.decoder.send(Some(&coded)).is_ok();
        loop {
            match self.decoder.receive(&mut self.frame) {
                Ok(Received::Item) => {
                    let at = self.frame.best_effort().unwrap_or(at);
                    let next = Frame::new().map_err(memory)?;
                    let frame = std::mem::replace(&mut self.frame, next);
                    self.keep(at, Opacity::Shown(frame));
                }
                Ok(Received::Again | Received::End) => return Ok(whole),
                Err(_) => {
                    whole = false;
                    return Ok(whole);
                }
            }
        }
    }

    fn keep(&mut self, at: i64, opacity: Opacity) {
        self.ready.insert(at, opacity);
        if self.ready.len() > MOST {
            self.ready.pop_first();
        }
    }

    /// Gives a picture its opacity. Where none could be decoded the last one stays, and before
    /// the first nothing is shown: what is hidden must not appear.
    pub(super) fn apply(&mut self, picture: &mut Frame) -> Result<(), AvError> {
        let at = picture.best_effort().unwrap_or(0);
        let opacity = self.ready.remove(&at);
        self.ready = self.ready.split_off(&at);
        match opacity {
            Some(Opacity::Opaque) => return Ok(()),
            Some(Opacity::Shown(frame)) => self.last = Some(frame),
            None => {}
        }
        let alike = |frame: &&Frame| {
            (frame.width(), frame.height(), frame.format())
                == (picture.width(), picture.height(), picture.format())
        };
        match self.last.as_ref().filter(alike) {
            Some(last) => picture.add_alpha(last),
            None => {
                let format = picture.pixel_format().map_or_else(String::new, |f| f.name);
                let nothing = Frame::video(&format, picture.width(), picture.height())?;
                picture.add_alpha(&nothing)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> AlphaLane {
        crate::media::av::init();
        AlphaLane::open("vp8", Ratio::MILLIS, &Limits::default()).unwrap()
    }

    fn picture() -> Frame {
        let mut picture = Frame::video("yuv420p", 32, 16).unwrap();
        for plane in 0..3 {
            picture.plane_mut(plane).unwrap().0.fill(99);
        }
        picture
    }

    #[test]
    fn what_has_no_opacity_is_opaque_and_what_lost_it_is_hidden() {
        let mut lane = lane();
        assert!(lane.take(&Packet::from_bytes(&[1, 2, 3]).unwrap()).unwrap());
        let mut opaque = picture();
        lane.apply(&mut opaque).unwrap();
        assert_eq!(opaque.pixel_format().unwrap().name, "yuv420p");
        let mut hidden = picture();
        lane.apply(&mut hidden).unwrap();
        assert_eq!(hidden.pixel_format().unwrap().name, "yuva420p");
        assert!(hidden.plane(3).unwrap().0.iter().all(|value| *value == 0));
        assert_eq!(hidden.plane(0).unwrap().0[0], 99);
    }

    #[test]
    fn the_last_opacity_stays_and_only_one_of_the_same_size_counts() {
        let mut lane = lane();
        let mut opacity = picture();
        opacity.plane_mut(0).unwrap().0.fill(200);
        lane.keep(0, Opacity::Shown(opacity));
        for _ in 0..2 {
            let mut shown = picture();
            lane.apply(&mut shown).unwrap();
            assert!(shown.plane(3).unwrap().0.iter().all(|value| *value == 200));
        }
        let mut larger = Frame::video("yuv420p", 64, 16).unwrap();
        lane.apply(&mut larger).unwrap();
        assert!(larger.plane(3).unwrap().0.iter().all(|value| *value == 0));
    }

    #[test]
    fn pictures_that_never_come_take_no_memory() {
        let mut lane = lane();
        for at in 0..5000 {
            lane.keep(at, Opacity::Opaque);
        }
        assert_eq!(lane.ready.len(), MOST);
    }
}
