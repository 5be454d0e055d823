"""Programs that may hang, crash or grow: each ends within its bounds, and what became of it is told."""

import os
import resource
import signal
import subprocess
import time
from dataclasses import dataclass


@dataclass
class Ended:
    """What became of a program."""

    status: int
    out: bytes
    err: str
    hung: bool
    seconds: float

    @property
    def crashed(self) -> bool:
        """Ended by a signal that nobody sent from here."""
        return self.status < 0 and not self.hung

    def words(self) -> str:
        """How it ended badly."""
        if self.hung:
            return f"was still running after {self.seconds:.0f} s"
        if self.crashed:
            return f"was ended by {signal.Signals(-self.status).name}"
        return f"exit status {self.status}"


@dataclass
class Bounds:
    """What one program may take."""

    seconds: float
    bytes: int


def run(arguments: list[str], bounds: Bounds, folder: str) -> Ended:
    """Runs a program in a folder, in a process group of its own, which ends with it."""
    started = time.monotonic()
    environment = {
        name: value
        for name, value in os.environ.items()
        # Settings of a service that is set up here are no part of the comparison.
        if not name.startswith("FILMLAB_")
    }
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as program:
        try:
            # Memory of its own; mapped files and libraries do not count.
            resource.prlimit(program.pid, resource.RLIMIT_DATA, (bounds.bytes, bounds.bytes))
            # A crash is told by its signal; nobody reads the dump.
            resource.prlimit(program.pid, resource.RLIMIT_CORE, (0, 0))
        except ProcessLookupError:
            pass
        hung = False
        try:
            out, err = program.communicate(timeout=bounds.seconds)
        except subprocess.TimeoutExpired:
            hung = True
            os.killpg(program.pid, signal.SIGKILL)
            out, err = program.communicate()
    return Ended(
        status=program.returncode,
        out=out,
        err=err.decode("utf-8", "replace"),
        hung=hung,
        seconds=time.monotonic() - started,
    )
