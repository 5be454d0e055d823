//! Watermarks of a command line: each `--watermark` begins a layer, and the flags behind it are
//! that layer's. Those before the first one are the first one's too.

mod flags;

use std::fmt;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::media::{MAX_LAYERS, Paint, Placement, TextMark};
use flags::Flags;
pub(super) use flags::within;

/// What a layer shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Picture(PathBuf),
    Text(Box<TextMark>),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Picture(file) => file.display().fmt(f),
            Self::Text(mark) => write!(f, "“{}”", mark.text),
        }
    }
}

/// The layers, in the order they are drawn.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) layers: Vec<(Shown, Placement)>,
    /// Flags of a layer where no layer is named.
    pub(super) loose: Vec<String>,
    /// What is wrong besides.
    pub(super) faults: Vec<String>,
}

impl Args for Marks {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Marks {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self::of(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::of(matches);
        Ok(())
    }
}

impl Marks {
    fn of(matches: &ArgMatches) -> Self {
        let mut marks = Self::default();
        let pictures = values::<PathBuf>(matches, "watermark").into_iter();
        let pictures = pictures.map(|(at, image)| (at, Shown::Picture(image)));
        let texts = values::<String>(matches, "text").into_iter();
        let texts = texts.map(|(at, text)| (at, Shown::Text(Box::new(TextMark::new(text)))));
        let mut shown: Vec<(usize, Shown)> = pictures.chain(texts).collect();
        shown.sort_by_key(|(at, _)| *at);
        let mut begins = Vec::new();
        for (at, shown) in shown {
            begins.push(at);
            marks.layers.push((shown, Placement::default()));
        }
        marks.style(matches, "font", &begins, |mark, to| mark.font = Some(to));
        marks.style(matches, "size", &begins, |mark, to| mark.size = to);
        marks.style(matches, "color", &begins, |mark, to| mark.color = to);
        marks.style(matches, "stroke", &begins, |mark, to: Paint| {
            mark.stroke = to.0;
        });
        marks.style(matches, "background", &begins, |mark, to: Paint| {
            mark.background = to.0;
        });
        marks.set(matches, "anchor", &begins, |mark, to| mark.anchor = to);
        marks.set(matches, "opacity", &begins, |mark, to| mark.opacity = to);
        marks.scale(matches, &begins);
        marks.set(matches, "offset_x", &begins, |mark, to| mark.offset_x = to);
        marks.set(matches, "offset_y", &begins, |mark, to| mark.offset_y = to);
        marks.set(matches, "from_ms", &begins, |mark, to| mark.from_ms = to);
        marks.set(matches, "until_ms", &begins, |mark, to| {
            mark.until_ms = Some(to);
        });
        marks.set(matches, "fade_in_ms", &begins, |mark, to| {
            mark.fade_in_ms = to;
        });
        marks.set(matches, "fade_out_ms", &begins, |mark, to| {
            mark.fade_out_ms = to;
        });
        for (shown, placement) in &marks.layers {
            for (field, why) in placement.faults() {
                let flag = flag(field);
                marks.faults.push(format!("{flag} of {shown} {why}"));
            }
            let size = match shown {
                Shown::Text(mark) => mark.size_fault(),
                Shown::Picture(_) => None,
            };
            marks
                .faults
                .extend(size.map(|why| format!("--size of {shown} {why}")));
        }
        if marks.layers.len() > MAX_LAYERS {
            marks
                .faults
                .push(format!("--watermark: there are more than {MAX_LAYERS}"));
        }
        marks
    }

    fn set<T: Clone + Send + Sync + 'static>(
        &mut self,
        matches: &ArgMatches,
        id: &str,
        begins: &[usize],
        apply: impl Fn(&mut Placement, T),
    ) {
        self.each(matches, id, begins, |_, placement, value| {
            apply(placement, value);
            Ok(())
        });
    }

    fn scale(&mut self, matches: &ArgMatches, begins: &[usize]) {
        self.each(matches, "scale", begins, |shown, placement, to| {
            if matches!(shown, Shown::Text(_)) {
                return Err("is for pictures; text has --size");
            }
            placement.size = to;
            Ok(())
        });
    }

    /// A flag of text alone.
    fn style<T: Clone + Send + Sync + 'static>(
        &mut self,
        matches: &ArgMatches,
        id: &str,
        begins: &[usize],
        apply: impl Fn(&mut TextMark, T),
    ) {
        self.each(matches, id, begins, |shown, _, value| match shown {
            Shown::Text(mark) => {
                apply(mark, value);
                Ok(())
            }
            Shown::Picture(_) => Err("is for text: name it with --text <WORDS>"),
        });
    }

    fn each<T: Clone + Send + Sync + 'static>(
        &mut self,
        matches: &ArgMatches,
        id: &str,
        begins: &[usize],
        apply: impl Fn(&mut Shown, &mut Placement, T) -> Result<(), &'static str>,
    ) {
        let mut given = Vec::new();
        for (at, value) in values::<T>(matches, id) {
            let layer = begins
                .iter()
                .rposition(|begin| *begin < at)
                .unwrap_or_default();
            let flag = flag(id);
            match self.layers.get_mut(layer) {
                None => {
                    if !self.loose.contains(&flag) {
                        self.loose.push(flag);
                    }
                }
                Some((shown, _)) if given.contains(&layer) => {
                    self.faults
                        .push(format!("{flag} is there twice for {shown}"));
                }
                Some((shown, placement)) => {
                    if let Err(why) = apply(shown, placement, value) {
                        self.faults.push(format!("{flag} of {shown} {why}"));
                    }
                }
            }
            given.push(layer);
        }
    }
}

/// The values of an argument, and where each stands on the command line.
fn values<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Vec<(usize, T)> {
    let places = matches.indices_of(id).into_iter().flatten();
    let values = matches.get_many::<T>(id).into_iter().flatten();
    places.zip(values.cloned()).collect()
}

fn flag(id: &str) -> String {
    format!("--{}", id.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Anchor, Length};

    fn marks(args: &str) -> Marks {
        let command = Marks::augment_args(Command::new("x").no_binary_name(true));
        let matches = command.try_get_matches_from(args.split(' ')).unwrap();
        Marks::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn flags_belong_to_the_watermark_before_them() {
        let marks = marks(
            "--opacity 0.5 --watermark a.png --anchor top --watermark=b.png --scale 10% \
             --from-ms 500 --watermark c.png",
        );
        assert!(
            marks.faults.is_empty() && marks.loose.is_empty(),
            "{marks:?}"
        );
        let [a, b, c] = &marks.layers[..] else {
            panic!("{marks:?}")
        };
        assert_eq!(a.0, Shown::Picture("a.png".into()));
        assert_eq!(a.1.anchor, Anchor::Top);
        assert!((a.1.opacity - 0.5).abs() < f32::EPSILON);
        assert_eq!(
            (b.1.size, b.1.from_ms, b.1.anchor),
            (Length::Percent(10.0), 500, Anchor::BottomRight)
        );
        assert_eq!(c.1, Placement::default());
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let twice = marks("--watermark a.png --anchor top --anchor left --until-ms 0");
        assert_eq!(twice.faults.len(), 2, "{twice:?}");
        let loose = marks("--anchor top --offset-x -8px");
        assert_eq!(loose.loose, ["--anchor", "--offset-x"]);
        let many = marks(&["--watermark a"; MAX_LAYERS + 1].join(" "));
        assert_eq!(many.faults.len(), 1, "{many:?}");
    }

    #[test]
    fn text_is_a_layer_among_pictures() {
        let several = marks(
            "--text @alice --size 6% --color #f80 --stroke none --until-ms 900 \
             --watermark a.png --scale 10% --text b",
        );
        assert!(
            several.faults.is_empty() && several.loose.is_empty(),
            "{several:?}"
        );
        let [alice, picture, b] = &several.layers[..] else {
            panic!("{several:?}")
        };
        let Shown::Text(mark) = &alice.0 else {
            panic!("{alice:?}")
        };
        assert_eq!(mark.size, Length::Percent(6.0));
        assert_eq!(
            (mark.color.to_string(), mark.stroke),
            ("#ff8800".to_owned(), None)
        );
        assert_eq!(alice.1.until_ms, Some(900));
        assert_eq!(picture.0, Shown::Picture("a.png".into()));
        assert_eq!(b.0, Shown::Text(Box::new(TextMark::new("b"))));
        let mixed = marks("--text a --scale 9% --watermark b.png --color #fff");
        assert_eq!(mixed.faults.len(), 2, "{mixed:?}");
        assert_eq!(marks("--color #fff").loose, ["--color"]);
    }
}
