"""scripts/deploy/gcloud.sh against a stand-in for Google Cloud.

    python3 -B -m unittest discover -s scripts/deploy/test
"""

import copy
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import support
from support import DEPLOY, EXAMPLE, HERE, PROVIDER_KEY, installed, made, run, stand_in, with_settings

EVERYTHING = {"ALERT_EMAIL": "ops+alerts@example.com", "JOBS_API": "on", "FCM_PROJECT": "my-project",
              "POINT_IN_TIME_RECOVERY": "on", "FILMLAB_NOTIFY__WEBHOOK_URL": "https://app.example/hook"}


def settled(cloud):
    """What there is, without the numbers that Google gives out and what a broken run may leave over."""
    state = copy.deepcopy(cloud.state)
    state.pop("next")
    content = {row["name"]: row["source"] for row in state.pop("rulesets")}
    state["releases"] = {name: content[ruleset] for name, ruleset in state["releases"].items()}
    state["policies"] = {key: sorted(map(str, rows)) for key, rows in state["policies"].items() if rows}
    state["secrets"] = {name: len(versions) for name, versions in state["secrets"].items()}
    state["tags"] = sorted(set(state["tags"]))
    text = json.dumps({key: state[key] if key not in ("alerts", "channels", "boards", "indexes")
                       else sorted(map(str, state[key].values())) for key in state}, sort_keys=True)
    text = re.sub(r"filmlab-\d{5}-abc", "REVISION", text)
    text = re.sub(r"(alertPolicies|notificationChannels|dashboards|indexes)/\d+", r"\1/N", text)
    return re.sub(r"'etag': '\d+'", "'etag': N", text)


class Order(unittest.TestCase):
    def test_nothing_is_used_before_it_is_there_and_a_second_run_changes_nothing(self):
        cloud = stand_in.Cloud()
        settings = with_settings(**EVERYTHING)
        ran = run(cloud, "apply", settings=settings)
        self.assertEqual((ran.status, ran.said), (0, ""))
        after = settled(cloud)
        cloud.calls.clear()
        again = run(cloud, "apply", settings=settings)
        self.assertEqual((again.status, made(cloud.calls)), (0, []))
        self.assertIn("Nothing to change.", again.out)
        self.assertEqual(settled(cloud), after)

    def test_the_parts_come_in_the_order_in_which_they_need_each_other(self):
        cloud = stand_in.Cloud()
        run(cloud, "apply")
        calls = [" ".join(args) for args in made(cloud.calls)]

        def first(text):
            return next(number for number, call in enumerate(calls) if text in call)

        order = ["services enable", "service-accounts create filmlab-worker", "--role=roles/datastore.user",
                 "databases create", "indexes composite create", "/rulesets", "/releases", "buckets create",
                 "queues create", "secrets create", "versions add", "repositories create", "builds submit",
                 "run services replace", "--member=allUsers", "scheduler jobs create", "policies create",
                 "dashboards create"]
        self.assertEqual(order, sorted(order, key=first))

    def test_roles_are_given_on_the_smallest_thing(self):
        cloud = installed(FCM_PROJECT="my-project")
        on = {}
        for key, rows in cloud.state["policies"].items():
            for role, who, condition in rows:
                on.setdefault((who.rpartition(":")[2].partition("@")[0], role), []).append((key, condition))
        project = {role for (_, role), places in on.items() if places[0][0].startswith("projects/")}
        self.assertEqual(project, {"roles/datastore.user", "roles/monitoring.metricWriter",
                                   "roles/logging.logWriter", "roles/firebasecloudmessaging.admin"})
        self.assertEqual(on["filmlab-worker", "roles/datastore.user"][0][1].partition(",")[0],
                         'expression=resource.name=="projects/my-project/databases/(default)"')
        self.assertEqual(on["filmlab-worker", "roles/storage.objectUser"], [("buckets/my-project-filmlab", None)])
        self.assertEqual(on["filmlab-worker", "roles/cloudtasks.enqueuer"], [("queues/filmlab", None)])
        self.assertFalse([role for _, role in on if role in ("roles/owner", "roles/editor", "roles/viewer")])
        self.assertFalse([key for key in on if key[0] == "filmlab-tasks"])


class Failures(unittest.TestCase):
    """Each change fails once: before it is done, and after it, with its answer lost."""

    def each(self, done):
        settings = with_settings(**EVERYTHING)
        whole = stand_in.Cloud()
        self.assertEqual(run(whole, "apply", settings=settings).status, 0)
        wanted, total = settled(whole), whole.changes
        self.assertGreater(total, 60)
        for number in range(1, total + 1):
            with self.subTest(change=number):
                cloud = stand_in.Cloud()
                cloud.fail_at, cloud.fail_done = number, done
                stopped = run(cloud, "apply", settings=settings)
                self.assertEqual(stopped.status, 1)
                self.assertIn("stopped:", stopped.said)
                self.assertIn("What to do:", stopped.said)
                self.assertIn("it goes on from here", stopped.said)
                self.assertEqual(cloud.changes, number, "nothing is done after a failure")
                failed = made(cloud.calls)[-1]
                if failed[0] == "gcloud":
                    printed = re.sub(r" <\(.*\)$", "", stopped.commands[-1])
                    self.assertEqual(printed, shlex.join(failed), "what was said last is what failed")
                cloud.fail_at = None
                before = len(cloud.calls)
                ran = run(cloud, "apply", settings=settings)
                self.assertEqual((ran.status, ran.said), (0, ""))
                self.assertEqual(settled(cloud), wanted)
                # Nothing is done twice, but for rules that were sent and whose answer was lost.
                twice = len(made(cloud.calls[before:])) - (total - number + (not done))
                self.assertLessEqual(twice, 1)

    def test_a_failure_at_each_change_and_then_on_from_there(self):
        self.each(done=False)

    def test_a_lost_answer_at_each_change_and_then_on_from_there(self):
        self.each(done=True)

    def test_a_look_that_fails_stops_before_anything_is_made_of_it(self):
        whole = installed()
        run(whole, "apply")
        looks = len(whole.calls)
        for number in range(1, looks + 1):
            cloud = whole.copy()
            count = 0

            def failing(args, stdin):
                nonlocal count
                count += 1
                return (1, "", "INTERNAL: away") if count == number else cloud(args, stdin)

            failing.state, failing.rules = cloud.state, cloud.rules
            ran = run(failing, "apply")
            if count < number:
                continue
            with self.subTest(look=number):
                self.assertEqual((ran.status, made(cloud.calls)), (1, []))

    def test_what_is_young_is_waited_for(self):
        cloud = stand_in.Cloud()
        late = {"left": 3}

        def propagating(args, stdin):
            if "add-iam-policy-binding" in args and late["left"]:
                late["left"] -= 1
                return 1, "", "INVALID_ARGUMENT: Service account filmlab-worker does not exist."
            return cloud(args, stdin)

        propagating.rules = cloud.rules
        ran = run(propagating, "apply")
        self.assertEqual((ran.status, ran.out.count("trying again")), (0, 3))

    def test_what_is_old_is_not_waited_for(self):
        cloud = installed()
        cloud.state["policies"]["queues/filmlab"] = []
        tries = []

        def refusing(args, stdin):
            if "add-iam-policy-binding" in args:
                tries.append(args)
                return 1, "", "PERMISSION_DENIED: you may not"
            return cloud(args, stdin)

        refusing.rules = cloud.rules
        ran = run(refusing, "apply")
        self.assertEqual((ran.status, len(tries)), (1, 1))
        self.assertIn("lacks a role", ran.said)

    def test_advice_fits_the_failure(self):
        for said, advice in (("Billing must be enabled", "billing account"), ("409 already exists", "another one"),
                             ("You do not currently have an active account selected", "gcloud auth login")):
            cloud = stand_in.Cloud()

            def failing(args, stdin):
                return (1, "", said) if "enable" in args else cloud(args, stdin)

            ran = run(failing, "apply")
            self.assertIn(advice, ran.said)


class Plan(unittest.TestCase):
    """`plan` changes nothing and says exactly what `apply` then does."""

    def same(self, cloud, settings=EXAMPLE):
        before = copy.deepcopy(cloud.state)
        cloud.calls.clear()
        plan = run(cloud, "plan", settings=settings)
        self.assertEqual((plan.status, plan.said), (0, ""))
        self.assertEqual((made(cloud.calls), cloud.state), ([], before))
        cloud.calls.clear()
        apply = run(cloud, "apply", settings=settings)
        self.assertEqual((apply.status, apply.said), (0, ""))
        self.assertEqual(plan.commands, apply.commands)
        self.assertEqual(plan.out.split("\n\n")[0], apply.out.split("\n\n")[0])
        done = [shlex.join(args) for args in made(cloud.calls)]
        printed = [re.sub(r" <\(.*\)$", "", line) for line in apply.commands]
        printed = [re.sub(r"^(POST|PATCH) http://[^/]*", r"\1 ", line) for line in printed]
        self.assertEqual(printed, done)
        return plan

    def test_of_an_empty_project(self):
        self.same(stand_in.Cloud(), with_settings(**EVERYTHING))

    def test_of_what_a_broken_run_left(self):
        whole = stand_in.Cloud()
        run(whole, "apply")
        for number in range(2, whole.changes, 3):
            cloud = stand_in.Cloud()
            cloud.fail_at = number
            run(cloud, "apply")
            cloud.fail_at = None
            with self.subTest(change=number):
                self.same(cloud)

    def test_of_changed_settings(self):
        changes = [
            {"MEMORY": "8Gi", "VISITS": "6"}, {"SWEEP_SCHEDULE": "*/5 * * * *"}, {"SOFT_DELETE_DAYS": "0"},
            {"DISPATCHES_AT_ONCE": "50"}, {"METRICS": "off"}, {"JOBS_API": "on"}, {"TASKS_AUTH": "iam"},
            {"ALERT_EMAIL": "ops@example.com"}, {"POINT_IN_TIME_RECOVERY": "on"}, {"CPU_BILLING": "instance"},
            {"FILMLAB_RETENTION__WORK": "3days"}, {"IMAGE": "docker.io/library/filmlab:2"},
            {"PUBLIC_URL": "https://lab.example"}, {"FCM_PROJECT": "my-project"},
        ]
        for change in changes:
            with self.subTest(change):
                plan = self.same(installed(), with_settings(**change))
                self.assertGreater(len(plan.commands), 0)

    def test_of_an_installation_that_is_as_it_should_be(self):
        self.assertEqual(self.same(installed()).commands, [])

    def test_what_was_changed_by_hand_is_shown_and_mended(self):
        cloud = installed()
        spec = cloud.state["services"]["filmlab"]["spec"]["template"]["spec"]
        spec["containers"][0]["resources"]["limits"]["memory"] = "1Gi"
        spec["containers"][0]["env"].append({"name": "FILMLAB_LOG__FILTER", "value": "debug"})
        cloud.state["queues"]["filmlab"]["retryConfig"]["maxAttempts"] = 5
        cloud.state["buckets"]["my-project-filmlab"]["lifecycle"] = {"rule": [
            {"action": {"type": "Delete"}, "condition": {"age": 2, "matchesPrefix": ["work/"]}}]}
        plan = self.same(cloud)
        self.assertIn("filmlab: memory: 1Gi → 4Gi", plan.out)
        self.assertIn("filmlab: FILMLAB_LOG__FILTER: debug → –", plan.out)
        self.assertIn("queue filmlab: maxAttempts", plan.out)
        self.assertIn("life cycle of my-project-filmlab", plan.out)
        self.assertIn('was: {"action": {"type": "Delete"}', plan.out)


class Service(unittest.TestCase):
    def test_the_door_is_shut_before_the_worker_trusts_it(self):
        cloud = installed()
        run(cloud, "apply", settings=with_settings(TASKS_AUTH="iam"))
        calls = [" ".join(args[1:4]) for args in made(cloud.calls)]
        self.assertEqual(calls[:3], ["run services remove-iam-policy-binding", "run services replace",
                                     "run services add-iam-policy-binding"])
        self.assertEqual(cloud.state["policies"]["services/filmlab"],
                         [["roles/run.invoker", "serviceAccount:filmlab-tasks@my-project.iam.gserviceaccount.com", None]])

    def test_requests_stay_where_somebody_has_sent_them(self):
        cloud = installed()
        back = [{"revisionName": "filmlab-00001-abc", "percent": 100}]
        cloud.state["services"]["filmlab"]["spec"]["traffic"] = back
        ran = run(cloud, "apply", settings=with_settings(MEMORY="8Gi"))
        self.assertEqual(cloud.state["services"]["filmlab"]["spec"]["traffic"], back)
        self.assertIn("--to-latest", ran.out)

    def test_concurrency_is_what_the_places_add_up_to(self):
        cloud = installed(VISITS="10", FETCHES="3", NOTICES="2")
        spec = cloud.state["services"]["filmlab"]["spec"]["template"]["spec"]
        self.assertEqual(spec["containerConcurrency"], 15)

    def test_a_service_at_another_address_is_told(self):
        cloud = stand_in.Cloud()
        real = cloud.run_services_replace

        def elsewhere(words, flags, stdin):
            real(words, flags, stdin)
            notes = cloud.state["services"]["filmlab"]["metadata"]["annotations"]
            notes["run.googleapis.com/urls"] = '["https://filmlab-else.a.run.app"]'

        cloud.run_services_replace = elsewhere
        ran = run(cloud, "apply")
        self.assertEqual(ran.status, 1)
        self.assertIn("https://filmlab-else.a.run.app", ran.said)
        self.assertIn("PUBLIC_URL", ran.said)

    def test_an_apps_own_rules_and_recovery_stay(self):
        theirs = {"name": "projects/my-project/rulesets/theirs",
                  "source": {"files": [{"name": "firestore.rules", "content": "rules of an app"}]}}
        release = "projects/my-project/releases/cloud.firestore"
        for mode, kept in (("auto", True), ("off", True), ("replace", False)):
            cloud = installed()
            cloud.state["rulesets"].append(theirs)
            cloud.state["releases"][release] = theirs["name"]
            cloud.state["databases"]["(default)"]["pointInTimeRecoveryEnablement"] = "POINT_IN_TIME_RECOVERY_ENABLED"
            ran = run(cloud, "apply", settings=with_settings(FIRESTORE_RULES=mode))
            self.assertEqual(ran.status, 0)
            self.assertEqual(cloud.state["releases"][release] == theirs["name"], kept, mode)
            self.assertEqual("rules of somebody else" in ran.out, mode == "auto")
            self.assertEqual(made(cloud.calls) == [], kept, mode)

    def test_an_earlier_version_of_our_rules_is_renewed(self):
        cloud = installed()
        cloud.state["rulesets"][-1]["source"]["files"][0]["content"] = "an earlier version"
        run(cloud, "apply")
        self.assertEqual([args[0] for args in made(cloud.calls)], ["POST", "PATCH"])
        cloud.calls.clear()
        run(cloud, "apply")
        self.assertEqual(made(cloud.calls), [])

    def test_push_stops_until_the_image_is_there(self):
        settings = with_settings(BUILD="push")
        cloud = stand_in.Cloud()
        ran = run(cloud, "apply", settings=settings)
        name = "europe-west1-docker.pkg.dev/my-project/filmlab/filmlab:abcdef123456"
        self.assertEqual(ran.status, 1)
        self.assertIn(f"docker push {name}", ran.said)
        cloud.state["tags"].append(name)
        self.assertEqual(run(cloud, "apply", settings=settings).status, 0)
        self.assertNotIn("filmlab-build", json.dumps(cloud.state["accounts"]))

    def test_stores_of_the_wrong_kind_or_place_are_refused(self):
        for change, words in (({"type": "DATASTORE_MODE"}, "DATASTORE_MODE"), ({"locationId": "nam5"}, "nam5")):
            cloud = installed()
            cloud.state["databases"]["(default)"].update(change)
            ran = run(cloud, "apply")
            self.assertEqual((ran.status, made(cloud.calls)), (1, []))
            self.assertIn(words, ran.said)
        cloud = installed()
        cloud.state["buckets"]["my-project-filmlab"]["location"] = "US"
        self.assertIn("BUCKET_LOCATION", run(cloud, "apply").said)


class Secrets(unittest.TestCase):
    def test_values_are_never_shown_or_put_on_a_command_line(self):
        cloud = stand_in.Cloud()
        ran = run(cloud, "apply", settings=with_settings(**EVERYTHING))
        self.assertEqual(len(cloud.values), 4)
        self.assertEqual(cloud.values[0], PROVIDER_KEY)
        for value in cloud.values:
            self.assertGreaterEqual(len(value), 16)
            self.assertNotIn(value, ran.out + ran.said + json.dumps(cloud.calls))
            self.assertNotIn(value, json.dumps(cloud.state["services"]))
        self.assertEqual(len(set(cloud.values)), 4)

    def test_without_a_terminal_a_value_has_to_be_given_before(self):
        cloud = stand_in.Cloud()
        ran = run(cloud, "apply", stdin="")
        self.assertEqual(ran.status, 1)
        self.assertIn("gcloud.sh secret", ran.said)
        self.assertEqual(run(cloud, "secret", "filmlab-provider-key", stdin="wk-given\n").status, 0)
        self.assertEqual(cloud.values, ["wk-given"])
        self.assertEqual(run(cloud, "apply", stdin="").status, 0)

    def test_a_value_can_be_given_before_there_is_anything(self):
        cloud = stand_in.Cloud()
        self.assertEqual(run(cloud, "secret", "filmlab-provider-key", stdin="wk-first").status, 0)
        self.assertEqual(run(cloud, "apply", stdin="").status, 0)

    def test_a_new_version_comes_with_a_new_revision(self):
        cloud = installed()
        run(cloud, "secret", "filmlab-provider-key", stdin="wk-new")
        ran = run(cloud, "apply")
        self.assertIn("secret filmlab-provider-key version 1 → secret filmlab-provider-key version 2", ran.out)
        self.assertEqual([args[1:4] for args in made(cloud.calls)][-1], ["run", "services", "replace"])

    def test_a_version_that_was_disabled_is_not_used(self):
        cloud = installed()
        cloud.state["secrets"]["filmlab-link-key"] = ["ENABLED", "DISABLED", "DESTROYED"]
        run(cloud, "apply")
        text = json.dumps(cloud.state["services"]["filmlab"])
        self.assertIn('{"name": "filmlab-link-key", "key": "1"}', text)
        cloud.state["secrets"]["filmlab-link-key"] = ["DESTROYED", "DISABLED"]
        self.assertEqual(run(cloud, "apply").status, 0)
        self.assertIn('{"name": "filmlab-link-key", "key": "3"}', json.dumps(cloud.state["services"]["filmlab"]))

    def test_odd_values_are_refused(self):
        for value in ("", "\n", "two words", "a\nb", "tab\t"):
            cloud = installed()
            ran = run(cloud, "secret", "filmlab-provider-key", stdin=value)
            self.assertEqual((ran.status, made(cloud.calls)), (1, []), value)
        self.assertEqual(run(installed(), "secret", "another-secret", stdin="x").status, 1)


class Destroy(unittest.TestCase):
    def answered(self, cloud, text, *args, settings=EXAMPLE):
        return run(cloud, "destroy", *args, settings=settings, stdin=text)

    def setUp(self):
        import builtins
        self.addCleanup(setattr, builtins, "input", builtins.input)
        # As at a terminal, but for the prompt on standard output.
        builtins.input = lambda prompt="": (print(prompt), sys.stdin.readline())[1]
        import support
        self.addCleanup(setattr, support.main.destroy.destroy, "__defaults__", support.main.destroy.destroy.__defaults__)
        support.main.destroy.destroy.__defaults__ = (builtins.input,)

    def test_says_what_goes_asks_and_keeps_data(self):
        settings = with_settings(**EVERYTHING)
        cloud = installed(**EVERYTHING)
        for typed in ("", "y\n", "yes\n", "MY-PROJECT\n", "my-projec\n"):
            ran = self.answered(cloud, typed, settings=settings)
            self.assertEqual((ran.status, made(cloud.calls)), (1, []), typed)
            self.assertIn("nothing was deleted", ran.said)
        ran = self.answered(cloud, "my-project\n", settings=settings)
        self.assertEqual((ran.status, ran.said), (0, ""))
        self.assertIn("The bucket my-project-filmlab and all files in it stay.", ran.out)
        self.assertIn("(default) and all jobs and credits in it stay.", ran.out)
        left = {kind for kind, value in cloud.state.items() if value and kind not in ("projects", "enabled", "next", "policies")}
        self.assertEqual(left, {"buckets", "databases", "indexes", "fields", "rulesets", "releases"})
        self.assertEqual(list(cloud.state["buckets"]), ["my-project-filmlab"])
        self.assertEqual(cloud.state["policies"]["projects/my-project"],
                         [row for row in cloud.state["policies"]["projects/my-project"] if "firebase" in row[0]])
        again = self.answered(cloud, "my-project\n", settings=with_settings())
        self.assertIn("There is nothing to delete.", again.out)

    def test_data_goes_only_by_its_name(self):
        cloud = installed()
        ran = self.answered(cloud, "my-project\n", "--with-bucket", "my-project", "--with-database", "(default)")
        self.assertEqual((ran.status, made(cloud.calls)), (1, []))
        ran = self.answered(cloud, "my-project\n", "--with-bucket", "my-project-filmlab", "--with-database", "(default)")
        self.assertEqual((ran.status, ran.said), (0, ""))
        self.assertEqual((cloud.state["buckets"], cloud.state["databases"]), ({}, {}))

    def test_what_starts_work_goes_first_and_a_failure_can_be_gone_on_from(self):
        whole = installed()
        self.answered(whole, "my-project\n")
        calls = [" ".join(args[1:4]) for args in made(whole.calls)]
        self.assertEqual(calls[:3], ["scheduler jobs delete", "tasks queues delete", "run services delete"])
        for number in range(1, len(calls) + 1):
            cloud = installed()
            cloud.changes, cloud.fail_at = 0, number
            self.assertEqual(self.answered(cloud, "my-project\n").status, 1)
            cloud.fail_at = None
            self.assertEqual(self.answered(cloud, "my-project\n").status, 0)
            self.assertEqual(settled(cloud), settled(whole))

    def test_another_installation_in_the_project_stays(self):
        cloud = installed()
        other = with_settings(SERVICE="second", BUCKET="second-bucket", FIRESTORE_DATABASE="second",
                              ALERT_EMAIL="ops@example.com")
        self.assertEqual(run(cloud, "apply", settings=other).status, 0)
        before = settled(cloud)
        third = with_settings(SERVICE="third", BUCKET="third-bucket", FIRESTORE_DATABASE="third")
        self.assertEqual(run(cloud, "apply", settings=third).status, 0)
        self.answered(cloud, "my-project\n", "--with-bucket", "third-bucket", "--with-database", "third", settings=third)
        # Of a database that is gone, the stand-in keeps what Google would forget.
        without = {"indexes": None, "fields": None, "releases": None}
        self.assertEqual({**json.loads(settled(cloud)), **without}, {**json.loads(before), **without})
        for left in (EXAMPLE, other):
            cloud.calls.clear()
            self.assertEqual((run(cloud, "apply", settings=left).status, made(cloud.calls)), (0, []))


class Program(unittest.TestCase):
    """The script itself, with the stand-in as the program `gcloud`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(f"{self.folder}/gcloud", "w", encoding="utf-8") as text:
            text.write(f'#!/bin/sh\nexec "{sys.executable}" -B "{HERE}/stand_in.py" "$@"\n')
        os.chmod(f"{self.folder}/gcloud", 0o755)
        os.makedirs(f"{self.folder}/with a blank; and 'more'")
        self.settings = f"{self.folder}/with a blank; and 'more'/my settings"

    def script(self, *args, stdin="", settings=EXAMPLE, **env):
        with open(self.settings, "w", encoding="utf-8") as text:
            text.write(settings)
        env = {"PATH": f"{self.folder}:{os.environ['PATH']}", "STAND_IN": f"{self.folder}/state",
               "FILMLAB_REVISION": "abcdef123456", "HOME": self.folder, **env}
        return subprocess.run(["bash", f"{DEPLOY}/gcloud.sh", args[0], self.settings, *args[1:]], input=stdin,
                              capture_output=True, text=True, env=env, cwd=self.folder)

    def test_plan_and_wrong_use(self):
        ran = self.script("plan")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn("Nothing was changed.", ran.stdout)
        for args in (("destory",), ("plan", "more"), ("destroy", "--with-bucket"), ("destroy", "--all"), ("secret",)):
            self.assertEqual(self.script(*args).returncode, 64, args)
        ran = self.script("plan", settings=with_settings(PROJECT="my project", MEMORY="3"))
        self.assertEqual((ran.returncode, ran.stdout), (64, ""))
        self.assertIn("PROJECT must be", ran.stderr)
        self.assertIn("MEMORY must be", ran.stderr)

    def test_from_nothing_to_an_installation_and_back(self):
        # Firebase Rules are asked over the network; the program keeps its own state of everything else.
        rules = stand_in.Cloud()
        rules.state["enabled"] = ["firebaserules.googleapis.com"]
        support.current = rules
        env = {"FILMLAB_DEPLOY_RULES_ENDPOINT": support.endpoint, "FILMLAB_DEPLOY_PAUSE": "0"}
        settings = with_settings(METRICS="off")
        self.assertEqual(self.script("secret", "filmlab-provider-key", stdin="wk-given").returncode, 0)
        ran = self.script("apply", settings=settings, **env)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn("The service is at https://filmlab-123456789012.europe-west1.run.app", ran.stdout)
        self.assertEqual(len(rules.state["releases"]), 1)
        again = self.script("plan", settings=settings, **env)
        self.assertIn("Nothing to change.", again.stdout)
        kept = self.script("destroy", stdin="no\n", settings=settings, **env)
        self.assertEqual(kept.returncode, 1)
        gone = self.script("destroy", stdin="my-project\n", settings=settings, **env)
        self.assertEqual((gone.returncode, gone.stderr), (0, ""))
        with open(f"{self.folder}/state", encoding="utf-8") as text:
            state = json.load(text)["state"]
        self.assertEqual((state["services"], state["secrets"], list(state["buckets"])), ({}, {}, ["my-project-filmlab"]))

    def test_a_project_that_is_not_there(self):
        ran = self.script("plan", settings=with_settings(PROJECT="another-project"))
        self.assertEqual(ran.returncode, 1)
        self.assertIn("your account lacks a role in this project", ran.stderr)


if __name__ == "__main__":
    unittest.main()
