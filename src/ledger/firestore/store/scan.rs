//! Queries over one collection.

use firestore::{
    FirestoreQueryFilter, FirestoreQueryFilterCompare, FirestoreQueryFilterComposite,
    FirestoreQueryFilterCompositeOperator, FirestoreValue,
};
use gcloud_sdk::google::firestore::v1::Value;

use crate::ledger::firestore::paths::DocumentPath;

/// A query over one collection, in the order of one field and then of the document's name.
#[derive(Debug, Clone)]
pub(in crate::ledger::firestore) struct Scan<'a> {
    /// The document that the collection lies under; none for one at the top.
    pub(in crate::ledger::firestore) under: Option<&'a DocumentPath>,
    pub(in crate::ledger::firestore) collection: &'static str,
    pub(in crate::ledger::firestore) equal: Vec<(&'static str, Value)>,
    /// A list that holds the value.
    pub(in crate::ledger::firestore) contains: Option<(&'static str, Value)>,
    /// Bounds of the ordering field.
    pub(in crate::ledger::firestore) at_least: Option<Value>,
    pub(in crate::ledger::firestore) at_most: Option<Value>,
    pub(in crate::ledger::firestore) below: Option<Value>,
    /// A field, or [`NAME`].
    pub(in crate::ledger::firestore) order: &'static str,
    pub(in crate::ledger::firestore) newest_first: bool,
    /// Reads these fields alone.
    pub(in crate::ledger::firestore) fields: Option<&'static [&'static str]>,
    /// Begins behind this value of the ordering field and this document.
    pub(in crate::ledger::firestore) after: Option<(Value, String)>,
}

/// The order of the documents' names alone.
pub(in crate::ledger::firestore) const NAME: &str = "__name__";

impl Scan<'_> {
    /// All documents of a collection at the top, first ones first.
    pub(in crate::ledger::firestore) fn over(
        collection: &'static str,
        order: &'static str,
    ) -> Self {
        Self {
            under: None,
            collection,
            equal: Vec::new(),
            contains: None,
            at_least: None,
            at_most: None,
            below: None,
            order,
            newest_first: false,
            fields: None,
            after: None,
        }
    }
}

pub(super) fn filter(scan: &Scan<'_>) -> Option<FirestoreQueryFilter> {
    let value = |value: &Value| FirestoreValue::from(value.clone());
    let equal = scan
        .equal
        .iter()
        .map(|(field, is)| FirestoreQueryFilterCompare::Equal((*field).to_owned(), value(is)));
    let contains = scan.contains.iter().map(|(field, holds)| {
        FirestoreQueryFilterCompare::ArrayContains((*field).to_owned(), value(holds))
    });
    let order = || scan.order.to_owned();
    let at_least = scan
        .at_least
        .iter()
        .map(|least| FirestoreQueryFilterCompare::GreaterThanOrEqual(order(), value(least)));
    let at_most = scan
        .at_most
        .iter()
        .map(|most| FirestoreQueryFilterCompare::LessThanOrEqual(order(), value(most)));
    let below = scan
        .below
        .iter()
        .map(|bound| FirestoreQueryFilterCompare::LessThan(order(), value(bound)));
    let all: Vec<_> = equal
        .chain(contains)
        .chain(at_least)
        .chain(at_most)
        .chain(below)
        .map(|compare| FirestoreQueryFilter::Compare(Some(compare)))
        .collect();
    if all.is_empty() {
        return None;
    }
    let and = FirestoreQueryFilterCompositeOperator::And;
    let all = FirestoreQueryFilterComposite::new(all, and);
    Some(FirestoreQueryFilter::Composite(all))
}
