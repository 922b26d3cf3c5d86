"""The closed forms: which one answers which question, and what its error is.

Faults that form a closed population meet callers in :mod:`perfmodel.rwlock.closed_population`; an open
stream of faults meets a single caller in the exact single-hold forms, and several callers in the queue
under the kernel's rule (:mod:`perfmodel.rwlock.open_faults`). Everything is an array over the draws of
the machine.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perfmodel.equations.oversubscribed import STATED_ERROR as SLOWDOWN_ERROR
from perfmodel.equations.oversubscribed import slowdown
from perfmodel.errors import InputError
from perfmodel.region import Region
from perfmodel.rwlock.closed_population import closed, closed_woken
from perfmodel.rwlock.lock import LEVELS, Answer, Lock
from perfmodel.rwlock.open_faults import queue, single_hold
from perfmodel.rwlock.terms import affected_think_rate, never_blocked

__all__ = ["solve"]

#: Disciplines that a closed form answers.
_KNOWN = ("rwsem", "fifo")


def solve(lock: Lock, levels: tuple[float, ...] = LEVELS) -> Answer:
    """Answer a lock question in closed form.

    Parameters
    ----------
    lock : Lock
        The question.
    levels : tuple of float
        Quantiles of the wait to give.

    Returns
    -------
    Answer
        NaN where a hold is unknown.

    Raises
    ------
    InputError
        If no closed form knows the discipline.
    """
    if lock.discipline not in _KNOWN:
        raise InputError(
            f"no closed form answers {lock.discipline}",
            field="discipline",
            expected=" or ".join(_KNOWN) + ", or the simulation (perfmodel.rwlock.simulate)",
        )
    return _on_few_cpus(lock, _solve_unlimited(lock, levels))


def _solve_unlimited(lock: Lock, levels: tuple[float, ...]) -> Answer:
    """Answer as if every thread had a CPU."""
    if lock.affected == 0 or not np.any(lock.exclusive > 0):
        return never_blocked(lock, levels)
    if lock.fault_threads is not None:
        if lock.io_share > 0:
            return single_hold(lock, levels, threads=lock.fault_threads)
        if lock.readers_sleep and lock.writer_threads == 1 and np.any(lock.wake_latency > 0):
            return closed_woken(lock, levels)
        return closed(lock, levels)
    if lock.writer_rate is None and lock.writer_threads == 1:
        return single_hold(lock, levels)
    return queue(lock, levels)


def _on_few_cpus(lock: Lock, answer: Answer) -> Answer:
    """Slow down the threads that share fewer CPUs than there are of them."""
    if lock.cpus is None:
        return answer
    if lock.fault_threads is None or lock.writer_rate is not None:
        raise InputError(
            "a stream of faults or calls does not say how many threads share the CPUs", field="cpus",
            expected="a closed population of faults and of callers",
        )  # fmt: skip
    everybody = lock.fault_threads + lock.writer_threads
    if lock.cpus >= everybody:
        return answer
    m = lock.sections
    one = slowdown(
        lock.fault_threads, lock.cpus, affected_think_rate(lock), 1.0 / (m * answer.call_rate),
        answer.acquire / m, lock.exclusive, answer.blocked / m, answer.blocked_time / m,
        lock.wake_latency if lock.readers_sleep else 0.0,
    )  # fmt: skip
    fault_rate, call_rate = answer.fault_rate / one.cycle, answer.call_rate / one.cycle
    with np.errstate(all="ignore"):
        longer = np.where(answer.blocked_time > 0, m * one.blocked_time / answer.blocked_time, 1.0)
        wait = np.where(
            fault_rate > 0, (m * one.blocked_time + answer.wake_time) * call_rate / fault_rate, 0.0
        )
    region = answer.region
    if lock.writer_threads > 1:
        region &= Region.nowhere(["one caller shares the CPUs with the faults (several do)"])
    return replace(
        answer,
        acquire=m * one.acquire,
        blocked_time=m * one.blocked_time,
        wait_mean=wait,
        wait_quantiles={q: longer * value for q, value in answer.wait_quantiles.items()},
        fault_rate=fault_rate,
        call_rate=call_rate,
        solver=f"{answer.solver}; {everybody} threads on {lock.cpus} CPUs",
        stated_error=f"{answer.stated_error}; {SLOWDOWN_ERROR}",
        region=region,
    )
