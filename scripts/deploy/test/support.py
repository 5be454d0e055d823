"""What the tests share: a run of the script in this process, against the stand-in."""

import contextlib
import importlib.util
import io
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DEPLOY = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(DEPLOY))
sys.path[:0] = [HERE, os.path.join(DEPLOY, "cloud")]
os.environ["FILMLAB_REVISION"] = "abcdef123456"
os.environ["FILMLAB_DEPLOY_PAUSE"] = "0"

import stand_in

current = None
server, endpoint = stand_in.serve_rules(lambda: current)
os.environ["FILMLAB_DEPLOY_RULES_ENDPOINT"] = endpoint

spec = importlib.util.spec_from_file_location("deploy_main", os.path.join(DEPLOY, "cloud", "__main__.py"))
main = importlib.util.module_from_spec(spec)
spec.loader.exec_module(main)
import keys

PROVIDER_KEY = "wk-0123456789-of-the-provider"
keys.getpass.getpass = lambda prompt: PROVIDER_KEY


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as text:
        return text.read()


EXAMPLE = read("scripts", "deploy", "settings.example")


def with_settings(**given):
    """The example with other values; a name that is not in it is added."""
    lines = EXAMPLE.splitlines()
    for name, value in given.items():
        for number, line in enumerate(lines):
            if line.startswith(name + "="):
                lines[number] = f"{name}={value}"
                break
        else:
            lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"


class Ran:
    def __init__(self, status, out, said):
        self.status, self.out, self.said = status, out, said

    @property
    def commands(self):
        """The lines of commands that were printed."""
        return [line.strip() for line in self.out.splitlines() if line.startswith("      ")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(cloud, *args, settings=EXAMPLE, stdin=None, script=main):
    """One run: `stdin` is None for a terminal at which a person sits."""
    global current
    current = cloud
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "settings")
        with open(file, "w", encoding="utf-8") as text:
            text.write(settings)
        out, said = io.StringIO(), io.StringIO()
        before = sys.stdin
        sys.stdin = Terminal("") if stdin is None else io.StringIO(stdin)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
                status = script.run([args[0], file, *args[1:]], cloud)
        finally:
            sys.stdin = before
        return Ran(status, out.getvalue(), said.getvalue().replace(file, "FILE"))


def installed(**given):
    """A cloud with a whole installation in it."""
    cloud = stand_in.Cloud()
    ran = run(cloud, "apply", settings=with_settings(**given))
    assert ran.status == 0, ran.said
    cloud.calls.clear()
    return cloud


def made(calls):
    return [args for kind, args in calls if kind == "change"]
