"""State of a simulated lock: arrays, their indices, the heap of events and the random numbers.

A customer is a slot: a fault or a call. Every random number is a hash of its purpose, its customer
and how many that customer has drawn, so two runs with one seed meet the same faults, holds and
think times whatever order the lock serves them in: comparisons of policies are paired by
construction. Times are ns.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) read at a position instead of in sequence.

Importing this module needs numba, which is an extra: nothing else in the package imports it early.
numba keeps :mod:`perfmodel.rwlock.engine` compiled in ``__pycache__`` and looks at that file alone:
after a change here, remove its ``.nbi`` files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "World", "cached", "compiled", "dequeue", "draw", "enqueue", "free_slot", "new_slot", "pop", "push",
    "uniform",
]  # fmt: skip

_F = TypeVar("_F", bound=Callable[..., Any])

#: numba's stubs do not know `_nrt`, and releases differ in whether they have stubs at all.
_njit: Any = numba.njit


def compiled(function: _F) -> _F:
    """Compile a function into whatever calls it.

    Nothing here allocates, so nothing need be counted: otherwise numba counts references to fourteen
    arrays at every call, which takes six sevenths of the time; not inlined, it takes half of the rest.
    """
    return cast(_F, _njit(_nrt=False, forceinline=True, error_model="numpy")(function))


def cached(function: _F) -> _F:
    """Compile as `compiled` does, and keep the result on disk: for what Python calls."""
    return cast(_F, _njit(cache=True, _nrt=False, error_model="numpy")(function))


class World(NamedTuple):
    """State, question and sums of one simulation; every field is an array, changed in place.

    Parameters
    ----------
    when, what : ndarray of shape (events,)
        Heap of events: time, ns, and 8 (slot + 1) + kind.
    n : ndarray of shape (NUMBERS,)
        Counters and switches, named by the constants below.
    slots : ndarray of shape (customers, 4)
        Next in its queue, position in the random numbers, section, ticket.
    times : ndarray of shape (customers, 3), ns
        Asked since, waited in earlier sections, queued since.
    sums : ndarray of shape (SUMS,)
        Of the current batch, named by the constants below.
    waits : ndarray of shape (bins,)
        Faults of the current batch by logarithm of their wait.
    mean, law, shape : ndarray of shape (PARTS,)
        Mean, ns, kind of law and its parameter, of each part.
    edges, shares : ndarray of shape (PARTS, points)
        Of empirical laws: values relative to the mean and their cumulated shares.
    keys : ndarray of shape (PARTS + 3,), uint64
        Where the random numbers of each purpose begin.
    cost : ndarray of shape (6,)
        Wake latency and serial cost of readers, the same of callers, ns; affected and I/O shares.
    """

    when: NDArray[np.float64]
    what: NDArray[np.int64]
    n: NDArray[np.int64]
    slots: NDArray[np.int64]
    times: NDArray[np.float64]
    sums: NDArray[np.float64]
    waits: NDArray[np.int64]
    mean: NDArray[np.float64]
    law: NDArray[np.int64]
    shape: NDArray[np.float64]
    edges: NDArray[np.float64]
    shares: NDArray[np.float64]
    keys: NDArray[np.uint64]
    cost: NDArray[np.float64]


FAULT, READ_END, CALL, EXCLUSIVE_END, TAIL_END, CALLER_RUNS, GIVE_UP, SECTION = range(8)
RWSEM, FIFO, READER_PREFERENCE, WRITER_PREFERENCE = range(4)
CONSTANT, EXPONENTIAL, LOGNORMAL, EMPIRICAL = range(4)
FAULT_THINK, READ, IO, WRITER_THINK, EXCLUSIVE, SHARED = range(6)
PARTS = 6
#: Further purposes of random numbers: is the fault affected, has it I/O, second normal variate.
AFFECTED, HAS_IO, NORMAL = 6, 7, 8

# Indices of World.n; a queue is head, tail, length.
HEAP, READERS, WRITING, FREE, WOKEN, TICKETS, NONSPIN, CLOCK, GENERATION = range(9)
RQ, WQ, SQ = 9, 12, 15
DISCIPLINE, SPIN, STEAL, HANDOFF, SECTIONS = 18, 19, 20, 21, 22
OPEN_FAULTS, OPEN_CALLS, FAULTS_CAME, CALLS_CAME, FULL = 23, 24, 25, 26, 27
#: Whether the top of the heap has been taken out: the next event may as well begin there.
HOLE = 28
NUMBERS = 29

# Indices of World.sums. NOW is a clock, the others are of the batch.
(NOW, FAULTS, BLOCKED, BLOCKED_TIME, WAKE_TIME, ASKED, ACQUIRE, CALLS, WAITING, WRITTEN,
 EVENTS, WOKEN_SUM) = range(12)  # fmt: skip
SUMS = 12

NEXT, POSITION, AT_SECTION, TICKET = range(4)
SINCE, BEFORE, QUEUED = range(3)

#: Bins of waits for a factor of two, and the least wait told from none, ns.
BINS_AN_OCTAVE, BINS, LEAST_WAIT = 64, 64 * 48, 2.0**-6

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
#: Sections of one call draw from places far apart.
_STRIDE = np.uint64(0xD1342543DE82EF95)


@compiled
def uniform(key: Any, position: Any) -> Any:
    """Return a number in (0, 1): the one at this position of the sequence that begins at `key`."""
    z = key + np.uint64(position) * _GAMMA
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return ((z ^ (z >> _31)) >> _11) * 2.0**-53 + 2.0**-54


@compiled
def draw(w: World, part: int, position: Any, section: Any) -> Any:
    """Return a duration of one part, ns."""
    mean, law = w.mean[part], w.law[part]
    if law == CONSTANT or mean == 0:
        return mean
    u = uniform(w.keys[part] + np.uint64(section) * _STRIDE, position)
    if law == EXPONENTIAL:
        return -mean * math.log(u)
    if law == LOGNORMAL:
        angle = 2 * math.pi * uniform(w.keys[NORMAL] ^ w.keys[part], position)
        s = w.shape[part]
        return mean * math.exp(s * (math.sqrt(-2 * math.log(u)) * math.cos(angle) - s / 2))
    low, high = 0, w.shares.shape[1] - 1
    while high - low > 1:
        middle = (low + high) // 2
        if w.shares[part, middle] <= u:
            low = middle
        else:
            high = middle
    span = w.shares[part, high] - w.shares[part, low]
    inside = (u - w.shares[part, low]) / span if span > 0 else 0.0
    return mean * (w.edges[part, low] + inside * (w.edges[part, high] - w.edges[part, low]))


@compiled
def _settle(w: World, when: float, what: int) -> None:
    """Put an event where the top of the heap was, and let it sink."""
    i, below, size = 0, 1, w.n[HEAP]
    while below < size:
        if below + 1 < size and w.when[below + 1] < w.when[below]:
            below += 1
        if w.when[below] >= when:
            break
        w.when[i], w.what[i] = w.when[below], w.what[below]
        i, below = below, 2 * below + 1
    w.when[i], w.what[i] = when, what


@compiled
def push(w: World, when: float, kind: int, slot: int) -> None:
    """Put an event into the heap."""
    what = 8 * (slot + 1) + kind
    if w.n[HOLE] == 1:
        w.n[HOLE] = 0
        _settle(w, when, what)
        return
    i = w.n[HEAP]
    if i >= w.when.size:
        w.n[FULL] = 1
        return
    w.n[HEAP] = i + 1
    while i > 0:
        above = (i - 1) >> 1
        if w.when[above] <= when:
            break
        w.when[i], w.what[i] = w.when[above], w.what[above]
        i = above
    w.when[i], w.what[i] = when, what


@compiled
def pop(w: World) -> tuple[float, int]:
    """Take the earliest event out of the heap: its time, and 8 (slot + 1) + kind."""
    if w.n[HOLE] == 1:
        size = w.n[HEAP] - 1
        w.n[HEAP] = size
        _settle(w, w.when[size], w.what[size])
    w.n[HOLE] = 1
    return w.when[0], w.what[0]


@compiled
def enqueue(w: World, queue: int, slot: int, now: float) -> None:
    """Put a customer at the end of a queue."""
    n = w.n
    w.slots[slot, NEXT] = -1
    w.slots[slot, TICKET] = n[TICKETS]
    w.times[slot, QUEUED] = now
    n[TICKETS] += 1
    if n[queue + 2] == 0:
        n[queue] = slot
    else:
        w.slots[n[queue + 1], NEXT] = slot
    n[queue + 1] = slot
    n[queue + 2] += 1


@compiled
def dequeue(w: World, queue: int) -> int:
    """Take the first customer out of a queue."""
    slot = int(w.n[queue])
    w.n[queue] = w.slots[slot, NEXT]
    w.n[queue + 2] -= 1
    return slot


@compiled
def new_slot(w: World) -> int:
    """Return a slot for a customer of a stream; -1 if there is none."""
    slot = int(w.n[FREE])
    if slot < 0:
        w.n[FULL] = 1
        return -1
    w.n[FREE] = w.slots[slot, NEXT]
    return slot


@compiled
def free_slot(w: World, slot: int) -> None:
    """Give a slot back."""
    w.slots[slot, NEXT] = w.n[FREE]
    w.n[FREE] = slot
