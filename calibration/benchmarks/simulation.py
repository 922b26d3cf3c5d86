"""Events a second of the compiled simulation against its peers', on the same lock in one run.

    python calibration/benchmarks/simulation.py [--calls 5000] [--rounds 5]

The peers are SimPy, which everybody knows, and Cimba, which compiles its processes. Events of each
program are what its own loop takes from its heap; acquisitions of the lock count the same work in all.
The rounds alternate, so a machine that slows down slows all of them. The exit status is 1 if the
mean waits do not agree: then it was not the same lock.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time

import numpy as np
from cimba_lock import with_cimba
from simpy_lock import with_simpy
from the_lock import CALL_THINK, CALLING, EXCLUSIVE, FAULT_THINK, FAULTING, READ, SHARED, Round

from perfmodel.rwlock.lock import Lock
from perfmodel.rwlock.simulate import SimulationResult, simulate

OURS, PEERS = "perfmodel", ("SimPy", "Cimba")
#: How many times SimPy's calls each program simulates in a round: a second or so for all of them.
MORE = {"SimPy": 1, "Cimba": 15, OURS: 50}
#: Standard errors by which two means may differ.
BOUND = 4.5


def with_ours(calls: int, seed: int) -> tuple[Round, SimulationResult]:
    """Simulate so many calls."""
    lock = Lock(
        exclusive=np.array([EXCLUSIVE]), shared=np.array([SHARED]), read_hold=READ,
        fault_threads=FAULTING, fault_think=FAULT_THINK, writer_threads=CALLING,
        writer_think=CALL_THINK, readers_sleep=False,
    )  # fmt: skip
    begun = time.perf_counter()
    # The warm-up is simulated but not counted, so there is none here.
    result = simulate(lock, calls=calls, seed=seed, warm_up=0.0, levels=())
    seconds = time.perf_counter() - begun
    waits = (result.estimates[name].mean for name in ("wait_mean", "acquire"))
    return Round(seconds, result.events, result.faults, result.calls, *waits), result


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def rates(one: Round) -> tuple[float, float]:
    """Return events and acquisitions a second."""
    return one.events / one.seconds, (one.faults + one.calls) / one.seconds


def agree(rounds: dict[str, list[Round]], results: list[SimulationResult]) -> bool:
    """Print the mean waits over all rounds, and whether those of the peers are ours.

    All simulate the same process, so the standard error of a peer's mean is ours, larger by the
    root of how many times fewer calls it simulated.
    """
    fine = True
    for what, field in (("fault", "wait_mean"), ("call", "acquire")):
        errors = [r.estimates[field].error for r in results]
        # Of the mean over rounds of equal length.
        ours = math.hypot(*errors) / len(errors)
        means = {}
        for name, ran in rounds.items():
            count = [getattr(r, f"{what}s") for r in ran]
            mean = sum(getattr(r, f"{what}_wait") * c for r, c in zip(ran, count, strict=True))
            means[name] = mean / sum(count), sum(r.calls for r in ran)
        told = []
        for name, (mean, calls) in means.items():
            error = ours * math.sqrt(means[OURS][1] / calls)
            text = f"{name} {mean:.1f} ± {error:.1f}"
            if name != OURS:
                z = (mean - means[OURS][0]) / math.hypot(error, ours)
                fine &= abs(z) < BOUND
                text += f" (z {z:+.1f})"
            told.append(text)
        say(f"mean wait of a {what}, ns: " + ", ".join(told))
    return fine


def main() -> int:
    """Run all in turn and print rates, ratios and waits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=5000, help="calls a SimPy round simulates")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    # What compiles does so before the clock runs.
    with_ours(100, 0)
    with_cimba(100, 0)
    rounds: dict[str, list[Round]] = {"SimPy": [], "Cimba": [], OURS: []}
    results = []
    for seed in range(given.rounds):
        for name, ran in rounds.items():
            calls = MORE[name] * given.calls
            if name == OURS:
                one, result = with_ours(calls, seed)
                results.append(result)
            else:
                one = (with_simpy if name == "SimPy" else with_cimba)(calls, seed)
            ran.append(one)
            events, acquisitions = rates(one)
            say(f"{name:9} {one.events:10d} events {one.seconds:7.3f} s  {events:12,.0f} events/s"
                f"  {acquisitions:12,.0f} acquisitions/s")  # fmt: skip
    for peer in PEERS:
        for i, what in enumerate(("events", "acquisitions")):
            ratios = [rates(a)[i] / rates(b)[i]
                      for a, b in zip(rounds[OURS], rounds[peer], strict=True)]  # fmt: skip
            say(f"{what} a second, {OURS} over {peer}: {statistics.median(ratios):.3g}"
                f" (of {given.rounds} rounds: {min(ratios):.3g} to {max(ratios):.3g})")  # fmt: skip
    if agree(rounds, results):
        return 0
    say("The waits do not agree: these are not the same lock.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
