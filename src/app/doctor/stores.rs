//! Looks at what keeps things: ledger, queue and objects.

use std::time::Duration;

use strum::IntoEnumIterator as _;
use url::Url;

use super::finding::Finding;
use crate::app::adapters::{self, Objects};
use crate::app::keys::Keys;
use crate::app::provider::nowhere;
use crate::clock::SharedClock;
use crate::config::{self, Config};
use crate::job::{Code, Failure, Kind};
use crate::ledger::{JobQuery, Ledger};
use crate::outgoing;
use crate::provider::wavespeed::ModelTable;
use crate::storage::SignedLink;

/// For each look; the slowest asks a cloud a few times.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn ledger(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see docs/deploy.md on the database and the account's roles";
    let ledger = match adapters::ledger(config).await {
        Ok(ledger) => ledger,
        Err(failure) => return vec![Finding::service("ledger", failure.message, ADVICE)],
    };
    if let Err(error) = ledger.ping().await {
        return vec![Finding::service("ledger", error, ADVICE)];
    }
    let name = match &config.ledger {
        config::Ledger::Sqlite => "SQLite answers".to_owned(),
        config::Ledger::Firestore(database) => {
            format!("Firestore answers, project {}", database.project)
        }
    };
    let mut findings = vec![Finding::ok("ledger", name)];
    findings.push(written(ledger.as_ref(), clock).await);
    findings.extend(lists(ledger.as_ref()).await);
    findings.push(match &config.provider.breaker {
        Some(_) => at_rest(&config.provider.models, ledger.as_ref(), clock).await,
        None => Finding::ok(AT_REST, "not counted: provider.breaker.share is 0"),
    });
    findings
}

const AT_REST: &str = "models at rest";

/// Which of the models that are asked rest, by what all instances know.
async fn at_rest(table: &ModelTable, ledger: &dyn Ledger, clock: &SharedClock) -> Finding {
    const ADVICE: &str =
        "a job tries each again by itself; see docs/providers.md, A model that rests";
    let mut resting = Vec::new();
    for kind in Kind::iter() {
        for model in std::iter::once(table.model(kind)).chain(table.fallbacks(kind)) {
            let breaker = match ledger.breaker(&model.id).await {
                Ok(breaker) => breaker,
                Err(error) => return Finding::service(AT_REST, error, ADVICE),
            };
            let Some(breaker) = breaker else { continue };
            let Some(until) = breaker.rests_until else {
                continue;
            };
            let probe = breaker.probe.filter(|probe| clock.now() < probe.until);
            resting.push(match probe {
                Some(probe) => format!("{} (job {} tries it)", model.id, probe.job),
                None => format!("{} (until {until:.0})", model.id),
            });
        }
    }
    if resting.is_empty() {
        return Finding::ok(AT_REST, "none");
    }
    Finding::warn(AT_REST, resting.join(", "), ADVICE)
}

/// Whether it takes a write: a full disk, or an account that may only read, answers reads.
async fn written(ledger: &dyn Ledger, clock: &SharedClock) -> Finding {
    const ADVICE: &str = "make room, see whether the file may be written, or the account's roles";
    let mark = format!("doctor-{}", ulid::Ulid::new().to_string().to_lowercase());
    // Within the look's own time, so that what was written can be removed afterwards.
    let tried = ledger.mark(&mark, clock.now());
    let tried = tokio::time::timeout(TIMEOUT / 2, tried).await;
    let removed = ledger.unmark(&mark).await;
    match (tried, removed) {
        (Ok(Ok(())), Ok(())) => Finding::ok("ledger writes", "a mark was written and removed"),
        (Ok(Err(error)), _) | (_, Err(error)) => Finding::service("ledger writes", error, ADVICE),
        (Err(_), _) => Finding::service("ledger writes", "a mark took too long", ADVICE),
    }
}

/// The queries that need an index of their own.
async fn lists(ledger: &dyn Ledger) -> Option<Finding> {
    let page = JobQuery {
        limit: 1,
        ..JobQuery::default()
    };
    let queries = [
        JobQuery {
            owner: "doctor".parse().ok(),
            ..page.clone()
        },
        JobQuery {
            status: Some(crate::job::Status::Queued),
            ..page.clone()
        },
        JobQuery {
            kind: Some(Kind::Extend),
            ..page.clone()
        },
        JobQuery {
            tag: Some("doctor".into()),
            ..page.clone()
        },
        JobQuery {
            owner: "doctor".parse().ok(),
            tag: Some("doctor".into()),
            ..page.clone()
        },
        JobQuery {
            model: Some("doctor".into()),
            ..page.clone()
        },
        JobQuery {
            code: Some(Code::Internal),
            ..page
        },
    ];
    for query in &queries {
        if let Err(error) = ledger.list(query).await {
            return Some(Finding::service(
                "ledger indexes",
                error,
                "deploy firestore.indexes.json",
            ));
        }
    }
    Some(Finding::ok(
        "ledger indexes",
        "jobs can be listed by owner, status, kind, tag, model and error code",
    ))
}

pub(super) async fn queue(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see docs/deploy.md on the queue and the account's roles";
    let look = async {
        let access = adapters::access(config).await?;
        let public_url = nowhere(config)?;
        let (queue, embedded) = adapters::queue(config, &public_url, access.as_ref(), clock)?;
        queue
            .ping()
            .await
            .map_err(|error| Failure::new(Code::QueueUnavailable, error.to_string()))?;
        Ok::<_, Failure>(embedded.is_some())
    };
    vec![match look.await {
        Ok(true) => Finding::ok("queue", "built in, and answers"),
        Ok(false) => Finding::ok("queue", "Cloud Tasks answers"),
        Err(failure) => Finding::service("queue", failure.message, ADVICE),
    }]
}

pub(super) async fn storage(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    const ADVICE: &str = "see whether the bucket or folder exists and may be written";
    let opened = async {
        let access = adapters::access(config).await?;
        let keys = keys(config).await?;
        adapters::storage(config, &nowhere(config)?, &keys, access.as_ref(), clock).await
    };
    let objects = match opened.await {
        Ok(objects) => objects,
        Err(failure) => return vec![Finding::service("storage", failure.message, ADVICE)],
    };
    let object = format!("work/doctor/{}", ulid::Ulid::new());
    // Within the look's own time, so that what was written can be deleted afterwards.
    let tried = tokio::time::timeout(TIMEOUT * 3 / 4, try_object(&objects, &object, clock)).await;
    let deleted = objects.0.delete(&object).await;
    let mut findings = vec![match tried {
        Ok(Ok(())) => Finding::ok(
            "storage",
            "an object was written, read and opened by its link",
        ),
        Ok(Err(what)) => Finding::service("storage", what, ADVICE),
        Err(_) => Finding::service("storage", "an object took too long", ADVICE),
    }];
    if let Err(error) = deleted {
        let message = format!("{object} could not be deleted: {error}");
        findings.push(Finding::service("storage deletion", message, ADVICE));
    }
    findings
}

pub(super) async fn keys(config: &Config) -> Result<Keys, Failure> {
    if config.links.key.is_some() || config.data_dir.join("secret.key").exists() {
        return Keys::of(config).await;
    }
    // It is made at the first start; this one signs a single link.
    Ok(Keys::only(
        ulid::Ulid::new().to_string().into_bytes().repeat(2),
    ))
}

async fn try_object(
    (storage, links): &Objects,
    object: &str,
    clock: &SharedClock,
) -> Result<(), String> {
    const CONTENT: &[u8] = b"filmlab doctor";
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    storage
        .put_bytes(CONTENT.into(), object)
        .await
        .map_err(|error| said("writing", &error))?;
    let info = storage.head(object).await;
    let info = info.map_err(|error| said("reading", &error))?;
    if info.bytes != CONTENT.len() as u64 {
        return Err(format!(
            "{} bytes were written, {} read",
            CONTENT.len(),
            info.bytes
        ));
    }
    let link = storage
        .link(object, Duration::from_secs(60), None)
        .await
        .map_err(|error| said("signing a link", &error))?;
    let Some(links) = links else {
        return open(&link, CONTENT).await;
    };
    let query = |name: &str| {
        let mut pairs = link.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let (Some(expires), Some(signature)) = (query("exp"), query("sig")) else {
        return Err("the link is incomplete".into());
    };
    let signed = SignedLink {
        object,
        expires_at_s: expires
            .parse()
            .map_err(|_| "the link has no end".to_owned())?,
        name: None,
        signature: &signature,
    };
    links
        .verify(&signed, clock.now())
        .map_err(|refused| said("the link", &refused))
}

/// Fetches what a link of the bucket leads to.
async fn open(link: &Url, expected: &[u8]) -> Result<(), String> {
    let local = config::is_loopback(link);
    let client = outgoing::client(&outgoing::OutgoingRules {
        allow_loopback: local,
        ..outgoing::OutgoingRules::default()
    });
    let fetch = async {
        let response = client.build()?.get(link.clone()).send().await?;
        response.error_for_status()?.bytes().await
    };
    match fetch.await {
        Ok(bytes) if bytes == expected => Ok(()),
        Ok(_) => Err("the link opens something else".into()),
        Err(error) => Err(format!("opening the link: {}", error.without_url())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::job::breaker::{BreakerRules, Verdict};
    use crate::ledger::sqlite::SqliteLedger;

    const RULES: BreakerRules = BreakerRules {
        share: 0.5,
        least: 2,
        window: Duration::from_secs(600),
        rest: Duration::from_secs(120),
        probe: Duration::from_secs(900),
    };

    #[tokio::test]
    async fn a_model_that_rests_is_named_and_so_is_who_tries_it() {
        let ledger = SqliteLedger::open_in_memory().unwrap();
        let manual = ManualClock::at("2026-11-27T12:00:00Z".parse().unwrap());
        let clock: SharedClock = Arc::new(manual.clone());
        let table = ModelTable::default();
        let model = table.model(Kind::Upscale).id.clone();
        let job = "j".parse().unwrap();
        let told = async || format!("{:?}", at_rest(&table, &ledger, &clock).await);
        assert!(told().await.contains("none"));
        for _ in 0..2 {
            let now = clock.now();
            let noted = ledger.note_model(&model, &job, Verdict::Fails, now, &RULES);
            noted.await.unwrap();
        }
        let rests = format!("{model} (until 2026-11-27T12:02:00Z)");
        assert!(told().await.contains(&rests), "{}", told().await);
        manual.advance(RULES.rest);
        let asked = ledger.ask_model(&model, &job, clock.now(), &RULES);
        asked.await.unwrap();
        let tried = format!("{model} (job j tries it)");
        assert!(told().await.contains(&tried), "{}", told().await);
    }
}
