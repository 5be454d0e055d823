//! The fonts there are, and which of them a text needs.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skrifa::attribute::Style;
use skrifa::bitmap::BitmapData;
use skrifa::color::{Brush, ColorPainter, CompositeMode, Transform};
use skrifa::instance::{LocationRef, Size};
use skrifa::raw::TableProvider as _;
use skrifa::raw::types::BoundingBox;
use skrifa::string::StringId;
use skrifa::{FontRef, GlyphId, MetadataProvider as _};

use super::style::TextError;

/// Latin, Greek and Cyrillic, then what the label's own words need. `scripts/fonts.sh` makes them.
const BUILT_IN: [&[u8]; 6] = [
    include_bytes!("noto/NotoSans.ttf"),
    include_bytes!("noto/NotoSansArabic.ttf"),
    include_bytes!("noto/NotoSansDevanagari.ttf"),
    include_bytes!("noto/NotoSansSC.otf"),
    include_bytes!("noto/NotoSansJP.otf"),
    include_bytes!("noto/NotoSansKR.otf"),
];

/// Files of `fonts.paths`, and of the system.
const MOST_FILES: usize = 2_000;
/// One file; the largest of all scripts have 30 MB.
const MOST_BYTES: u64 = 64 << 20;
/// Folders within folders.
const DEEPEST: usize = 8;
/// Faces of one file.
const MOST_FACES: u32 = 64;
/// Where a Linux system has its fonts.
const SYSTEM: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];

type Data = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Where the bytes of a font are.
#[derive(Debug, Clone)]
enum FontSource {
    BuiltIn(&'static [u8]),
    /// Read again when it is needed: no font lies in memory for good.
    File(Arc<Path>),
}

/// One face of a font.
#[derive(Debug)]
struct Face {
    source: FontSource,
    index: u32,
    families: Vec<String>,
    covers: Arc<Covers>,
    /// How far it is from upright and of the usual weight.
    odd: u32,
}

/// Characters, as ranges that include both ends, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Covers(Vec<(u32, u32)>);

impl Covers {
    fn of(mut letters: Vec<u32>) -> Self {
        letters.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for letter in letters {
            match ranges.last_mut() {
                Some((_, end)) if *end + 1 >= letter => *end = letter.max(*end),
                _ => ranges.push((letter, letter)),
            }
        }
        Self(ranges)
    }

    pub(super) fn has(&self, letter: char) -> bool {
        let letter = u32::from(letter);
        let behind = self.0.partition_point(|(begin, _)| *begin <= letter);
        behind > 0 && letter <= self.0[behind - 1].1
    }
}

/// A face with its bytes.
pub(super) struct Loaded {
    pub(super) data: Data,
    pub(super) index: u32,
    pub(super) covers: Arc<Covers>,
}

/// What a text is laid out with: the first face, then those for what it lacks.
pub(super) struct Chosen {
    pub(super) faces: Vec<Loaded>,
    /// Height of a capital letter of the first, in ems.
    pub(super) capital: f32,
}

/// Why a font of the settings cannot be used, as the end of a sentence about it.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    /// It is not there, or may not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Something else than a font, or one of pixels only.
    #[error("is not a font of outlines (TrueType or OpenType)")]
    NotAFont,
    /// Larger than any font should be.
    #[error("is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    /// A folder of more than any machine has.
    #[error("brings more than {MOST_FILES} files")]
    TooMany,
}

/// The fonts there are.
#[derive(Debug)]
pub struct Fonts(Vec<Face>);

impl Default for Fonts {
    fn default() -> Self {
        let faces = BUILT_IN.into_iter();
        Self(
            faces
                .flat_map(|bytes| faces_of(bytes, &FontSource::BuiltIn(bytes)))
                .collect(),
        )
    }
}

impl Fonts {
    /// The built-in ones, and those of a path, which is a file or a folder. Each file is read once, for
    /// what characters it has.
    ///
    /// # Errors
    /// The path and what is wrong with it. In a folder, what is no font is passed over.
    pub fn add(&mut self, path: &Path) -> Result<(), FontError> {
        let files = self.0.iter().filter_map(Face::file);
        let mut known: BTreeSet<_> = files.map(Arc::clone).collect();
        if fs::metadata(path)?.is_dir() {
            let mut files = BTreeSet::new();
            collect(path, 0, &mut files)?;
            for file in files {
                match self.file(&file, &mut known) {
                    Ok(()) | Err(FontError::NotAFont | FontError::TooLarge) => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        self.file(path, &mut known)
    }

    /// Those of the system, as far as they can be read.
    pub fn add_system(&mut self) {
        for folder in SYSTEM.map(Path::new) {
            // What cannot be read brings no characters, and is told once one is missing.
            let _ = self.add(folder);
        }
    }

    /// `known`: the files that brought something.
    fn file(&mut self, path: &Path, known: &mut BTreeSet<Arc<Path>>) -> Result<(), FontError> {
        if known.len() >= MOST_FILES {
            return Err(FontError::TooMany);
        }
        let bytes = bytes_of(path)?;
        let path: Arc<Path> = Arc::from(path);
        let faces = faces_of(&bytes, &FontSource::File(Arc::clone(&path)));
        if faces.is_empty() {
            return Err(FontError::NotAFont);
        }
        self.0.extend(faces);
        known.insert(path);
        Ok(())
    }

    /// The upright face of a family.
    fn named(&self, name: &str) -> Option<&Face> {
        let named = self.0.iter().filter(|face| face.is_of(name));
        named.min_by_key(|face| face.odd)
    }

    pub(super) fn choose(&self, text: &str, family: Option<&str>) -> Result<Chosen, TextError> {
        let first = match family {
            None => self.0.first(),
            Some(name) => self.named(name),
        };
        let missing = || TextError::NoFont(family.unwrap_or_default().to_owned());
        let first = first.ok_or_else(missing)?;
        let mut faces = vec![first];
        let letters = text.chars().filter(|letter| !is_unseen(*letter));
        let mut left: BTreeSet<char> = letters
            .filter(|letter| !first.covers.has(*letter))
            .collect();
        // As few as do it, so that letters of one script come from one font.
        while let Some(letter) = left.first().copied() {
            let of = |face: &Face| {
                let covered = left.iter().filter(|letter| face.covers.has(**letter));
                covered.count()
            };
            let able = self.0.iter().filter(|face| face.covers.has(letter));
            // The earliest of several: `max_by_key` gives the last.
            let best = able
                .rev()
                .max_by_key(|face| (of(face), u32::MAX - face.odd));
            let best = best.ok_or(TextError::NoGlyph(letter))?;
            left.retain(|letter| !best.covers.has(*letter));
            faces.push(best);
        }
        let loaded: Result<Vec<Loaded>, TextError> = faces.into_iter().map(Face::load).collect();
        let faces = loaded?;
        let capital = faces.first().and_then(Loaded::capital);
        Ok(Chosen {
            // That of most fonts.
            capital: capital.unwrap_or(0.7),
            faces,
        })
    }
}

impl Face {
    fn is_of(&self, name: &str) -> bool {
        let name = name.trim();
        self.families
            .iter()
            .any(|family| family.eq_ignore_ascii_case(name))
    }

    fn file(&self) -> Option<&Arc<Path>> {
        match &self.source {
            FontSource::BuiltIn(_) => None,
            FontSource::File(path) => Some(path),
        }
    }

    fn load(&self) -> Result<Loaded, TextError> {
        let data: Data = match &self.source {
            FontSource::BuiltIn(bytes) => Arc::new(*bytes),
            FontSource::File(path) => Arc::new(bytes_of(path).map_err(|error| {
                TextError::Unusable(format!("the font {} {error}", path.display()))
            })?),
        };
        Ok(Loaded {
            data,
            index: self.index,
            covers: Arc::clone(&self.covers),
        })
    }
}

impl Chosen {
    /// Which face has all of some characters that belong together, behind some of the face `before`.
    /// What is no letter stays with what is before it.
    pub(super) fn face_of(&self, cluster: &str, before: Option<usize>) -> Option<usize> {
        let seen = cluster.chars().filter(|letter| !is_unseen(*letter));
        let has = |face: &usize| {
            let face = self.faces.get(*face);
            face.is_some_and(|face| seen.clone().all(|letter| face.covers.has(letter)))
        };
        let Some(first) = seen.clone().next() else {
            return before.or(Some(0));
        };
        if first.is_alphabetic() && has(&0) {
            return Some(0);
        }
        let any = || (0..self.faces.len()).find(has);
        before.filter(has).or_else(any)
    }

    /// Width of what shows nothing, in ems.
    pub(super) fn width_of_space(&self, face: usize, space: &str) -> f32 {
        let width = self.faces.get(face).and_then(|face| face.width_of(space));
        width.unwrap_or(0.0)
    }
}

impl Loaded {
    /// Of characters one by one, in ems. What steers others has no width.
    fn width_of(&self, letters: &str) -> Option<f32> {
        let font = FontRef::from_index((*self.data).as_ref(), self.index).ok()?;
        let (size, place) = (Size::unscaled(), LocationRef::default());
        let (map, glyphs) = (font.charmap(), font.glyph_metrics(size, place));
        let letters = letters.chars().filter(|letter| !is_unseen(*letter));
        let width: f32 = letters
            .filter_map(|letter| glyphs.advance_width(map.map(letter)?))
            .sum();
        Some(width / f32::from(font.metrics(size, place).units_per_em))
    }

    /// Height of a capital letter in ems, as the font says it or as its H is.
    fn capital(&self) -> Option<f32> {
        let font = FontRef::from_index((*self.data).as_ref(), self.index).ok()?;
        let (size, place) = (Size::unscaled(), LocationRef::default());
        let metrics = font.metrics(size, place);
        let drawn = || {
            let glyph = font.charmap().map('H')?;
            let bounds = font.glyph_metrics(size, place).bounds(glyph)?;
            Some(bounds.y_max)
        };
        let height = metrics
            .cap_height
            .filter(|height| *height > 0.0)
            .or_else(drawn)?;
        let capital = height / f32::from(metrics.units_per_em);
        // A font that says nonsense would draw letters of any size.
        (0.2..=2.0).contains(&capital).then_some(capital)
    }
}

fn faces_of(bytes: &[u8], source: &FontSource) -> Vec<Face> {
    let faces = (0..MOST_FACES).map_while(|index| {
        let font = FontRef::from_index(bytes, index).ok()?;
        let names = [StringId::TYPOGRAPHIC_FAMILY_NAME, StringId::FAMILY_NAME];
        let names = names.into_iter().flat_map(|id| font.localized_strings(id));
        let mut families: Vec<String> = names.map(|name| name.to_string()).collect();
        families.dedup();
        let outlined = outlined(&font);
        let letters = font.charmap().mappings();
        let letters = letters.filter(|(_, glyph)| outlined(*glyph));
        let letters = letters.map(|(letter, _)| letter);
        let attributes = font.attributes();
        let slanted = u32::from(attributes.style != Style::Normal) * 1000;
        Some(Face {
            source: source.clone(),
            index,
            families,
            covers: Arc::new(Covers::of(letters.collect())),
            odd: slanted + (attributes.weight.value() - 400.0).abs() as u32,
        })
    });
    // Without any character that can be drawn it is no font to write with.
    faces.filter(|face| !face.covers.0.is_empty()).collect()
}

/// Which of its characters a font has as outlines. What it has as pixels only, as many fonts of
/// emoji do, would be a picture within a drawing, or nothing at all.
fn outlined<'a>(font: &FontRef<'a>) -> impl Fn(GlyphId) -> bool + use<'a> {
    let (strikes, colored) = (font.bitmap_strikes(), font.color_glyphs());
    let (outlines, drawings) = (font.outline_glyphs(), font.svg().ok());
    let other = !strikes.is_empty() || drawings.is_some() || font.colr().is_ok();
    move |glyph| {
        if !other && outlines.format().is_some() {
            return true;
        }
        // The order is that of the library that lays text out.
        if let Some(layers) = colored.get(glyph) {
            let mut paint = Paint::default();
            let painted = layers.paint(LocationRef::default(), &mut paint);
            return painted.is_ok() && !paint.turns;
        }
        let drawing = drawings
            .as_ref()
            .and_then(|table| table.glyph_data(glyph).ok());
        if drawing.flatten().is_some() {
            return true;
        }
        let pixels = strikes.glyph_for_size(Size::unscaled(), glyph);
        let picture = pixels.is_some_and(|pixels| matches!(pixels.data, BitmapData::Png(_)));
        !picture && outlines.get(glyph).is_some()
    }
}

/// What layers in colours are painted with. The library that lays text out leaves colours that turn
/// around a point (sweep gradients) out, and would show nothing, or a part.
#[derive(Default)]
struct Paint {
    turns: bool,
}

impl ColorPainter for Paint {
    fn fill(&mut self, brush: Brush<'_>) {
        self.turns |= matches!(brush, Brush::SweepGradient { .. });
    }

    fn push_transform(&mut self, _: Transform) {}
    fn pop_transform(&mut self) {}
    fn push_clip_glyph(&mut self, _: GlyphId) {}
    fn push_clip_box(&mut self, _: BoundingBox<f32>) {}
    fn pop_clip(&mut self) {}
    fn push_layer(&mut self, _: CompositeMode) {}
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, FontError> {
    let file = fs::File::open(path)?;
    if file.metadata()?.len() > MOST_BYTES {
        return Err(FontError::TooLarge);
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Files of a folder that look like fonts by their names.
fn collect(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> Result<(), FontError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let known = path.extension().is_some_and(|ending| {
            let endings = ["ttf", "otf", "ttc", "otc"];
            endings
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        });
        // A link to a folder may lead to where it is.
        if entry.file_type()?.is_dir() {
            if depth < DEEPEST {
                collect(&path, depth + 1, files)?;
            }
        } else if known {
            files.insert(path);
            if files.len() > MOST_FILES {
                return Err(FontError::TooMany);
            }
        }
    }
    Ok(())
}

/// Characters that steer how others look and have no look of their own.
pub(super) fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}
