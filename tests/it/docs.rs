//! The documents that must say exactly what the code says.

use std::fmt::Write as _;
use std::path::Path;

use filmlab::cli;
use filmlab::config::{self, Row};
use filmlab::http::status_of;
use filmlab::job::{Code, Kind, Party};
use filmlab::media::{Limits, MediaCode};
use filmlab::provider::wavespeed::ModelTable;
use filmlab::sandbox::{Drift, Drifts, SandboxConfig};
use filmlab::telemetry::metrics::METRICS;
use strum::IntoEnumIterator as _;

use crate::support::PROGRAM;

const ERRORS_HEAD: &str = "\
# Errors

Every failure has a stable code. You find it in `error.code` of a job, in `code` of a problem+json
answer, and in front of the message that a command prints on standard error. This page is made from
the code: `FILMLAB_BLESS=1 cargo nextest run --test it docs::` writes it anew.

**Party** says who can fix it: the `caller`, the `provider` or the `service`, which means its operator. A
command ends with status 65 for the caller, 69 for the provider and 70 for the service (after
`sysexits.h`). Wrong flags or settings end with 64; a command that finds no service ends with
`service_unreachable` and 69. If a code is about a media file, the party is the caller if the file came
from there, and the provider if it was generated.

**What happens** is the usual course:

- `retry`: the next attempt comes after a pause, three in all.
- `abort`: the job fails at once.
- `wait`: the job waits, up to its deadline, and uses no attempt.
- `reconcile`: filmlab finds out what happened before it does the same again.

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

`GET /metrics` answers in Prometheus' text format. If API tokens are configured, it needs a token
without `owner` (an operator's token). Without tokens it answers this machine only, and nobody if the
service listens on more than loopback. Each process counts for itself; what is read from the ledger
(`filmlab_jobs`, `filmlab_outbox`) is the same everywhere, so take its maximum, not its sum. Labels
come from closed lists: there are no owners, job ids or addresses in them. This page is made from the
code: `FILMLAB_BLESS=1 cargo nextest run --test it docs::` writes it anew.

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

/// A page with the part between two marks made anew.
pub(crate) fn with_part(page: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{part}{end}{after}")
}

/// What the program prints of a catalogue that has drifted.
async fn drifted_models() -> String {
    let model = |id: &str| format!("wavespeed-ai/{id}");
    let narrower = |id: &str, parameter: &str, choices, maximum| Drift::Narrower {
        model: model(id),
        parameter: parameter.into(),
        choices,
        minimum: None,
        maximum,
    };
    let sizes = ["720p", "1080p", "2k"].map(serde_json::Value::from);
    let drifts = vec![
        Drift::Gone {
            model: "alibaba/wan-2.6/video-extend".into(),
        },
        Drift::Dropped {
            model: model("scail-2"),
            parameter: "mode".into(),
        },
        Drift::Required {
            model: model("wan-2.1/mocha"),
            parameter: "mask".into(),
        },
        narrower(
            "video-upscaler",
            "target_resolution",
            Some(sizes.into()),
            None,
        ),
        narrower("minimax-h3/video-extend", "duration", None, Some(12)),
        Drift::Price {
            model: model("flashvsr"),
            factor: 1.25,
        },
        Drift::Formula {
            model: model("seedvr2/video"),
            formula: "($rate := 0.02; $rate * 5)".into(),
        },
        Drift::New {
            model: "acme/h4/video-extend".into(),
            like: model("minimax-h3/video-extend"),
        },
    ];
    let sandbox = crate::sandbox::start(SandboxConfig {
        drifts: Drifts(drifts),
        ..SandboxConfig::default()
    })
    .await;
    let mut program = std::process::Command::new(PROGRAM);
    program
        .args(["models", "--live"])
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("WAVESPEED_BASE_URL", sandbox.base_url().as_str())
        .env("WAVESPEED_API_KEY", "sandbox");
    let ran = tokio::task::spawn_blocking(move || program.output());
    let ran = ran.await.unwrap().unwrap();
    assert_eq!(ran.status.code(), Some(70), "{ran:?}");
    let told = |bytes| String::from_utf8(bytes).unwrap();
    format!(
        "```\n$ filmlab models --live\n{}{}$ echo $?\n70\n```\n",
        told(ran.stdout),
        told(ran.stderr)
    )
}

#[tokio::test]
async fn the_models_page_has_what_the_program_prints() {
    let page = document("docs/providers.md");
    let mut table =
        "| kind | model | takes | sizes | US$ for 5 s |\n|---|---|---|---|---|\n".to_owned();
    let models = ModelTable::default();
    for listed in Kind::iter().flat_map(|kind| models.listed(kind)) {
        let model = &listed.model;
        writeln!(
            table,
            "| `{}` | `{}` | {} | {} | {} |",
            model.kind.as_str(),
            model.id,
            cli::models::limits(model),
            cli::models::sizes(model),
            cli::models::prices(model),
        )
        .unwrap();
    }
    let page = with_part(&page, "models", &table);
    let page = with_part(&page, "live", &drifted_models().await);
    assert_exact("providers.md", &page);
}

fn settings_table(rows: &[Row]) -> String {
    let mut table = "| name | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let (takes, default, about) = (&row.takes, &row.default, row.about);
        writeln!(table, "| `{}` | {takes} | {default} | {about} |", row.name).unwrap();
    }
    table
}

#[test]
fn the_settings_page_is_made_from_what_the_reader_reads_by() {
    let mut page = document("docs/settings.md");
    for (name, rows) in config::tables() {
        // Those have a table with reasons in docs/media.md.
        if name != "limits" {
            page = with_part(&page, name, &settings_table(&rows));
        }
    }
    let mut profiles =
        "| name in the table | `web` | `small` | `archive` | new | value | meaning |\n\
                        |---|---|---|---|---|---|---|\n"
            .to_owned();
    for (row, values) in config::profile_rows() {
        let (name, takes, about) = (row.field(), &row.takes, row.about);
        let values = values.join(" | ");
        writeln!(profiles, "| `{name}` | {values} | {takes} | {about} |").unwrap();
    }
    let page = with_part(&page, "profiles", &profiles);
    assert_exact("settings.md", &page);
}

#[test]
fn a_setting_is_told_as_it_is_read() {
    let tables = config::tables();
    let rows: Vec<_> = tables.iter().flat_map(|(_, rows)| rows).collect();
    assert!(rows.len() > 145, "{}", rows.len());
    let mut names: Vec<_> = rows.iter().map(|row| &row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "a setting is declared twice");
    // Each can be set: what is no value of it is a fault of its own, and never "is not a setting".
    let wrong = |row: &&&Row| row.takes.starts_with("whole number");
    for row in rows.iter().filter(wrong) {
        // One of those that a table of names may have.
        let name = row.name.replace("NAME", "alice").replace("KIND", "extend");
        let env = format!("FILMLAB_{}", name.to_uppercase().replace('.', "__"));
        let sources = config::Sources {
            no_default_file: true,
            env: [(env, "-1.5".to_owned())].into(),
            ..config::Sources::default()
        };
        let faults = config::Config::load(&sources).unwrap_err();
        let told = faults.iter().find(|fault| fault.key == name).unwrap();
        assert!(told.message.ends_with("found “-1.5”"), "{told}");
        for bound in row.takes.split([' ', ',']).filter(|word| !word.is_empty()) {
            let digits = bound.chars().all(|letter| letter.is_ascii_digit());
            assert!(!digits || told.message.contains(bound), "{told}: {row:?}");
        }
    }
}

#[test]
fn the_errors_page_lists_every_code() {
    assert_exact("errors.md", &errors());
}

/// The document's parts in the order a person reads them; within them by name.
#[derive(serde::Serialize)]
struct InOrder<'a> {
    openapi: &'a serde_json::Value,
    info: &'a serde_json::Value,
    tags: &'a serde_json::Value,
    paths: &'a serde_json::Value,
    components: &'a serde_json::Value,
}

#[tokio::test]
async fn the_openapi_file_is_what_a_service_serves() {
    let document = crate::http::openapi::document().await;
    let parts = document.as_object().unwrap();
    assert_eq!(parts.len(), 5, "{:?}", parts.keys());
    let text = yaml_serde::to_string(&InOrder {
        openapi: &parts["openapi"],
        info: &parts["info"],
        tags: &parts["tags"],
        paths: &parts["paths"],
        components: &parts["components"],
    })
    .unwrap();
    let head = "# Made from the code: `FILMLAB_BLESS=1 cargo nextest run --test it docs::` writes it anew.\n";
    assert_exact("openapi.yaml", &format!("{head}{text}"));
}

/// Backticked paths of tests in the table of rules.
fn tests_named(page: &str) -> Vec<&str> {
    page.lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| name.contains("::"))
        .collect()
}

/// Whether a file of that module holds a function of that name.
fn test_exists(root: &Path, name: &str) -> bool {
    let (module, function) = name.rsplit_once("::").unwrap();
    let file = root
        .join("tests/it")
        .join(format!("{}.rs", module.replace("::", "/")));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.contains(&format!("fn {function}("))
}

#[test]
fn each_rule_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/rules.md")).unwrap();
    let named = tests_named(&page);
    assert!(named.len() > 50, "{}", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !test_exists(root, name))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
    assert!(!test_exists(root, "road::crash::no_such_test"));
}

fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_media_page_names_exists() {
    let page = document("docs/media.md");
    let named: Vec<_> = quoted(&page)
        .filter_map(|name| name.rsplit_once("::"))
        .collect();
    assert!(named.len() > 40, "{}", named.len());
    for (module, name) in named {
        // Those of the media core without their first part.
        let path = match module.split_once("::") {
            Some(_) => module.replace("::", "/"),
            None => format!("media/{module}"),
        };
        let code = document(&format!("tests/it/{path}.rs"));
        let test = format!("fn {name}() {{");
        assert!(code.contains(&test), "there is no test {module}::{name}");
    }
}

#[test]
fn the_table_of_limits_has_every_setting_with_a_code_and_a_reason() {
    let page = document("docs/media.md");
    let table = page.split("\n## Limits").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let tables = config::tables();
    let (_, settings) = tables.iter().find(|(name, _)| *name == "limits").unwrap();
    let mut wanted =
        String::from("| setting | default | value | code | why |\n|---|---|---|---|---|\n");
    for setting in settings {
        let name = setting.field();
        let row = rows.iter().find(|row| row[1].trim_matches('`') == name);
        // What a limit answers with, and why it is so, is written by hand.
        let (code, why) = row.map_or(("", ""), |row| (row[4], row[5]));
        let (default, takes) = (&setting.default, &setting.takes);
        writeln!(
            wanted,
            "| `{name}` | {default} | {takes} | {code} | {why} |"
        )
        .unwrap();
    }
    assert_exact("media.md", &with_part(&page, "limits", &wanted));
    let limits = serde_json::to_value(Limits::default()).unwrap();
    // One of them is the process's.
    assert_eq!(settings.len(), limits.as_object().unwrap().len() + 1);
    for row in &rows {
        let code = row[4].trim_matches('`');
        assert!(code.parse::<MediaCode>().is_ok(), "{row:?}");
        assert!(row[5].len() > 20, "no reason: {row:?}");
    }
}

#[test]
fn every_fixture_with_a_trait_has_a_row_and_every_line_a_test() {
    let page = document("docs/media.md");
    let table = page.split("## Traits").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows: Vec<_> = table.lines().filter(|row| row.starts_with("| ")).collect();
    let fixtures = document("fixtures/README.md");
    let sections = fixtures.split("\n## ").filter(|section| {
        section.starts_with("Generated: videos") || section.starts_with("Generated: damaged")
    });
    let listed: Vec<_> = sections
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|row| quoted(row.split('|').next().unwrap_or("")).chain(row.split('`').take(1)))
        .filter(|name| name.contains('.'))
        .collect();
    assert!(listed.len() > 30, "{listed:?}");
    for name in listed {
        let quoted = format!("`{name}`");
        let has_row = rows.iter().any(|row| row.contains(&quoted));
        assert!(has_row, "{name} has no row in docs/media.md");
    }
    // The twenty lines of the correctness list, and a test for each.
    for line in 1..=20 {
        let begins = format!("| {line} ");
        let row = rows.iter().find(|row| row.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("line {line} has no row"));
        assert!(row.contains("::"), "{row}");
    }
}
