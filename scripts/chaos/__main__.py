"""Workers that are killed, stalled and cut off from everything, judged from outside.

  python3 scripts/chaos FILMLAB [sqlite|firestore|upgrade-sqlite|upgrade-firestore …]

FILMLAB is the program. `sqlite` runs two processes on one file; `firestore` three workers on the
emulator, with stand-ins for bucket and task queue; the others the same with workers of an earlier
revision (FILMLAB_OLD_BINARY) among them, until only those go on. Without a word: the first two.

  JOBS    how many jobs, for each deployment (500)
  KILLS   how many blows: kill -9, stalls longer than a lease, SIGTERM (90)
  SEED    repeats what is drawn by chance; the order of events is the machine's own
  OUTAGE  seconds that an outage lasts (6)
  FOLDER  where everything is kept; by default a folder that goes if all is well

Exit code 0 if everything held, 1 if not, 69 if the machine lacks what is needed.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from judge import judge  # noqa: E402
from receiver import Receiver  # noqa: E402
from worlds import LEASE, OWNERS, Cloud, Plain  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent.parent.parent
STAGES = ["submit", "generate", "fetch", "process", "settle"]
# Where a blow may be aimed: at no moment in particular, or as a job comes to one of these.
AIMS = ["any", "queued", *STAGES, "ended"]
# Jobs under way at once.
WINDOW = 14
# What the provider does wrong, by chance.
FAULTS = [
    {"fault": "too_many_requests", "probability": 0.06},
    {"fault": "envelope_error", "code": 500, "probability": 0.01},
    {"fault": "answer_lost", "probability": 0.05},
    {"fault": "accepted_then5xx", "probability": 0.03},
    {"fault": "garbage_answer", "probability": 0.02},
    {"fault": "answer_late", "ms": 1500, "probability": 0.06},
    {"fault": "failed_prediction", "code": 1403, "probability": 0.04},
    {"fault": "slow", "polls": 3, "probability": 0.15},
    {"fault": "unknown_status", "polls": 2, "probability": 0.04},
    {"fault": "poll_errors", "polls": 3, "status": 503, "probability": 0.08},
    {"fault": "poll_errors", "polls": 2, "status": 429, "retry_after": 1, "probability": 0.04},
    {"fault": "truncated_output", "probability": 0.02},
    {"fault": "cut_file", "probability": 0.02},
    {"fault": "webhook_lost", "probability": 0.15},
    {"fault": "webhook_duplicate", "probability": 0.1},
    {"fault": "webhook_late", "ms": 3000, "probability": 0.1},
    {"fault": "webhook_bad_signature", "probability": 0.03},
]


class Run:
    def __init__(self, world, jobs, kills, seed, outage):
        self.world, self.jobs, self.kills = world, jobs, kills
        self.outage = outage
        self.random = random.Random(seed)
        self.receiver = Receiver(seed)
        # By key: every one of them has to become a job, and only one.
        self.created = {}
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.blows = {}
        self.cuts = {}
        self.seen = {}
        self.new = []
        # When each blow fell, and by job when its round began and when it ended.
        self.fell = []
        self.lives = {}
        self.problems = []

    def go(self):
        world = self.world
        world.start()
        self.sources = {owner: {name: world.upload(owner, world.files[name])
                                for name in ("video", "image")} for owner in OWNERS}
        self.creating = self.background(self.create_all)
        self.cutting = self.background(self.cut_off)
        for work in (self.meddle, self.look, self.revive):
            self.background(work)
        self.strike()
        self.quiet()

    def background(self, work, *arguments):
        def guarded():
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001
                self.problems.append(f"{work.__name__}: {error!r}")
        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def unfinished(self):
        with self.lock:
            done = sum(1 for status, _ in self.seen.values() if status in
                       ("completed", "failed", "cancelled"))
            return len(self.created) - done

    def create_all(self):
        owners = list(OWNERS)
        for at in range(self.jobs):
            while self.unfinished() >= WINDOW and not self.stop.is_set():
                time.sleep(0.05)
            owner = owners[at % len(owners)]
            body = {"kind": "character_replace", "source": self.sources[owner],
                    "deadline_s": 86_400,
                    "notify": {"webhook": f"http://{self.receiver.address}/hook"}}
            key = f"order-{at}"
            status, answer = self.world.api("POST", "/v1/jobs", body, owner,
                                            [("Idempotency-Key", key)])
            if status not in (200, 201):
                self.problems.append(f"the creation of {key} was answered {status} {answer[:300]}")
                continue
            with self.lock:
                self.created[key] = json.loads(answer)["id"]
            time.sleep(self.random.uniform(0, 0.15))

    def meddle(self):
        """Callers who cancel, and who want another round of what failed."""
        looked = set()
        while not self.stop.is_set():
            time.sleep(0.3)
            with self.lock:
                seen = dict(self.seen)
            for name, (status, _) in seen.items():
                if status == "processing" and name not in looked:
                    looked.add(name)
                    if self.random.random() < 0.06:
                        self.world.api("POST", f"/v1/jobs/{name}/cancel", patience=20)
                if status in ("failed", "cancelled") and (name, "again") not in looked:
                    looked.add((name, "again"))
                    if self.random.random() < 0.6:
                        self.world.api("POST", f"/v1/jobs/{name}/retry", patience=20)

    def look(self):
        """Follows every job's stage, to strike at its boundaries."""
        while not self.stop.is_set():
            try:
                rows = self.world.watched()
            except Exception:  # noqa: BLE001
                # The ledger is away at times; that is what this is about.
                time.sleep(0.2)
                continue
            with self.lock:
                for name, status, stage in rows:
                    before = self.seen.get(name)
                    if before != (status, stage):
                        self.seen[name] = (status, stage)
                        ended = status in ("completed", "failed", "cancelled")
                        at = "ended" if ended else (stage or "queued")
                        now = time.monotonic()
                        self.new.append((now, at))
                        if ended:
                            self.lives.setdefault(name, [now, now])[1] = now
                        elif before is None or before[0] in ("completed", "failed", "cancelled"):
                            self.lives[name] = [now, None]
                del self.new[:-50]
            self.world.tick()
            time.sleep(0.02)

    def until(self, aim, patience=8):
        """Waits for a job to come to that point; whether one did."""
        begun = time.monotonic()
        if aim == "any":
            time.sleep(self.random.uniform(0, 0.7))
            return True
        while time.monotonic() - begun < patience:
            with self.lock:
                if any(at > begun and point == aim for at, point in self.new):
                    return True
            time.sleep(0.005)
        return False

    def strike(self):
        for number in range(self.kills):
            # Spread over the run: the nth when as many of the jobs were asked for.
            while (len(self.created) < (number + 0.5) / self.kills * self.jobs
                   and self.creating.is_alive()):
                time.sleep(0.05)
            aim = AIMS[number % len(AIMS)]
            hit = self.until(aim)
            how = self.random.choices(["kill", "kill all", "stall", "term"], [60, 12, 18, 10])[0]
            standing = [worker for worker in self.world.workers
                        if worker.alive and not worker.stalled]
            if not standing:
                time.sleep(1)
                standing = [w for w in self.world.workers if w.alive and not w.stalled]
            if not standing:
                continue
            if how == "kill all":
                for worker in standing:
                    worker.end()
            elif how == "stall":
                self.background(self.stall, self.random.choice(standing))
            elif how == "kill":
                self.random.choice(standing).end()
            else:
                self.random.choice(standing).end(signal.SIGTERM)
            self.fell.append(time.monotonic())
            place = (how, aim if hit else "any")
            self.blows[place] = self.blows.get(place, 0) + 1
            time.sleep(self.random.uniform(0.3, 1.2))

    def blows_on(self, job):
        """How many blows fell while the last round of a job was on its way: no more than these
        can have taken an attempt from it."""
        began, ended = self.lives.get(job, (None, None))
        if began is None or ended is None:
            return 0
        return sum(1 for at in self.fell if began <= at <= ended)

    @staticmethod
    def stall(worker):
        worker.stalled = True
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(LEASE * 1.6)
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(signal.SIGCONT)
        worker.stalled = False

    def revive(self):
        """Whoever runs the service starts it again."""
        while not self.stop.is_set():
            time.sleep(0.1)
            for worker in self.world.workers:
                if not worker.alive and not worker.retired:
                    time.sleep(self.random.uniform(0, 0.8))
                    worker.start()
                    worker.ready()

    def cut_off(self):
        """Every kind of outage, at each stage in turn."""
        plan = [(kind, stage) for stage in STAGES for kind in self.world.outages]
        self.random.shuffle(plan)
        # A short run has time for a few only; another seed gives others.
        plan = plan[:max(2, self.jobs // 12)]
        for number, (kind, stage) in enumerate(plan):
            while (len(self.created) < (number + 1) / (len(plan) + 1) * self.jobs
                   and self.creating.is_alive()):
                time.sleep(0.05)
            hit = self.until(stage)
            with self.world.outages[kind]():
                time.sleep(self.outage)
            place = (kind, stage if hit else "any")
            self.cuts[place] = self.cuts.get(place, 0) + 1

    def quiet(self):
        """No more blows: everything has to come to its end by itself."""
        self.creating.join()
        self.cutting.join()
        self.receiver.healed = True
        # A dead worker's task is hidden for a minute, a notice waits for its own pause.
        until = time.monotonic() + 240 + self.jobs / 2
        while time.monotonic() < until:
            if not self.unfinished() and self.all_told():
                break
            time.sleep(0.5)
        self.stop.set()
        for worker in self.world.workers:
            if worker.stalled:
                time.sleep(LEASE * 1.7)
            if not worker.retired and not worker.alive:
                worker.start()
                worker.ready()

    def all_told(self):
        try:
            return all(notice["state"] == "delivered" for notice in self.world.books()["notices"])
        except Exception:  # noqa: BLE001
            return False


class RollOut(Run):
    """Workers of the revision before among those of this one; at half of the way only the former
    go on, as after a roll-back."""

    def cut_off(self):
        while len(self.created) < self.jobs * 0.6 and self.creating.is_alive():
            time.sleep(0.05)
        for worker in self.world.workers:
            if worker.binary != self.world.old:
                worker.retired = True
                worker.end(self.random.choice([signal.SIGKILL, signal.SIGTERM]))
        self.cuts["rolled back", "any"] = 1


def emulator():
    """Where it listens, and whether it was started for this run."""
    given = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if given:
        return given, False
    script = HERE / "scripts" / "emulator.sh"
    ran = subprocess.run([script, "start"], capture_output=True, text=True, check=False)
    if ran.returncode:
        print(ran.stderr, file=sys.stderr)
        raise SystemExit(69)
    return ran.stdout.strip(), True


def table(name, run, verdict, took):
    def several(counts):
        return ", ".join(f"{key} {value}" for key, value in sorted(counts.items(), key=str)) or "-"

    rows = {"seconds": f"{took:.0f}"}
    rows["blows"] = several({f"{how} at {aim}": n for (how, aim), n in run.blows.items()})
    rows["outages"] = several({f"{how} at {aim}": n for (how, aim), n in run.cuts.items()})
    for key, value in verdict.facts.items():
        rows[key] = several(value) if isinstance(value, dict) else str(value)
    for line in run.world.skipped:
        rows["left out"] = line
    print(f"\n== chaos: {name}")
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{key:<{width}}  {value}")
    for what, which in verdict.faults.items():
        if which:
            print(f"FAULT: {what}: {len(which)}")
            for line in which[:10]:
                print(f"    {line}")
    for line in run.problems:
        print(f"FAULT: {line}")
    held = not any(verdict.faults.values()) and not run.problems
    print("everything held" if held else "NOT everything held", flush=True)
    return held


def chaos(name, binary, number):
    jobs, kills = int(os.environ.get("JOBS") or 500), int(os.environ.get("KILLS") or 90)
    outage = float(os.environ.get("OUTAGE") or 6)
    files = {"video": HERE / "fixtures/generated/tiny.mp4",
             "image": HERE / "fixtures/character.png", "logo": HERE / "fixtures/logo.png"}
    kept = os.environ.get("FOLDER")
    root = pathlib.Path(kept or tempfile.mkdtemp(prefix="filmlab-chaos-"))
    folder = root / f"{name}-{number}"
    started = False
    mixed = name.startswith("upgrade")
    old = os.environ["FILMLAB_OLD_BINARY"] if mixed else binary
    if name in ("sqlite", "upgrade-sqlite"):
        world = Plain(folder, [old, binary], binary, files, FAULTS, number)
    else:
        host, started = emulator()
        binaries = [old, binary, old, binary] if mixed else [binary] * 3
        world = Cloud(folder, binaries, binary, files, FAULTS, number, emulator=host)
    world.old = old
    kind = RollOut if mixed else Run
    run = kind(world, jobs, kills, number, outage)
    began = time.monotonic()
    held = False
    try:
        run.go()
        took = time.monotonic() - began
        verdict = judge(world, run.created, run.receiver, run.blows_on)
        held = table(f"{name}, seed {number}", run, verdict, took)
    finally:
        run.stop.set()
        world.stop()
        if started:
            subprocess.run([HERE / "scripts" / "emulator.sh", "stop"], check=False)
        if held and not kept:
            subprocess.run(["rm", "-rf", root], check=False)
        else:
            print(f"logs and records: {folder}")
    return held


def in_a_name_space():
    """Mounts of our own, to fill a disk and to take writing away: where the machine allows it."""
    if os.environ.get("CHAOS_INSIDE"):
        return
    inside = ["unshare", "--mount", "--map-root-user"]
    with contextlib.suppress(OSError):
        if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0:
            os.environ["CHAOS_INSIDE"] = "1"
            os.execvp(inside[0], [*inside, sys.executable, *sys.argv])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    in_a_name_space()
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10_000))
    names = sys.argv[2:] or ["sqlite", "firestore"]
    held = [chaos(name, binary, seed) for name in names]
    sys.exit(0 if all(held) else 1)


main()
