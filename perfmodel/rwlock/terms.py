"""Terms that the closed forms share: who needs the lock, who must be woken, what passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.account import ANY_WOKEN, ANY_WOKEN_FINITE, WAKE_TIME
from perfmodel.region import Region
from perfmodel.rwlock.lock import Answer, Lock

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "NO_MEETING", "SEVERAL_SECTIONS", "affected_think_rate", "any_woken", "fault_rate_of",
    "inner_level", "never_blocked", "wake_time_of", "with_wake", "woken_in_the_way",
]  # fmt: skip

#: Holds of no call with several sections: readers just released may delay the next retake.
SEVERAL_SECTIONS = (
    "the sections of one call are independent (readers just released may delay the next retake)"
)


NO_MEETING = "calls do not meet (calls that come at random may; one caller was assumed)"


def affected_think_rate(lock: Lock) -> Any:
    """Rate at which one running thread makes faults that need the lock: the others run on."""
    nu = 1.0 / lock.fault_think if lock.fault_think > 0 else math.inf
    q = lock.affected
    return q * nu / (1.0 + (1.0 - q) * nu * np.asarray(lock.read_hold, dtype=float))


def inner_level(level: float, affected: float) -> float | None:
    """Level among the affected faults that is `level` among all; None where it falls before them."""
    inner = 1.0 - (1.0 - level) / affected if affected > 0 else -1.0
    return inner if inner > 0 else None


def wake_time_of(
    lock: Lock, blocked: NDArray[np.float64], threads: int | None
) -> NDArray[np.float64]:
    """Return the total delay of the faults that one section blocks, from grant to running, ns."""
    if not lock.readers_sleep:
        return np.zeros_like(blocked)
    # Given the window the blocked faults are binomial (n threads) or Poisson.
    pairs = blocked**2 * (1.0 - 1.0 / threads if threads else 1.0)
    return WAKE_TIME(
        woken=blocked, woken_pairs=pairs,
        wake_latency=lock.wake_latency, wake_serial=lock.wake_serial,
    )  # fmt: skip


def any_woken(sleepers: NDArray[np.float64], threads: int | None) -> NDArray[np.float64]:
    """Return the probability that a section has somebody to wake.

    Parameters
    ----------
    sleepers : ndarray
        Mean number of sleepers.
    threads : int or None
        Faulting threads; None for an open stream.
    """
    if threads is None:
        return ANY_WOKEN(woken=sleepers)
    return ANY_WOKEN_FINITE(woken=np.minimum(sleepers, threads), fault_threads=threads)


#: which on the closed forms say so.
_CLOSE_CALLS = 0.05


def woken_in_the_way(lock: Lock, calls: NDArray[np.float64]) -> dict[str, Any]:
    """Say where calls follow each other so closely that woken faults still own the lock.

    rwsem grants the lock to a sleeper before it runs: the next caller waits for the wake-up, and
    new faults queue behind it. The closed population and the queue of several callers let a woken
    fault wait, but not hold; the single hold has it (`_with_overlap`).
    """
    if not lock.readers_sleep:
        return {}
    return {
        f"at most {100 * _CLOSE_CALLS:.0f} % of the calls come while a woken fault is still on its"
        " way (it owns the lock already, and more of them make the waits longer)": np.isnan(calls)
        | (calls * lock.wake_latency <= _CLOSE_CALLS)
    }


def never_blocked(lock: Lock, levels: tuple[float, ...]) -> Answer:
    """Answer where no fault needs the lock while it is exclusive."""
    zero = np.zeros_like(lock.exclusive) + 0.0 * lock.exclusive
    think = np.asarray(lock.writer_think, dtype=float)
    if lock.writer_rate is not None:
        calls = np.full_like(zero, lock.writer_rate)
    else:
        calls = lock.writer_threads / (think + lock.sections * (lock.exclusive + lock.shared))
    several = lock.writer_threads > 1 or lock.writer_rate is not None
    region = Region()
    if several:
        region = Region(
            {"callers wait for nobody (several may wait for each other)": ~(lock.exclusive > 0)}
        )
    return Answer(
        acquire=zero, blocked=zero, blocked_time=zero, wake_time=zero, wait_mean=zero,
        wait_quantiles=dict.fromkeys(levels, zero), blocked_share=zero,
        fault_rate=fault_rate_of(lock, zero), call_rate=calls,
        solver="no fault needs the lock while it is exclusive: nobody waits", stated_error="exact",
        region=region,
    )  # fmt: skip


def fault_rate_of(lock: Lock, wait_mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Throughput by conservation of a thread's time; an open stream passes whatever waits."""
    if lock.fault_threads is None:
        return np.full_like(wait_mean, float(lock.fault_rate or 0.0))
    hold = lock.read_hold + lock.io_share * lock.io_time
    return np.asarray(lock.fault_threads / (lock.fault_think + hold + wait_mean))


def with_wake(
    blocked: NDArray[np.float64], wake_time: NDArray[np.float64],
    quantiles: Mapping[float, NDArray[np.float64]],
) -> dict[float, NDArray[np.float64]]:  # fmt: skip
    """Add a blocked fault's mean wake-up delay to the quantiles that blocked faults make up."""
    with np.errstate(all="ignore"):
        each = np.where(blocked > 0, wake_time / np.where(blocked > 0, blocked, 1.0), 0.0)
    return {level: np.where(wait > 0, wait + each, wait) for level, wait in quantiles.items()}
