"""What must hold whatever happened: the ledger's records against the provider's own books, the
receiver's, and the files themselves."""

import collections
import concurrent.futures
import json
import pathlib
import re
import subprocess
import tempfile

from worlds import GRANT, call

# Why a job may fail here: the faults of the sandbox.
OF_THE_PROVIDER = "provider"
ENDED = {"completed", "failed", "cancelled"}
# Faults after which a prediction gives nothing usable: buying again is right.
SPOILS = {"failed_prediction", "content_refused", "status", "no_output", "truncated_output",
          "cut_file", "output_gone", "wrong_duration", "wrong_size", "silent_video"}


class Verdict:
    def __init__(self):
        self.faults = collections.defaultdict(list)
        self.facts = {}

    def fault(self, what, which):
        self.faults[what].append(which)


def judge(world, created, receiver, blows_on):
    verdict = Verdict()
    # Jobs whose every attempt was ended by a blow: few, and right to end.
    beaten = 0
    books = world.books()
    jobs = books["jobs"]
    for name in created.values():
        job = jobs.get(name)
        if job is None:
            verdict.fault("job lost", name)
        elif job["status"] not in ENDED:
            verdict.fault("job has not ended", describe(job))
    for name in set(jobs) - set(created.values()):
        verdict.fault("job nobody asked for", name)
    for name, job in jobs.items():
        error = job.get("error") or {}
        if job["status"] != "failed" or error.get("party") == OF_THE_PROVIDER:
            continue
        if error.get("code") == "worker_died" and blows_on(name) >= deaths(job):
            beaten += 1
        else:
            verdict.fault("failed by our own fault", describe(job))
    # More than one in fifty would say that deaths take too much.
    if beaten > max(1, len(jobs) // 50):
        verdict.fault("too many jobs lost every attempt to a blow", str(beaten))
    payments(verdict, jobs, world.submissions())
    credits(verdict, books)
    notices(verdict, books, receiver)
    results(verdict, world, jobs)
    counts = collections.Counter(job["status"] for job in jobs.values())
    codes = collections.Counter((job.get("error") or {}).get("code")
                                for job in jobs.values() if job["status"] == "failed")
    verdict.facts |= {
        "jobs": len(jobs), "ended": dict(counts), "failed with": dict(codes),
        "every attempt ended by a blow": beaten,
        "rounds": sum(job["round"] for job in jobs.values()),
        "most attempts": max((job["attempt"] for job in jobs.values()), default=0),
        "fences": sum(job["lease"]["fence"] for job in jobs.values()),
    }
    gone = [name for name in world.objects() if name.startswith("work/")
            and jobs.get(name.split("/")[1], {}).get("status") == "completed"]
    verdict.facts["work files of completed jobs, left to the cleaning"] = len(gone)
    return verdict


def deaths(job):
    """How many of its attempts a failed job says it lost to a death: not those that the provider
    failed. The last one, which was never begun, is in its count."""
    failed = sum(1 for intent in job["intents"]
                 if intent["state"] == "failed" and intent["id"].startswith(f"{job['round']}-"))
    return job["attempt"] - 1 - failed


def describe(job):
    error = job.get("error") or {}
    intents = [f"{intent['id']} {intent['state']}" for intent in job["intents"]]
    return (f"{job.get('id', '')} {job['status']} {job.get('stage')} round {job['round']} "
            f"attempt {job['attempt']} {error.get('code')}: {error.get('message')} {intents}")


def payments(verdict, jobs, submissions):
    """Each payment has a record, and each recorded decision was paid for once."""
    by_intent = collections.Counter()
    by_job = collections.defaultdict(list)
    for taken in submissions:
        found = re.search(r"/webhooks/wavespeed/([^/]+)/([^/?]+)", taken["webhook"] or "")
        if not found:
            verdict.fault("payment nobody can be asked about", json.dumps(taken)[:200])
            continue
        job, intent = found.groups()
        by_intent[job, intent] += 1
        by_job[job].append((intent, taken))
    for (job, intent), times in by_intent.items():
        if times > 1:
            verdict.fault("a decision was paid for twice", f"{job} {intent}: {times} times")
    states = collections.Counter()
    again = 0
    for name, taken in by_job.items():
        job = jobs.get(name)
        if job is None:
            verdict.fault("payment for an unknown job", name)
            continue
        known = {intent["id"]: intent for intent in job["intents"]}
        for intent, submission in taken:
            noted = known.get(intent)
            # Of earlier rounds the last few are kept.
            if noted is None:
                if intent.startswith(f"{job['round']}-"):
                    verdict.fault("payment without a record", f"{describe(job)}: {intent}")
                continue
            state = noted["state"]
            states[state] += 1
            if state == "refused":
                verdict.fault("payment noted as refused", f"{describe(job)}: {intent}")
            if state in ("open", "unknown") and job["status"] in ENDED:
                verdict.fault("payment left open by an ended job", f"{describe(job)}: {intent}")
            theirs = noted.get("prediction_id")
            if theirs is not None and theirs != submission["prediction_id"]:
                verdict.fault("another's prediction was taken", f"{describe(job)}: {intent}")
        again += bought_again(verdict, job, taken, known)
    for name, job in jobs.items():
        paid = {intent for intent, _ in by_job.get(name, [])}
        for intent in job["intents"]:
            if intent["state"] == "accepted" and intent["id"] not in paid:
                verdict.fault("accepted, and the provider does not know", describe(job))
        if job["status"] == "completed" and not paid:
            verdict.fault("completed without a payment", describe(job))
    verdict.facts |= {"paid": len(submissions), "paid, by the record": dict(states),
                      "bought again": again}


def bought_again(verdict, job, taken, known):
    """A video that was good, and whose id was known, is never bought again. One whose answer was
    lost may be, once for each attempt, and is noted as waste."""
    again = 0
    for at, (intent, submission) in enumerate(taken[:-1]):
        later = taken[at + 1][0]
        if intent.split("-")[0] != later.split("-")[0]:
            continue
        again += 1
        faults = {fault["fault"] for fault in submission["faults"]}
        state = known.get(intent, {}).get("state")
        if state in ("failed", "accepted") and not faults & SPOILS:
            verdict.fault("bought again although it was good",
                          f"{describe(job)}: {intent} {sorted(faults)}")
        elif state not in ("failed", "wasted", None):
            verdict.fault("bought again without a note", f"{describe(job)}: {intent} {state}")
    return again


def credits(verdict, books):
    held, moved, captured = {}, {}, collections.Counter()
    for entry in books["entries"]:
        if entry["kind"] == "grant":
            continue
        place = (entry["owner"], entry["id"].rsplit(":", 1)[0])
        side = held if entry["kind"] == "hold" else moved
        if place in side:
            verdict.fault("credits moved twice", f"{place} {entry}")
        side[place] = entry
        if entry["kind"] == "capture":
            captured[entry["owner"]] += entry["amount"]
    for place in held.keys() ^ moved.keys():
        verdict.fault("a hold without its end, or the reverse", str(place))
    for place in held.keys() & moved.keys():
        if held[place]["amount"] != moved[place]["amount"]:
            verdict.fault("another amount than was held", str(place))
    charged = collections.Counter(entry["id"].split(":")[0] for entry in books["entries"]
                                  if entry["kind"] == "capture")
    for name, job in books["jobs"].items():
        last = moved.get((job["owner"], f"{name}:{job['round']}"), {}).get("kind")
        match job["status"]:
            case "completed":
                # A round that was cancelled after the provider was paid is charged; the next one
                # that goes on from the same prediction is not.
                wrong = not charged[name]
            case "failed":
                wrong = last == "capture"
            case _:
                wrong = False
        if wrong:
            verdict.fault("charged for nothing, or not charged", f"{describe(job)} {last}")
    for owner, (have, on_hold) in books["accounts"].items():
        if (have + captured[owner], on_hold) != (GRANT, 0):
            verdict.fault("credits are not conserved",
                          f"{owner}: {have} + {captured[owner]}, held {on_hold}")
    verdict.facts["credits captured"] = sum(captured.values())


def notices(verdict, books, receiver):
    ids = collections.defaultdict(set)
    taken = set()
    for name, job, number, _, success in receiver.got:
        ids[job, number].add(name)
        if success:
            taken.add(name)
    for (job, number), names in ids.items():
        if len(names) > 1:
            verdict.fault("one round told under two ids", f"{job} {number}: {names}")
    for name, job in books["jobs"].items():
        if job["status"] not in ENDED:
            continue
        told = ids.get((name, job["round"]), set()) & taken
        if told != {f"{name}:{job['round']}:job.{job['status']}"}:
            verdict.fault("nobody was told", f"{describe(job)}: {told}")
    for notice in books["notices"]:
        if notice["state"] != "delivered":
            verdict.fault("notice not delivered", f"{notice['id']} {notice['state']} "
                          f"{notice.get('deliveries')} {notice.get('last_error')}")
    verdict.facts["deliveries tried"] = len(receiver.got)
    verdict.facts["notices"] = len(taken)


def results(verdict, world, jobs):
    done = [name for name, job in jobs.items() if job["status"] == "completed"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for name, wrong in zip(done, pool.map(lambda name: played(world, name), done)):
            if wrong:
                verdict.fault("result does not play", f"{name}: {wrong}")
    verdict.facts["results that play"] = len(done) - len(verdict.faults["result does not play"])


def played(world, name):
    status, body = world.api("GET", f"/v1/jobs/{name}")
    if status != 200:
        return f"{status}"
    result = json.loads(body)["result"]
    files = {}
    for part in ("video", "poster", "metadata"):
        address, path = re.fullmatch(r"https?://([^/]+)(/.*)", result[part]).groups()
        status, files[part] = call(address, "GET", path, timeout=60)
        if status != 200:
            return f"{part}: {status}"
    json.loads(files["metadata"])
    if not files["poster"].startswith(b"\xff\xd8"):
        return "the poster is no JPEG"
    if len(files["video"]) != result["bytes"]:
        return f"{len(files['video'])} bytes, not {result['bytes']}"
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        pathlib.Path(file.name).write_bytes(files["video"])
        decoded = subprocess.run(
            ["ffmpeg", "-v", "error", "-xerror", "-i", file.name, "-f", "null", "-"],
            capture_output=True, check=False)
        shown = subprocess.run(
            ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries",
             "stream=width,height,nb_read_frames", "-of", "csv=p=0", file.name],
            capture_output=True, check=False, text=True)
    if decoded.returncode or decoded.stderr:
        return decoded.stderr.decode()[:200]
    width, height, frames = shown.stdout.strip().split(",")[:3]
    if (int(width), int(height)) != (result["width"], result["height"]) or int(frames) < 2:
        return shown.stdout
    return None
