//! A storyboard: small pictures of the whole video, one sprite of them, and when each is shown.
//!
//! How long the video is may be known only at its end. So there is one tile for each interval, and
//! once [`MOST`] tiles are there the interval is doubled and every tile goes that is no longer the
//! first of its interval: what stays is what the longer interval would have taken from the start.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::still;
use crate::media::av::{AvError, Frame};
use crate::media::color::Color;

/// Tiles of a storyboard.
const MOST: usize = 64;
/// Tiles of a row.
const COLUMNS: usize = 8;
/// The longer side of a tile, in pixels: a full sprite is at most 1280 on a side, 2.5 MB.
const SIDE: u32 = 160;
/// The shortest interval.
const FIRST_MS: u64 = 500;
/// JPEG quality on libav's scale: good for what is small. A full sprite has some 300 KB.
const QUALITY: u8 = 5;

/// The sprite, as it is put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryboardInfo {
    /// Size of the sprite in pixels.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// Size of each tile.
    pub tile_width: u32,
    /// Likewise.
    pub tile_height: u32,
    /// Tiles of a row; rows are filled one after the other.
    pub columns: u32,
    /// Where each tile was taken, in milliseconds: at most 64, growing.
    pub times_ms: Vec<u64>,
    /// Size of the sprite in bytes.
    pub bytes: u64,
}

impl StoryboardInfo {
    /// The tiles as WebVTT: each stands until the next one. `image` is the sprite's address as
    /// seen from this text, `duration_ms` the length of the video.
    #[must_use]
    pub fn vtt(&self, image: &str, duration_ms: u64) -> String {
        let mut text = String::from("WEBVTT\n");
        let columns = self.columns.max(1);
        let ends = self.times_ms.iter().skip(1).copied();
        let last = self.times_ms.last().map_or(0, |at| at.saturating_add(1));
        let ends = ends.chain([duration_ms.max(last)]);
        // The first picture stands from the beginning, wherever it was taken.
        let begins = [0].into_iter().chain(self.times_ms.iter().skip(1).copied());
        for ((from, to), place) in begins.zip(ends).zip(0u32..) {
            let x = u64::from(place % columns) * u64::from(self.tile_width);
            let y = u64::from(place / columns) * u64::from(self.tile_height);
            let (width, height) = (self.tile_width, self.tile_height);
            // Writing into a string does not fail.
            let _ = write!(
                text,
                "\n{} --> {}\n{image}#xywh={x},{y},{width},{height}\n",
                clock(from),
                clock(to)
            );
        }
        text
    }
}

/// A moment as WebVTT writes it.
fn clock(ms: u64) -> String {
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:03}",
        ms / 1_000 % 60,
        ms % 1_000
    )
}

/// Takes tiles of the frames that pass by, in the order of their times.
pub(crate) struct Storyboard {
    interval_ms: u64,
    tiles: Vec<Tile>,
}

struct Tile {
    at_ms: u64,
    /// Full range, of the tile's size.
    picture: Frame,
    color: Color,
}

impl Storyboard {
    /// `length_ms` is what the headers promise: where they are right, no tile is made in vain.
    pub(crate) fn new(length_ms: u64) -> Self {
        let mut interval_ms = FIRST_MS;
        while length_ms.div_ceil(interval_ms) > MOST as u64 {
            interval_ms = interval_ms.saturating_mul(2);
        }
        Self {
            interval_ms,
            tiles: Vec::new(),
        }
    }

    /// Whether a frame of that time would become a tile, as far as is known now.
    pub(crate) fn wants(&self, at_ms: u64) -> bool {
        let last = self.tiles.last().map(|last| last.at_ms);
        last.is_none_or(|last| at_ms / self.interval_ms > last / self.interval_ms)
    }

    /// Considers a frame shown at `at_ms`.
    pub(crate) fn consider(&mut self, frame: &Frame, at_ms: u64) -> Result<(), AvError> {
        while self.wants(at_ms) && self.tiles.len() >= MOST {
            self.thin();
        }
        if !self.wants(at_ms) {
            return Ok(());
        }
        let first = self.tiles.first().map(|tile| &tile.picture);
        let size = first.map(|first| (first.width(), first.height()));
        let size = size.unwrap_or_else(|| tile_size(frame.width(), frame.height()));
        let color = frame.color();
        self.tiles.push(Tile {
            at_ms,
            picture: still::full_range(frame.share()?, color, Some(size))?,
            color,
        });
        Ok(())
    }

    /// Doubles the interval.
    fn thin(&mut self) {
        self.interval_ms = self.interval_ms.saturating_mul(2);
        let interval = self.interval_ms;
        self.tiles.dedup_by_key(|tile| tile.at_ms / interval);
    }

    /// The sprite as JPEG; nothing where no frame passed by.
    pub(crate) fn finish(self) -> Result<Option<(Vec<u8>, StoryboardInfo)>, AvError> {
        let Some(first) = self.tiles.first() else {
            return Ok(None);
        };
        let (width, height) = (first.picture.width(), first.picture.height());
        let columns = self.tiles.len().min(COLUMNS);
        let rows = self.tiles.len().div_ceil(columns);
        let mut sprite = Frame::video("yuvj420p", width * columns as u32, height * rows as u32)?;
        // Places without a tile are black.
        for plane in 1..3 {
            sprite.plane_mut(plane)?.0.fill(128);
        }
        for (place, tile) in self.tiles.iter().enumerate() {
            let at = (place % columns, place / columns);
            lay(&mut sprite, &tile.picture, at)?;
        }
        let jpeg = still::jpeg(&sprite, first.color, QUALITY)?;
        let info = StoryboardInfo {
            width: sprite.width(),
            height: sprite.height(),
            tile_width: width,
            tile_height: height,
            columns: columns as u32,
            times_ms: self.tiles.iter().map(|tile| tile.at_ms).collect(),
            bytes: jpeg.len() as u64,
        };
        Ok(Some((jpeg, info)))
    }
}

/// The size of a tile of such pictures: even, since colour has half the lines.
pub(super) fn tile_size(width: u32, height: u32) -> (u32, u32) {
    let longer = u64::from(width.max(height).max(1));
    let shrunk = |side: u32| {
        let side = u64::from(side) * u64::from(SIDE) / longer;
        u32::try_from(side.div_ceil(2) * 2).unwrap_or(SIDE).max(2)
    };
    (shrunk(width), shrunk(height))
}

/// Copies a tile to its column and row.
fn lay(sprite: &mut Frame, tile: &Frame, (column, row): (usize, usize)) -> Result<(), AvError> {
    for plane in 0..3 {
        let shrink = if plane == 0 { 1 } else { 2 };
        let width = tile.width() as usize / shrink;
        let height = tile.height() as usize / shrink;
        let (from, stride) = tile.plane(plane).ok_or(AvError::invalid("plane"))?;
        let (to, pitch) = sprite.plane_mut(plane)?;
        let lines = to.chunks_mut(pitch).skip(row * height).take(height);
        for (to, from) in lines.zip(from.chunks(stride)) {
            let to = to.iter_mut().skip(column * width);
            for (to, from) in to.zip(from.iter().take(width)) {
                *to = *from;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(length_ms: u64, times: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut board = Storyboard::new(length_ms);
        let mut frame = Frame::video("yuv420p", 32, 16).unwrap();
        frame.set_color(Color::SDR_HD);
        for at in times {
            board.consider(&frame, at).unwrap();
            assert!(board.tiles.len() <= MOST);
        }
        board.tiles.iter().map(|tile| tile.at_ms).collect()
    }

    #[test]
    fn a_length_that_nobody_knew_gives_what_a_known_one_does() {
        for length in [1, 700, 5_000, 31_999, 32_000, 64_000, 3_600_000] {
            let frames = || (0..length).step_by(40);
            let known = taken(length, frames());
            assert_eq!(taken(0, frames()), known, "{length}");
            assert!(known.len() <= MOST && known[0] == 0);
            assert!(length < 32_000 || known.len() >= MOST / 2, "{length}");
        }
    }

    #[test]
    fn pictures_that_stand_long_fill_no_more_than_there_is_room() {
        // One every other interval: doubling it once frees nothing.
        let times = taken(0, (0..10 * MOST as u64).map(|at| at * 2 * FIRST_MS + 7));
        assert!(times.len() <= MOST && times[0] == 7);
        assert!(times.is_sorted());
        let far = taken(u64::MAX, [0, u64::MAX / 2, u64::MAX].into_iter());
        assert_eq!(far.len(), 3);
    }

    #[test]
    fn tiles_keep_the_shape() {
        for (of, tile) in [
            ((1920, 1080), (160, 90)),
            ((1080, 1920), (90, 160)),
            ((320, 240), (160, 120)),
            ((7680, 16), (160, 2)),
            ((2, 2), (160, 160)),
        ] {
            assert_eq!(tile_size(of.0, of.1), tile);
        }
    }

    #[test]
    fn each_tile_stands_until_the_next() {
        let mut info = StoryboardInfo {
            width: 320,
            height: 180,
            tile_width: 160,
            tile_height: 90,
            columns: 2,
            times_ms: vec![40, 500, 3_661_001],
            bytes: 1,
        };
        assert_eq!(
            info.vtt("s.jpg", 3_700_000),
            "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\ns.jpg#xywh=0,0,160,90\n\n\
             00:00:00.500 --> 01:01:01.001\ns.jpg#xywh=160,0,160,90\n\n\
             01:01:01.001 --> 01:01:40.000\ns.jpg#xywh=0,90,160,90\n"
        );
        // No cue is empty, whatever the length says.
        assert!(
            info.vtt("s.jpg", 5)
                .contains("01:01:01.001 --> 01:01:01.002")
        );
        info.times_ms.clear();
        assert_eq!(
            info.vtt("s.jpg", 5),
            "WEBVTT\n\n00:00:00.000 --> 00:00:00.005\ns.jpg#xywh=0,0,160,90\n"
        );
    }
}
