//! What drawing a picture takes, counted before it is drawn.

use resvg::usvg::{ClipPath, Group, Mask, Node, Paint, Path, Stroke, Tree};

use crate::media::error::{MediaCode, MediaError};

/// Most of it all, in whole pictures: at 8 million pixels some seconds of one core.
const MOST: f32 = 400.0;
/// What a shape costs however small it is.
const SHAPE: f32 = 1.0 / 250.0;
/// Layers that are held at once, each as large as the picture.
const DEEPEST: usize = 8;
/// Dashes of all lines together.
const MOST_DASHES: f32 = 100_000.0;

struct Sum {
    area: f32,
    cost: f32,
    dashes: f32,
}

/// # Errors
/// `damaged_media`: it has what is not drawn. `too_many_pixels`: it would take too long.
pub(super) fn hold(tree: &Tree) -> Result<(), MediaError> {
    let mut sum = Sum {
        area: tree.size().width() * tree.size().height(),
        cost: 0.0,
        dashes: 0.0,
    };
    sum.group(tree.root(), 0)
}

fn too_much(what: &str) -> MediaError {
    let message = format!("the SVG picture {what}");
    MediaError::new(MediaCode::TooManyPixels, message).at("picture")
}

fn within(depth: usize) -> Result<(), MediaError> {
    if depth > DEEPEST {
        return Err(too_much("has too many layers within layers"));
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, cost: f32) -> Result<(), MediaError> {
        self.cost += cost;
        // Not a number is more than allowed, too.
        if self.cost <= MOST {
            Ok(())
        } else {
            Err(too_much(
                "takes too long to draw: it has too many layers, or patterns",
            ))
        }
    }

    fn group(&mut self, group: &Group, depth: usize) -> Result<(), MediaError> {
        if !group.filters().is_empty() {
            let message = "the SVG picture uses a filter, which is not drawn";
            return Err(MediaError::new(MediaCode::DamagedMedia, message).at("picture"));
        }
        let depth = if group.should_isolate() {
            self.add(1.0)?;
            depth + 1
        } else {
            depth
        };
        within(depth)?;
        if let Some(mask) = group.mask() {
            self.mask(mask, depth)?;
        }
        if let Some(clip) = group.clip_path() {
            self.clip(clip, depth)?;
        }
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, depth)?,
                Node::Path(path) => self.path(path, depth)?,
                // The scan lets neither through.
                Node::Image(_) | Node::Text(_) => {}
            }
        }
        Ok(())
    }

    fn mask(&mut self, mask: &Mask, depth: usize) -> Result<(), MediaError> {
        self.add(1.0)?;
        within(depth)?;
        if let Some(mask) = mask.mask() {
            self.mask(mask, depth + 1)?;
        }
        self.group(mask.root(), depth + 1)
    }

    fn clip(&mut self, clip: &ClipPath, depth: usize) -> Result<(), MediaError> {
        self.add(1.0)?;
        within(depth)?;
        if let Some(clip) = clip.clip_path() {
            self.clip(clip, depth + 1)?;
        }
        self.group(clip.root(), depth + 1)
    }

    fn path(&mut self, path: &Path, depth: usize) -> Result<(), MediaError> {
        let bounds = path.abs_stroke_bounding_box();
        let part = bounds.width() * bounds.height() / self.area;
        self.add(SHAPE + part.min(1.0))?;
        if let Some(fill) = path.fill() {
            self.paint(fill.paint(), depth)?;
        }
        if let Some(stroke) = path.stroke() {
            self.dashes(path, stroke)?;
            self.paint(stroke.paint(), depth)?;
        }
        Ok(())
    }

    fn paint(&mut self, paint: &Paint, depth: usize) -> Result<(), MediaError> {
        match paint {
            Paint::Pattern(pattern) => {
                self.add(1.0)?;
                self.group(pattern.root(), depth + 1)
            }
            _ => Ok(()),
        }
    }

    /// Dashes that are shorter than what they run along by far are as many as shapes.
    fn dashes(&mut self, path: &Path, stroke: &Stroke) -> Result<(), MediaError> {
        let Some(dashes) = stroke.dasharray() else {
            return Ok(());
        };
        let mut length = 0.0;
        let mut last = None;
        for point in path.data().points() {
            if let Some(last) = last.replace(*point) {
                length += (*point - last).length();
            }
        }
        let period: f32 = dashes.iter().sum();
        self.dashes += length / period * dashes.len() as f32;
        if self.dashes <= MOST_DASHES {
            Ok(())
        } else {
            Err(too_much("has too many dashes"))
        }
    }
}
