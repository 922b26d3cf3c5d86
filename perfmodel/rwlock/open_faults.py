"""An open stream of faults: the exact single hold, and the queue of several callers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.equations.blocked_time import blocked_quantile
from perfmodel.equations.blocking import finite_blocking, open_blocking
from perfmodel.equations.drain import Moments, drain_open, drain_open_two_class
from perfmodel.equations.overlap import OVERLAP, OVERLAP_2
from perfmodel.equations.queue import Queue, fifo_queue, rwsem_queue
from perfmodel.region import Region
from perfmodel.rwlock.lock import Answer, Lock
from perfmodel.rwlock.terms import (
    SEVERAL_SECTIONS,
    affected_think_rate,
    any_woken,
    fault_rate_of,
    wake_time_of,
    with_wake,
    woken_in_the_way,
)  # fmt: skip

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["queue", "single_hold"]


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


def _io_since_the_last_call(lock: Lock) -> NDArray[np.float64]:
    """Return the share of the faults in I/O, less those that cannot have begun yet.

    A call waits for every I/O in progress, so the next one meets those only that began since: of I/O
    of mean tau and a pause of mean Z the part 1 / (1 + tau / Z) of what an undisturbed stream has.
    """
    calls = lock.writer_rate if lock.writer_rate is not None else 1.0 / np.maximum(
        np.asarray(lock.writer_think, dtype=float), 1e-6
    )  # fmt: skip
    return np.asarray(lock.io_share / (1.0 + lock.io_time * calls))


def single_hold(lock: Lock, levels: tuple[float, ...], threads: int | None = None) -> Answer:
    """Answer for one caller by the hold alone; `threads` is that of a closed population with I/O."""
    m, a = lock.sections, lock.affected
    mu = 1.0 / np.asarray(lock.read_hold)
    region = Region()
    if threads is None:
        rate = float(lock.fault_rate or 0.0) * a
        nu = 0.0
    else:
        nu = affected_think_rate(lock)
        hold = np.asarray(lock.read_hold, dtype=float) + lock.io_share * lock.io_time
        rate = threads / (1.0 / nu + hold)
        region &= Region.nowhere(
            ["no fault of a closed population waits for I/O (the drain is that of an open stream)"]
        )
    drain = (
        drain_open_two_class(rate, mu, _io_since_the_last_call(lock), lock.io_time)
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
    wake_time = m * wake_time_of(lock, one.blocked, threads)
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
        wait_quantiles=with_wake(blocked, wake_time, quantiles),
        blocked_share=share,
        fault_rate=fault_rate_of(lock, wait_mean),
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


def queue(lock: Lock, levels: tuple[float, ...]) -> Answer:
    """Answer for several callers, or a stream of calls, by the queue of the lock's discipline."""
    m, a = lock.sections, lock.affected
    rate = float(lock.fault_rate or 0.0) * a
    mu = 1.0 / np.asarray(lock.read_hold)
    form = rwsem_queue if lock.discipline == "rwsem" else fifo_queue

    def queue_at(rate_of_calls: NDArray[np.float64]) -> Queue:
        return form(
            rate, m * rate_of_calls, mu, lock.exclusive, lock.shared,
            io_share=lock.io_share, io_time=lock.io_time,
        )  # fmt: skip

    if lock.writer_rate is not None:
        calls = np.full_like(lock.exclusive, lock.writer_rate)
    else:
        calls = _closed_callers(lock, queue_at)
    queue = queue_at(calls)
    region = queue.region.also(woken_in_the_way(lock, calls)).also(
        {"load below 0.8 (differences between policies were checked up to it)": ~(queue.load > 0.8)}
    )
    never = []
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
        wake_time = m * wake_time_of(lock, blocked / m, None)
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
        wait_quantiles=with_wake(np.asarray(blocked), wake_time, quantiles),
        blocked_share=np.asarray(share),
        fault_rate=fault_rate_of(lock, wait_mean),
        call_rate=calls,
        solver=f"queue of several callers, {lock.discipline} rule",
        stated_error=queue.stated_error + "; quantiles: the window of the mean caller's wait",
        region=region,
    )
