//! `docs/upgrade.md`, step by step: a machine is upgraded, and goes back, with jobs under way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use filmlab::sandbox::{Fault, FaultRule, Faults, SandboxConfig};
use serde_json::Value;
use tokio::net::TcpListener;

use super::lab::Lab;
use super::remote::Remote;
use crate::support::require;

const PAGE: &str = include_str!("../../../docs/upgrade.md");

/// The commands of the page for one machine: those that upgrade, and those that go back.
fn steps() -> [String; 2] {
    let (_, section) = PAGE.split_once("\n## One machine\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks: Vec<String> = section
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split_once("```").unwrap().0.to_owned())
        .collect();
    blocks.try_into().unwrap()
}

/// What the commands need of a machine with systemd. A process that has ended counts as gone,
/// whether or not anybody asked for how it did.
const SYSTEMCTL: &str = r#"#!/bin/bash
set -eu
pid=$(cat "$ROOT/pid" 2>/dev/null || echo 0)
there() { kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status"; }
case "$1 $2" in
"stop filmlab")
    kill -TERM "$pid"
    while there; do sleep 0.05; done ;;
"start filmlab")
    "$ROOT/bin/filmlab" serve --listen "$LISTEN" >>"$ROOT/log" 2>&1 &
    pid=$!
    echo "$pid" >"$ROOT/pid"
    while ! curl --silent --fail --output "$ROOT/livez" "http://$LISTEN/livez"; do
        there || { cat "$ROOT/log" >&2; exit 1; }
        sleep 0.05
    done ;;
*) exit 64 ;;
esac
"#;

struct Machine<'a> {
    lab: &'a Lab,
    root: PathBuf,
    listen: String,
    remote: Remote<'a>,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        if std::fs::read_to_string(self.root.join("pid")).is_ok() {
            self.run("systemctl stop filmlab");
        }
    }
}

fn program(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl<'a> Machine<'a> {
    /// With the release before installed, and running.
    async fn new(lab: &'a Lab, root: &Path, before: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = port.local_addr().unwrap().to_string();
        drop(port);
        let root = root.to_path_buf();
        program(&root.join("stand-ins/make"), "#!/bin/sh\n");
        program(&root.join("stand-ins/sudo"), "#!/bin/sh\nexec \"$@\"\n");
        program(&root.join("stand-ins/systemctl"), SYSTEMCTL);
        let starts =
            |which: &str, program: &str| format!("#!/bin/sh\n# {which}\nexec {program} \"$@\"\n");
        program(&root.join("bin/filmlab"), &starts("before", before));
        let now = starts("now", env!("CARGO_BIN_EXE_filmlab"));
        program(&root.join("target/vendor/release/filmlab"), &now);
        let machine = Self {
            lab,
            root,
            remote: Remote::new(lab, &listen),
            listen,
        };
        machine.run("systemctl start filmlab");
        machine
    }

    /// Runs commands of the page, which names places of a machine of its own.
    fn run(&self, commands: &str) -> String {
        let data = self.lab.data().display().to_string();
        let commands = commands
            .replace("/var/lib/private/filmlab", &data)
            .replace(
                "/usr/local/bin",
                &self.root.join("bin").display().to_string(),
            )
            .replace("127.0.0.1:8080", &self.listen);
        let path = require::variable("PATH").into_string().unwrap();
        let settings = self.lab.command(&[]);
        let settings = settings
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let ran = Command::new("bash")
            .args(["-e", "-c", &commands])
            .envs(settings)
            .env(
                "PATH",
                format!("{}:{path}", self.root.join("stand-ins").display()),
            )
            .env("ROOT", &self.root)
            .env("LISTEN", &self.listen)
            .current_dir(&self.root)
            .output()
            .unwrap();
        let told = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
        assert!(ran.status.success(), "{commands}\n{told}");
        told
    }

    fn installed(&self) -> String {
        std::fs::read_to_string(self.root.join("bin/filmlab")).unwrap()
    }

    async fn create(&self, character: &Path) -> String {
        let remote = &self.remote;
        let (video, image) = (
            remote.upload(&self.lab.clip).await,
            remote.upload(character).await,
        );
        remote.create(&video, &image).await
    }

    async fn assert_opens(&self, id: &str) {
        let job = self.remote.job(id).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        let mut link: url::Url = job["result"]["video"].as_str().unwrap().parse().unwrap();
        let port = self.listen.rsplit(':').next().unwrap().parse().unwrap();
        link.set_port(Some(port)).unwrap();
        assert_eq!(self.lab.http.get(link).send().await.unwrap().status(), 200);
    }
}

/// `make chaos-upgrade` names the release before in FILMLAB_OLD_BINARY. Elsewhere this one stands
/// in for it: then it is the steps that are tried, and that nothing is lost on the way.
#[tokio::test]
async fn a_machine_is_upgraded_and_goes_back_as_the_page_says() {
    let Some(mut lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let Some(character) = require::fixture("character.png") else {
        return;
    };
    // A connection to the service that ran before is of no use.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    lab.http = client.build().unwrap();
    // Credits are granted by a command that the steps do not have.
    lab.set("CREDITS__MODE", "off");
    let before = require::variable("FILMLAB_OLD_BINARY")
        .into_string()
        .unwrap();
    let before = match before.as_str() {
        "" => env!("CARGO_BIN_EXE_filmlab"),
        named => named,
    };
    let place = tempfile::tempdir().unwrap();
    let machine = Machine::new(&lab, place.path(), before).await;
    let [upgrade, back] = steps();

    let first = machine.create(&character).await;
    machine
        .remote
        .until(&first, |job| job["status"] == "completed")
        .await;
    let busy = || Fault::TooManyRequests {
        retry_after: Some(1),
    };
    let waits = |job: &Value| job["status"] == "processing" && job["stage"] == "submit";
    lab.sandbox.add_fault(FaultRule::always(busy()));
    let second = machine.create(&character).await;
    machine.remote.until(&second, waits).await;

    machine.run(&upgrade);
    assert!(machine.installed().contains("# now"));
    // The copy of before lies there, whole.
    let copy = lab.data().with_extension("before");
    assert!(copy.join("filmlab.sqlite").is_file(), "{}", copy.display());
    machine.assert_opens(&first).await;
    lab.sandbox.set_faults(Faults::default());
    machine
        .remote
        .until(&second, |job| job["status"] == "completed")
        .await;
    // The provider's answer to what is paid for is under way when the service is stopped.
    let late = Fault::AnswerLate { ms: 1_500 };
    lab.sandbox.add_fault(FaultRule::once(late));
    let third = machine.create(&character).await;
    let began = Instant::now();
    while lab.sandbox.submissions().len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(waits(&machine.remote.job(&third).await));

    machine.run(&back);
    assert!(machine.installed().contains("# before"));
    for id in [&first, &second] {
        machine.assert_opens(id).await;
    }
    machine
        .remote
        .until(&third, |job| job["status"] == "completed")
        .await;
    machine.assert_opens(&third).await;
    // Each was paid for once, whoever went on with it.
    assert_eq!(lab.sandbox.submissions().len(), 3);
}
