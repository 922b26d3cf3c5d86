"""A closed population of faulting threads that meets callers."""

from __future__ import annotations

import numpy as np

from perfmodel.equations.blocked_time import blocked_quantile
from perfmodel.equations.closed import closed_system
from perfmodel.equations.woken import closed_system_woken
from perfmodel.region import Region
from perfmodel.rwlock.lock import Answer, Lock
from perfmodel.rwlock.terms import (
    NO_MEETING,
    SEVERAL_SECTIONS,
    affected_think_rate,
    fault_rate_of,
    inner_level,
    wake_time_of,
    with_wake,
    woken_in_the_way,
)  # fmt: skip

__all__ = ["closed", "closed_woken"]


def closed(lock: Lock, levels: tuple[float, ...]) -> Answer:
    """Answer for callers whom a woken fault does not hold up: readers spin, or there are several."""
    n = lock.fault_threads
    assert n is not None
    inner = {level: inner_level(level, lock.affected) for level in levels}
    wanted = tuple(dict.fromkeys(q for q in inner.values() if q is not None))
    m = lock.sections
    think, writers = np.asarray(lock.writer_think, dtype=float), lock.writer_threads
    if lock.writer_rate is not None:
        # An open stream that meets nobody else is a single caller who thinks the rest of the time.
        writers = 1
        think = np.maximum(1.0 / lock.writer_rate - m * (lock.exclusive + lock.shared), 0.0)
    for _ in range(3 if lock.writer_rate is not None else 1):
        system = closed_system(
            n, affected_think_rate(lock), 1.0 / np.asarray(lock.read_hold), think / m,
            lock.exclusive, lock.shared, writers=writers, quantiles=wanted,
            of_blocked=False,
        )  # fmt: skip
        if lock.writer_rate is not None:
            busy = m * (system.writer_wait + lock.exclusive + lock.shared)
            think = np.maximum(1.0 / lock.writer_rate - busy, 0.0)
    region = system.region.also(woken_in_the_way(lock, system.call_rate))
    if lock.writer_rate is not None:
        region &= Region.nowhere([NO_MEETING]).also(
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
    wake_time = m * wake_time_of(lock, system.blocked_per_call, n)
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
        wait_quantiles=with_wake(blocked, wake_time, quantiles),
        blocked_share=share,
        fault_rate=fault_rate_of(lock, wait_mean),
        call_rate=system.call_rate / m,
        solver="closed population, embedded binomial",
        stated_error=system.stated_error,
        region=region,
    )


#: Calls per ns in place of none at all: one in thirty years.
_NEVER = 1e-18


def closed_woken(lock: Lock, levels: tuple[float, ...]) -> Answer:
    """Answer for one caller and a closed population whose woken faults own the lock before they run."""
    n, m = lock.fault_threads, lock.sections
    assert n is not None
    nu, mu = affected_think_rate(lock), 1.0 / np.asarray(lock.read_hold)
    think = np.asarray(lock.writer_think, dtype=float) / m
    region = Region()
    rounds = 1
    if lock.writer_rate is not None:
        # An open stream that meets nobody else is a single caller who thinks the rest of the time.
        rounds = 4
        apart = 1.0 / (max(lock.writer_rate, _NEVER) * m)
        think = np.maximum(apart - lock.exclusive - lock.shared, 0.0)
    for _ in range(rounds):
        system = closed_system_woken(
            n, nu, mu, think, lock.exclusive, lock.shared, lock.wake_latency, lock.wake_serial
        )
        if lock.writer_rate is not None:
            # What remains of a cycle of the given length once the caller has waited and held.
            busy = system.cycle - think
            think = np.maximum(apart - busy, 0.0)
    region = system.region
    if lock.writer_rate is not None:
        region &= Region.nowhere([NO_MEETING]).also(
            {"the calls come no faster than the lock can serve them": think > 0}
        )
    if m > 1:
        region &= Region.nowhere([SEVERAL_SECTIONS])
    wake_time = wake_time_of(lock, system.blocked, n)
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
        wait_quantiles=with_wake(blocked, wake_time, quantiles),
        blocked_share=share,
        fault_rate=faults / system.cycle,
        call_rate=1.0 / (m * system.cycle),
        solver="closed population, one caller, woken faults own the lock",
        stated_error=system.stated_error,
        region=region,
    )
