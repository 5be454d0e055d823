//! Colour description of a video: the four numbers of ITU-T H.273 and what
//! follows from them.

/// H.273 code points as libav carries them; 2 (0 for range) is "unspecified".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color {
    pub primaries: i32,
    pub transfer: i32,
    pub matrix: i32,
    pub range: i32,
}

pub(crate) const UNSPECIFIED: i32 = 2;
pub(crate) const RGB: i32 = 0;
pub(crate) const BT709: i32 = 1;
pub(crate) const BT470BG: i32 = 5;
pub(crate) const SMPTE170M: i32 = 6;
pub(crate) const BT2020NC: i32 = 9;
pub(crate) const BT2020C: i32 = 10;
pub(crate) const PQ: i32 = 16;
pub(crate) const HLG: i32 = 18;
pub(crate) const LIMITED: i32 = 1;
pub(crate) const FULL: i32 = 2;

impl Default for Color {
    fn default() -> Self {
        Self {
            primaries: UNSPECIFIED,
            transfer: UNSPECIFIED,
            matrix: UNSPECIFIED,
            range: 0,
        }
    }
}

impl Color {
    pub(crate) const SDR_HD: Self = Self {
        primaries: BT709,
        transfer: BT709,
        matrix: BT709,
        range: LIMITED,
    };

    /// Whether showing it needs more than a standard-range screen.
    pub(crate) fn is_hdr(self) -> bool {
        matches!(self.transfer, PQ | HLG)
    }

    /// What players assume when the file says nothing: HD is BT.709, the rest
    /// BT.601. Written down in the output, so nobody has to guess again.
    pub(crate) fn resolved(self, height: u32) -> Self {
        let guess = if height >= 720 { BT709 } else { SMPTE170M };
        let matrix = match self.matrix {
            known @ (BT709 | 4..=14) => known,
            _ => guess,
        };
        let follow = match matrix {
            BT2020NC | BT2020C => BT2020NC,
            BT470BG => BT470BG,
            SMPTE170M => SMPTE170M,
            _ => BT709,
        };
        let known = self.for_filters();
        Self {
            primaries: match known.primaries {
                UNSPECIFIED => follow,
                said => said,
            },
            // BT.2020 SDR uses code point 14; 5 as a transfer would mean gamma 2.8.
            transfer: match known.transfer {
                UNSPECIFIED => match follow {
                    BT2020NC => 14,
                    BT470BG | SMPTE170M => SMPTE170M,
                    other => other,
                },
                said => said,
            },
            matrix,
            range: LIMITED,
        }
    }

    /// What filters may be told. Files write numbers that mean nothing, or matrices that no filter
    /// converts from (YCgCo, ICtCp): newer ones refuse such frames, older ones let them pass. With
    /// nothing said both let them pass, and the result is tagged as the file was.
    pub(crate) fn for_filters(self) -> Self {
        let or_unspecified = |value: i32, known: bool| if known { value } else { UNSPECIFIED };
        Self {
            primaries: or_unspecified(self.primaries, matches!(self.primaries, 1 | 4..=12 | 22)),
            transfer: or_unspecified(self.transfer, matches!(self.transfer, 1 | 4..=18)),
            matrix: or_unspecified(self.matrix, matches!(self.matrix, RGB | 1 | 4..=7 | 9)),
            range: self.range,
        }
    }

    /// The name swscale's colour matrix options take.
    pub(crate) fn sws_matrix(self) -> &'static str {
        match self.matrix {
            BT709 => "bt709",
            4 => "fcc",
            7 => "smpte240m",
            BT2020NC | BT2020C => "bt2020",
            _ => "bt601",
        }
    }

    /// Luma weights (Kr, Kb) of the matrix.
    pub(crate) fn luma_weights(self) -> (f32, f32) {
        match self.matrix {
            BT709 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            BT2020NC | BT2020C => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        }
    }
}

/// libav's name for a primaries code point.
pub(crate) fn primaries_name(value: i32) -> &'static str {
    match value {
        1 => "bt709",
        4 => "bt470m",
        5 => "bt470bg",
        6 => "smpte170m",
        7 => "smpte240m",
        8 => "film",
        9 => "bt2020",
        10 => "smpte428",
        11 => "smpte431",
        12 => "smpte432",
        22 => "ebu3213",
        _ => "unknown",
    }
}

/// libav's name for a transfer code point.
pub(crate) fn transfer_name(value: i32) -> &'static str {
    match value {
        1 => "bt709",
        4 => "bt470m",
        5 => "bt470bg",
        6 => "smpte170m",
        7 => "smpte240m",
        8 => "linear",
        9 => "log100",
        10 => "log316",
        11 => "iec61966-2-4",
        12 => "bt1361e",
        13 => "iec61966-2-1",
        14 => "bt2020-10",
        15 => "bt2020-12",
        16 => "smpte2084",
        17 => "smpte428",
        18 => "arib-std-b67",
        _ => "unknown",
    }
}

/// libav's name for a matrix code point.
pub(crate) fn matrix_name(value: i32) -> &'static str {
    match value {
        0 => "gbr",
        1 => "bt709",
        4 => "fcc",
        5 => "bt470bg",
        6 => "smpte170m",
        7 => "smpte240m",
        8 => "ycgco",
        9 => "bt2020nc",
        10 => "bt2020c",
        11 => "smpte2085",
        12 => "chroma-derived-nc",
        13 => "chroma-derived-c",
        14 => "ictcp",
        _ => "unknown",
    }
}

/// libav's name for a range.
pub(crate) fn range_name(value: i32) -> &'static str {
    match value {
        LIMITED => "tv",
        FULL => "pc",
        _ => "unknown",
    }
}
