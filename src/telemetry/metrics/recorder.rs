//! What counts, and tells what was counted: families of series by the name of their metric.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// One metric, as its page and the recorder describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub about: &'static str,
}

/// From a probe's milliseconds to a long generation.
const SECONDS: &[f64] = &[
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0,
];

static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

/// What was counted so far.
#[derive(Debug, Default)]
struct Recorder {
    registry: Registry,
    counters: HashMap<&'static str, IntCounterVec>,
    gauges: HashMap<&'static str, GaugeVec>,
    histograms: HashMap<&'static str, HistogramVec>,
}

impl Recorder {
    fn new(metrics: &[Metric]) -> prometheus::Result<Self> {
        let mut recorder = Self::default();
        for metric in metrics {
            let opts = Opts::new(metric.name, metric.about);
            match metric.kind {
                "counter" => {
                    let counter = IntCounterVec::new(opts, metric.labels)?;
                    recorder.register(&counter)?;
                    recorder.counters.insert(metric.name, counter);
                }
                "gauge" => {
                    let gauge = GaugeVec::new(opts, metric.labels)?;
                    recorder.register(&gauge)?;
                    recorder.gauges.insert(metric.name, gauge);
                }
                _ => {
                    let opts = HistogramOpts::from(opts).buckets(SECONDS.to_vec());
                    let histogram = HistogramVec::new(opts, metric.labels)?;
                    recorder.register(&histogram)?;
                    recorder.histograms.insert(metric.name, histogram);
                }
            }
        }
        Ok(recorder)
    }

    fn register<C: Collector + Clone + 'static>(&self, family: &C) -> prometheus::Result<()> {
        self.registry.register(Box::new(family.clone()))
    }
}

/// Begins once for the process; `false` where it had begun.
pub(super) fn start(metrics: &[Metric]) -> bool {
    let mut begins = false;
    RECORDER.get_or_init(|| {
        begins = true;
        Recorder::new(metrics)
            .inspect_err(|error| tracing::warn!(%error, "nothing is counted"))
            .ok()
    });
    begins
}

pub(super) fn render() -> Option<String> {
    let families = recorder()?.registry.gather();
    prometheus::TextEncoder::new()
        .encode_to_string(&families)
        .inspect_err(|error| tracing::warn!(%error, "the numbers cannot be written"))
        .ok()
}

fn recorder() -> Option<&'static Recorder> {
    RECORDER.get()?.as_ref()
}

/// Values of labels stand in the order in which the metric names these.
pub(super) fn count(name: &'static str, labels: &[&str], by: u64) {
    if let Some(counter) = series(name, labels, |recorder| &recorder.counters) {
        counter.inc_by(by);
    }
}

pub(super) fn set(name: &'static str, labels: &[&str], value: f64) {
    if let Some(gauge) = gauge(name, labels) {
        gauge.set(value);
    }
}

pub(super) fn add(name: &'static str, value: f64) {
    if let Some(gauge) = gauge(name, &[]) {
        gauge.add(value);
    }
}

fn gauge(name: &'static str, labels: &[&str]) -> Option<Gauge> {
    series(name, labels, |recorder| &recorder.gauges)
}

pub(super) fn observe(name: &'static str, labels: &[&str], time: Duration) {
    if let Some(histogram) = series(name, labels, |recorder| &recorder.histograms) {
        histogram.observe(time.as_secs_f64());
    }
}

/// `None` where counting was not started.
fn series<B: MetricVecBuilder + 'static>(
    name: &'static str,
    labels: &[&str],
    families: impl FnOnce(&'static Recorder) -> &'static HashMap<&'static str, MetricVec<B>>,
) -> Option<B::M> {
    let family = families(recorder()?).get(name)?;
    family
        .get_metric_with_label_values(labels)
        .inspect_err(|error| tracing::error!(name, %error, "labels are not those of the metric"))
        .ok()
}
