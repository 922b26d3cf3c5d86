"""Events a second of the compiled simulation against its peers', on the same lock in one run.

    python calibration/benchmarks/simulation.py [--calls 5000] [--rounds 3]

The peers are SimPy, which everybody knows, and Cimba, which compiles its processes. All simulate one
lock, and their mean waits are printed so that one sees that it is the same. Events of each program are
what its own loop takes from its heap; acquisitions of the lock count the same work in all. The rounds
alternate, so a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np
from cimba_lock import with_cimba
from simpy_lock import with_simpy
from the_lock import CALL_THINK, CALLING, EXCLUSIVE, FAULT_THINK, FAULTING, READ, SHARED

from perfmodel.rwlock.lock import Lock
from perfmodel.rwlock.simulate import simulate


def compiled(calls: int, seed: int) -> tuple[float, int, int, float]:
    """Return the same of the compiled simulation."""
    lock = Lock(
        exclusive=np.array([EXCLUSIVE]), shared=np.array([SHARED]), read_hold=READ,
        fault_threads=FAULTING, fault_think=FAULT_THINK, writer_threads=CALLING,
        writer_think=CALL_THINK, readers_sleep=False,
    )  # fmt: skip
    begun = time.perf_counter()
    # The warm-up is simulated but not counted, so there is none here.
    result = simulate(lock, calls=calls, seed=seed, warm_up=0.0, levels=())
    seconds = time.perf_counter() - begun
    work = result.faults + result.calls
    return seconds, result.events, work, result.estimates["wait_mean"].mean


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def main() -> None:
    """Run all in turn and print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=5000, help="calls a SimPy round simulates")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    # What compiles does so before the clock runs.
    compiled(100, 0)
    with_cimba(100, 0)
    programs = {"SimPy": (with_simpy, 1), "Cimba": (with_cimba, 20), "compiled": (compiled, 50)}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for seed in range(given.rounds):
        for name, (program, more) in programs.items():
            seconds, events, work, wait = program(more * given.calls, seed)
            rates[name].append((events / seconds, work / seconds))
            say(f"{name:9} {events:10d} events {seconds:7.3f} s  {events / seconds:12,.0f} events/s"
                f"  {work / seconds:12,.0f} acquisitions/s  mean fault wait {wait:.0f} ns")  # fmt: skip
    for peer in ("SimPy", "Cimba"):
        for i, what in enumerate(("events", "acquisitions")):
            ratios = [c[i] / s[i] for c, s in zip(rates["compiled"], rates[peer], strict=True)]
            say(f"{what} a second, compiled over {peer}: {statistics.median(ratios):.3g}"
                f" (of {given.rounds} rounds: {min(ratios):.3g} to {max(ratios):.3g})")  # fmt: skip


if __name__ == "__main__":
    main()
