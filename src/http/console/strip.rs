//! The strip below the player: the tiles of a job's storyboard, each of which leads there.

use crate::media::StoryboardInfo;

/// Tiles that are shown; a storyboard has no more.
const MOST: usize = 64;

pub(super) struct Strip {
    /// Address of the sprite, and its size.
    pub(super) sprite: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) tile_width: u32,
    pub(super) tile_height: u32,
    pub(super) tiles: Vec<Tile>,
}

pub(super) struct Tile {
    pub(super) x: u32,
    pub(super) y: u32,
    /// As an address within a video says it.
    pub(super) seconds: String,
    pub(super) shown: String,
}

impl Strip {
    pub(super) fn of(info: &StoryboardInfo, sprite: String) -> Self {
        let columns = info.columns.max(1);
        let tiles = info.times_ms.iter().zip(0u32..).take(MOST);
        // Two of one second are told apart.
        let pairs = info.times_ms.windows(2);
        let is_close = pairs
            .into_iter()
            .any(|pair| pair[0] / 1_000 == pair[1] / 1_000);
        Self {
            sprite,
            width: info.width,
            height: info.height,
            tile_width: info.tile_width,
            tile_height: info.tile_height,
            tiles: tiles
                .map(|(ms, place)| Tile {
                    x: (place % columns).saturating_mul(info.tile_width),
                    y: (place / columns).saturating_mul(info.tile_height),
                    seconds: format!("{}.{:03}", ms / 1_000, ms % 1_000),
                    shown: match is_close {
                        true => format!("{}:{:02}.{}", ms / 60_000, ms / 1_000 % 60, ms / 100 % 10),
                        false => format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60),
                    },
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lead_to_their_times() {
        let info = StoryboardInfo {
            width: 320,
            height: 180,
            tile_width: 160,
            tile_height: 90,
            columns: 2,
            times_ms: vec![0, 500, 61_040],
            bytes: 1,
        };
        let strip = Strip::of(&info, "/s.jpg".to_owned());
        let told: Vec<_> = strip
            .tiles
            .iter()
            .map(|tile| (tile.x, tile.y, tile.seconds.as_str(), tile.shown.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (0, 0, "0.000", "0:00.0"),
                (160, 0, "0.500", "0:00.5"),
                (0, 90, "61.040", "1:01.0")
            ]
        );
    }
}
