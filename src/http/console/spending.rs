//! What ended lately and what it cost, by day and model: read from counters that each settlement
//! raises, with a chart that the service draws.

use std::fmt::Write as _;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Span;
use jiff::civil::Date;

use super::address;
use super::filters::TO;
use super::shell::{Head, show};
use super::visitor::{Form, Visitor};
use super::words;
use crate::fields::{Described as _, Query};
use crate::http::jobs::query::whose;
use crate::http::{HttpState, Problem};
use crate::job::counts::{CAPTURED, NO_MODEL, RELEASED, USD_MICROS, WASTED, day_of};
use crate::job::{CreditState, Fault, Job, Owner, Status, Sums};
use crate::ledger::{Counts, JobQuery};

/// Days of a page. Firestore keeps five documents a day for everybody: with the jobs below and the
/// first day of all that are 96 reads.
pub(super) const DAYS: i32 = 14;
/// Jobs at work whose held credits are added up.
const LOOKED_AT: u32 = 25;
const OWNER: &str = "owner";
/// Colours of the chart; further models share the last.
const COLOURS: usize = 5;

/// Sums as they are shown.
#[derive(Default, Clone)]
struct Figures {
    ended: u64,
    usd_micros: u64,
    captured: u64,
    released: u64,
    wasted: u64,
}

impl Figures {
    fn add(&mut self, sums: &Sums) {
        let of = |name: &str| sums.get(name).copied().unwrap_or_default();
        let ends = [Status::Completed, Status::Failed, Status::Cancelled];
        let ended = ends.iter().map(|status| of(status.as_str()));
        for (sum, more) in [
            (&mut self.ended, ended.sum()),
            (&mut self.usd_micros, of(USD_MICROS)),
            (&mut self.captured, of(CAPTURED)),
            (&mut self.released, of(RELEASED)),
            (&mut self.wasted, of(WASTED)),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    fn usd(&self) -> f64 {
        self.usd_micros as f64 / 1e6
    }
}

struct Line {
    day: Date,
    model: String,
    colour: usize,
    figures: Figures,
    usd: String,
}

/// Credits that are held now.
struct HeldCredits {
    credits: u64,
    /// There are more jobs than were looked at.
    more: bool,
}

impl HeldCredits {
    fn by(jobs: &[Job]) -> Self {
        let held = jobs
            .iter()
            .filter(|job| job.credits.state == CreditState::Held);
        let costs = held.filter_map(|job| job.credits.cost);
        Self {
            credits: costs.map(|cost| cost.0).sum(),
            more: jobs.len() >= LOOKED_AT as usize,
        }
    }
}

#[derive(Template)]
#[template(path = "console/spending.html")]
struct Page {
    head: Head,
    from: Date,
    to: Date,
    /// Where counting began within these days.
    since: Option<Date>,
    /// Whether anything was ever counted.
    is_new: bool,
    lines: Vec<Line>,
    legend: Vec<(usize, String)>,
    chart: String,
    all: Figures,
    usd: String,
    held: HeldCredits,
    owner: String,
    older: Option<String>,
    newest: Option<String>,
}

/// What the address asks for. Every fault at once.
struct Asked {
    owner: Option<Owner>,
    from: Date,
    to: Date,
}

impl Asked {
    fn read(query: &str, visitor: &Visitor, today: Date) -> Result<Self, Vec<Fault>> {
        let form = Form::read(query.as_bytes());
        let given = [OWNER, TO.name()].map(|name| (name, form.get(name)));
        let given = Query::of_texts(given.into_iter().filter(|(_, text)| !text.is_empty()));
        let given = given.object();
        let mut faults = Vec::new();
        let owner = whose(given, &visitor.caller, &mut faults);
        let to = given.field(&TO, &mut faults).map_or(today, day_of);
        let to = to.min(today);
        let asked = Self {
            owner,
            from: first_of(to),
            to,
        };
        if faults.is_empty() {
            Ok(asked)
        } else {
            Err(faults)
        }
    }

    /// The address of the days that end on this one; the present ones without it.
    fn link(&self, named: &str, to: Option<Date>) -> String {
        let mut parts = Vec::new();
        if !named.is_empty() {
            parts.push(format!("owner={}", address::value(named)));
        }
        parts.extend(to.map(|to| format!("to={to}")));
        match parts.is_empty() {
            true => "/console/money".to_owned(),
            false => format!("/console/money?{}", parts.join("&")),
        }
    }
}

/// The first of the days of a page that ends on `to`.
pub(super) fn first_of(to: Date) -> Date {
    to.saturating_sub(Span::new().days(DAYS - 1))
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let today = day_of(state.clock.now());
    let asked = Asked::read(&query, &visitor, today).map_err(Problem::faults)?;
    let at_work = JobQuery {
        owner: asked.owner.clone(),
        status: Some(Status::Processing),
        limit: LOOKED_AT,
        ..JobQuery::default()
    };
    let (counts, at_work) = tokio::try_join!(
        state
            .ledger
            .counts(asked.owner.as_ref(), asked.from, asked.to),
        state.ledger.list(&at_work),
    )?;
    let head = Head::new("Money", "money", &visitor);
    let named = match (&asked.owner, head.is_operator()) {
        (Some(owner), true) => owner.to_string(),
        _ => String::new(),
    };
    let (lines, legend) = lines(&counts);
    let mut all = Figures::default();
    for sums in counts.days.values() {
        all.add(sums);
    }
    let bars: Vec<(Date, usize, f64)> = lines
        .iter()
        .rev()
        .map(|line| (line.day, line.colour, line.figures.usd()))
        .collect();
    let days: Vec<Date> = asked
        .from
        .series(Span::new().days(1))
        .take_while(|day| *day <= asked.to)
        .collect();
    let goes_on = counts.since.is_some_and(|since| since < asked.from);
    let before = asked.from.yesterday().ok().filter(|_| goes_on);
    show(&Page {
        from: asked.from,
        to: asked.to,
        since: counts.since.filter(|since| *since > asked.from),
        is_new: counts.since.is_none(),
        chart: chart(&days, &bars),
        usd: words::usd(all.usd()),
        held: HeldCredits::by(&at_work),
        older: before.map(|day| asked.link(&named, Some(day))),
        newest: (asked.to < today).then(|| asked.link(&named, None)),
        owner: named,
        head,
        lines,
        legend,
        all,
    })
}

/// The lines of the table, latest first, and the colours of their models.
fn lines(counts: &Counts) -> (Vec<Line>, Vec<(usize, String)>) {
    let mut models: Vec<&String> = counts.days.keys().map(|(_, model)| model).collect();
    // What takes no dollars comes last.
    models.sort_by_key(|model| (*model == NO_MODEL, *model));
    models.dedup();
    let colour = |model: &String| {
        let at = models.iter().position(|known| *known == model);
        at.unwrap_or_default().min(COLOURS - 1)
    };
    let told = |model: &str| match model {
        NO_MODEL => "no model asked".to_owned(),
        model => model.to_owned(),
    };
    let lines = counts.days.iter().rev().map(|((day, model), sums)| {
        let mut figures = Figures::default();
        figures.add(sums);
        Line {
            day: *day,
            model: told(model),
            colour: colour(model),
            usd: words::usd(figures.usd()),
            figures,
        }
    });
    let legend = models.iter().map(|model| (colour(model), told(model)));
    (lines.collect(), legend.collect())
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is no less: a number that an axis may bear.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    // A bar that is as high as the line may exceed it by what a sum of floats is off.
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    let fits = |step: &f64| value <= step * (1.0 + 1e-9);
    steps.into_iter().find(fits).unwrap_or(value)
}

/// Bars of US dollars for these days, one model on the other.
fn chart(days: &[Date], bars: &[(Date, usize, f64)]) -> String {
    const HEIGHT: f64 = 180.0;
    const WIDTH: f64 = 640.0;
    const LEFT: f64 = 64.0;
    // Room for the words of the highest line.
    const TOP: f64 = 16.0;
    let total = |day: Date| -> f64 {
        let of_day = bars.iter().filter(|(known, _, _)| *known == day);
        of_day.map(|(_, _, usd)| usd).sum()
    };
    let most = days.iter().map(|day| total(*day)).fold(0.0, f64::max);
    if days.is_empty() || most <= 0.0 {
        return String::new();
    }
    // The line in the middle has a round number too.
    let top = 2.0 * round_up(most / 2.0);
    let step = (WIDTH - LEFT) / days.len() as f64;
    let bar = (step * 0.7).min(56.0);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         aria-label=\"US dollars at the provider by day and model; the table below has the figures\">",
        HEIGHT + 34.0
    );
    for part in [0.0, 0.5, 1.0] {
        let y = TOP + (HEIGHT - TOP) * (1.0 - part);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            words::usd(top * part)
        );
    }
    for (number, day) in days.iter().enumerate() {
        let x = LEFT + step * number as f64 + (step - bar) / 2.0;
        let mut y = HEIGHT;
        for (_, colour, usd) in bars.iter().filter(|(known, _, _)| known == day) {
            let height = (HEIGHT - TOP) * usd / top;
            y -= height;
            let _ = write!(
                svg,
                "<rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" \
                 height=\"{height:.1}\" rx=\"2\"/>"
            );
        }
        // Counted from the last one; on a phone every second day is named.
        let class = match (days.len() - number) % 2 {
            0 => "second",
            _ => "day",
        };
        let _ = write!(
            svg,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x + bar / 2.0,
            HEIGHT + 20.0,
            day.strftime("%m-%d")
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_bears_round_numbers() {
        for (most, middle, top) in [
            (0.074, "$0.05", "$0.10"),
            (4.0, "$2.00", "$4.00"),
            (4.1, "$2.50", "$5.00"),
            (0.3, "$0.20", "$0.40"),
            (1234.5, "$1000.00", "$2000.00"),
        ] {
            let day = jiff::civil::date(2026, 1, 1);
            let svg = chart(&[day], &[(day, 0, most)]);
            let lines = [format!(">{middle}<"), format!(">{top}<")];
            assert!(lines.iter().all(|line| svg.contains(line)), "{most}: {svg}");
        }
    }

    #[test]
    fn a_chart_has_a_bar_for_each_model_of_a_day() {
        let day = |day| jiff::civil::date(2026, 1, day);
        assert_eq!(chart(&[], &[]), "");
        assert_eq!(
            chart(&[day(1)], &[(day(1), 0, 0.0)]),
            "",
            "nothing was paid"
        );
        let bars = [(day(1), 0, 1.0), (day(1), 1, 3.0), (day(3), 0, 2.0)];
        let svg = chart(&[day(1), day(2), day(3)], &bars);
        assert_eq!(svg.matches("<rect").count(), 3);
        // Each day has its place, whether anything ended on it or not.
        assert!(svg.contains("$4.00") && svg.contains(">01-02<"), "{svg}");
        // The tallest day fills the height where its sum is a round one.
        assert!(
            svg.contains("height=\"123.0\"") && svg.contains("height=\"41.0\""),
            "{svg}"
        );
    }
}
