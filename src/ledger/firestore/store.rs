//! Reads, queries and atomic commits, with their time limits and what their failures mean.

mod meaning;
mod scan;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use firestore::errors::FirestoreError;
use firestore::{
    FirestoreDb, FirestoreQueryCursor, FirestoreQueryDirection, FirestoreQueryFilter,
    FirestoreQueryFilterCompare, FirestoreQueryFilterComposite,
    FirestoreQueryFilterCompositeOperator, FirestoreResult, FirestoreValue,
};
use gcloud_sdk::RequestTimeouts;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{ArrayValue, CommitRequest, Document, Value, Write};
use gcloud_sdk::tonic::{Request, Status};
use rand::RngExt as _;

use super::super::backend::Committed;
use super::super::{LedgerError, Result};
use super::paths::{DocumentPath, JOBS, id_of};
use super::values::{self, Fields};
use super::writes::Version;
use crate::job::Timestamp;
use meaning::{Meaning, described, meaning};
use scan::filter;
pub(super) use scan::{NAME, Scan};

/// How often a commit is sent again when nothing of it can have been sent.
const SENDS: u32 = 3;

/// Documents in one answer of a query: with the largest jobs some 30 MB.
const PAGE: usize = 300;

/// The database, behind one time limit for every call.
#[derive(Clone)]
pub(super) struct Store {
    db: FirestoreDb,
    timeout: Duration,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("database", self.db.get_database_path())
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A document as read.
#[derive(Debug, Clone)]
pub struct Found {
    /// The last part of its name, decoded.
    pub(super) id: String,
    pub(super) fields: Fields,
    pub(super) version: Version,
    pub(super) name: String,
}

impl Found {
    /// A field that is a moment.
    pub(super) fn moment(&self, path: &str) -> Option<Timestamp> {
        match &place_in(&self.fields, path)?.value_type {
            Some(ValueType::TimestampValue(at)) => Timestamp::new(at.seconds, at.nanos).ok(),
            _ => None,
        }
    }
}

impl Store {
    pub(super) fn new(db: FirestoreDb, timeout: Duration) -> Self {
        Self { db, timeout }
    }

    /// `projects/…/documents`: what every document's name begins with.
    pub(super) fn root(&self) -> &str {
        self.db.get_documents_path()
    }

    /// Whether there is such a database and we may read it. A missing one looks like a missing
    /// document to everything but a query.
    pub(super) async fn check(&self) -> Result<()> {
        let scan = Scan {
            newest_first: true,
            fields: Some(&["created_at"]),
            ..Scan::over(JOBS, "created_at")
        };
        self.scan(scan, 1, Some).await.map(drop)
    }

    pub(super) async fn ping(&self) -> Result<()> {
        self.limited(self.db.ping()).await
    }

    pub(super) async fn get(&self, place: &DocumentPath) -> Result<Option<Found>> {
        let read = self
            .db
            .fluent()
            .select()
            .by_id_in(place.collection)
            .parent(&place.parent)
            .one(&place.id);
        self.limited(read).await?.map(Found::try_from).transpose()
    }

    /// Whether there is such a document.
    pub(super) async fn has(&self, place: &DocumentPath) -> Result<bool> {
        Ok(self.get(place).await?.is_some())
    }

    /// Up to `limit` of what `read` makes of the documents; it is asked for more as long as it
    /// makes nothing of some.
    pub(super) async fn scan<T>(
        &self,
        mut scan: Scan<'_>,
        limit: usize,
        mut read: impl FnMut(Found) -> Option<T> + Send,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        while found.len() < limit {
            let wanted = (limit - found.len()).min(PAGE);
            let page = self.limited(self.page(&scan, wanted)).await?;
            let last_page = page.len() < wanted;
            for document in page {
                let document = Found::try_from(document)?;
                if let Some(value) = place_in(&document.fields, scan.order) {
                    scan.after = Some((value.clone(), document.name.clone()));
                } else if scan.order == NAME {
                    let name = values::of(ValueType::ReferenceValue(document.name.clone()));
                    scan.after = Some((name, document.name.clone()));
                }
                found.extend(read(document));
            }
            if last_page {
                break;
            }
        }
        Ok(found)
    }

    async fn page(&self, scan: &Scan<'_>, limit: usize) -> FirestoreResult<Vec<Document>> {
        let select = self.db.fluent().select();
        let select = match scan.fields {
            Some(fields) => select.fields(fields),
            None => select,
        };
        let mut query = select.from(scan.collection);
        if let Some(place) = scan.under {
            query = query.parent(place.name());
        }
        let direction = if scan.newest_first {
            FirestoreQueryDirection::Descending
        } else {
            FirestoreQueryDirection::Ascending
        };
        let mut query = query
            .filter(|_| filter(scan))
            .order(|_| {
                let mut by = vec![scan.order, NAME];
                by.dedup();
                by.into_iter()
                    .map(|field| (field, direction.clone()).into())
                    .collect::<Vec<_>>()
            })
            .limit(u32::try_from(limit).unwrap_or(u32::MAX));
        if let Some((value, name)) = &scan.after {
            let name = values::of(ValueType::ReferenceValue(name.clone()));
            let mut place = vec![value.clone(), name];
            place.dedup();
            let place = place.into_iter().map(FirestoreValue::from).collect();
            query = query.start_at(FirestoreQueryCursor::AfterValue(place));
        }
        query.query().await
    }

    /// How many documents have these fields, and one of several values in another, counted by the
    /// server, no further than `most`. Equality alone needs no index of its own.
    pub(super) async fn count(
        &self,
        collection: &str,
        equal: Vec<(&'static str, Value)>,
        any: Option<(&'static str, Vec<Value>)>,
        most: u32,
    ) -> Result<u32> {
        let equal = equal.into_iter().map(|(field, is)| {
            FirestoreQueryFilterCompare::Equal(field.to_owned(), FirestoreValue::from(is))
        });
        let any = any.into_iter().map(|(field, values)| {
            let list = values::of(ValueType::ArrayValue(ArrayValue { values }));
            FirestoreQueryFilterCompare::In(field.to_owned(), FirestoreValue::from(list))
        });
        let all = equal
            .chain(any)
            .map(|compare| FirestoreQueryFilter::Compare(Some(compare)));
        let and = FirestoreQueryFilterCompositeOperator::And;
        let filter = FirestoreQueryFilterComposite::new(all.collect(), and);
        let counted = self
            .db
            .fluent()
            .select()
            .from(collection)
            .filter(|_| Some(FirestoreQueryFilter::Composite(filter.clone())))
            .aggregate(|a| a.fields([a.field("n").count_up_to(most as usize)]))
            .query();
        let documents = self.limited(counted).await?;
        let found = documents.first().and_then(|found| found.fields.get("n"));
        match found.and_then(|value| value.value_type.as_ref()) {
            Some(ValueType::IntegerValue(n)) => Ok(u32::try_from(*n).unwrap_or(most)),
            _ => Err(LedgerError::Unavailable(
                "Firestore answered a count without a number".into(),
            )),
        }
    }

    pub(super) async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        Ok(match self.versions(writes).await? {
            Some(_) => Committed::Done,
            None => Committed::Conflict,
        })
    }

    /// All of the writes or none, and what each made of its document; `None` where something was
    /// not as a write asks for. A commit without a transaction holds no locks between calls and
    /// takes one round trip; its preconditions do what reads inside one would.
    pub(super) async fn versions(
        &self,
        writes: Vec<Write>,
    ) -> Result<Option<Vec<Option<Version>>>> {
        let mut sends = 0;
        loop {
            let mut request = Request::new(CommitRequest {
                database: self.db.get_database_path().clone(),
                writes: writes.clone(),
                ..CommitRequest::default()
            });
            let limits = RequestTimeouts::new().with_total(self.timeout);
            request.extensions_mut().insert(limits);
            let status = match self.db.client().get().commit(request).await {
                Ok(answer) => {
                    let results = answer.into_inner().write_results.into_iter();
                    return Ok(Some(
                        results.map(|one| one.update_time.map(Version)).collect(),
                    ));
                }
                Err(status) => status,
            };
            sends += 1;
            match meaning(&status) {
                Meaning::Conflict => return Ok(None),
                Meaning::NotSent if sends < SENDS => {
                    tokio::time::sleep(jittered(Duration::from_millis(100))).await;
                }
                Meaning::NotSent | Meaning::Refused => return Err(unavailable(&status)),
                Meaning::Unknown => return Err(LedgerError::Unknown(described(&status))),
            }
        }
    }

    /// The client tries reads again by itself; this bounds all its tries together.
    async fn limited<T>(&self, call: impl Future<Output = FirestoreResult<T>> + Send) -> Result<T> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(|error| unreadable(&error)),
            Err(_) => Err(LedgerError::Unavailable(format!(
                "Firestore gave no answer within {:?}",
                self.timeout
            ))),
        }
    }
}

/// The value at a dotted path.
fn place_in<'a>(fields: &'a Fields, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => fields.get(path),
        Some((name, rest)) => match &fields.get(name)?.value_type {
            Some(ValueType::MapValue(map)) => place_in(&map.fields, rest),
            _ => None,
        },
    }
}

impl TryFrom<Document> for Found {
    type Error = LedgerError;

    fn try_from(document: Document) -> Result<Self> {
        // The server sets it on every document that exists.
        let Some(version) = document.update_time else {
            return Err(LedgerError::Unavailable(format!(
                "{} came without its update time",
                document.name
            )));
        };
        Ok(Self {
            id: id_of(&document.name),
            fields: document.fields,
            version: Version(version),
            name: document.name,
        })
    }
}

fn unavailable(status: &Status) -> LedgerError {
    LedgerError::Unavailable(described(status))
}

pub(super) fn unreadable(error: &FirestoreError) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}

/// From nothing up to `most`.
fn jittered(most: Duration) -> Duration {
    most.mul_f64(rand::rng().random_range(0.0..1.0))
}
