//! What a list is asked for, and the tokens that lead from page to page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::shape;
use super::texts::{Named, OwnerName, Pattern, allowed};
use crate::fields::{
    Bounds, Described, Field, Object, Query, Scalar, Usual, Whole, Word, query_parameters, text,
};
use crate::http::caller::Caller;
use crate::job::{Fault, Kind, Owner, Status, Timestamp};
use crate::ledger::{JobQuery, PageToken};

static STATUS: Field<Named<Word<Status>>> = Field::optional(
    "status",
    Named("Status", Word::new()),
    "Only jobs of this status.",
);
static KIND: Field<Named<Word<Kind>>> = Field::optional(
    "kind",
    Named("Kind", Word::new()),
    "Only jobs of this kind.",
);
static TAG: Field<Pattern> = Field::optional(
    "tag",
    Pattern {
        pattern: shape::TAG_PATTERN,
        fits: shape::fits_tag,
        otherwise: shape::TAG,
        examples: &[],
    },
    "Only jobs with this tag.",
);
static OWNER: Field<OwnerName> = Field::optional(
    "owner",
    OwnerName,
    "Only this owner's; with an owner's token none but its own.",
);
static CREATED_AFTER: Field<Moment> = Field::optional("created_after", Moment, "Only later ones.");
static CREATED_BEFORE: Field<Moment> = Field::optional(
    "created_before",
    Moment,
    "Only earlier ones; later than `created_after`.",
);
static LIMIT: Usual<Whole<u32>> = Usual::new(
    "limit",
    Whole(Bounds::Within(1, 100)),
    20,
    "At most so many.",
);
static PAGE_TOKEN: Field<PageName> = Field::optional(
    "page_token",
    PageName,
    "The `next_page_token` of the page before.",
);
static LIST: &[&dyn Described] = &[
    &STATUS,
    &KIND,
    &TAG,
    &OWNER,
    &CREATED_AFTER,
    &CREATED_BEFORE,
    &LIMIT,
    &PAGE_TOKEN,
];

/// The parameters of a list of jobs, for the document.
pub(super) struct ListParameters;

impl utoipa::IntoParams for ListParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        query_parameters(LIST)
    }
}

/// What to list. Every fault at once.
pub(super) fn read_query(text: &str, caller: &Caller) -> Result<JobQuery, Vec<Fault>> {
    let mut faults = Vec::new();
    let given = Query::read(text, LIST, &mut faults);
    let given = given.object();
    let narrowed = narrowed(given, caller, &mut faults);
    let query = JobQuery {
        tag: given.field(&TAG, &mut faults),
        created_after: given.field(&CREATED_AFTER, &mut faults),
        created_before: given.field(&CREATED_BEFORE, &mut faults),
        limit: given.usual(&LIMIT, &mut faults),
        after: given.field(&PAGE_TOKEN, &mut faults),
        ..narrowed
    };
    given.only(LIST, "is not a parameter of this list", &mut faults);
    checked(query, [&CREATED_AFTER, &CREATED_BEFORE], faults)
}

/// What every list of jobs is narrowed by: status, kind, and whose they are.
pub(in crate::http) fn narrowed(
    given: Object<'_>,
    caller: &Caller,
    faults: &mut Vec<Fault>,
) -> JobQuery {
    JobQuery {
        status: given.field(&STATUS, faults),
        kind: given.field(&KIND, faults),
        owner: whose(given, caller, faults),
        ..JobQuery::default()
    }
}

/// The owner that is named, or the one whose things alone the caller sees.
pub(in crate::http) fn whose(
    given: Object<'_>,
    caller: &Caller,
    faults: &mut Vec<Fault>,
) -> Option<Owner> {
    let named = given.field(&OWNER, faults);
    let owner = named.and_then(|named| allowed(caller, Some(named), faults));
    owner.or_else(|| caller.narrows_to())
}

/// The query, unless something is wrong with it. `span`: the fields that say from when to when.
pub(in crate::http) fn checked(
    query: JobQuery,
    span: [&dyn Described; 2],
    mut faults: Vec<Fault>,
) -> Result<JobQuery, Vec<Fault>> {
    let [from, to] = span;
    if let (Some(after), Some(before)) = (query.created_after, query.created_before)
        && after >= before
    {
        let message = format!("must be later than {}", from.name());
        faults.push(Fault::new(to.name(), message));
    }
    if faults.is_empty() {
        Ok(query)
    } else {
        Err(faults)
    }
}

struct Moment;

impl Scalar for Moment {
    type Value = Timestamp;

    fn of_json(&self, value: &Value) -> Result<Timestamp, String> {
        let moment = text(value)?.parse();
        moment.map_err(|_| "must be an RFC 3339 time such as 2026-01-31T12:00:00Z".to_owned())
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "format": "date-time"})
    }
}

/// A token that a list gave.
pub(in crate::http) struct PageName;

impl Scalar for PageName {
    type Value = PageToken;

    fn of_json(&self, value: &Value) -> Result<PageToken, String> {
        read_token(text(value)?).ok_or_else(|| "is not a token that a list gave".to_owned())
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"})
    }
}

pub(in crate::http) fn write_token(token: &PageToken) -> String {
    URL_SAFE_NO_PAD.encode(format!(
        "{}:{}",
        token.created_at.as_microsecond(),
        token.id
    ))
}

fn read_token(text: &str) -> Option<PageToken> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (micros, id) = text.split_once(':')?;
    Some(PageToken {
        created_at: Timestamp::from_microsecond(micros.parse().ok()?).ok()?,
        id: id.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_reads_back_and_nothing_else_does() {
        let token = PageToken {
            created_at: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
            id: "01hx".parse().unwrap(),
        };
        assert_eq!(read_token(&write_token(&token)), Some(token));
        for bad in ["", "x", "%%%", &URL_SAFE_NO_PAD.encode("1:a/b")] {
            assert_eq!(read_token(bad), None, "{bad}");
        }
    }
}
