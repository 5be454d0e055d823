//! What the latest jobs cost, by day and model, as a chart that the service draws.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::filters::Filters;
use super::shell::{Head, show};
use super::visitor::Visitor;
use super::words::{self, Moment};
use crate::http::{HttpState, Problem};
use crate::job::{CreditState, IntentState, Job};
use crate::ledger::JobQuery;

/// Jobs that are added up on a page.
const ADDED_UP: u32 = 90;
/// Colours of the chart; further models share the last.
const COLOURS: usize = 5;
/// Days of the chart.
const DAYS: usize = 14;

#[derive(Default, Clone)]
struct Sum {
    jobs: usize,
    usd: f64,
    captured: u64,
    held: u64,
    wasted: usize,
}

impl Sum {
    fn add(&mut self, job: &Job) {
        self.jobs += 1;
        self.usd += words::paid(job).unwrap_or_default();
        let cost = job.credits.cost.map_or(0, |cost| cost.0);
        match job.credits.state {
            CreditState::Captured => self.captured += cost,
            CreditState::Held => self.held += cost,
            CreditState::None | CreditState::Released => {}
        }
        let wasted = |state| state == IntentState::Wasted;
        let intents = job.intents.iter();
        self.wasted += intents.filter(|intent| wasted(intent.state)).count();
    }
}

struct Line {
    day: String,
    model: String,
    colour: usize,
    jobs: usize,
    usd: String,
    captured: u64,
    held: u64,
    wasted: usize,
}

#[derive(Template)]
#[template(path = "console/spending.html")]
struct Page {
    head: Head,
    lines: Vec<Line>,
    legend: Vec<(usize, String)>,
    chart: String,
    usd: String,
    captured: u64,
    held: u64,
    wasted: usize,
    jobs: usize,
    since: Option<Moment>,
    next: Option<String>,
    is_first: bool,
}

pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filters = Filters::read(query.as_deref().unwrap_or_default());
    let asked = filters.query(&visitor).map_err(Problem::faults)?;
    let asked = JobQuery {
        limit: ADDED_UP,
        ..asked
    };
    let jobs = state.ledger.list(&asked).await?;
    let mut all = Sum::default();
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    for job in &jobs {
        all.add(job);
        let day = job.created_at.strftime("%Y-%m-%d").to_string();
        let model = words::model(job).unwrap_or("not asked yet").to_owned();
        sums.entry((day, model)).or_default().add(job);
    }
    let mut models: Vec<&String> = sums.keys().map(|(_, model)| model).collect();
    models.sort();
    models.dedup();
    let colour = |model: &String| {
        let at = models.iter().position(|known| *known == model);
        at.unwrap_or_default().min(COLOURS - 1)
    };
    let lines = sums.iter().rev().map(|((day, model), sum)| Line {
        day: day.clone(),
        model: model.clone(),
        colour: colour(model),
        jobs: sum.jobs,
        usd: words::usd(sum.usd),
        captured: sum.captured,
        held: sum.held,
        wasted: sum.wasted,
    });
    let bars: Vec<(&str, usize, f64)> = sums
        .iter()
        .map(|((day, model), sum)| (day.as_str(), colour(model), sum.usd))
        .collect();
    let next = jobs.last().filter(|_| jobs.len() >= ADDED_UP as usize);
    let next = next.map(|last| filters.next(last).replacen("/console", "/console/money", 1));
    let now = state.clock.now();
    show(&Page {
        head: Head::new("Money", "money", &visitor),
        lines: lines.collect(),
        legend: models
            .iter()
            .map(|model| (colour(model), (*model).clone()))
            .collect(),
        chart: chart(&bars),
        usd: words::usd(all.usd),
        captured: all.captured,
        held: all.held,
        wasted: all.wasted,
        jobs: all.jobs,
        since: jobs.last().map(|job| Moment::new(job.created_at, now)),
        next,
        is_first: filters.is_first(),
    })
}

/// Bars of US dollars, a day each, one model on the other. Days are given in their order.
fn chart(bars: &[(&str, usize, f64)]) -> String {
    const HEIGHT: f64 = 180.0;
    const WIDTH: f64 = 640.0;
    const LEFT: f64 = 48.0;
    let mut days: Vec<&str> = bars.iter().map(|(day, _, _)| *day).collect();
    days.dedup();
    let days = &days[days.len().saturating_sub(DAYS)..];
    let total = |day: &str| -> f64 {
        let of_day = bars.iter().filter(|(known, _, _)| *known == day);
        of_day.map(|(_, _, usd)| usd).sum()
    };
    let most = days.iter().map(|day| total(day)).fold(0.0, f64::max);
    if days.is_empty() || most <= 0.0 {
        return String::new();
    }
    let step = (WIDTH - LEFT) / days.len() as f64;
    let bar = (step * 0.7).min(56.0);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         aria-label=\"US dollars at the provider by day and model; the table below has the figures\">",
        HEIGHT + 34.0
    );
    for part in [0.0, 0.5, 1.0] {
        let y = 8.0 + (HEIGHT - 8.0) * (1.0 - part);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            words::usd(most * part)
        );
    }
    for (number, day) in days.iter().enumerate() {
        let x = LEFT + step * number as f64 + (step - bar) / 2.0;
        let mut y = HEIGHT;
        for (_, colour, usd) in bars.iter().filter(|(known, _, _)| known == day) {
            let height = (HEIGHT - 8.0) * usd / most;
            y -= height;
            let _ = write!(
                svg,
                "<rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" \
                 height=\"{height:.1}\" rx=\"2\"/>"
            );
        }
        // The day is ours, written by `strftime`.
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x + bar / 2.0,
            HEIGHT + 20.0,
            &day[5..]
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_a_bar_for_each_model_of_a_day() {
        assert_eq!(chart(&[]), "");
        assert_eq!(chart(&[("2026-01-01", 0, 0.0)]), "", "nothing was paid");
        let bars = [
            ("2026-01-01", 0, 1.0),
            ("2026-01-01", 1, 3.0),
            ("2026-01-02", 0, 2.0),
        ];
        let svg = chart(&bars);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("$4.00") && svg.contains(">01-02<"), "{svg}");
        // The tallest day fills the height.
        assert!(
            svg.contains("height=\"129.0\"") && svg.contains("height=\"43.0\""),
            "{svg}"
        );
    }
}
