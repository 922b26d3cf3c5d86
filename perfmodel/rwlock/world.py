"""State of a simulated lock: records, the heap of events and the random numbers.

A customer is a slot: a fault or a call. Every random number is a hash of its purpose, its customer
and how many that customer has drawn, so two runs with one seed meet the same faults, holds and
think times whatever order the lock serves them in: comparisons of policies are paired by
construction. Times are ns.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) read at a position instead of in sequence; exponential times come from it
by the ziggurat (Marsaglia and Tsang, "The ziggurat method for generating random variables", Journal
of Statistical Software 5, 2000), which is exact and rarely needs a logarithm.

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
    "SLOT", "STATE", "SUMS", "World", "cached", "compiled", "dequeue", "draw", "enqueue",
    "exponential", "free_slot", "new_slot", "pop", "push", "uniform", "unsigned",
]  # fmt: skip

_F = TypeVar("_F", bound=Callable[..., Any])

#: numba's stubs do not know `_nrt`, and releases differ in whether they have stubs at all.
_njit: Any = numba.njit


def compiled(function: _F) -> _F:
    """Compile a function into whatever calls it.

    Nothing here allocates, so nothing need be counted: otherwise numba counts references to every
    array at every call, which takes most of the time.
    """
    return cast(_F, _njit(_nrt=False, forceinline=True, error_model="numpy")(function))


def called(function: _F) -> _F:
    """Compile as `compiled` does, for what is rare: the compiler may leave it where it is."""
    return cast(_F, _njit(_nrt=False, error_model="numpy")(function))


def cached(function: _F) -> _F:
    """Compile as `compiled` does, and keep the result on disk: for what Python calls."""
    return cast(_F, _njit(cache=True, _nrt=False, error_model="numpy")(function))


FAULT, READ_END, CALL, EXCLUSIVE_END, TAIL_END, CALLER_RUNS, FAULT_RUNS, GIVE_UP, SECTION = range(9)
#: Bits of the kind, beside the slot, in a number that stands for an event.
KIND_BITS = 4
RWSEM, FIFO, READER_PREFERENCE, WRITER_PREFERENCE = range(4)
CONSTANT, EXPONENTIAL, LOGNORMAL, EMPIRICAL = range(4)
FAULT_THINK, READ, IO, WRITER_THINK, EXCLUSIVE, SHARED = range(6)
PARTS = 6
#: Further purposes of random numbers: is the fault affected, has it I/O, second normal variate.
AFFECTED, HAS_IO, NORMAL = 6, 7, 8
#: Queues: faults, callers that sleep, callers that spin.
RQ, WQ, SQ = 0, 1, 2

#: Bins of waits for a factor of two, and the least wait told from none, ns.
BINS_AN_OCTAVE, BINS, LEAST_WAIT = 64, 64 * 48, 2.0**-6

_INT, _FLOAT = "i8", "f8"

#: What the simulation is asked, and how it stands.
STATE = np.dtype(
    [
        # Mean of each part, ns; kind of its law and its parameter; where its numbers begin.
        ("mean", _FLOAT, (PARTS,)), ("law", _INT, (PARTS,)), ("shape", _FLOAT, (PARTS,)),
        ("keys", "u8", (PARTS + 3,)),
        # Delay of a woken fault and what its waker pays, the same of a caller, ns.
        ("fault_latency", _FLOAT), ("fault_serial", _FLOAT),
        ("caller_latency", _FLOAT), ("caller_serial", _FLOAT),
        ("affected", _FLOAT), ("io_share", _FLOAT),
        ("discipline", _INT), ("spin", _INT), ("steal", _INT), ("handoff", _INT),
        ("sections", _INT), ("open_faults", _INT), ("open_calls", _INT),
        # CPUs, 0 for one each, and the threads that share them.
        ("cpus", _INT), ("threads", _INT),
        # Time of events, and time on the clock, which is later where CPUs are short.
        ("work", _FLOAT), ("now", _FLOAT),
        # The heap, and whether its top is out: the next event may as well begin there.
        ("heap", _INT), ("hole", _INT),
        # Who holds the lock; how many of the readers are still on their way.
        ("readers", _INT), ("writing", _INT), ("coming", _INT),
        # Queues of slots; the caller that has been woken, or -1; the next place in line.
        ("head", _INT, (3,)), ("tail", _INT, (3,)), ("length", _INT, (3,)),
        ("woken", _INT), ("ticket", _INT),
        # Spinning: is it forbidden, does a limit run, and which owner does it belong to.
        ("nonspin", _INT), ("limited", _INT), ("owner", _INT),
        # First free slot, or -1; whether a pool was too small; customers of the streams.
        ("free", _INT), ("full", _INT), ("faults_came", _INT), ("calls_came", _INT),
    ],
    align=True,
)  # fmt: skip

#: A customer: next in its queue, position in the random numbers, section, place in line; when it
#: asked, what it waited in earlier sections, when it queued or was woken, its next duration, ns.
SLOT = np.dtype(
    [
        ("next", _INT), ("position", _INT), ("section", _INT), ("ticket", _INT),
        ("since", _FLOAT), ("before", _FLOAT), ("queued", _FLOAT), ("ahead", _FLOAT),
    ],
    align=True,
)  # fmt: skip

#: Sums of a batch; times in ns.
SUMS = np.dtype(
    [
        ("faults", _INT), ("blocked", _INT), ("blocked_time", _FLOAT), ("wake_time", _FLOAT),
        ("asked", _INT), ("acquire", _FLOAT), ("calls", _INT), ("waiting", _FLOAT),
        ("written", _FLOAT), ("events", _INT),
    ],
    align=True,
)  # fmt: skip


class World(NamedTuple):
    """State, question and sums of one simulation; every field is an array, changed in place.

    Parameters
    ----------
    when, what : ndarray of shape (events,)
        Heap of events, four below each: time, ns, infinite where there is none, and the event as
        16 (slot + 1) + kind.
    state : ndarray of shape (1,) of STATE
    sums : ndarray of shape (1,) of SUMS
        Of the current batch.
    slots : ndarray of shape (customers,) of SLOT
    waits : ndarray of shape (bins,)
        Faults of the current batch by logarithm of their wait.
    edges, shares : ndarray of shape (PARTS, points)
        Of empirical laws: values relative to the mean and their cumulated shares.
    """

    when: NDArray[np.float64]
    what: NDArray[np.int64]
    state: NDArray[np.void]
    sums: NDArray[np.void]
    slots: NDArray[np.void]
    waits: NDArray[np.int64]
    edges: NDArray[np.float64]
    shares: NDArray[np.float64]


#: An index that is not negative needs no look at whether it is.
unsigned = np.uint64

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11, _8, _1 = (np.uint64(k) for k in (30, 27, 31, 11, 8, 1))
_LAYER = np.uint64(255)
#: Sections of one call draw from places far apart.
_STRIDE = np.uint64(0xD1342543DE82EF95)


def _layers() -> NDArray[np.float64]:
    """Return the right edges of 256 layers of equal area under exp(-x), the lowest first.

    The lowest holds the tail: its edge is that of a rectangle of the same area.
    """
    edge, area = 7.69711747013104972, 3.949659822581572e-3
    edges = [area * math.exp(edge), edge]
    while len(edges) < 256:
        edges.append(-math.log(area / edges[-1] + math.exp(-edges[-1])))
    return np.array([*edges, 0.0])


_EDGE = _layers()
_SCALE, _HEIGHT, _TAIL = _EDGE * 2.0**-56, np.exp(-_EDGE), float(_EDGE[1])


@compiled
def _hash(key: Any, position: Any) -> Any:
    """Return 64 bits: those at this position of the sequence that begins at `key`."""
    z = key + np.uint64(position) * _GAMMA
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@compiled
def uniform(key: Any, position: Any) -> Any:
    """Return a number in (0, 1): the one at this position of the sequence that begins at `key`."""
    return np.int64(_hash(key, position) >> _11) * 2.0**-53 + 2.0**-54


@called
def _at_the_edge(bits: Any) -> float:
    """Finish the ziggurat where its first step does not decide; all further bits come from these."""
    more, count = bits, 0
    while True:
        layer = bits & _LAYER
        x = np.int64(bits >> _8) * _SCALE[layer]
        if x < _EDGE[layer + _1]:
            return float(x)
        count += 1
        u = uniform(more, count)
        if layer == 0:
            return _TAIL - math.log(u)
        low, high = _HEIGHT[layer], _HEIGHT[layer + _1]
        if low + u * (high - low) < math.exp(-x):
            return float(x)
        count += 1
        bits = _hash(more, count)


@compiled
def exponential(key: Any, position: Any) -> Any:
    """Return an exponential number of mean 1: the one at this position of the sequence of `key`."""
    bits = _hash(key, position)
    layer = bits & _LAYER
    x = np.int64(bits >> _8) * _SCALE[layer]
    if x < _EDGE[layer + _1]:
        return x
    return _at_the_edge(bits)


@called
def _lognormal(key: Any, other: Any, position: Any, shape: float) -> float:
    angle = 2 * math.pi * uniform(other, position)
    normal = math.sqrt(-2 * math.log(uniform(key, position))) * math.cos(angle)
    return math.exp(shape * (normal - shape / 2))


@called
def _empirical(u: float, edges: Any, shares: Any) -> float:
    low, high = 0, shares.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if shares[middle] <= u:
            low = middle
        else:
            high = middle
    span = shares[high] - shares[low]
    inside = (u - shares[low]) / span if span > 0 else 0.0
    return float(edges[low] + inside * (edges[high] - edges[low]))


@compiled
def draw(w: World, part: int, position: Any, section: Any) -> Any:
    """Return a duration of one part, ns."""
    n = w.state[0]
    mean, law = n.mean[part], n.law[part]
    if law == CONSTANT or mean == 0:
        return mean
    key = n.keys[part] + np.uint64(section) * _STRIDE
    if law == EXPONENTIAL:
        return mean * exponential(key, position)
    if law == LOGNORMAL:
        return mean * _lognormal(key, n.keys[NORMAL] ^ n.keys[part], position, n.shape[part])
    return mean * _empirical(uniform(key, position), w.edges[part], w.shares[part])


@compiled
def _settle(w: World, when: float, what: int) -> None:
    """Put an event where the top of the heap was, and let it sink."""
    i, below, size = 0, 1, w.state[0].heap
    while below < size:
        # The first two are compared without a jump, as are the others: nobody can foresee them.
        least = below + (w.when[unsigned(below + 1)] < w.when[unsigned(below)])
        other = below + 2 + (w.when[unsigned(below + 3)] < w.when[unsigned(below + 2)])
        if w.when[unsigned(other)] < w.when[unsigned(least)]:
            least = other
        if w.when[unsigned(least)] >= when:
            break
        w.when[unsigned(i)], w.what[unsigned(i)] = w.when[unsigned(least)], w.what[unsigned(least)]
        i, below = least, 4 * least + 1
    w.when[unsigned(i)], w.what[unsigned(i)] = when, what


@compiled
def push(w: World, when: float, kind: int, slot: int) -> None:
    """Put an event into the heap."""
    n = w.state[0]
    what = ((slot + 1) << KIND_BITS) + kind
    if n.hole == 1:
        n.hole = 0
        _settle(w, when, what)
        return
    i = n.heap
    if i + 4 >= w.when.size:
        n.full = 1
        return
    n.heap = i + 1
    while i > 0:
        above = (i - 1) >> 2
        if w.when[unsigned(above)] <= when:
            break
        w.when[unsigned(i)], w.what[unsigned(i)] = w.when[unsigned(above)], w.what[unsigned(above)]
        i = above
    w.when[unsigned(i)], w.what[unsigned(i)] = when, what


@compiled
def pop(w: World) -> tuple[float, int]:
    """Take the earliest event out of the heap: its time, and 16 (slot + 1) + kind."""
    n = w.state[0]
    if n.hole == 1:
        last = n.heap - 1
        n.heap = last
        when, what = w.when[unsigned(last)], w.what[unsigned(last)]
        w.when[unsigned(last)] = math.inf
        _settle(w, when, what)
    n.hole = 1
    return w.when[0], w.what[0]


@compiled
def enqueue(w: World, queue: int, slot: int) -> None:
    """Put a customer at the end of a queue."""
    n, customer = w.state[0], w.slots[unsigned(slot)]
    customer.next = -1
    customer.ticket = n.ticket
    customer.queued = n.now
    n.ticket += 1
    if n.length[queue] == 0:
        n.head[queue] = slot
    else:
        w.slots[unsigned(n.tail[queue])].next = slot
    n.tail[queue] = slot
    n.length[queue] += 1


@compiled
def dequeue(w: World, queue: int) -> int:
    """Take the first customer out of a queue."""
    n = w.state[0]
    slot = n.head[queue]
    n.head[queue] = w.slots[unsigned(slot)].next
    n.length[queue] -= 1
    return int(slot)


@compiled
def new_slot(w: World) -> int:
    """Return a slot for a customer of a stream; -1 if there is none."""
    n = w.state[0]
    slot = n.free
    if slot < 0:
        n.full = 1
        return -1
    n.free = w.slots[unsigned(slot)].next
    return int(slot)


@compiled
def free_slot(w: World, slot: int) -> None:
    """Give a slot back."""
    n = w.state[0]
    w.slots[unsigned(slot)].next = n.free
    n.free = slot
