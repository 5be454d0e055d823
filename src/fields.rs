//! What somebody else fills in: settings, and fields of requests.
//!
//! Each is declared once, with its form: what it may be. The form reads it, and says what it takes:
//! a [`Form`] in words for the page of settings, a [`Json`] as a schema for the API's document. So
//! neither can differ from the parser. Numbers are both.

mod bounds;
mod fault;
mod form;
mod forms;
mod json;
mod object;
mod query;

pub use bounds::Bounds;
pub use fault::Fault;
pub use form::Form;
pub use forms::{DiskPath, Flag, OneOf, Parsed, Real, Size, Span, Text, Whole, Word};
pub use json::{Choice, Json, Names, Scalar, one_of, text, whole};
pub use object::{Described, Field, Object, Usual, object_schema};
pub use query::{Query, query_parameters};
