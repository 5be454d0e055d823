//! The table of settings: each is declared once, where its section is read. The reader reads by
//! that, and `docs/settings.md` is made from it.

use crate::fields::{Form, Word};

/// A setting with a fixed default.
#[derive(Debug)]
pub(super) struct Setting<F: Form> {
    name: Name,
    pub(super) form: F,
    pub(super) default: F::Value,
    about: &'static str,
}

/// A setting whose default the code finds out; in words what it is.
#[derive(Debug)]
pub(super) struct Open<F> {
    name: Name,
    pub(super) form: F,
    default: &'static str,
    about: &'static str,
}

/// Tables within a section, each with fields of its own; in words what they are.
#[derive(Debug)]
pub(super) struct Nested(pub(super) &'static str);

/// A list of values of one form.
#[derive(Debug)]
pub(super) struct ListOf<F>(pub(super) F);

/// A value of one form for each of some words.
#[derive(Debug)]
pub(super) struct EachOf<K, F>(pub(super) Word<K>, pub(super) F);

/// A table that is passed on as it is.
#[derive(Debug)]
pub(super) struct AsItIs;

#[derive(Debug, Clone, Copy)]
struct Name {
    section: &'static str,
    field: &'static str,
}

impl Name {
    fn key(self) -> String {
        format!("{}.{}", self.section, self.field)
    }
}

impl<F: Form> Setting<F> {
    pub(super) const fn new(
        section: &'static str,
        field: &'static str,
        form: F,
        default: F::Value,
        about: &'static str,
    ) -> Self {
        Self {
            name: Name { section, field },
            form,
            default,
            about,
        }
    }
}

impl<F> Open<F> {
    pub(super) const fn new(
        section: &'static str,
        field: &'static str,
        form: F,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name: Name { section, field },
            form,
            default,
            about,
        }
    }
}

/// What the reader needs to know of any setting.
pub(super) trait Keyed {
    /// The name within its section.
    fn field(&self) -> &'static str;
    /// The dotted name.
    fn key(&self) -> String;
}

/// A setting with a form.
pub(super) trait Formed: Keyed {
    type Form: Form;
    fn form(&self) -> &Self::Form;
}

impl<F: Form> Keyed for Setting<F> {
    fn field(&self) -> &'static str {
        self.name.field
    }

    fn key(&self) -> String {
        self.name.key()
    }
}

impl<F: Form> Formed for Setting<F> {
    type Form = F;

    fn form(&self) -> &F {
        &self.form
    }
}

impl<F> Keyed for Open<F> {
    fn field(&self) -> &'static str {
        self.name.field
    }

    fn key(&self) -> String {
        self.name.key()
    }
}

impl<F: Form> Formed for Open<F> {
    type Form = F;

    fn form(&self) -> &F {
        &self.form
    }
}

/// A row of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The dotted name.
    pub name: String,
    pub takes: String,
    pub default: String,
    pub about: &'static str,
}

impl Row {
    /// The name within its section.
    #[must_use]
    pub fn field(&self) -> &str {
        self.name.split_once('.').map_or("", |(_, field)| field)
    }
}

pub(super) trait Listed: Keyed + Sync {
    fn row(&self) -> Row;
}

impl<F> Listed for Setting<F>
where
    F: Form + Sync,
    F::Value: Sync,
{
    fn row(&self) -> Row {
        Row {
            name: self.key(),
            takes: self.form.takes(),
            default: self.form.shown(&self.default),
            about: self.about,
        }
    }
}

impl<F: Form + Sync> Listed for Open<F> {
    fn row(&self) -> Row {
        self.row_that(self.form.takes())
    }
}

impl<F> Open<F> {
    fn row_that(&self, takes: String) -> Row {
        Row {
            name: self.key(),
            takes,
            default: self.default.to_owned(),
            about: self.about,
        }
    }
}

impl Listed for Open<Nested> {
    fn row(&self) -> Row {
        self.row_that(self.form.0.to_owned())
    }
}

impl<F: Form + Sync> Listed for Open<ListOf<F>> {
    fn row(&self) -> Row {
        self.row_that(format!("list, each: {}", self.form.0.takes()))
    }
}

impl<K, F> Listed for Open<EachOf<K, F>>
where
    Word<K>: Form + Sync,
    F: Form + Sync,
{
    fn row(&self) -> Row {
        let EachOf(word, form) = &self.form;
        let takes = format!("table of {}, each: {}", word.takes(), form.takes());
        self.row_that(takes)
    }
}

impl Listed for Open<AsItIs> {
    fn row(&self) -> Row {
        self.row_that("table".to_owned())
    }
}

/// The settings of a section, in the order of the page: each becomes a static of its own, and all
/// are listed.
macro_rules! settings {
    ($list:ident of $section:literal { $($name:ident: $type:ty = $field:literal, $form:expr, $default:expr, $about:expr;)+ }) => {
        $(pub(in crate::config) static $name: $type = <$type>::new($section, $field, $form, $default, $about);)+
        pub(in crate::config) static $list: &[&dyn crate::config::table::Listed] = &[$(&$name),+];
    };
}
pub(super) use settings;
