//! What a job costs: its owner in credits, and the operator at the provider.

use super::words::{self, Moment};
use crate::job::{IntentState, Job, Timestamp};

pub(super) struct Money {
    pub(super) cost: String,
    pub(super) state: &'static str,
    pub(super) paid: String,
    pub(super) wasted: usize,
    pub(super) intents: Vec<Decision>,
    /// Models that were not asked any more, and why.
    pub(super) passed_over: Vec<(String, String)>,
}

/// One decision to pay.
pub(super) struct Decision {
    pub(super) at: Moment,
    pub(super) model: String,
    pub(super) state: &'static str,
    pub(super) is_bad: bool,
    pub(super) price: String,
    pub(super) prediction: String,
}

impl Money {
    pub(super) fn of(job: &Job, now: Timestamp) -> Self {
        let intents = job.intents.iter().map(|intent| Decision {
            at: Moment::new(intent.at, now),
            model: intent.model.clone(),
            state: became(intent.state),
            is_bad: matches!(intent.state, IntentState::Wasted | IntentState::Failed),
            price: intent
                .terms
                .and_then(|terms| terms.usd)
                .map_or_else(|| "–".to_owned(), words::usd),
            prediction: intent.prediction_id.clone().unwrap_or_default(),
        });
        Self {
            cost: match job.credits.cost {
                Some(cost) => words::amount(cost),
                None => "No credits".to_owned(),
            },
            state: words::credits(job.credits.state),
            paid: words::paid(job).map(words::usd).unwrap_or_default(),
            wasted: job
                .intents
                .iter()
                .filter(|intent| intent.state == IntentState::Wasted)
                .count(),
            intents: intents.collect(),
            passed_over: job
                .passed_over
                .iter()
                .map(|over| (over.model.clone(), over.reason.clone()))
                .collect(),
        }
    }
}

fn became(state: IntentState) -> &'static str {
    match state {
        IntentState::Open => "decided",
        IntentState::Unknown => "no answer yet",
        IntentState::Accepted => "taken",
        IntentState::Refused => "refused, nothing paid",
        IntentState::Failed => "failed at the provider",
        IntentState::Wasted => "given up, possibly paid",
    }
}
