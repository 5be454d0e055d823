//! Figures and names as a person reads them.

use std::time::Duration;

use crate::clock::elapsed;
use crate::job::{
    CreditState, Credits, Job, Kind, MediaRef, Params, Stage, Status, Timestamp, WaitsFor,
};

/// A moment: exact for machines, to the second for people.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) exact: String,
    pub(super) shown: String,
    pub(super) ago: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            exact: at.to_string(),
            shown: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            ago: ago(at, now),
        }
    }
}

pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    // Clocks of two machines differ by a little.
    let ahead = elapsed(now, at).as_secs();
    if ahead > 30 {
        return match ahead {
            0..=5_400 => format!("in {} min", ahead.div_ceil(60)),
            _ => format!("in {} h", ahead.div_ceil(3_600)),
        };
    }
    match elapsed(at, now).as_secs() {
        0..=4 => "now".to_owned(),
        seconds @ 5..=59 => format!("{seconds} s ago"),
        seconds @ 60..=3_599 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// A span of time, with two figures that say something.
pub(super) fn span(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=59_999 => format!("{:.1} s", time.as_secs_f64()),
        60_000..=3_599_999 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// About how long something will still take.
pub(super) fn left(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("about {seconds} s left"),
        91..=5_400 => format!("about {} min left", seconds.div_ceil(60)),
        _ => format!("about {} h left", seconds.div_ceil(3_600)),
    }
}

pub(super) fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

pub(super) fn bit_rate(bits: f64) -> String {
    format!("{:.0} kbit/s", bits / 1_000.0)
}

/// With two digits behind the point at most.
pub(super) fn two(number: f64) -> String {
    format!("{}", (number * 100.0).round() / 100.0)
}

/// Credits as an amount.
pub(super) fn amount(credits: Credits) -> String {
    match credits.0 {
        1 => "1 credit".to_owned(),
        credits => format!("{credits} credits"),
    }
}

/// In cents; in tenths of them where that is more.
pub(super) fn usd(usd: f64) -> String {
    let told = format!("${usd:.3}");
    match told.strip_suffix('0') {
        Some(cents) => cents.to_owned(),
        None => told,
    }
}

pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::CharacterReplace => "Replace a character",
        Kind::Extend => "Extend",
        Kind::Upscale => "Upscale",
    }
}

pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Queued => "Queued",
        Status::Processing => "Processing",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
        Status::Cancelled => "Cancelled",
    }
}

/// What is being done.
pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Submit => "Checking and submitting",
        Stage::Generate => "Being generated",
        Stage::Fetch => "Fetching the video",
        Stage::Process => "Working on the video",
        Stage::Settle => "Settling",
    }
}

pub(super) fn waits(what: WaitsFor) -> &'static str {
    match what {
        WaitsFor::Worker => "waits for a worker",
        WaitsFor::Provider => "waits for the provider",
        WaitsFor::Account => "waits for a place at the provider",
        WaitsFor::Attempt => "waits for the next try",
        WaitsFor::MediaPlace => "waits for a place for media work",
        WaitsFor::Breaker => "waits for a model that rests",
        WaitsFor::Operator => "waits for an operator",
        WaitsFor::Answer => "waits for a lost answer",
        WaitsFor::Outage => "waits for an outage to end",
    }
}

/// What became of the credits; empty where none moved.
pub(super) fn credits(state: CreditState) -> &'static str {
    match state {
        CreditState::None => "",
        CreditState::Held => "held",
        CreditState::Captured => "captured",
        CreditState::Released => "released",
    }
}

/// What was asked for, in a few words.
pub(super) fn asked(params: &Params) -> String {
    match params {
        Params::CharacterReplace(params) => match &params.prompt {
            Some(prompt) => prompt.clone(),
            None => format!("at {}", params.resolution.as_str()),
        },
        Params::Extend(params) => format!("{} s more: {}", params.seconds, params.prompt),
        Params::Upscale(params) => format!("to {}", params.target.as_str()),
    }
}

/// An input by the last part of its name.
pub(super) fn file(source: &MediaRef) -> String {
    let name = match source {
        MediaRef::Web(url) => url.path(),
        MediaRef::Object(name) => name,
    };
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

/// US dollars that the provider takes by its list, for all that it accepted.
pub(super) fn paid(job: &Job) -> Option<f64> {
    use crate::job::IntentState::{Accepted, Failed};
    let paid = job
        .intents
        .iter()
        .filter(|intent| matches!(intent.state, Accepted | Failed))
        .filter_map(|intent| intent.terms.and_then(|terms| terms.usd));
    paid.reduce(|all, one| all + one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_figures() {
        let told = |ms| span(Duration::from_millis(ms));
        assert_eq!(told(412), "412 ms");
        assert_eq!(told(8_240), "8.2 s");
        assert_eq!(told(125_000), "2 min 5 s");
        assert_eq!(told(7_380_000), "2 h 3 min");
    }

    #[test]
    fn dollars_are_told_as_exactly_as_prices_are() {
        let told = [0.0, 0.025, 0.05, 0.125, 17.5, 3.0].map(usd);
        assert_eq!(
            told,
            ["$0.00", "$0.025", "$0.05", "$0.125", "$17.50", "$3.00"]
        );
    }

    #[test]
    fn amounts_are_told_in_the_number_they_have() {
        assert_eq!(amount(Credits(0)), "0 credits");
        assert_eq!(amount(Credits(1)), "1 credit");
        assert_eq!(amount(Credits(2)), "2 credits");
    }

    #[test]
    fn moments_are_told_from_now() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, told) in [
            (3, "now"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (7_300, "2 h ago"),
            (200_000, "2 d ago"),
        ] {
            assert_eq!(ago(at(0), at(second)), told);
        }
        assert_eq!(ago(at(9), at(0)), "now", "a clock of another machine");
        assert_eq!(ago(at(1_000), at(0)), "in 17 min");
    }
}
