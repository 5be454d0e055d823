"""The settings, and the files beside the script: held against the code, the docs and gcloud itself."""

import glob
import json
import os
import re
import shlex
import subprocess
import unittest

import flags
from support import DEPLOY, EXAMPLE, HERE, ROOT, installed, made, main, read, run, stand_in, with_settings

import settings as config
import stores

HOSTILE = ["; rm -rf /", "$(id)", "`id`", "a b", "a\tb", "-x", "--project=other", "'", '"', "a'b", "ä", "\u202e", "*",
           "../x", "a/b", "a,b", "a=b", "A" * 300, "&&", "|", "\\", "%n", "{}", "a:b"]


class Settings(unittest.TestCase):
    def faults(self, text):
        try:
            config.read(text)
        except config.Faults as faults:
            return "\n".join(faults.faults)
        return ""

    def test_the_example_names_every_setting_with_its_default(self):
        given = dict((name, value) for _, name, value in config.lines(EXAMPLE))
        self.assertEqual(list(given), [setting.name for setting in config.SETTINGS])
        for setting in config.SETTINGS:
            if not setting.required:
                self.assertEqual(given[setting.name], setting.default, setting.name)
        self.assertEqual(self.faults("PROJECT=my-project\nREGION=europe-west1\n"), "")
        self.assertEqual(config.read("PROJECT=my-project\nREGION=europe-west1\n").values, config.read(EXAMPLE).values)

    def test_odd_values_are_refused_by_name(self):
        for setting in config.SETTINGS:
            for value in HOSTILE:
                faults = self.faults(with_settings(**{setting.name: value}))
                self.assertIn(f"{setting.name} must be", faults, (setting.name, value))

    def test_no_name_of_a_resource_is_beyond_its_length(self):
        long = with_settings(PROJECT="p" * 30, SERVICE="s" * 23, BUCKET="b" * 63, FIRESTORE_DATABASE="d" * 63)
        read = config.read(long)
        self.assertLessEqual(len("s" * 23 + "-worker"), 30)
        self.assertLessEqual(len(f"{read['PROJECT']}-{read['SERVICE']}-build"), 63)
        self.assertLessEqual(len("s" * 23 + "-" + "1" * 13), 63)
        for name, length in (("PROJECT", 31), ("SERVICE", 24), ("BUCKET", 64), ("FIRESTORE_DATABASE", 64)):
            self.assertIn(name, self.faults(with_settings(**{name: "x" * length})))

    def test_all_faults_are_told_at_once_with_their_lines(self):
        faults = self.faults("PROJECT=x\nNONSENSE=1\nregion: x\nMEMORY=4\nMEMORY=5\n").splitlines()
        self.assertEqual(len(faults), 6)
        self.assertIn("line 2: NONSENSE is not a setting", faults)
        self.assertIn("line 5: MEMORY is given twice", faults)
        self.assertIn("REGION is required: a region, such as europe-west1", faults)

    def test_what_does_not_go_together_is_refused(self):
        for given, words in [
            ({"MEMORY": "16Gi"}, "needs CPU=4"), ({"MEMORY": "33Gi", "CPU": "8"}, "from 1Gi to 32Gi"),
            ({"CPU": "8"}, None), ({"CPU": "8", "MEMORY": "2Gi"}, "needs MEMORY=4Gi"),
            ({"MIN_INSTANCES": "21"}, "MIN_INSTANCES"), ({"MAX_INSTANCES": "1"}, "DISPATCHES_AT_ONCE"),
            ({"REQUEST_TIMEOUT": "900"}, "from 1800 to 3600"), ({"VISITS": "999"}, "1000 together"),
            ({"DISPATCHES_PER_SECOND": "501"}, "from 1 to 500"),
            ({"TASKS_AUTH": "iam", "JOBS_API": "on"}, "Authorization"),
        ]:
            faults = self.faults(with_settings(**given))
            self.assertIn(words, faults) if words else self.assertEqual(faults, "")

    def test_the_workers_own_settings_come_through_as_they_stand(self):
        odd = "a, b=c; $HOME $(id) `id` 'x' \"y\" ä * \\ ^;^ #"
        cloud = stand_in.Cloud()
        plan = run(cloud, "plan", settings=with_settings(FILMLAB_PROVIDER__BASE_URL=odd))
        self.assertEqual(plan.status, 0)
        cloud = installed(FILMLAB_PROVIDER__BASE_URL=odd)
        env = cloud.state["services"]["filmlab"]["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertIn({"name": "FILMLAB_PROVIDER__BASE_URL", "value": odd}, env)

    def test_the_workers_own_settings_are_looked_at(self):
        for name, words in [("FILMLAB_STORAGE__BUCKET", "set BUCKET instead"),
                            ("FILMLAB_PROVIDER__API_KEY", "is a secret"), ("FILMLAB_X", "is not a setting's name"),
                            ("FILMLAB_SERVER__TASK_TOKEN", "is a secret")]:
            self.assertIn(words, self.faults(with_settings(**{name: "x"})))
        ran = run(stand_in.Cloud(), "plan", settings=with_settings(FILMLAB_RETENTION__WORK="soon"))
        self.assertEqual((ran.status, ran.out), (64, ""))

    def test_every_printed_command_can_be_copied_into_a_shell(self):
        cloud = stand_in.Cloud()
        ran = run(cloud, "apply", settings=with_settings(SWEEP_SCHEDULE="*/5 1,2 * 1-3 *",
                                                         ALERT_EMAIL="a.b+c_d@ex-ample.co.uk"))
        printed = [shlex.split(re.sub(r" <\(.*\)$", "", line)) for line in ran.commands]
        self.assertEqual([line for line in printed if line[0] == "gcloud"],
                         [args for args in made(cloud.calls) if args[0] == "gcloud"])


def settings_page():
    """Each setting and its default, from the page that is made of what the worker reads by."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]* \| ([^|]*) \|", read("docs", "settings.md"), re.M)
    return {name: default.strip(" `") for name, default in rows}


class Code(unittest.TestCase):
    """What the script says twice, besides the worker's code."""

    def test_the_environment_has_names_of_settings(self):
        known = set(settings_page())
        cloud = installed(TASKS_AUTH="iam", FCM_PROJECT="my-project", METRICS="on")
        env = cloud.state["services"]["filmlab"]["spec"]["template"]["spec"]["containers"][0]["env"]
        names = [row["name"] for row in env if row["name"].startswith("FILMLAB_")]
        self.assertGreater(len(names), 15)
        for name in [*names, *config.TAKEN, "FILMLAB_NOTIFY__WEBHOOK_SECRET", "FILMLAB_RETENTION__WORK"]:
            key = name[len("FILMLAB_"):].lower().replace("__", ".")
            self.assertIn(key, known)

    def test_times_agree_with_the_workers(self):
        deadline = re.search(r"DISPATCH_DEADLINE: Duration = Duration::from_secs\((\d+) \* (\d+)\)",
                             read("src", "queue", "cloud_tasks.rs"))
        self.assertEqual(int(deadline[1]) * int(deadline[2]), config.DISPATCH_DEADLINE)
        pauses = [stores.seconds(settings_page()[f"worker.backoff_{end}"]) for end in ("min", "max")]
        cloud = installed()
        retry = cloud.state["queues"]["filmlab"]["retryConfig"]
        self.assertEqual((retry["minBackoff"], retry["maxBackoff"]), (f"{pauses[0]}s", f"{pauses[1]}s"))
        self.assertGreaterEqual(5 * 2 ** retry["maxDoublings"], pauses[1])
        self.assertEqual(retry["maxAttempts"], -1)
        service = cloud.state["services"]["filmlab"]["spec"]["template"]["spec"]
        self.assertGreaterEqual(service["timeoutSeconds"], config.DISPATCH_DEADLINE)

    def test_retention_is_the_workers(self):
        found = {kind: stores.seconds(settings_page()[f"retention.{kind}"]) for kind in stores.RETENTION}
        self.assertEqual(found, stores.RETENTION)

    def test_the_bucket_deletes_nothing_that_is_promised_to_stay(self):
        for given in ({}, {"FILMLAB_RETENTION__WORK": "36h"}, {"FILMLAB_RETENTION__FAILED": "never"}):
            settings = config.read(with_settings(**given))
            rules, kept = stores.lifecycle(settings), stores.retention(settings)
            self.assertEqual(stores.breaks_retention(rules, kept), [])
        self.assertEqual(rules["rule"][0]["condition"]["age"], 2)
        # The rule that docs/deploy.md once had, and others that would break a promise.
        kept = stores.RETENTION
        for condition, words in [({"age": 2, "matchesPrefix": ["work/"]}, "retention.failed"),
                                 ({"age": 20, "matchesPrefix": ["results/"]}, "retention.results"),
                                 ({"age": 9, "matchesPrefix": ["sources/u1"]}, "retention.sources"),
                                 ({"age": 3650}, "retention.results")]:
            broken = stores.breaks_retention({"rule": [{"action": {"type": "Delete"}, "condition": condition}]}, kept)
            self.assertIn(words, " ".join(broken))
        early = {"rule": [{"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 0}}]}
        self.assertEqual(len(stores.breaks_retention(early, kept)), 1)

    def test_the_docs_teach_no_other_life_cycle(self):
        for page in ("deploy.md", "operations.md"):
            for block in re.findall(r'\{"rule":.*?\n\]\}', read("docs", page), re.S):
                self.assertEqual(stores.breaks_retention(json.loads(block), stores.RETENTION), [], page)


class Image(unittest.TestCase):
    def test_a_build_gets_what_the_image_is_made_of_and_nothing_else(self):
        import image
        copied = set()
        for line in re.findall(r"^COPY (?!--from)(.*)$", read("Dockerfile"), re.M):
            copied.update(line.split()[:-1])
        self.assertGreater(len(copied), 5)
        inputs = tuple(f"{one}/" for one in image.INPUTS)
        self.assertEqual({one for one in copied if not f"{one}/".startswith(inputs)}, set())
        ignored = [line for line in read("scripts", "deploy", "build.ignore").splitlines()
                   if line and not line.startswith("#")]
        let = {line[2:] for line in ignored if line.startswith("!/")} - {"scripts"}
        self.assertEqual(let, set(image.INPUTS))
        self.assertEqual((ignored[0], "/scripts/*" in ignored), ("/*", True))

    def test_an_image_is_named_after_a_commit_that_holds_all_of_it(self):
        import image
        import tempfile
        from unittest import mock

        with tempfile.TemporaryDirectory() as folder, mock.patch.object(image, "ROOT", folder), \
                mock.patch.dict(os.environ, {"FILMLAB_REVISION": ""}):

            def git(*args):
                subprocess.run(["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@y", *args], check=True,
                               capture_output=True)

            def write(name):
                os.makedirs(os.path.dirname(os.path.join(folder, name)) or folder, exist_ok=True)
                with open(os.path.join(folder, name), "a", encoding="utf-8") as text:
                    text.write("x")

            with self.assertRaises(main.Stop):
                image.revision()
            git("init", "--quiet")
            write("Dockerfile")
            write("docs/a.md")
            git("add", "--all")
            git("commit", "--quiet", "--message=x")
            self.assertRegex(image.revision(), r"^[0-9a-f]{12}$")
            write("docs/a.md")
            write("my-settings")
            self.assertRegex(image.revision(), r"^[0-9a-f]{12}$")
            for name in ("src/new.rs", "Dockerfile"):
                write(name)
                with self.assertRaisesRegex(main.Stop, name.split("/")[0]):
                    image.revision()
                git("add", "--all")
                git("commit", "--quiet", "--message=x")


class Documents(unittest.TestCase):
    def metrics(self):
        rows = re.findall(r"^\| `(filmlab_\w+)` \| (\w+) \| ([^|]*) \|", read("docs", "metrics.md"), re.M)
        return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}

    def queries(self):
        for path in sorted(glob.glob(os.path.join(DEPLOY, "alerts", "*.json"))):
            with open(path, encoding="utf-8") as text:
                for condition in json.load(text)["conditions"]:
                    query = condition.get("conditionPrometheusQueryLanguage", {}).get("query")
                    if query:
                        yield path, query
        with open(os.path.join(DEPLOY, "dashboard.json"), encoding="utf-8") as text:
            for tile in json.load(text)["mosaicLayout"]["tiles"]:
                for data in tile["widget"]["xyChart"]["dataSets"]:
                    yield tile["widget"]["title"], data["timeSeriesQuery"]["prometheusQuery"]

    def test_alerts_and_dashboard_ask_for_metrics_that_there_are(self):
        known = self.metrics()
        self.assertGreater(len(known), 10)
        asked = set()
        for where, query in self.queries():
            self.assertTrue(re.search(r'namespace="@SERVICE@"|service_name="@SERVICE@"|queue_id="@QUEUE@"', query), where)
            for name, selector in re.findall(r"(filmlab_\w+)(\{[^}]*\})", query):
                base = re.sub(r"_(bucket|sum|count)$", "", name) if name not in known else name
                kind, labels = known[base]
                self.assertEqual(kind == "histogram", base != name, (where, name))
                self.assertEqual(kind in ("counter", "histogram"), bool(re.search(rf"(increase|rate)\({name}\{{", query)), (where, name))
                used = set(re.findall(r"(\w+)=", selector)) - {"job", "namespace"}
                self.assertLessEqual(used, labels, (where, name))
                asked.add(base)
            by = {label for group in re.findall(r"by \(([\w, ]+)\)", query) for label in group.split(", ")}
            for name in re.findall(r"filmlab_\w+", query):
                self.assertLessEqual(by - {"le"}, known[re.sub(r"_bucket$", "", name)][1], where)
        # What docs/operations.md calls worth an alarm has one.
        table = read("docs", "operations.md").partition("## Worth an alarm")[2].partition("\n## ")[0]
        alarms = set(re.findall(r"`(filmlab_\w+)", table))
        self.assertGreater(len(alarms), 6)
        self.assertLessEqual(alarms, asked)

    def test_every_alert_says_what_to_do(self):
        for path in glob.glob(os.path.join(DEPLOY, "alerts", "*.json")):
            with open(path, encoding="utf-8") as text:
                policy = json.load(text)
            self.assertGreater(len(policy["documentation"]["content"]), 60, path)
            self.assertIn(policy["severity"], ("WARNING", "CRITICAL"))
            log = any("conditionMatchedLog" in condition for condition in policy["conditions"])
            self.assertEqual("notificationRateLimit" in policy["alertStrategy"], log, path)

    def test_without_the_collector_there_are_no_alerts_on_its_numbers(self):
        cloud = installed(METRICS="off")
        text = json.dumps([cloud.state["alerts"], cloud.state["boards"], cloud.state["services"]])
        self.assertNotIn("filmlab_build_info", text)
        self.assertNotIn("collector", text)
        self.assertEqual(len(cloud.state["alerts"]), 4)
        run(cloud, "apply")
        self.assertGreater(len(cloud.state["alerts"]), 10)
        run(cloud, "apply", settings=with_settings(METRICS="off"))
        self.assertEqual(len(cloud.state["alerts"]), 4)

    def test_silence_is_an_alert_only_if_the_sweep_breaks_it(self):
        import watch
        for schedule, often in (("* * * * *", True), ("*/5 * * * *", True), ("*/30 * * * *", True),
                                ("*/45 * * * *", False), ("0 * * * *", False), ("* 8-18 * * *", False)):
            self.assertEqual(watch.twice_an_hour(schedule), often, schedule)
        for schedule, there in (("*/5 * * * *", True), ("0 * * * *", False)):
            cloud = installed(SWEEP_SCHEDULE=schedule)
            self.assertEqual("absent(filmlab_build_info" in json.dumps(cloud.state["alerts"]), there)

    def test_gcloud_itself_takes_the_documents(self):
        python, root = self.bundled()
        cloud = installed()
        folder = os.path.join(ROOT, "target", "deploy", "my-project", "filmlab")
        wanted = [["run.v1", "Service", f"{folder}/service.json"], ["cloudbuild.v1", "Build", f"{DEPLOY}/cloudbuild.json"],
                  ["monitoring.v1", "Dashboard", f"{folder}/dashboard.json"]]
        wanted += [["monitoring.v3", "AlertPolicy", path] for path in glob.glob(f"{folder}/alert-*.json")]
        done = subprocess.run([python, "-B", os.path.join(HERE, "documents.py"), root], input=json.dumps(wanted),
                              capture_output=True, text=True, cwd=HERE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), [])

    def bundled(self):
        """gcloud's own Python and folder; a machine without them skips the test."""
        import shutil
        program = shutil.which("gcloud")
        root = os.path.dirname(os.path.dirname(os.path.realpath(program))) if program else ""
        python = os.path.join(root, "platform", "bundledpythonunix", "bin", "python3")
        if not os.path.exists(python):
            self.skipTest("there is no Google Cloud CLI with its own Python")
        return python, root


class Flags(unittest.TestCase):
    def test_the_stand_in_knows_the_flags_that_gcloud_has(self):
        tree = flags.installed()
        if tree is None:
            self.skipTest("there is no Google Cloud CLI")
        table = flags.extract(tree)
        with open(flags.FILE, encoding="utf-8") as text:
            kept = json.load(text)
        # Another release may have more flags, but none of ours may be gone.
        for command, known in kept.items():
            missing = set(self.used().get(command, ())) - set(table[command])
            self.assertEqual(missing, set(), command)

    def used(self):
        used = {}
        cloud = stand_in.Cloud()
        run(cloud, "apply", settings=with_settings(ALERT_EMAIL="a@b.cd"))
        run(cloud, "apply", settings=with_settings(TASKS_AUTH="iam", MEMORY="8Gi", SWEEP_SCHEDULE="1 * * * *"))
        for _, args in cloud.calls:
            if args[0] == "gcloud":
                command, _, given = cloud.parse(args[1:])
                used.setdefault(command, set()).update(set(given) - set(stand_in.WIDE))
        return used

    def test_the_stand_in_is_strict(self):
        cloud = installed()
        wide = ["--project=my-project", "--quiet"]
        for args, words in [
            (["tasks", "queues", "crate", "x"], "Invalid choice"), (["secrets", "list", "--nonsense"], "unrecognized"),
            (["tasks", "queues", "list", "--location"], "a value"), (["secrets", "list", "--uri=1"], "a value"),
            (["firestore", "databases", "create", "--type=sql", "--location=x"], "Invalid choice"),
            (["storage", "buckets", "get-iam-policy", "gs://not-there"], "NOT_FOUND"),
            (["secrets", "versions", "list", "not-there"], "NOT_FOUND"), (["secrets", "create"], "wrong number"),
            (["tasks", "queues", "get-iam-policy", "filmlab"], "--location is wanted"),
            (["projects", "add-iam-policy-binding", "my-project", "--member=serviceAccount:no@x", "--role=roles/owner",
              "--condition=None"], "role"),
        ]:
            status, _, said = cloud([*args, *wide], "")
            self.assertNotEqual(status, 0, args)
            self.assertIn(words, said)
        cloud.state["enabled"].remove("cloudtasks.googleapis.com")
        self.assertIn("SERVICE_DISABLED", cloud(["tasks", "queues", "list", "--location=europe-west1", *wide], "")[2])


class Docs(unittest.TestCase):
    def test_every_gcloud_command_of_the_docs_is_one(self):
        cloud = stand_in.Cloud()
        count = 0
        for page in ("docs/deploy.md", "docs/operations.md", "docs/upgrade.md", "README.md", "scripts/deploy/settings.example"):
            text = read(*page.split("/"))
            blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
            lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
            lines += re.findall(r"`(gcloud [^`]+)`", text)
            for line in lines:
                if line.lstrip().startswith("#"):
                    continue
                for part in re.findall(r"(?<![\w./-])gcloud [a-z][^|;\n]*", re.sub(r"\s+#.*$", "", line)):
                    words = shlex.split(part.rstrip(")"))
                    with self.subTest(page=page, line=part):
                        cloud.parse(words[1:])
                        count += 1
        self.assertGreater(count, 5)


if __name__ == "__main__":
    unittest.main()
