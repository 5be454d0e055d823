//! What a setting may be.

/// What a setting may be.
pub trait Form {
    type Value: Clone;

    /// Reads it as a settings file or the environment writes it. A fault is the end of a sentence
    /// that begins with the field.
    fn of_text(&self, text: &str) -> Result<Self::Value, String>;

    /// What it takes, for a page: its type, then its range.
    fn takes(&self) -> String;

    /// A value, for a page.
    fn shown(&self, value: &Self::Value) -> String;
}
