mod nested;

use super::*;
use std::time::Duration;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, Vec<ConfigFault>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("filmlab.toml");
    std::fs::write(&path, file).unwrap();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::load(&Sources {
        file: Some(path),
        no_default_file: false,
        env,
    })
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
    let file = "[worker]\nlease = \"90s\"\nheartbeat = \"20s\"\n[server]\nlisten = \"127.0.0.1:1\"";
    let config = load(
        file,
        &[("FILMLAB_WORKER__LEASE", "2m"), ("WAVESPEED_API_KEY", "k")],
    )
    .unwrap();
    assert_eq!(config.worker.lease, Duration::from_secs(120));
    assert_eq!(config.worker.heartbeat, Duration::from_secs(20));
    assert_eq!(config.worker.budget, Duration::from_secs(1500));
    assert_eq!(config.provider.api_key, Some(Secret::new("k")));
}

#[test]
fn every_fault_is_told_at_once() {
    let file = "[worker]\nlease = \"1s\"\nattempts = 0\n[credits]\nmode = \"free\"\n[server]\nlisten = \"here\"\nport = 1\n[profiles.x]\ncrf = \"low\"";
    let faults = load(file, &[("FILMLAB_LINKS__TTL", "long")]).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "worker.lease",
        "worker.attempts",
        "credits.mode",
        "server.listen",
        "server.port",
        "links.ttl",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {faults:?}");
    }
}

#[test]
fn owners_are_bounded_where_a_setting_says_so() {
    let owner = |name: &str| name.parse().unwrap();
    let config = load("", &[]).unwrap();
    assert_eq!(config.owners, OwnerLimits::default());

    let file = "[owners]\njobs = 20\ncredits_a_day = 500\n\
                [owners.own.\"Alice-B\"]\njobs = 200\nwaiting = 9";
    let config = load(file, &[("FILMLAB_OWNERS__WAITING", "5")]).unwrap();
    let all = config.owners.of(&owner("bob"));
    assert_eq!(
        (all.jobs, all.waiting, all.credits_a_day),
        (Some(20), Some(5), Some(500))
    );
    let own = config.owners.of(&owner("Alice-B"));
    assert_eq!(
        (own.jobs, own.waiting, own.credits_a_day),
        (Some(200), Some(9), Some(500))
    );

    for (file, key) in [
        ("[owners]\njobs = 0", "owners.jobs"),
        ("[owners]\ncredits_a_day = -1", "owners.credits_a_day"),
        ("[owners.own.a]\nwaiting = 0", "owners.own.a.waiting"),
        ("[owners.own.a]\njob = 1", "owners.own.a.job"),
        ("[owners.own.\"a.b\"]\njobs = 1", "owners.own.a.b"),
    ] {
        let faults = load(file, &[]).unwrap_err();
        assert_eq!(faults[0].key, key, "{faults:?}");
    }
}

#[test]
fn an_open_api_is_for_this_machine_only() {
    let faults = load("[server]\nlisten = \"0.0.0.0:80\"", &[]).unwrap_err();
    assert_eq!(faults[0].key, "server.api_tokens");
}

#[test]
fn the_console_is_on_for_this_machine_and_elsewhere_for_tokens_only() {
    let on = |file: &str| load(file, &[]).map(|config| config.server.console.enabled);
    assert_eq!(on(""), Ok(true));
    let public = "[server]\npublic_url = \"https://films.example\"";
    assert_eq!(on(public), Ok(false));
    let open = "[server]\nlisten = \"0.0.0.0:80\"\njobs_api = false";
    assert_eq!(on(open), Ok(false));
    let faults = on(&format!("{open}\n[console]\nenabled = true")).unwrap_err();
    assert_eq!(faults[0].key, "server.api_tokens");
    let tokens = "api_tokens = [{ token = \"sixteen-letters-or-more\", role = \"viewer\" }]";
    assert_eq!(
        on(&format!("{open}\n{tokens}\n[console]\nenabled = true")),
        Ok(true)
    );
    for wrong in ["[console]\nsession = \"1s\"", "[console]\ncolour = 1"] {
        assert!(on(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_be_there_and_be_toml() {
    let sources = Sources {
        file: Some("/nonexistent.toml".into()),
        ..Sources::default()
    };
    assert_eq!(Config::load(&sources).unwrap_err().len(), 1);
    assert!(!load("[worker", &[]).unwrap_err().is_empty());
}

#[test]
fn secrets_do_not_show() {
    let config = load("", &[("FILMLAB_PROVIDER__API_KEY", "hush-hush")]).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
}

const KEY: (&str, &str) = ("FILMLAB_LINKS__KEY", "0123456789abcdef");

const CLOUD: &str = r#"
    [cloud]
    project = "demo"
    [storage]
    backend = "gcs"
    bucket = "films"
    [ledger]
    backend = "firestore"
    [queue]
    backend = "cloud_tasks"
    location = "europe-west1"
    name = "jobs"
    [server]
    public_url = "https://worker.example/"
    service_account = "tasks@demo.iam.gserviceaccount.com"
"#;

#[test]
fn a_cloud_deployment_is_a_few_lines() {
    let config = load(CLOUD, &[KEY, ("PORT", "8081"), ("K_SERVICE", "filmlab")]).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8081");
    assert!(!config.server.jobs_api);
    assert_eq!(
        config.server.tasks_auth,
        TasksAuth::Verify {
            audience: "https://worker.example".into(),
            service_account: "tasks@demo.iam.gserviceaccount.com".into(),
            certs: None,
        }
    );
    let Queue::CloudTasks(queue) = &config.queue else {
        panic!("{:?}", config.queue)
    };
    assert_eq!(
        queue.name,
        "projects/demo/locations/europe-west1/queues/jobs"
    );
    let Ledger::Firestore(database) = &config.ledger else {
        panic!("{:?}", config.ledger)
    };
    assert_eq!(
        (database.project.as_str(), database.name.as_str()),
        ("demo", "(default)")
    );
    assert!(config.provider.callbacks);
    let crate::telemetry::LogFormat::Cloud(name) = &config.log.format else {
        panic!("{:?}", config.log)
    };
    assert_eq!(
        (name.project.as_deref(), name.service.as_str()),
        (Some("demo"), "filmlab")
    );
}

#[test]
fn what_a_cloud_deployment_lacks_is_told_at_once() {
    let file = "[storage]\nbackend = \"gcs\"\n[ledger]\nbackend = \"firestore\"\n[queue]\nbackend = \"cloud_tasks\"\n[links]\nttl = \"2days\"\n[log]\nformat = \"xml\"\n[cloud]\ncredentials = \"/none.json\"";
    let faults = load(file, &[("PORT", "http")]).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "storage.bucket",
        "cloud.project",
        "queue.location",
        "queue.name",
        "server.public_url",
        "server.audience",
        "server.service_account",
        "links.key",
        "log.format",
        "cloud.credentials",
        "PORT",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {faults:?}");
    }
    for (file, key) in [
        ("[storage]\nbackend = \"s3\"", "storage.backend"),
        ("[server]\ntasks_auth = \"none\"", "server.tasks_auth"),
        ("[server]\ntasks_auth = \"token\"", "server.task_token"),
        ("[server]\ntask_token = \"short\"", "server.task_token"),
        (
            "[storage]\nbackend = \"gcs\"\nbucket = \"b\"\n[links]\nttl = \"13h\"",
            "links.ttl",
        ),
        ("[queue]\nname = \"jobs\"", "queue.name"),
    ] {
        let faults = load(file, &[]).unwrap_err();
        assert!(
            faults.iter().any(|fault| fault.key == key),
            "{file}: {faults:?}"
        );
    }
}

#[test]
fn a_round_makes_no_more_submissions_than_a_job_remembers() {
    let keys = |attempts: u32, resubmissions: u32| -> Vec<String> {
        let file = format!(
            "[worker]\nattempts = {attempts}\n[provider]\nmax_resubmissions = {resubmissions}"
        );
        let faults = load(&file, &[]).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.key).collect()
    };
    for (attempts, resubmissions) in [(3, 1), (7, 1), (8, 0), (1, 7)] {
        let faults = keys(attempts, resubmissions);
        assert!(faults.is_empty(), "{attempts}, {resubmissions}: {faults:?}");
    }
    for (attempts, resubmissions) in [(8, 1), (9, 0), (20, 1), (1, 8), (1, u32::MAX)] {
        let faults = keys(attempts, resubmissions);
        assert_eq!(faults, ["worker.attempts"], "{attempts}, {resubmissions}");
    }
}

#[test]
fn a_visit_ends_before_the_queue_brings_its_task_again() {
    let faults = |file: &str, budget: &str| -> Vec<String> {
        let file = format!("{file}\n[worker]\nbudget = \"{budget}\"");
        let faults = load(&file, &[KEY]).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.key).collect()
    };
    assert!(faults(CLOUD, "29m").is_empty());
    // The watchdog's 30 s and a heartbeat of 15 s come on top.
    assert_eq!(faults(CLOUD, "29m 15s"), ["worker.budget"]);
    assert_eq!(faults(CLOUD, "1h"), ["worker.budget"]);
    // The built-in queue waits for as long as a visit takes.
    assert!(faults("", "1h").is_empty());
    assert_eq!(faults("", "0s"), ["worker.budget"]);
}

#[test]
fn what_a_late_cancellation_costs_is_the_operators_word_or_the_default_of_its_time() {
    use crate::job::CancelAfterSubmit::{Capture, Release};
    let costs = |word: &str| {
        let file = match word {
            "" => String::new(),
            word => format!("[credits]\ncancel_after_submit = \"{word}\""),
        };
        let credits = load(&file, &[]).unwrap().credits;
        (credits.cancel_after_submit, credits.cancel_unsaid)
    };
    assert_eq!(costs(""), (Capture, Release));
    assert_eq!(costs("capture"), (Capture, Capture));
    assert_eq!(costs("release"), (Release, Release));
}

#[test]
fn files_are_kept_as_long_as_is_said() {
    let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
    let kept = load("", &[]).unwrap().retention;
    assert_eq!(
        (kept.results, kept.failed, kept.sources, Some(kept.work)),
        (days(30), days(7), days(7), days(1))
    );
    let file = "[retention]\nresults = \"never\"\nfailed = \"2days\"";
    let kept = load(file, &[]).unwrap().retention;
    assert_eq!((kept.results, kept.failed), (None, days(2)));
    let file = "[retention]\nresults = \"soon\"\nfailed = \"0s\"\nwork = \"1m\"";
    let faults = load(file, &[]).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        ["retention.results", "retention.failed", "retention.work"]
    );
}

#[test]
fn the_account_is_of_the_lowest_tier_until_said_otherwise() {
    let limits = |file: &str| {
        let limits = load(file, &[]).unwrap().provider.limits;
        limits.map(|limits| (limits.max_per_minute.get(), limits.max_concurrent.get()))
    };
    assert_eq!(limits(""), Some((2, 2)));
    assert_eq!(limits("[provider]\ntier = \"silver\""), Some((60, 100)));
    let own = "[provider]\ntier = \"gold\"\nmax_concurrent = 7";
    assert_eq!(limits(own), Some((600, 7)));
    // The sandbox says itself what it takes.
    let local = "[provider]\nbase_url = \"http://127.0.0.1:9\"";
    assert_eq!(limits(local), None);
    assert_eq!(
        limits(&format!("{local}\nmax_per_minute = 9")),
        Some((9, 2))
    );
    let file = "[provider]\ntier = \"wood\"\nmax_concurrent = 0\nlow_balance = -1";
    let faults = load(file, &[]).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "provider.tier",
        "provider.max_concurrent",
        "provider.low_balance",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {faults:?}");
    }
}

#[test]
fn nothing_changes_on_a_single_machine() {
    let config = load("", &[]).unwrap();
    assert_eq!(
        (config.storage, config.ledger, config.queue),
        (Storage::Directory, Ledger::Sqlite, Queue::Embedded)
    );
    assert_eq!(config.server.tasks_auth, TasksAuth::Closed);
    assert_eq!(config.log.format, crate::telemetry::LogFormat::Text);
    assert!(config.server.jobs_api && config.server.listen.ip().is_loopback());
}

#[test]
fn a_guarded_service_is_never_the_default_and_gets_no_callbacks() {
    let file = CLOUD.replace("[server]", "[server]\ntasks_auth = \"iam\"");
    let config = load(&file, &[KEY]).unwrap();
    assert!(matches!(config.server.tasks_auth, TasksAuth::Iam { .. }));
    assert!(!config.provider.callbacks);
}

#[test]
fn the_token_before_is_a_token_too() {
    let env = [
        ("FILMLAB_SERVER__API_TOKEN", "the-new-token-of-16"),
        ("FILMLAB_SERVER__API_OLD_TOKEN", "the-old-token-of-16"),
    ];
    let sources = Sources {
        no_default_file: true,
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap();
    let tokens: Vec<_> = config
        .server
        .api_tokens
        .iter()
        .map(|known| known.token.expose())
        .collect();
    assert_eq!(tokens, ["the-new-token-of-16", "the-old-token-of-16"]);
}
