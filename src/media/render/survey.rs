//! Looks through a whole video for the size that is shown longest.

use std::sync::Arc;

use super::decoding;
use super::pass::Reader;
use crate::media::av::{Decoder, Frame, Packet, Received};
use crate::media::error::{MediaError, memory};
use crate::media::input::Input;
use crate::media::limits::{Guard, Limits};
use crate::media::probe::{Choice, nominal_rate, open_as};
use crate::media::sizes::{Size, Sizes};

/// Decodes a video to its end to learn which size is shown longest; `None` if nothing decodes.
///
/// Only for files of which it is known that the size changes: it costs as much as decoding them.
pub(super) fn longest(
    input: &dyn Input,
    choice: &Choice,
    limits: &Limits,
    threads: usize,
    guard: &Arc<Guard>,
) -> Result<Option<Size>, MediaError> {
    let mut opened = open_as("open", input, choice, limits, guard)?;
    let stream = opened.video.clone();
    opened.demuxer.keep_only(&[stream.index]);
    let nominal = nominal_rate(&stream).frame(stream.time_base);
    let mut survey = Survey {
        decoder: decoding::open(&opened, threads, limits)?,
        frame: Frame::new().map_err(memory)?,
        sizes: Sizes::default(),
        last: None,
        frames: 0,
    };
    let mut packet = Packet::new().map_err(memory)?;
    let mut reader = Reader::default();
    let name = input.describe();
    // What is longer than allowed is refused by the pass that comes after.
    while survey.frames <= limits.max_frames
        && reader.next(&mut opened, &mut packet, &name, guard)?
    {
        if packet.stream() == stream.index {
            survey.send(Some(&packet));
        }
    }
    survey.send(None);
    survey.sizes.shown(nominal);
    Ok(survey.sizes.longest())
}

struct Survey {
    decoder: Decoder,
    frame: Frame,
    sizes: Sizes,
    last: Option<i64>,
    frames: u64,
}

impl Survey {
    /// What does not decode is not shown either.
    fn send(&mut self, packet: Option<&Packet>) {
        let _ = self.decoder.send(packet);
        while matches!(self.decoder.receive(&mut self.frame), Ok(Received::Item)) {
            self.frames += 1;
            let at = self.frame.best_effort().or(self.last).unwrap_or(0);
            if let Some(last) = self.last {
                self.sizes.shown(at.saturating_sub(last));
            }
            self.last = Some(at);
            self.sizes.begin((self.frame.width(), self.frame.height()));
        }
    }
}
