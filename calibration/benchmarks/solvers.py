"""The chain, the simulation beside SimPy, Ciw and Cimba, and the closed form beside the simulation."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from cimba_lock import with_cimba
from measuring import compared, in_turn, spread
from simpy_lock import with_simpy
from simulation import MORE, OURS, PEERS, rates, with_ours
from the_lock import CALL_THINK, CALLING, EXCLUSIVE, FAULT_THINK, FAULTING, READ, SHARED, Round

from perfmodel.rwlock.closed_form import solve
from perfmodel.rwlock.lock import LEVELS, Lock
from perfmodel.rwlock.markov import solve_chain
from perfmodel.rwlock.simulate import simulate

__all__ = ["chain", "equal_error", "lock", "simulators"]

#: Standard errors by which two means may differ.
BOUND = 4.5


def lock(faulting: int = FAULTING, calling: int = CALLING) -> Lock:
    """Return the lock that all are asked about, with so many threads."""
    return Lock(
        exclusive=np.array([EXCLUSIVE]), shared=np.array([SHARED]), read_hold=READ,
        fault_threads=faulting, fault_think=FAULT_THINK, writer_threads=calling,
        writer_think=CALL_THINK, readers_sleep=False,
    )  # fmt: skip


def chain(rounds: int = 9) -> list[dict[str, Any]]:
    """Time the chain of 8 and of 64 faulting threads against its limits, means and quantiles."""
    found = []
    for threads, limit in ((8, 1e-3), (64, 100e-3)):
        for calling, what in ((1, "one caller"), (4, "four callers")):
            for levels, more in (((), "means"), (LEVELS, "means and three quantiles")):
                asked, times = lock(threads, calling), max(1, 8 // threads * 8)
                ran = in_turn(
                    {"chain": lambda a=asked, q=levels, t=times: [solve_chain(a, levels=q)
                                                                  for _ in range(t)]},
                    rounds, time.perf_counter,
                )["chain"]  # fmt: skip
                seconds = [x / times for x in ran]
                found.append({
                    "section": "chain", "what": f"chain, N = {threads}, {what}, {more}",
                    "seconds": spread(seconds), "limit": limit, "rounds": rounds,
                    "solver": solve_chain(asked, levels=()).solver,
                })  # fmt: skip
    return found


def simulators(rounds: int = 5, calls: int = 3000) -> list[dict[str, Any]]:
    """Time the simulators on one lock; stop if their mean waits do not agree."""
    ran: dict[str, list[Round]] = {"SimPy": [], "Cimba": [], OURS: []}
    with_ours(100, 0)
    with_cimba(100, 0)
    errors = []
    for seed in range(rounds):
        for name, some in ran.items():
            asked = MORE[name] * calls
            if name == OURS:
                one, result = with_ours(asked, seed)
                errors.append(result.estimates["wait_mean"].error)
            else:
                one = (with_simpy if name == "SimPy" else with_cimba)(asked, seed)
            some.append(one)
    mean = {name: sum(r.fault_wait * r.faults for r in some) / sum(r.faults for r in some)
            for name, some in ran.items()}  # fmt: skip
    error = math.hypot(*errors) / len(errors)
    found = []
    for peer in PEERS:
        theirs = error * math.sqrt(MORE[OURS] / MORE[peer])
        apart = (mean[peer] - mean[OURS]) / math.hypot(error, theirs)
        if not abs(apart) < BOUND:
            raise RuntimeError(f"{peer} waits {mean[peer]:.4g} ns, ours {mean[OURS]:.4g} ns")
        for i, what in enumerate(("events", "acquisitions of the lock")):
            found.append(
                compared("simulation", f"simulation, {what}", peer, "1/s",
                         [rates(r)[i] for r in ran[OURS]], [rates(r)[i] for r in ran[peer]])
                | {"standard_errors_apart": apart}
            )  # fmt: skip
    return found


def equal_error(rounds: int = 5) -> list[dict[str, Any]]:
    """Tell how many times cheaper the closed form is than a simulation of the same error.

    The error of the closed form is its distance from a long simulation, that one's standard error
    added; a simulation's error falls as the root of its length, which gives the length of equal
    error. Where that is shorter than one call it is one call.
    """
    found = []
    for threads in (8, 32):
        what, asked = f"{threads} threads, 1 caller", lock(threads, 1)
        long = simulate(asked, calls=400_000, seed=1, levels=(), max_events=400_000_000)
        truth = long.estimates["wait_mean"]
        answer = solve(asked, levels=())
        if answer.broken:
            raise RuntimeError(f"the closed form's error is not known: {answer.broken}")
        closed = float(answer.wait_mean[0])
        error = abs(closed - truth.mean) + truth.error
        calls = max(1.0, long.calls * (truth.error / error) ** 2)
        short = max(300, int(calls))
        seconds = in_turn(
            {"closed": lambda a=asked: [solve(a, levels=()) for _ in range(20)],
             "simulation": lambda a=asked, n=short: simulate(a, calls=n, seed=2, levels=())},
            rounds, time.perf_counter,
        )  # fmt: skip
        # A simulation shorter than the shortest timed costs in proportion, and never less.
        part = calls / short
        found.append(
            compared("equal error", f"mean wait to {error / truth.mean:.1%}, {what}",
                     f"the compiled simulation of {calls:,.0f} calls", "answers/s",
                     [20 / x for x in seconds["closed"]],
                     [1 / (x * part) for x in seconds["simulation"]])
            | {"relative_error": error / truth.mean, "calls": calls}
        )  # fmt: skip
    return found
