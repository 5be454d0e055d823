//! What a list is asked for, and the tokens that lead from page to page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::shape;
use crate::fields::one_of;
use crate::http::caller::Caller;
use crate::job::{Fault, Owner, Status, Timestamp};
use crate::ledger::{JobQuery, PageToken};

const MOMENT: &str = "must be an RFC 3339 time such as 2026-01-31T12:00:00Z";
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// What to list. Every fault at once.
pub(in crate::http) fn read_query(text: &str, caller: &Caller) -> Result<JobQuery, Vec<Fault>> {
    let mut query = JobQuery {
        owner: caller.narrows_to(),
        limit: DEFAULT_LIMIT,
        ..JobQuery::default()
    };
    let mut faults = Vec::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let message = match name.as_ref() {
            "status" => {
                query.status = value.parse().ok();
                query.status.is_none().then(one_of::<Status>)
            }
            "kind" => {
                query.kind = value.parse().ok();
                query.kind.is_none().then(one_of::<crate::job::Kind>)
            }
            "tag" => {
                query.tag = shape::fits_tag(&value).then(|| value.to_string());
                query.tag.is_none().then(|| shape::TAG.to_owned())
            }
            "owner" => match value.parse() {
                Ok::<Owner, _>(owner) => match caller.owner_for(Some(owner)) {
                    Ok(owner) => {
                        query.owner = Some(owner);
                        None
                    }
                    Err(message) => Some(message.to_owned()),
                },
                Err(error) => Some(format!("{error}")),
            },
            "created_after" => {
                query.created_after = value.parse().ok();
                query.created_after.is_none().then(|| MOMENT.to_owned())
            }
            "created_before" => {
                query.created_before = value.parse().ok();
                query.created_before.is_none().then(|| MOMENT.to_owned())
            }
            "limit" => match value.parse() {
                Ok(limit @ 1..=MAX_LIMIT) => {
                    query.limit = limit;
                    None
                }
                _ => Some(format!("must be a whole number from 1 to {MAX_LIMIT}")),
            },
            "page_token" => {
                query.after = read_token(&value);
                query
                    .after
                    .is_none()
                    .then(|| "is not a token that a list gave".to_owned())
            }
            _ => Some("is not a parameter of this list".to_owned()),
        };
        if let Some(message) = message {
            let field: String = name.chars().take(80).collect();
            faults.push(Fault::new(field, message));
        }
    }
    if let (Some(from), Some(to)) = (query.created_after, query.created_before)
        && from >= to
    {
        faults.push(Fault::new(
            "created_before",
            "must be later than created_after",
        ));
    }
    if faults.is_empty() {
        Ok(query)
    } else {
        Err(faults)
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
