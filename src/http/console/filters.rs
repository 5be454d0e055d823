//! Which jobs a list shows, as its address says.
//!
//! What the ledger has an index for is asked of it. A text is the beginning of an id, for which
//! there is one, or stands in a job: it is looked for among the next [`LOOKED_AT`] jobs, and the
//! page says how far it looked.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::address;
use super::visitor::{Form, Visitor};
use super::words;
use crate::fields::{Field, Query, Scalar, Word, text};
use crate::http::jobs::query::{PageName, checked, narrowed, write_token};
use crate::job::{Code, Fault, Job, JobId, Timestamp};
use crate::ledger::{JobQuery, Ledger, LedgerError, PageToken};

/// Jobs on a page.
pub(super) const PAGE: u32 = 25;
/// Jobs that are read for a page, where what is wanted has no index.
const LOOKED_AT: u32 = 50;
/// Jobs that are shown because their ids begin with the text, however old they are.
const BY_ID: u32 = 10;
const LONGEST: usize = 200;

macro_rules! filters {
    ($($(#[$about:meta])* $name:ident,)+) => {
        /// What stands in the address.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Filters {
            $($(#[$about])* pub(super) $name: String,)+
        }

        impl Filters {
            pub(super) fn read(query: &str) -> Self {
                let form = Form::read(query.as_bytes());
                let field = |name: &str| form.get(name).chars().take(LONGEST).collect();
                Self { $($name: field(stringify!($name)),)+ }
            }

            fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [$((stringify!($name), self.$name.as_str()),)+].into_iter()
            }
        }
    };
}

/// What a list shows.
#[derive(Default)]
pub(super) struct Found {
    pub(super) jobs: Vec<Job>,
    /// Jobs that were looked through for the text.
    pub(super) looked_at: usize,
    /// Where the next page begins.
    pub(super) next: Option<PageToken>,
}

filters! {
    status,
    kind,
    owner,
    model,
    code,
    /// A day, and the day after the last.
    from,
    to,
    text,
    /// Where the page before ended.
    page,
}

static FROM: Field<Day> = Field::optional("from", Day, "");
pub(super) static TO: Field<Day> = Field::optional("to", Day, "");
static CODE: Field<Word<Code>> = Field::optional("code", Word::new(), "");
static PAGE_TOKEN: Field<PageName> = Field::optional("page", PageName, "");

impl Filters {
    /// What the ledger is asked for.
    pub(super) fn query(&self, visitor: &Visitor) -> Result<JobQuery, Vec<Fault>> {
        let given = Query::of_texts(self.fields().filter(|(_, text)| !text.is_empty()));
        let given = given.object();
        let mut faults = Vec::new();
        let narrowed = narrowed(given, &visitor.caller, &mut faults);
        let query = JobQuery {
            created_after: given.field(&FROM, &mut faults),
            created_before: given.field(&TO, &mut faults),
            after: given.field(&PAGE_TOKEN, &mut faults),
            model: Some(self.model.clone()).filter(|model| !model.is_empty()),
            code: given.field(&CODE, &mut faults),
            limit: if self.has_no_index() { LOOKED_AT } else { PAGE },
            ..narrowed
        };
        checked(query, [&FROM, &TO], faults)
    }

    /// Whether every job that is read has to be looked at.
    pub(super) fn has_no_index(&self) -> bool {
        !self.text.is_empty()
    }

    /// Whether anything is asked for but what the tabs say.
    pub(super) fn is_narrow(&self) -> bool {
        self.has_no_index() || self.has_more() || !self.kind.is_empty()
    }

    /// Whether one of the filters is in use that are folded away.
    pub(super) fn has_more(&self) -> bool {
        let folded = [&self.owner, &self.model, &self.code, &self.from, &self.to];
        folded.iter().any(|value| !value.is_empty())
    }

    /// Whether the first of several pages is shown.
    pub(super) fn is_first(&self) -> bool {
        self.page.is_empty()
    }

    /// The jobs of this page, the newest first.
    pub(super) async fn find(
        &self,
        ledger: &dyn Ledger,
        asked: &JobQuery,
    ) -> Result<Found, LedgerError> {
        let mut jobs = ledger.list(asked).await?;
        let is_whole = jobs.len() < asked.limit as usize;
        let next = jobs.last().filter(|_| !is_whole).map(|last| PageToken {
            created_at: last.created_at,
            id: last.id.clone(),
        });
        if !self.has_no_index() {
            return Ok(Found {
                jobs,
                looked_at: 0,
                next,
            });
        }
        let looked_at = jobs.len();
        jobs.retain(|job| self.wants(job));
        // A list that was looked through whole has them already.
        if self.is_first() && !is_whole && self.text.parse::<JobId>().is_ok() {
            let owner = asked.owner.as_ref();
            let named = ledger.beginning(owner, &self.text, BY_ID).await?;
            for job in named {
                if asked.admits(&job) && jobs.iter().all(|known| known.id != job.id) {
                    jobs.push(job);
                }
            }
            jobs.sort_by_key(|job| Reverse((job.created_at, job.id.clone())));
        }
        Ok(Found {
            jobs,
            looked_at,
            next,
        })
    }

    fn wants(&self, job: &Job) -> bool {
        let holds = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let text = || {
            holds(job.id.as_str(), &self.text)
                || holds(job.owner.as_str(), &self.text)
                || holds(&words::asked(&job.params), &self.text)
                || holds(&words::file(&job.source.video), &self.text)
        };
        text()
    }

    /// The address that shows the same with another value of one filter, from the first page on.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let mut parts = Vec::new();
        for (known, own) in self.fields() {
            let value = if known == name { value } else { own };
            if !value.is_empty() && known != "page" {
                parts.push(format!("{known}={}", address::value(value)));
            }
        }
        if name == "page" {
            parts.push(format!("page={}", address::value(value)));
        }
        match parts.is_empty() {
            true => "/console".to_owned(),
            false => format!("/console?{}", parts.join("&")),
        }
    }

    /// The query of the present page.
    pub(super) fn here(&self) -> String {
        let parts: Vec<String> = self
            .fields()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", address::value(value)))
            .collect();
        parts.join("&")
    }

    /// The page that begins there.
    pub(super) fn next(&self, place: &PageToken) -> String {
        self.with("page", &write_token(place))
    }
}

pub(super) struct Day;

impl Scalar for Day {
    type Value = Timestamp;

    fn of_json(&self, value: &Value) -> Result<Timestamp, String> {
        let midnight = format!("{}T00:00:00Z", text(value)?);
        let midnight = midnight.parse();
        midnight.map_err(|_| "must be a day such as 2026-01-31".to_owned())
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "format": "date"})
    }
}
