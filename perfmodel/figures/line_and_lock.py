"""A lock whose operations pass one after another over its cache line: an event simulation of both.

The kit answers for the lock and for its line apart. This simulation has them together, for one
caller and the kernel's rule, and nothing else: no wake-ups, a CPU for every thread. It is there to
show where the two apart are not enough.

A fault makes one operation to come in and one to leave; if it meets a caller it makes `slow` more
before it waits. A caller makes one to come in, one at a downgrade, one to leave. The line serves
operations in the order in which they come, each for a constant time: less if the CPU that asks was
the last to have it. Needs numba, the ``simulate`` extra.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["RESULTS", "run"]

#: What `run` returns, in order: faults and calls per unit of time, share of the time that the line
#: is busy, time from a call's begin to its end.
RESULTS = ("fault_rate", "call_rate", "busy", "call_time")

_F = TypeVar("_F", bound=Callable[..., Any])
_njit: Any = numba.njit


def _cached(function: _F) -> _F:
    """Compile, and keep the result on disk."""
    return cast(_F, _njit(cache=True, error_model="numpy")(function))


# What a thread is doing; the caller, the last thread, goes on from `_DRAIN`.
_THINKS, _COMES, _HOLDS, _LEAVES, _SLOW, _BLOCKED, _DRAIN, _WRITES, _CUTS, _SHARES = range(10)


@_cached
def run(
    threads: int, think: float, read: float, pause: float, exclusive: float, shared: float,
    transfer: float, local: float, slow: int, calls: int, seed: int,
) -> NDArray[np.float64]:  # fmt: skip
    """Simulate a number of calls after a tenth of them as a warm-up.

    Parameters
    ----------
    threads : int
        Faulting threads; one caller comes besides.
    think, read, pause : float, ns
        Means of the exponential times between two faults, of a fault's hold, between two calls.
    exclusive, shared : float, ns
        Constant parts of a call's hold; ``shared=0`` is no downgrade.
    transfer, local : float, ns
        Operation that fetches the line, and one that finds it.
    slow : int
        Further operations of a fault that is blocked.
    calls, seed : int

    Returns
    -------
    ndarray
        `RESULTS`, per ns and ns.
    """
    np.random.seed(seed)  # noqa: NPY002 - numba's own generator
    everybody = threads + 1
    caller = threads
    when = np.full(everybody, np.inf)
    doing = np.zeros(everybody, np.int64)
    left = np.zeros(everybody, np.int64)
    granted = np.zeros(everybody, np.bool_)
    queue = np.zeros(everybody, np.int64)
    head, length, last, served = 0, 0, -1, np.inf
    for i in range(threads):
        when[i] = np.random.exponential(think)  # noqa: NPY002
    when[caller] = np.random.exponential(pause)  # noqa: NPY002
    inside, closed = 0, False
    begun, start, used, took = 0.0, 0.0, 0.0, 0.0
    faults, done, warm = 0, 0, max(calls // 10, 1)
    out = np.zeros(4)
    while True:
        now, who = served, -1
        for i in range(everybody):
            if when[i] < now:
                now, who = when[i], i
        asks = -1
        if who >= 0:
            # A time is over: everybody who thinks, holds or writes goes to the line next.
            when[who] = np.inf
            asks = who
            if doing[who] == _THINKS:
                doing[who] = _COMES
                if who == caller:
                    begun = now
            elif doing[who] == _WRITES and shared > 0:
                doing[who] = _CUTS
            else:
                doing[who] = _LEAVES
        else:
            who = queue[head]
            head, length, last, served = (head + 1) % everybody, length - 1, who, np.inf
            opens = False
            if who == caller:
                if doing[who] == _COMES:
                    closed = True
                    doing[who] = _DRAIN
                elif doing[who] == _CUTS:
                    opens = True
                    doing[who] = _SHARES
                    when[who] = now + shared
                else:
                    opens = closed
                    doing[who] = _THINKS
                    when[who] = now + np.random.exponential(pause)  # noqa: NPY002
                    done += 1
                    took += now - begun
                    if done == warm:
                        start, used, took, faults = now, 0.0, 0.0, 0
                    if done == warm + calls:
                        time = now - start
                        out[0], out[1] = faults / time, calls / time
                        out[2], out[3] = used / time, took / calls
                        return out
            elif doing[who] == _COMES and closed:
                doing[who] = _SLOW
                left[who] = slow
                granted[who] = False
            elif doing[who] == _COMES:
                doing[who] = _HOLDS
                inside += 1
                when[who] = now + np.random.exponential(read)  # noqa: NPY002
            elif doing[who] == _LEAVES:
                inside -= 1
                faults += 1
                doing[who] = _THINKS
                when[who] = now + np.random.exponential(think)  # noqa: NPY002
            if doing[who] == _SLOW:
                if left[who] > 0:
                    left[who] -= 1
                    asks = who
                elif granted[who]:
                    doing[who] = _HOLDS
                    when[who] = now + np.random.exponential(read)  # noqa: NPY002
                else:
                    doing[who] = _BLOCKED
            if opens:
                closed = False
                for i in range(threads):
                    if doing[i] == _BLOCKED:
                        doing[i] = _HOLDS
                        inside += 1
                        when[i] = now + np.random.exponential(read)  # noqa: NPY002
                    elif doing[i] == _SLOW and not granted[i]:
                        # The lock is its own, but it has not got so far yet.
                        granted[i] = True
                        inside += 1
            if doing[caller] == _DRAIN and inside == 0:
                doing[caller] = _WRITES
                when[caller] = now + exclusive
        if asks >= 0:
            queue[(head + length) % everybody] = asks
            length += 1
        if served == np.inf and length > 0:
            cost = local if queue[head] == last else transfer
            served = now + cost
            used += cost
