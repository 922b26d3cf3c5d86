"""The closed forms: which one answers which question, and what its error is.

Faults that form a closed population meet callers in :func:`~perfmodel.equations.closed.closed_system`;
an open stream of faults meets a single caller in the exact single-hold forms, and several callers in
the queue under the kernel's rule. Everything is an array over the draws of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.account import ANY_WOKEN, ANY_WOKEN_FINITE, WAKE_TIME
from perfmodel.equations.blocked_time import blocked_quantile
from perfmodel.equations.blocking import finite_blocking, open_blocking
from perfmodel.equations.closed import closed_system
from perfmodel.equations.drain import Moments, drain_open, drain_open_two_class
from perfmodel.equations.overlap import OVERLAP, OVERLAP_2
from perfmodel.equations.oversubscribed import STATED_ERROR as SLOWDOWN_ERROR
from perfmodel.equations.oversubscribed import slowdown
from perfmodel.equations.queue import Queue, fifo_queue, rwsem_queue
from perfmodel.equations.woken import closed_system_woken
from perfmodel.errors import InputError
from perfmodel.region import Region
from perfmodel.rwlock.lock import LEVELS, Answer, Lock

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SEVERAL_SECTIONS", "any_woken", "solve", "woken_in_the_way"]

#: Disciplines that a closed form answers.
_KNOWN = ("rwsem", "fifo")

#: Holds of no call with several sections: readers just released may delay the next retake.
SEVERAL_SECTIONS = (
    "the sections of one call are independent (readers just released may delay the next retake)"
)


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
        return _never_blocked(lock, levels)
    if lock.fault_threads is not None:
        if lock.io_share > 0:
            return _single_hold(lock, levels, threads=lock.fault_threads)
        if lock.readers_sleep and lock.writer_threads == 1 and np.any(lock.wake_latency > 0):
            return _closed_woken(lock, levels)
        return _closed(lock, levels)
    if lock.writer_rate is None and lock.writer_threads == 1:
        return _single_hold(lock, levels)
    return _queue(lock, levels)


_NO_MEETING = "calls do not meet (calls that come at random may; one caller was assumed)"


def _affected_think_rate(lock: Lock) -> Any:
    """Rate at which one running thread makes faults that need the lock: the others run on."""
    nu = 1.0 / lock.fault_think if lock.fault_think > 0 else math.inf
    q = lock.affected
    return q * nu / (1.0 + (1.0 - q) * nu * np.asarray(lock.read_hold, dtype=float))


def _inner_level(level: float, affected: float) -> float | None:
    """Level among the affected faults that is `level` among all; None where it falls before them."""
    inner = 1.0 - (1.0 - level) / affected if affected > 0 else -1.0
    return inner if inner > 0 else None


def _wake(lock: Lock, blocked: NDArray[np.float64], threads: int | None) -> NDArray[np.float64]:
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


#: Share of the calls that come while a fault woken by the call before is still on its way, from
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


def _never_blocked(lock: Lock, levels: tuple[float, ...]) -> Answer:
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
        fault_rate=_fault_rate(lock, zero), call_rate=calls,
        solver="no fault needs the lock while it is exclusive: nobody waits", stated_error="exact",
        region=region,
    )  # fmt: skip


def _fault_rate(lock: Lock, wait_mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Throughput by conservation of a thread's time; an open stream passes whatever waits."""
    if lock.fault_threads is None:
        return np.full_like(wait_mean, float(lock.fault_rate or 0.0))
    hold = lock.read_hold + lock.io_share * lock.io_time
    return np.asarray(lock.fault_threads / (lock.fault_think + hold + wait_mean))


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
        lock.fault_threads, lock.cpus, _affected_think_rate(lock), 1.0 / (m * answer.call_rate),
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


def _with_wake(
    blocked: NDArray[np.float64], wake_time: NDArray[np.float64],
    quantiles: Mapping[float, NDArray[np.float64]],
) -> dict[float, NDArray[np.float64]]:  # fmt: skip
    """Add a blocked fault's mean wake-up delay to the quantiles that blocked faults make up."""
    with np.errstate(all="ignore"):
        each = np.where(blocked > 0, wake_time / np.where(blocked > 0, blocked, 1.0), 0.0)
    return {level: np.where(wait > 0, wait + each, wait) for level, wait in quantiles.items()}


def _closed(lock: Lock, levels: tuple[float, ...]) -> Answer:
    n = lock.fault_threads
    assert n is not None
    inner = {level: _inner_level(level, lock.affected) for level in levels}
    wanted = tuple(dict.fromkeys(q for q in inner.values() if q is not None))
    m = lock.sections
    think, writers = np.asarray(lock.writer_think, dtype=float), lock.writer_threads
    if lock.writer_rate is not None:
        # An open stream that meets nobody else is a single caller who thinks the rest of the time.
        writers = 1
        think = np.maximum(1.0 / lock.writer_rate - m * (lock.exclusive + lock.shared), 0.0)
    for _ in range(3 if lock.writer_rate is not None else 1):
        system = closed_system(
            n, _affected_think_rate(lock), 1.0 / np.asarray(lock.read_hold), think / m,
            lock.exclusive, lock.shared, writers=writers, quantiles=wanted,
            of_blocked=False,
        )  # fmt: skip
        if lock.writer_rate is not None:
            busy = m * (system.writer_wait + lock.exclusive + lock.shared)
            think = np.maximum(1.0 / lock.writer_rate - busy, 0.0)
    region = system.region.also(woken_in_the_way(lock, system.call_rate))
    if lock.writer_rate is not None:
        region &= Region.nowhere([_NO_MEETING]).also(
            {"the calls come no faster than the lock can serve them": think > 0}
        )
    acquire = system.writer_wait
    if writers > 1:
        busy = system.acquire + lock.exclusive + lock.shared
        # The machine repairman's service is exponential; of a hold that varies less, a caller that
        # comes in the middle meets less: (1 + cv^2)/2 of its mean, as in M/G/1.
        varies = (system.acquire_2 - system.acquire**2) / np.maximum(busy, 1e-300) ** 2
        acquire = system.acquire + 0.5 * (1 + varies) * (system.writer_wait - system.acquire)
        region = region.also(
            {
                "several callers wait for the lock or hold it less than 15 % of the time": ~(
                    system.call_rate * busy > 0.15
                ),
                "several callers come with a shared part no longer than the exclusive one (a fault"
                " queues behind the caller who waits for another's shared part to end)": ~(
                    lock.shared > lock.exclusive
                ),
            }
        )
    if m > 1:
        region &= Region.nowhere([SEVERAL_SECTIONS])
    blocked = m * system.blocked_per_call
    blocked_time = m * system.blocked_time_per_call
    wake_time = m * _wake(lock, system.blocked_per_call, n)
    share = np.asarray(system.p_blocked * lock.affected)
    with np.errstate(all="ignore"):
        each = np.where(blocked > 0, (blocked_time + wake_time) / blocked, 0.0)
    quantiles = {
        level: system.wait_quantiles[q] if q is not None else np.zeros_like(blocked)
        for level, q in inner.items()
    }
    wait_mean = share * each
    return Answer(
        acquire=m * acquire,
        blocked=blocked,
        blocked_time=blocked_time,
        wake_time=wake_time,
        wait_mean=wait_mean,
        wait_quantiles=_with_wake(blocked, wake_time, quantiles),
        blocked_share=share,
        fault_rate=_fault_rate(lock, wait_mean),
        call_rate=system.call_rate / m,
        solver="closed population, embedded binomial",
        stated_error=system.stated_error,
        region=region,
    )


def _closed_woken(lock: Lock, levels: tuple[float, ...]) -> Answer:
    """Answer for one caller and a closed population whose woken faults own the lock before they run."""
    n, m = lock.fault_threads, lock.sections
    assert n is not None
    nu, mu = _affected_think_rate(lock), 1.0 / np.asarray(lock.read_hold)
    think = np.asarray(lock.writer_think, dtype=float) / m
    region = Region()
    rounds = 1
    if lock.writer_rate is not None:
        # An open stream that meets nobody else is a single caller who thinks the rest of the time.
        rounds = 4
        think = np.maximum(1.0 / (lock.writer_rate * m) - lock.exclusive - lock.shared, 0.0)
    for _ in range(rounds):
        system = closed_system_woken(
            n, nu, mu, think, lock.exclusive, lock.shared, lock.wake_latency, lock.wake_serial
        )
        if lock.writer_rate is not None:
            # What remains of a cycle of the given length once the caller has waited and held.
            busy = system.cycle - think
            think = np.maximum(1.0 / (lock.writer_rate * m) - busy, 0.0)
    region = system.region
    if lock.writer_rate is not None:
        region &= Region.nowhere([_NO_MEETING]).also(
            {"the calls come no faster than the lock can serve them": think > 0}
        )
    if m > 1:
        region &= Region.nowhere([SEVERAL_SECTIONS])
    wake_time = _wake(lock, system.blocked, n)
    lost = system.blocked_time + wake_time
    # A thread thinks, holds the lock, is blocked, or is on its way.
    faults = (n * system.cycle - lost) / (lock.fault_think + np.asarray(lock.read_hold))
    with np.errstate(all="ignore"):
        share = np.clip(system.blocked / faults, 0.0, 1.0)
        quantiles = {}
        for level in levels:
            inner = 1.0 - (1.0 - level) / np.where(share > 0, share, np.nan)
            wait = blocked_quantile(
                np.clip(inner, 0.0, 1.0 - 1e-12), lock.exclusive, system.acquire,
                system.acquire_2, nu=nu, law="drain",
            )  # fmt: skip
            quantiles[level] = np.where(inner > 0, wait, 0.0)
    blocked, wake_time = m * system.blocked, m * wake_time
    return Answer(
        acquire=m * system.acquire,
        blocked=blocked,
        blocked_time=m * system.blocked_time,
        wake_time=wake_time,
        wait_mean=lost / faults,
        wait_quantiles=_with_wake(blocked, wake_time, quantiles),
        blocked_share=share,
        fault_rate=faults / system.cycle,
        call_rate=1.0 / (m * system.cycle),
        solver="closed population, one caller, woken faults own the lock",
        stated_error=system.stated_error,
        region=region,
    )


def _with_overlap(
    lock: Lock, drain: Moments, rate: Any, threads: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Moments of the caller's wait with the faults in it that the call before has woken.

    Whether a call meets them depends on whether the one before woke anybody, which depends on the
    same of the one before that: the third result is the share of calls that come so soon.
    """
    think = np.asarray(lock.writer_think, dtype=float)
    if lock.writer_rate is not None:
        think = np.full_like(
            lock.exclusive, 1.0 / lock.writer_rate if lock.writer_rate else math.inf
        )
    left = np.maximum(np.asarray(lock.wake_latency, dtype=float) - lock.shared, 0.0)
    known = {"wake_latency": left, "think_writer": np.maximum(think, 1e-6)}
    one, two = OVERLAP(**known), OVERLAP_2(**known)
    window = drain.mean + lock.exclusive
    first = any_woken(rate * window, threads)
    again = any_woken(rate * (window + one), threads)
    with np.errstate(all="ignore"):
        woken = np.where(first > 0, first / (first + 1.0 - again), 0.0)
    one, two = woken * one, woken * two
    soon = woken * -np.expm1(-left / known["think_writer"])
    return drain.mean + one, drain.second + two + 2 * drain.mean * one, soon


def _single_hold(lock: Lock, levels: tuple[float, ...], threads: int | None = None) -> Answer:
    m, a = lock.sections, lock.affected
    mu = 1.0 / np.asarray(lock.read_hold)
    region = Region()
    if threads is None:
        rate = float(lock.fault_rate or 0.0) * a
        nu = 0.0
    else:
        nu = _affected_think_rate(lock)
        hold = np.asarray(lock.read_hold, dtype=float) + lock.io_share * lock.io_time
        rate = threads / (1.0 / nu + hold)
        region &= Region.nowhere(
            ["no fault of a closed population waits for I/O (the drain is that of an open stream)"]
        )
    drain = (
        drain_open_two_class(rate, mu, lock.io_share, lock.io_time)
        if lock.io_share > 0
        else drain_open(rate, mu)
    )
    wait, wait_2 = drain.mean, drain.second
    if lock.readers_sleep:
        wait, wait_2, woken = _with_overlap(lock, drain, rate, threads)
    one = (
        open_blocking(rate, lock.exclusive, wait, wait_2)
        if threads is None
        else finite_blocking(threads, nu, lock.exclusive, wait, wait_2)
    )
    if lock.readers_sleep:
        # What the waker pays for each is what spreads the wake-ups out.
        paid = woken * lock.wake_serial * one.blocked
        region = region.also(
            {
                "the wake-ups of one call are not spread out (paid one by one they take less than 15 %"
                " of a wake-up)": paid <= 0.15 * np.asarray(lock.wake_latency),
                "a wake-up blocks few faults besides (those that it does lengthen the next)": rate
                * (wait - drain.mean)
                <= 1.0,
            }
        )
    if lock.io_share > 0:
        region = region.also(
            {
                "fewer than 0.2 faults are in I/O under the lock at a time": np.full_like(
                    lock.exclusive, rate * lock.io_share * lock.io_time
                )
                < 0.2
            }
        )
    blocked, blocked_time = m * one.blocked, m * one.time
    wake_time = m * _wake(lock, one.blocked, threads)
    busy = m * (wait + lock.exclusive + lock.shared)
    if lock.writer_rate is not None:
        calls = np.full_like(blocked, lock.writer_rate)
    else:
        calls = lock.writer_threads / (np.asarray(lock.writer_think, dtype=float) + busy)
    faults = float(lock.fault_rate or 0.0) if threads is None else rate / a if a > 0 else 0.0
    load = calls * busy
    if lock.writer_threads > 1 or lock.writer_rate is not None:
        region = region.also({"callers hold the lock less than 40 % of the time": ~(load > 0.4)})
    if m > 1:
        region &= Region.nowhere([SEVERAL_SECTIONS])
    with np.errstate(all="ignore"):
        share = np.where(faults > 0, np.minimum(blocked * calls / faults, 1.0), 0.0)
        wait_mean = np.where(faults > 0, (blocked_time + wake_time) * calls / faults, 0.0)
        # The drain has a law of its own; with I/O or woken faults in the wait a gamma must do.
        alone = lock.io_share == 0 and not np.any(wait > 1.2 * drain.mean)
        law = "drain" if alone else "gamma"
        quantiles = {}
        for level in levels:
            inner = 1.0 - (1.0 - level) / np.where(share > 0, share, np.nan)
            quantile = blocked_quantile(
                np.clip(inner, 0.0, 1.0 - 1e-12), lock.exclusive, wait, wait_2, nu=nu, law=law,
            )  # fmt: skip
            quantiles[level] = np.where(inner > 0, quantile, 0.0)
    return Answer(
        acquire=m * wait + np.zeros_like(blocked),
        blocked=blocked,
        blocked_time=blocked_time,
        wake_time=wake_time,
        wait_mean=wait_mean,
        wait_quantiles=_with_wake(blocked, wake_time, quantiles),
        blocked_share=share,
        fault_rate=_fault_rate(lock, wait_mean),
        call_rate=calls,
        solver="one hold, finite population" if threads else "one hold, Poisson faults",
        stated_error="exact for a constant hold and exponential reads; quantiles to 0.02 in"
        " probability",
        region=region,
    )


def _closed_callers(
    lock: Lock, queue_at: Callable[[NDArray[np.float64]], Queue]
) -> NDArray[np.float64]:
    """Find the rate at which a closed population of callers calls, per ns.

    Their number is rate times cycle (Little), and the cycle grows without bound as the lock fills
    up: one root between none and what the lock can serve. The rate that follows from the wait at a
    trial rate lies on the other side of the root, so every step closes the bracket from both ends.
    """
    m = lock.sections
    think = np.asarray(lock.writer_think, dtype=float)
    hold = m * (lock.exclusive + lock.shared)
    low = np.zeros_like(hold)
    high = np.minimum(lock.writer_threads / (think + hold), 0.9999 / hold)
    trial = high
    for _ in range(40):
        wait = m * queue_at(trial).writer_wait
        follows = lock.writer_threads / (think + hold + wait)
        low = np.maximum(low, np.minimum(trial, follows))
        high = np.minimum(high, np.maximum(trial, follows))
        trial = 0.5 * (low + high)
        # A hundredth of the formula's own error.
        if not np.any(high - low > 1e-4 * high):
            break
    return np.where(np.isnan(hold), np.nan, trial)


def _queue(lock: Lock, levels: tuple[float, ...]) -> Answer:
    m, a = lock.sections, lock.affected
    rate = float(lock.fault_rate or 0.0) * a
    mu = 1.0 / np.asarray(lock.read_hold)
    rule = rwsem_queue if lock.discipline == "rwsem" else fifo_queue
    if lock.writer_rate is not None:
        calls = np.full_like(lock.exclusive, lock.writer_rate)
    else:
        calls = _closed_callers(lock, lambda c: rule(rate, m * c, mu, lock.exclusive, lock.shared))
    queue = rule(rate, m * calls, mu, lock.exclusive, lock.shared)
    region = queue.region.also(woken_in_the_way(lock, calls)).also(
        {
            "load below 0.1 (above it differences between policies are unreliable)": ~(
                queue.load > 0.1
            )
        }
    )
    never = []
    if lock.io_share > 0:
        never.append("no fault waits for I/O (they are left out of the queue of several callers)")
    if lock.writer_rate is None:
        never.append("the calls are a stream (several callers with think time are taken as one)")
    if m > 1:
        never.append(SEVERAL_SECTIONS)
    region &= Region.nowhere(never)
    with np.errstate(all="ignore"):
        share = queue.waiting_share * a
        per_call = np.where(calls > 0, rate / calls, 0.0)
        blocked = per_call * queue.waiting_share
        blocked_time = per_call * queue.reader_wait
        wake_time = m * _wake(lock, blocked / m, None)
        each = np.where(blocked > 0, wake_time / np.where(blocked > 0, blocked, 1.0), 0.0)
        quantiles = {}
        for level in levels:
            inner = 1.0 - (1.0 - level) / np.where(share > 0, share, np.nan)
            quantile = blocked_quantile(
                np.clip(inner, 0.0, 1.0 - 1e-12), lock.exclusive,
                np.where(np.isfinite(queue.writer_wait), queue.writer_wait, np.nan),
            )  # fmt: skip
            quantiles[level] = np.where(inner > 0, quantile, 0.0)
    wait_mean = np.asarray(a * queue.reader_wait + share * each)
    return Answer(
        acquire=np.asarray(m * queue.writer_wait),
        blocked=np.asarray(blocked),
        blocked_time=np.asarray(blocked_time),
        wake_time=wake_time,
        wait_mean=wait_mean,
        wait_quantiles=_with_wake(np.asarray(blocked), wake_time, quantiles),
        blocked_share=np.asarray(share),
        fault_rate=_fault_rate(lock, wait_mean),
        call_rate=calls,
        solver=f"queue of several callers, {lock.discipline} rule",
        stated_error=queue.stated_error + "; quantiles: the window of the mean caller's wait",
        region=region,
    )
