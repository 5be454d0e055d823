"""The files for one machine: the Compose file and the systemd unit."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from support import DEPLOY, read

# Exposure as systemd-analyze reckons it, in tenths: 0 is best, 100 worst. It was 12 when written.
MOST_EXPOSED = 15


def unit():
    return read("scripts", "deploy", "filmlab.service")


def said(key):
    return re.findall(rf"^{key}=(.*)$", unit(), re.M)


def drain():
    """Seconds within which the service ends after SIGTERM, with what comes after the drain."""
    code = read("src", "app.rs")
    return int(re.search(r"const DRAIN: Duration = Duration::from_secs\((\d+)\)", code)[1]) + 2


class Unit(unittest.TestCase):
    def test_it_gives_the_service_time_to_stop_and_starts_it_again(self):
        self.assertGreater(int(said("TimeoutStopSec")[0]), drain())
        self.assertEqual((said("Restart"), said("KillMode")), (["on-failure"], ["mixed"]))
        # Wrong settings end with 64 (README): starting again does not mend them.
        self.assertEqual(said("RestartPreventExitStatus"), ["64"])
        # A media child that the kernel ends for its memory must not take the service with it.
        self.assertEqual(said("OOMPolicy"), ["continue"])

    def test_no_secret_is_in_the_environment_or_on_the_command_line(self):
        self.assertEqual(said("LoadCredential"), ["filmlab.toml:/etc/filmlab/filmlab.toml"])
        self.assertIn("${CREDENTIALS_DIRECTORY}/filmlab.toml", said("ExecStart")[0])
        self.assertFalse(re.search(r"KEY|TOKEN|SECRET", " ".join(said("Environment"))))

    def analyze(self, *args):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "filmlab.service")
            with open(file, "w", encoding="utf-8") as text:
                # The program is not installed where this runs.
                text.write(unit().replace("/usr/local/bin/filmlab", "/bin/true"))
            done = subprocess.run(["systemd-analyze", *args, file], capture_output=True, text=True)
        if "File system is read-only" in done.stderr or "not supported" in done.stderr:
            self.skipTest(done.stderr.strip())
        return done

    def test_systemd_takes_it(self):
        done = self.analyze("verify", "--man=no")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_it_is_as_closed_as_it_was(self):
        done = self.analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}")
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)


class Compose(unittest.TestCase):
    def setUp(self):
        try:
            import yaml
        except ImportError:
            self.skipTest("there is no YAML parser (python3-yaml)")
        self.document = yaml.safe_load(read("scripts", "deploy", "compose.yaml"))
        self.service = self.document["services"]["filmlab"]

    def test_it_may_do_nothing_that_it_need_not(self):
        service = self.service
        self.assertIs(service["read_only"], True)
        self.assertEqual(service["cap_drop"], ["ALL"])
        self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
        self.assertNotIn("privileged", service)
        self.assertFalse({"cap_add", "devices", "network_mode", "pid", "ipc"} & set(service))
        self.assertEqual(service["ports"], ["127.0.0.1:8080:8080"])
        self.assertTrue(service["mem_limit"] and service["pids_limit"])

    def test_it_fits_the_image(self):
        dockerfile = read("Dockerfile")
        self.assertIn(f"USER {self.service['user']}\n", dockerfile)
        volume, _, folder = self.service["volumes"][0].partition(":")
        self.assertIn(volume, self.document["volumes"])
        self.assertIn(f"ENV FILMLAB_DATA__DIR={folder}\n", dockerfile)
        self.assertIn("EXPOSE 8080", dockerfile)
        self.assertTrue(os.path.exists(os.path.join(DEPLOY, self.service["build"]["context"], "Dockerfile")))

    def test_it_gives_the_service_time_to_stop(self):
        self.assertGreater(int(self.service["stop_grace_period"].rstrip("s")), drain())

    def test_the_health_check_needs_no_program_but_ours(self):
        # What `filmlab ready` says is tried with the service.
        self.assertEqual(self.service["healthcheck"]["test"], ["CMD", "/usr/local/bin/filmlab", "ready"])

    def test_secrets_stay_out_of_git_and_out_of_the_image(self):
        self.assertEqual(self.service["env_file"], "filmlab.env")
        for name in (".gitignore", ".dockerignore"):
            self.assertIn("scripts/deploy/filmlab.env", read(name))


if __name__ == "__main__":
    unittest.main()
