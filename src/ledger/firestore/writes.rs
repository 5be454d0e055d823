//! The writes that commits are made of.

use gcloud_sdk::google::firestore::v1::document_transform::FieldTransform;
use gcloud_sdk::google::firestore::v1::document_transform::field_transform::TransformType;
use gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{Document, DocumentMask, Precondition, Write};
use gcloud_sdk::prost_types;

use super::paths::DocumentPath;
use super::values::{self, Fields};

/// Stands for a document's very state: a write that names it fails once anybody wrote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Version(pub(super) prost_types::Timestamp);

/// What has to be true of a document for a commit to happen at all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Only {
    IfAbsent,
    IfPresent,
    If(Version),
    Always,
}

impl Only {
    fn precondition(self) -> Option<Precondition> {
        let condition = match self {
            Self::Always => return None,
            Self::IfAbsent => ConditionType::Exists(false),
            Self::IfPresent => ConditionType::Exists(true),
            Self::If(Version(version)) => ConditionType::UpdateTime(version),
        };
        Some(Precondition {
            condition_type: Some(condition),
        })
    }
}

/// Writes a whole new document.
pub(super) fn create(place: &DocumentPath, fields: Fields) -> Write {
    write(place, fields, None, Only::IfAbsent)
}

/// Writes a whole document in place of what is there.
pub(super) fn replace(place: &DocumentPath, fields: Fields, only: Only) -> Write {
    write(place, fields, None, only)
}

/// Writes the fields named by `mask` and no others; a field that is named and not there is
/// removed.
pub(super) fn update(place: &DocumentPath, fields: Fields, mask: Vec<String>, only: Only) -> Write {
    write(place, fields, Some(mask), only)
}

fn write(place: &DocumentPath, fields: Fields, mask: Option<Vec<String>>, only: Only) -> Write {
    Write {
        update_mask: mask.map(|field_paths| DocumentMask { field_paths }),
        current_document: only.precondition(),
        operation: Some(Operation::Update(Document {
            name: place.name(),
            fields,
            ..Document::default()
        })),
        ..Write::default()
    }
}

/// Adds to whole-number fields, wherever they stand at that moment.
pub(super) fn increment(place: &DocumentPath, by: &[(&str, i64)], only: Only) -> Write {
    let transforms = by.iter().map(|(field, n)| FieldTransform {
        field_path: (*field).to_owned(),
        transform_type: Some(TransformType::Increment(values::integer(*n))),
    });
    Write {
        // An update of no field: only what the transforms name is touched.
        update_transforms: transforms.collect(),
        ..update(place, Fields::new(), Vec::new(), only)
    }
}

/// Removes a document; one that is not there is no error, unless `only` says so.
pub(super) fn delete(place: &DocumentPath, only: Only) -> Write {
    delete_named(place.name(), only)
}

pub(super) fn delete_named(name: String, only: Only) -> Write {
    Write {
        current_document: only.precondition(),
        operation: Some(Operation::Delete(name)),
        ..Write::default()
    }
}
