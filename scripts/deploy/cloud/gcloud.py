"""Calls of gcloud: looks, which change nothing, and changes, which are said before they are made."""

import json
import os
import shlex
import subprocess
import sys
import time

# What Google answers while a service, an account or a right that was just made is not known
# everywhere yet. https://cloud.google.com/iam/docs/access-change-propagation
NOT_YET = (
    "SERVICE_DISABLED",
    "has not been used in project",
    "does not exist",
    "PERMISSION_DENIED",
)
TRIES = 8
# Seconds; the tests do not wait.
PAUSE = float(os.environ.get("FILMLAB_DEPLOY_PAUSE", "15"))

ADVICE = [
    (("SERVICE_DISABLED", "has not been used in project"),
     "the service was enabled a moment ago: wait a minute and run the same command again"),
    (("billing",),
     "link a billing account to the project: https://console.cloud.google.com/billing/projects"),
    (("do not currently have an active account", "reauthentication", "invalid_grant", "credentials"),
     "log in with `gcloud auth login`"),
    (("PERMISSION_DENIED", "does not have permission", "lacks IAM permission", "forbidden", " 403"),
     "your account lacks a role in this project: docs/deploy.md says which ones it needs"),
    (("quota", "RESOURCE_EXHAUSTED"),
     "a quota of the project is used up: https://console.cloud.google.com/iam-admin/quotas"),
    (("already exists", "ALREADY_EXISTS", " 409"),
     "somebody else has that name: choose another one in the settings"),
    (("allUsers", "permitted customer", "allowedPolicyMemberDomains"),
     "a policy of your organisation forbids public services: set TASKS_AUTH=iam, or have it allowed"),
]


class Stop(Exception):
    """The end of a run: what went wrong, and what to do."""

    def __init__(self, what, advice=""):
        super().__init__(what)
        self.advice = advice


def advice_for(text):
    text = text.lower()
    for marks, advice in ADVICE:
        if any(mark.lower() in text for mark in marks):
            return advice
    return "mend what the message says"


def program(args, stdin):
    """Runs gcloud itself: its status, what it answered, and what it said."""
    done = subprocess.run(
        ["gcloud", *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return done.returncode, done.stdout, done.stderr


class Gcloud:
    """`apply`: whether changes are made, or only said. `run`: what runs gcloud; not itself in tests."""

    def __init__(self, project, apply, out=None, run=program):
        self.project = project
        self.run = run
        self.apply = apply
        self.out = out or sys.stdout
        self.changes = 0
        # Whether something was just made that Google may not know everywhere yet.
        self.young = False

    def say(self, text=""):
        print(text, file=self.out, flush=True)

    def look(self, *args, project=None):
        """What there is, as parsed JSON."""
        text = self._run([*self._whole(args, project), "--format=json"], None)
        try:
            return json.loads(text or "[]")
        except ValueError:
            raise Stop(f"`gcloud {shlex.join(args)}` did not answer with JSON",
                       "update the Google Cloud CLI: gcloud components update") from None

    def version(self):
        """The parts of gcloud that are installed."""
        return json.loads(self._run(["version", "--format=json"], None) or "{}")

    def token(self):
        """An access token of the caller's: for what gcloud has no command for. Never printed."""
        return self._run(["auth", "print-access-token"], None).strip()

    def change(self, what, *args, stdin=None, shown_stdin="", project=None):
        """Says a change, then makes it. `stdin` may be a secret; it is never shown."""
        whole = self._whole(args, project)
        self.said(what, shlex.join(["gcloud", *whole]) + (f" <{shown_stdin}" if shown_stdin else ""))
        if self.apply:
            self._run(whole, stdin)

    def said(self, what, line):
        """Says a change that is made by other means than a command of gcloud's."""
        self.changes += 1
        self.say(f"  + {what}")
        self.say(f"      {line}")

    def _whole(self, args, project):
        return [*args, f"--project={project or self.project}", "--quiet"]

    def _run(self, args, stdin):
        for left in reversed(range(TRIES)):
            status, answer, said = self.run(args, stdin if stdin is not None else "")
            if status == 0:
                return answer
            if not (left and self.young and any(mark in said for mark in NOT_YET)):
                break
            self.say(f"    (not known everywhere yet, trying again in {PAUSE:g} s)")
            time.sleep(PAUSE)
        said = said.strip() or f"it ended with status {status}"
        raise Stop(f"`{shlex.join(['gcloud', *args])}` failed:\n{said}", advice_for(said))


def last(name):
    """The last part of a resource's name."""
    return str(name).rsplit("/", 1)[-1]
