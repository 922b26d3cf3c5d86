"""Time and memory against points, threads and trace length, over three decades.

    python calibration/benchmarks/growth.py KIND    # one kind, all its sizes, as JSON

Each kind has a process of its own, which compiles what is to be compiled, and each size a copy of that
process, in which the memory is measured.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from measuring import exponent

__all__ = ["KINDS", "fitted", "measured", "one"]

# Three to a decade, and six where the growth shows.
_THREADS = (1, 2, 5, 10, 22, 46, 100, 150, 220, 320, 460, 680, 1_000)
_THOUSANDS = (*(1_000, 2_200, 4_600, 10_000, 22_000, 46_000), *(1_000 * n for n in _THREADS[6:]))

#: What grows: the unit of a size, and the sizes.
KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "sweep": ("points", _THOUSANDS),
    "predict": ("faulting threads", _THREADS),
    "chain": ("faulting threads", _THREADS),
    "simulation": ("faulting threads", _THREADS),
    "read": ("trace lines", _THOUSANDS),
}

#: Memory below this is the interpreter's own noise, bytes.
_LEAST = 4 << 20

#: Times as long as the shortest from which on the growth is fitted: below, the fixed cost hides it.
_ABOVE = 5.0

#: Repeats at least, and CPU seconds spent on a size at least, with repeats at most.
_REPEATS, _SECONDS, _MOST = 3, 0.25, 100


def _peak() -> int:
    # Not ru_maxrss: a new process begins with its parent's.
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(x.split()[1]) for x in status if x.startswith("VmHWM:"))


def _fresh_peak() -> int:
    """Give back what is free and forget the peak so far; return the memory that is left in use."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _work(kind: str, size: int, folder: Path) -> Callable[[], Any]:
    """Return what is timed."""
    if kind == "sweep":
        from predictions import question
        from sweep import planned

        from perfmodel.sweeping.evaluate import evaluate

        plan = planned(question(), "usual", size)

        def all_blocks() -> None:
            for index in range(plan.blocks):
                evaluate(plan, plan.block(index), loop=True)

        evaluate(
            planned(question(), "usual", 100), planned(question(), "usual", 100).block(0), loop=True
        )
        return all_blocks
    if kind == "read":
        from readers import FIXTURES, TRACES, grow, ours

        name = next(iter(TRACES.values()))[0]
        grow(FIXTURES / name, folder / "first", 100)
        ours(folder / "first")
        grow(FIXTURES / name, folder / "trace", size)
        return lambda: ours(folder / "trace")
    if kind == "predict":
        import perfmodel as pm

        scenario = pm.Scenario(machine="xeon-vm-6.18", faults=pm.Faults(threads=size, think_us=20),
                               writers=pm.Writers(threads=1, think_us=200), cpus=2048)  # fmt: skip
        pm.predict(pm.Scenario(machine="xeon-vm-6.18"), draws=1, solver="closed")
        return lambda: pm.predict(scenario, draws=1, solver="closed")
    from solvers import lock

    if kind == "chain":
        from perfmodel.rwlock import markov

        markov.solve_chain(lock(2, 1), levels=())

        def from_nothing() -> None:
            # Large chains are never kept, so small ones are not either: all sizes do the same.
            markov._remembered.cache_clear()
            markov.solve_chain(lock(size, 1), levels=())

        return from_nothing
    from perfmodel.rwlock.simulate import simulate

    simulate(lock(2, 1), calls=300, levels=())
    # Calls enough for as many events at every size: what is shown is the cost of one.
    calls = max(300, 300_000 // size)
    return lambda: simulate(lock(size, 1), calls=calls, levels=()).events


def one(kind: str, size: int) -> dict[str, Any]:
    """Measure one size in this process: the peak of the first run, the shortest time of all."""
    with tempfile.TemporaryDirectory(prefix="perfmodel-") as folder:
        run = _work(kind, size, Path(folder))
        before, peak = _fresh_peak(), 0
        seconds: list[float] = []
        while len(seconds) < _REPEATS or (sum(seconds) < _SECONDS and len(seconds) < _MOST):
            begun = time.process_time()
            told = run()
            seconds.append(time.process_time() - begun)
            peak = peak or _peak()
        # Whatever else the machine does only adds.
        least = min(seconds) / (told if kind == "simulation" else 1)
        return {"size": size, "seconds": least, "bytes": max(peak - before, 0)}


def fitted(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fit the exponents of time and memory.

    Time is fitted to the sizes that take five times the shortest or more; where fewer than four do,
    to all: it hardly grows. Memory is fitted to the last decade, in which what is worked off in pieces
    grows no more; None where fewer than four sizes need some to speak of.
    """
    floor = _ABOVE * min(row["seconds"] for row in rows)
    long = [row for row in rows if row["seconds"] >= floor]
    large = [
        row
        for row in rows
        if row.get("bytes", 0) >= _LEAST and 10 * row["size"] >= rows[-1]["size"]
    ]
    return {
        "time": _fit(long if len(long) >= 4 else rows, "seconds"),
        "memory": _fit(large, "bytes") if len(large) >= 4 else None,
    }


def _fit(rows: Sequence[dict[str, Any]], what: str) -> dict[str, float]:
    found = exponent([row["size"] for row in rows], [row[what] for row in rows])
    return found | {"from": rows[0]["size"]}


def _all_sizes(kind: str) -> list[dict[str, Any]]:
    """Measure all sizes of a kind, each in a copy of this process."""
    sizes = KINDS[kind][1]
    with tempfile.TemporaryDirectory(prefix="perfmodel-") as folder:
        _work(kind, sizes[0], Path(folder))
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        return pool.map(partial(one, kind), sizes, chunksize=1)


def measured() -> list[dict[str, Any]]:
    """Measure all kinds and fit their exponents."""
    found = []
    for kind, (unit, _) in KINDS.items():
        done = subprocess.run(
            [sys.executable, __file__, kind], stdout=subprocess.PIPE, text=True, check=True
        )
        rows = json.loads(done.stdout.splitlines()[-1])
        found.append({"kind": kind, "against": unit, "rows": rows} | fitted(rows))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_all_sizes(sys.argv[1])) + "\n")
