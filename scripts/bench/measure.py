"""Running whole processes in turn, and what each took by the system's own account."""

import os
import statistics
import subprocess
import threading
import time


class Took:
    """Of one run: a command, or several one after the other."""

    def __init__(self, wall, cpu, peak, faults):
        self.wall, self.cpu, self.peak, self.faults = wall, cpu, peak, faults


def once(commands):
    """Runs commands one after the other; the peak is that of the largest."""
    began, cpu, peak, faults = time.monotonic(), 0.0, 0, 0
    for command in commands:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{command}: {said.decode(errors='replace')[-800:]}")
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss * 1024)
        faults += usage.ru_minflt
    return Took(time.monotonic() - began, cpu, peak, faults)


def at_once(chains):
    """Runs several chains at the same time; peaks are added up, as memory is."""
    results, threads = [None] * len(chains), []
    began = time.monotonic()
    for number, chain in enumerate(chains):
        def work(number=number, chain=chain):
            results[number] = once(chain)
        threads.append(threading.Thread(target=work))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if None in results:
        raise RuntimeError("a chain failed")
    wall = time.monotonic() - began
    return Took(wall, sum(r.cpu for r in results), sum(r.peak for r in results),
                sum(r.faults for r in results))


def in_turn(one, other, runs):
    """A B A B …, after one of each that does not count; medians, and the median of the ratios."""
    one(), other()
    pairs = [(one(), other()) for _ in range(runs)]

    def side(index):
        return {
            name: statistics.median(getattr(pair[index], name) for pair in pairs)
            for name in ("wall", "cpu", "peak", "faults")
        }

    def ratio(name):
        ratios = [getattr(a, name) / max(getattr(b, name), 1e-9) for a, b in pairs]
        return statistics.median(ratios)

    return {
        "runs": runs,
        "ours": side(0),
        "theirs": side(1),
        "ratio": {name: ratio(name) for name in ("wall", "cpu", "peak", "faults")},
    }
