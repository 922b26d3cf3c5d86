"""The lock that the figures of the model's failures ask about, and who answers for it.

None of it is measured: holds and pauses are round numbers of the size that the calibrated machines
have, so that each figure shows one assumption and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.errors import InputError
from perfmodel.rwlock.lock import Lock

__all__ = [
    "EVIDENCE", "HOLD", "PAUSE", "READ", "THINK", "THREADS", "Told", "answer", "example",
    "simulated",
]  # fmt: skip

#: What the figures say that they rest on.
EVIDENCE = "the models alone, an example lock; nothing here is measured"

#: Whole hold of a call, pause of a caller, read hold and pause of a faulting thread, ns.
HOLD, PAUSE, READ, THINK = 10_000.0, 100_000.0, 500.0, 20_000.0

#: Faulting threads.
THREADS = 16


def example(
    exclusive: float, shared: float = 0.0, *, threads: int = THREADS, think: float = THINK,
    callers: int = 1, pause: float = PAUSE, read: float = READ, discipline: str = "rwsem",
    cpus: int | None = None,
) -> Lock:  # fmt: skip
    """Return a closed population of faults and callers; nobody pays for a wake-up.

    Parameters
    ----------
    exclusive, shared : float, ns
        Hold of a call for writing, then for reading.
    threads, callers : int
    think, pause, read : float, ns
        Between two faults, between two calls, and how long a fault holds the lock.
    discipline : str
    cpus : int, optional
    """
    return Lock(
        exclusive=np.array([exclusive]), shared=np.array([shared]), read_hold=read,
        fault_threads=threads, fault_think=think, writer_threads=callers, writer_think=pause,
        discipline=discipline, cpus=cpus,
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A mean wait and who found it.

    Parameters
    ----------
    wait, half_width : float, ns
        Mean over all faults, and half of its 95 % interval: 0 where it is exact.
    solver : str
        ``chain`` or ``simulation``.
    """

    wait: float
    half_width: float
    solver: str


def answer(lock: Lock, *, calls: int = 15_000, seed: int = 1) -> Told:
    """Return the mean wait of a fault with exponential holds: by the exact chain if it can answer.

    Parameters
    ----------
    lock : Lock
        One draw.
    calls : int
        Calls of the simulation, where the chain does not know the rule or has too many states.
    seed : int

    Raises
    ------
    MissingExtraError
        If the simulation is needed and numba is not installed.
    """
    from perfmodel.rwlock.markov import solve_chain

    try:
        return Told(float(solve_chain(lock, levels=()).wait_mean[0]), 0.0, "chain")
    except InputError:
        return simulated(lock, calls=calls, seed=seed)


def simulated(lock: Lock, *, calls: int = 15_000, seed: int = 1) -> Told:
    """Return the mean wait of a fault with exponential holds by simulation; parameters as of `answer`.

    Raises
    ------
    MissingExtraError
        If numba is not installed.
    """
    from perfmodel.rwlock.simulate import Law, simulate

    law = Law("exponential")
    run = simulate(lock, calls=calls, seed=seed, holds={"exclusive": law, "shared": law}, levels=())
    mean = run.estimates["wait_mean"]
    return Told(mean.mean, mean.half_width, "simulation")
