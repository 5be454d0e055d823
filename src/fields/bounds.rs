//! Ranges of values.

use std::fmt::Display;

/// What a value has to lie within.
#[derive(Debug, Clone, Copy)]
pub enum Bounds<T> {
    Any,
    AtLeast(T),
    Above(T),
    Within(T, T),
    /// Above the first, and the second at most.
    AboveTo(T, T),
}

impl<T: PartialOrd> Bounds<T> {
    #[must_use]
    pub fn hold(&self, value: &T) -> bool {
        match self {
            Self::Any => true,
            Self::AtLeast(least) => value >= least,
            Self::Above(least) => value > least,
            Self::Within(least, most) => (least..=most).contains(&value),
            Self::AboveTo(least, most) => value > least && value <= most,
        }
    }

    /// The bounds in words; `None` where there are none. `above` is how that is said of such a value.
    pub(super) fn told(&self, above: &str, show: impl Fn(&T) -> String) -> Option<String> {
        Some(match self {
            Self::Any => return None,
            Self::AtLeast(least) => format!("at least {}", show(least)),
            Self::Above(least) => format!("{above} {}", show(least)),
            Self::Within(least, most) => format!("{} to {}", show(least), show(most)),
            Self::AboveTo(least, most) => {
                format!("{above} {}, and {} at most", show(least), show(most))
            }
        })
    }

    /// What is wrong with a value that they do not hold, or with what is no such value.
    pub(super) fn fault(
        &self,
        text: &str,
        what: &str,
        above: &str,
        show: impl Fn(&T) -> String,
    ) -> String {
        match self.told(above, show) {
            Some(told) => format!("must be {}{told}, found “{text}”", self.from()),
            None => format!("must be {what}, found “{text}”"),
        }
    }

    /// The same, where it is known what the value is: “must be a whole number from 1 to 9”.
    pub fn must_be(&self, what: &str) -> String
    where
        T: Display,
    {
        match self.told("above", T::to_string) {
            Some(told) => format!("must be {what} {}{told}", self.from()),
            None => format!("must be {what}"),
        }
    }

    fn from(&self) -> &'static str {
        match self {
            Self::Within(..) => "from ",
            _ => "",
        }
    }
}
