#!/usr/bin/env python3
"""What a container of the image does, where none can be started: chroot in place of a runtime.

  scripts/bench/image.py ROOT FILMLAB CLIP

ROOT is the image unpacked (`buildah mount`, `docker export`), FILMLAB a binary with a sandbox, CLIP
a 720p video. Needs root and the memory controller of control groups (version 1 or 2). The service
runs as uid 10001 on a read-only root with 512 MiB and one folder to write to. Measured are its start
(until the first 200, mounts and chroot included), then for each stage of a job: SIGTERM in the
middle of it, how long the service takes to end, and whether the job is completed after a new start
with no attempt used. Exit code 1 where something of it does not hold.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import services  # noqa: E402  (beside this file)

MEMORY = 512 << 20
USER = 10001
STARTS = 7
STAGES = ["submit", "generate", "fetch", "process"]
INSIDE = "/var/lib/filmlab"


class Group:
    """A control group of this many bytes."""

    def __init__(self, limit):
        old = os.path.isdir("/sys/fs/cgroup/memory")
        self.path = f"/sys/fs/cgroup/{'memory/' if old else ''}filmlab-image-{os.getpid()}"
        os.mkdir(self.path)
        self.peak = "memory.max_usage_in_bytes" if old else "memory.peak"
        self.write("memory.limit_in_bytes" if old else "memory.max", limit)

    def write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def peak_mib(self):
        with open(f"{self.path}/{self.peak}", encoding="ascii") as file:
            return int(file.read()) >> 20


class Container(services.Service):
    def __init__(self, root, data, group, port, folder, settings):
        script = (
            f'echo $$ >"{group.path}/cgroup.procs"; mount --bind "{root}" "{root}"; '
            f'mount -t proc proc "{root}/proc"; mount --rbind /sys "{root}/sys"; '
            f'mount --bind "{data}" "{root}{INSIDE}"; mount -o remount,ro,bind "{root}"; '
            f'exec chroot --userspec={USER}:{USER} "{root}" /usr/local/bin/filmlab serve'
        )
        super().__init__(["unshare", "--mount", "bash", "-ec", script], folder, port, settings)


def settings(port, base):
    given = {
        "DATA__DIR": INSIDE,
        "SERVER__LISTEN": f"127.0.0.1:{port}",
        "PROVIDER__BASE_URL": base,
        "PROVIDER__API_KEY": "sandbox",
        "PROVIDER__POLL_MIN": "200ms",
        "PROVIDER__POLL_MAX": "500ms",
        "PROVIDER__MODELS__UPSCALE__USUAL_BASE_S": "0",
        "PROVIDER__MODELS__UPSCALE__USUAL_PER_SECOND_S": "0",
        "CREDITS__MODE": "off",
        "WATERMARK__IMAGE": f"{INSIDE}/logo.png",
    }
    return {f"FILMLAB_{name}": value for name, value in given.items()} | {"PATH": os.environ["PATH"]}


def status(process, name):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith(name))


def stop(container):
    began = time.monotonic()
    container.process.send_signal(signal.SIGTERM)
    code = container.process.wait()
    container.log.close()
    return (time.monotonic() - began) * 1000, code


def job(service, clip):
    with open(clip, "rb") as file:
        source = service.json("PUT", "/v1/sources?name=clip.mp4", file.read())["source"]
    body = {"kind": "upscale", "params": {"target": "720p"}, "source": {"video": source}}
    return service.json("POST", "/v1/jobs", json.dumps(body))["id"]


def through(start, clip, stage):
    """A job that is stopped once in a stage; gives how the stop went, and the job."""
    service, stopped = start(), None
    made, began = job(service, clip), time.monotonic()
    while time.monotonic() - began < 300:
        found = service.json("GET", f"/v1/jobs/{made}")
        if stopped is None and found.get("stage") == stage:
            # In the middle of what takes long.
            time.sleep(1 if stage == "process" else 0)
            stopped = stop(service)
            service = start()
        elif found["status"] in ("completed", "failed", "cancelled"):
            break
        time.sleep(0.002)
    stop(service)
    return stopped, found


def main():
    root, binary, clip = map(os.path.abspath, sys.argv[1:4])
    held = True
    group = Group(MEMORY)
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data"
        os.mkdir(data)
        subprocess.run(["cp", f"{ROOT}/fixtures/logo.png", data], check=True)
        os.chmod(folder, 0o755)
        os.chown(data, USER, USER)
        for name in ("proc", "sys"):
            os.makedirs(f"{root}/{name}", exist_ok=True)
        provider, base = services.sandbox(binary, folder, "--min-time", "1")
        try:
            port = services.free_port()

            def start():
                return Container(root, data, group, port, folder, settings(port, base))

            starts, stops = [], []
            for _ in range(STARTS):
                one = start()
                starts.append(one.start * 1000)
                user, resident = status(one.process, "Uid"), int(status(one.process, "VmRSS")) >> 10
                took, code = stop(one)
                stops.append(took)
                held &= code == 0 and user == str(USER)
            print(f"start {statistics.median(starts):.0f} ms, resident {resident} MiB, "
                  f"stop {statistics.median(stops):.0f} ms, uid {user}")
            for stage in [None, *STAGES]:
                stopped, found = through(start, clip, stage)
                fine = found["status"] == "completed" and found.get("attempt") == 1
                told = "not stopped"
                if stage:
                    fine &= stopped is not None and stopped[1] == 0 and stopped[0] < 10_000
                    told = f"stopped in {stopped[0]:.0f} ms" if stopped else "was never seen"
                held &= fine
                print(f"{stage or 'whole':9} {told}, job {found['status']}, "
                      f"attempt {found.get('attempt')}, peak {group.peak_mib()} of {MEMORY >> 20} MiB")
        finally:
            provider.terminate()
            provider.wait()
    os.rmdir(group.path)
    print("everything held" if held else "something did not hold")
    sys.exit(not held)


if __name__ == "__main__":
    main()
