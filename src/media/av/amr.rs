//! AMR packets of several frames. Phones put five or ten into one sample of a 3GP file, and libav
//! decodes the first one alone: four fifths of the sound were gone.

/// Bytes of a frame with its head, by the mode in it. Modes without speech are silence: the
/// decoder knows none of them.
type Table = [(usize, bool); 16];

const NARROW: Table = table(&[13, 14, 16, 18, 20, 21, 27, 32], &[6]);
const WIDE: Table = table(&[18, 24, 33, 37, 41, 47, 51, 59, 61], &[6]);

const fn table(speech: &[usize], noise: &[usize]) -> Table {
    let mut table = [(1, false); 16];
    let mut mode = 0;
    while mode < speech.len() + noise.len() {
        table[mode] = if mode < speech.len() {
            (speech[mode], true)
        } else {
            (noise[mode - speech.len()], false)
        };
        mode += 1;
    }
    table
}

/// A second of them; no program writes more into one packet.
const MOST: usize = 50;

/// The table of a decoder, if it is one of AMR.
pub(super) fn of_decoder(name: &str) -> Option<&'static Table> {
    match name {
        "amrnb" => Some(&NARROW),
        "amrwb" => Some(&WIDE),
        _ => None,
    }
}

/// The frames of a packet, `None` for those without speech. A packet that is one frame, or none
/// of whole ones, gives nothing: it goes to the decoder as it is.
pub(super) fn frames<'a>(table: &Table, packet: &'a [u8]) -> Vec<Option<&'a [u8]>> {
    let (mut frames, mut rest) = (Vec::new(), packet);
    while let Some(head) = rest.first() {
        let (length, speech) = table[usize::from(head >> 3 & 15)];
        let Some((frame, behind)) = rest.split_at_checked(length) else {
            return Vec::new();
        };
        frames.push(speech.then_some(frame));
        rest = behind;
        if frames.len() > MOST {
            return Vec::new();
        }
    }
    if frames.len() < 2 {
        frames.clear();
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_fall_apart_into_whole_frames_only() {
        let speech = [0x24; 20];
        let silence = [0x7c];
        let several = [speech.as_slice(), &silence, &speech].concat();
        let found = frames(&NARROW, &several);
        assert_eq!(found, [Some(speech.as_slice()), None, Some(&speech)]);
        assert_eq!(frames(&NARROW, &speech), []);
        assert_eq!(frames(&NARROW, &several[..30]), []);
        assert_eq!(frames(&NARROW, &[]), []);
        assert_eq!(frames(&NARROW, &[0x7c; 51]), []);
        assert_eq!(frames(&WIDE, &[0x44; 122]).len(), 2);
    }
}
