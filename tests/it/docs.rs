//! The documents that must say exactly what the code says.

use std::fmt::Write as _;
use std::path::Path;

use filmlab::http::status_of;
use filmlab::job::{Code, Party};
use filmlab::telemetry::metrics::METRICS;
use strum::IntoEnumIterator as _;

const ERRORS_HEAD: &str = "\
# Errors

Every failure has a stable code. It stands in `error.code` of a job, in `code` of a problem+json
answer, and before the message that a command prints on standard error. This page is made from
the code: `FILMLAB_BLESS=1 cargo nextest run --test it docs::` writes it anew.

**Party** says who can mend it, and which exit status a command ends with: caller 65, provider 69,
service 70 (after `sysexits.h`; wrong flags or settings end with 64). A code that is about a media
file names the caller when the file came from there, and the provider when it was generated.

**What happens** is the usual course: `retry` – the next attempt, after a pause, three in all;
`abort` – the job fails at once; `wait` – no attempt is used, up to the job's deadline;
`reconcile` – look before doing it again.

";

fn errors() -> String {
    let mut page = ERRORS_HEAD.to_owned();
    for party in Party::iter() {
        let mut title = party.as_str().to_owned();
        title[..1].make_ascii_uppercase();
        writeln!(
            page,
            "## {title}\n\n| code | HTTP | what happens | meaning |\n|---|---|---|---|"
        )
        .unwrap();
        for code in Code::iter().filter(|code| code.party() == party) {
            let happens: &'static str = code.disposition().into();
            let status = status_of(code).as_u16();
            writeln!(
                page,
                "| `{code}` | {status} | {happens} | {} |",
                code.about()
            )
            .unwrap();
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// Compares a committed document with what it should be; with `FILMLAB_BLESS` writes it.
#[allow(
    clippy::disallowed_methods,
    reason = "a switch for whoever runs the tests"
)]
pub(crate) fn assert_exact(name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    if std::env::var_os("FILMLAB_BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/{name} is out of date: run the test with FILMLAB_BLESS=1"
    );
}

const METRICS_HEAD: &str = "\
# Metrics

`GET /metrics` answers in Prometheus' text format. Where API tokens are configured it wants one that
names no owner; without, it answers on loopback only. Each process counts for itself; what is read
from the ledger (`filmlab_jobs`, `filmlab_outbox`) is the same everywhere, so take its maximum, not
its sum. Labels come from closed lists: there are no owners, job ids or addresses in them. This page
is made from the code: `FILMLAB_BLESS=1 cargo nextest run --test it docs::` writes it anew.

| name | kind | labels | meaning |
|---|---|---|---|
";

#[test]
fn the_metrics_page_lists_every_metric() {
    let mut page = METRICS_HEAD.to_owned();
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind,
            labels.join(", "),
            metric.about
        )
        .unwrap();
    }
    assert_exact("metrics.md", &page);
}

#[test]
fn the_errors_page_lists_every_code() {
    assert_exact("errors.md", &errors());
}
