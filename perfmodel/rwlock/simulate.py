"""The lock question answered by simulation: any discipline, any law, and the kernel's corrections.

Slower than the closed forms and never exact, but it assumes nothing of them: it is what they are held
against, and what answers where they do not hold. The event loop is in
:mod:`perfmodel.rwlock.engine` and needs numba, the ``simulate`` extra.

What it knows and the closed forms do not: a woken fault owns the lock while it is still on its way,
so callers wait for it (``kernel/locking/rwsem.c``, ``rwsem_mark_wake``), and the waker pays before
its shared tail or before it goes on.

With fewer CPUs than threads (`Lock.cpus`) all threads that run slow down by one factor. Who runs: a
thread that thinks, holds the lock or spins for it. Who does not: a queued fault or caller, also one
that spins there by 5.10's rule, and a woken one until its wake-up is over. Holds, think times and what
a waker pays are slowed. The latency of a wake-up, the patience of a spinning caller and the 4 ms of
the handoff are not: a woken thread gets its share of the CPUs at once, as if their slices were short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.region import Region
from perfmodel.rwlock.lock import DISCIPLINES, LEVELS, Answer, Lock
from perfmodel.rwlock.simulated import KINDS, PARTS, USUAL, Corrections, Law

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.rwlock.world import World

__all__ = ["PARTS", "Corrections", "Estimate", "Law", "SimulationResult", "compare", "simulate"]

#: Faults or calls of open streams that can be in the lock at once: more is no steady state.
POOL = 1 << 17

_STEADY = 5.0


@dataclass(frozen=True)
class Estimate:
    """A simulated mean.

    Parameters
    ----------
    mean, error : float
        Estimate and its standard error.
    half_width : float
        Half of the 95 % interval, by Student's law over the batches.
    """

    mean: float
    error: float
    half_width: float


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """What a simulation measured.

    Parameters
    ----------
    lock : Lock
        The question.
    answer : Answer
        Arrays of shape (1,): of the lock's first draw.
    estimates : mapping of str to Estimate
        The answer's means by name, ns or per ns, and ``waiting_faults``, the mean length of the
        faults' queue, and ``write_share``, the share of time held for writing.
    quantiles : mapping of float to Estimate, ns
        Of the wait of all faults; resolved to 1 %.
    batches : mapping of str to ndarray of shape (batches,)
        The same means batch by batch, in the same periods of the same draws for one seed.
    calls, faults, events : int
        Counted after the warm-up.
    seed : int
    corrections : Corrections
    """

    lock: Lock
    answer: Answer
    estimates: Mapping[str, Estimate]
    quantiles: Mapping[float, Estimate]
    batches: Mapping[str, NDArray[np.float64]]
    calls: int
    faults: int
    events: int
    seed: int
    corrections: Corrections


def _first(value: Any) -> float:
    return float(np.asarray(value, dtype=float).reshape(-1)[0])


def _means(lock: Lock) -> NDArray[np.float64]:
    """Return the mean of every part, ns, after checking that it is one."""
    fault_think = lock.fault_think if lock.fault_rate is None else _inverse(lock.fault_rate)
    think = _first(lock.writer_think) if lock.writer_rate is None else _inverse(lock.writer_rate)
    given = (fault_think, lock.read_hold, lock.io_time, think, lock.exclusive, lock.shared)
    means = np.array([_first(v) for v in given])
    for name, mean in zip(PARTS, means, strict=True):
        if not mean >= 0 or (math.isinf(mean) and "think" not in name):
            raise InputError(f"{mean:g} ns is no duration", field=name, expected="0 ns or more")
    if lock.fault_threads is not None and means[0] + means[1] == 0:
        raise InputError("faults that take no time never end", field="fault_think")
    if means[3] + means[4] + means[5] == 0:
        raise InputError("calls that take no time never end", field="writer_think")
    if lock.cpus is not None and (lock.fault_threads is None or lock.writer_rate is not None):
        raise InputError("an open stream does not say how many threads share the CPUs", field="cpus",
                         expected="numbers of threads, or cpus=None")  # fmt: skip
    return means


def _limited(lock: Lock) -> bool:
    """Whether there are fewer CPUs than threads."""
    return lock.cpus is not None and lock.cpus < (lock.fault_threads or 0) + lock.writer_threads


def _inverse(rate: float) -> float:
    return 1.0 / rate if rate > 0 else math.inf


def _world(
    lock: Lock, means: NDArray[np.float64], laws: Mapping[str, Law], corrections: Corrections,
    seed: tuple[int, int],
) -> World:  # fmt: skip
    from perfmodel.rwlock import engine, world

    faulting = lock.fault_threads or 0 if math.isfinite(means[0]) else 0
    calling = lock.writer_threads if lock.writer_rate is None and math.isfinite(means[3]) else 0
    open_faults = lock.fault_threads is None
    open_calls = lock.writer_rate is not None
    threads = faulting + calling
    count = threads + (POOL if open_faults or open_calls else 0)
    latency = _first(lock.wake_latency) if corrections.wake else 0.0
    serial = _first(lock.wake_serial) if corrections.wake else 0.0
    faults, callers = lock.readers_sleep, corrections.sleep or corrections.spin
    state = np.zeros(1, dtype=world.STATE)
    for name, value in {
        "mean": np.where(np.isfinite(means), means, 0.0),
        "law": [KINDS.index(laws[p].kind) for p in PARTS],
        "shape": [math.sqrt(math.log1p(laws[p].cv**2)) if laws[p].kind == "lognormal" else 0.0
                  for p in PARTS],
        "keys": np.random.SeedSequence(seed).generate_state(len(PARTS) + 3, np.uint64),
        "fault_latency": latency * faults, "fault_serial": serial * faults,
        "caller_latency": latency * callers, "caller_serial": serial * callers,
        "affected": lock.affected, "io_share": lock.io_share,
        "discipline": DISCIPLINES.index(lock.discipline), "spin": corrections.spin,
        "steal": corrections.steal, "handoff": corrections.handoff, "sections": lock.sections,
        "open_faults": open_faults and math.isfinite(means[0]),
        "open_calls": open_calls and math.isfinite(means[3]),
        "cpus": lock.cpus if _limited(lock) else 0, "threads": threads,
        "woken": -1, "free": threads if count > threads else -1,
    }.items():  # fmt: skip
        state[name] = value
    slots = np.zeros(count, dtype=world.SLOT)
    slots["next"] = np.arange(1, count + 1)
    slots["next"][-1:] = -1
    points = max(2, *(len(law.edges) for law in laws.values()))
    edges, shares = np.ones((len(PARTS), points)), np.ones((len(PARTS), points))
    for i, part in enumerate(PARTS):
        size = len(laws[part].edges)
        edges[i, :size], shares[i, :size] = laws[part].edges, laws[part].shares
    room = 2 * count + 4096
    made = world.World(
        when=np.full(room, np.inf), what=np.zeros(room, dtype=np.int64), state=state,
        sums=np.zeros(1, dtype=world.SUMS), slots=slots,
        waits=np.zeros(world.BINS, dtype=np.int64), edges=edges, shares=shares,
    )  # fmt: skip
    engine.start(made, faulting, calling)
    return made


def simulate(
    lock: Lock,
    *,
    calls: int = 20_000,
    seed: int = 0,
    corrections: Corrections | None = None,
    holds: Mapping[str, Law] | None = None,
    batches: int = 30,
    replications: int = 1,
    warm_up: float = 0.1,
    levels: tuple[float, ...] = LEVELS,
    max_events: int = 100_000_000,
    progress: Callable[[float], None] | None = None,
) -> SimulationResult:
    """Answer a lock question by simulation.

    Parameters
    ----------
    lock : Lock
        The question; of arrays the first draw counts. With `cpus` both populations must be closed.
    calls : int
        Calls to measure, over all batches and replications.
    seed : int
        The same seed gives the same answer, and another lock the same random numbers.
    corrections : Corrections, optional
        Default: wake-ups alone. `spin`, `steal` and `handoff` belong to the ``rwsem`` discipline.
    holds : mapping of str to Law, optional
        Laws of some of `PARTS`; default: what the closed forms assume (exponential reads, I/O and
        think times, constant exclusive and shared holds).
    batches : int
        Batches of each replication.
    replications : int
        Independent runs, each with a warm-up of its own.
    warm_up : float
        Calls discarded before the first batch, as a share of `calls`.
    levels : tuple of float
        Quantiles of the wait to give.
    max_events : int
        Events after which batches are cut short; the result then says so.
    progress : callable, optional
        Takes the share done, 0 to 1.

    Returns
    -------
    SimulationResult
        Waits are infinite, and `answer.broken` says why, where there is no steady state.

    Raises
    ------
    InputError
        If a number is no duration, a correction does not belong to the discipline, or CPUs are
        given for an open stream.
    MissingExtraError
        If numba is not installed.
    """
    corrections = Corrections() if corrections is None else corrections
    total = batches * replications
    if batches < 1 or replications < 1 or total < 3 or calls < total:
        raise InputError(f"{calls} calls in {total} batches", field="calls",
                         expected="3 batches or more, and as many calls")  # fmt: skip
    if unknown := set(holds or {}) - set(PARTS):
        raise InputError(f"there is no part {sorted(unknown)[0]!r}", field="holds",
                         expected="some of " + ", ".join(PARTS))  # fmt: skip
    extra = corrections.spin or corrections.steal or corrections.handoff
    if extra and lock.discipline != "rwsem":
        raise InputError(f"spin, steal and handoff are no part of {lock.discipline}",
                         field="corrections", expected="the discipline rwsem")  # fmt: skip
    means = _means(lock)
    try:
        from perfmodel.rwlock import engine, world
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise MissingExtraError("numba", "simulate") from None
    size = calls / total
    most = max(max_events // (total + replications), 1000)
    if not math.isfinite(means[3]):  # nobody calls: batches of faults
        most = min(most, 4 * max(math.ceil(size), 100))
    sums, time = np.zeros(total, dtype=world.SUMS), np.zeros(total)
    waits = np.zeros((total, world.BINS), dtype=np.int64)
    full = cut = False
    for run in range(replications):
        w = _world(lock, means, USUAL | dict(holds or {}), corrections, (seed, run))
        engine.run(w, warm_up * calls / replications, most)
        for batch in range(run * batches, (run + 1) * batches):
            begun = float(w.state["now"][0])
            w.sums[0], w.waits[:] = 0, 0
            engine.run(w, size, most)
            cut |= bool(w.sums["calls"][0] < size) and math.isfinite(means[3])
            sums[batch], waits[batch] = w.sums[0], w.waits
            time[batch] = w.state["now"][0] - begun
            if progress is not None:
                progress((batch + 1) / total)
        full |= bool(w.state["full"][0])
    return _result(lock, sums, time, waits, levels, seed, corrections, full=full, cut=cut)


def _estimate(above: NDArray[np.float64], below: NDArray[np.float64]) -> Estimate:
    """Ratio of sums over batches; its error from the residuals of the batches."""
    from scipy.special import stdtrit

    count, whole = above.size, float(below.sum())
    if whole == 0:
        return Estimate(0.0, 0.0, 0.0)
    ratio = float(above.sum()) / whole
    residual = above - ratio * below
    error = float(np.sqrt(np.sum(residual**2) / (count * (count - 1)))) / (whole / count)
    return Estimate(ratio, error, float(stdtrit(count - 1, 0.975)) * error)


def _quantile(waits: NDArray[np.int64], faults: float, level: float) -> float:
    from perfmodel.rwlock.world import BINS_AN_OCTAVE, LEAST_WAIT

    rank = level * faults - (faults - float(waits.sum()))
    if rank <= 0 or faults == 0:
        return 0.0
    cumulated = np.cumsum(waits)
    place = min(int(np.searchsorted(cumulated, rank)), waits.size - 1)
    inside = 1.0 - (cumulated[place] - rank) / max(waits[place], 1)
    return float(LEAST_WAIT * 2.0 ** ((place + inside) / BINS_AN_OCTAVE))


def _result(
    lock: Lock, sums: NDArray[np.void], time: NDArray[np.float64], waits: NDArray[np.int64],
    levels: tuple[float, ...], seed: int, corrections: Corrections, *, full: bool, cut: bool,
) -> SimulationResult:  # fmt: skip
    got = {name: sums[name].astype(float) for name in sums.dtype.names or ()} | {"time": time}
    wait = got["blocked_time"] + got["wake_time"]
    ratios = {
        "acquire": (got["acquire"], got["asked"]), "blocked": (got["blocked"], got["calls"]),
        "blocked_time": (got["blocked_time"], got["calls"]),
        "wake_time": (got["wake_time"], got["calls"]), "wait_mean": (wait, got["faults"]),
        "blocked_share": (got["blocked"], got["faults"]),
        "fault_rate": (got["faults"], got["time"]), "call_rate": (got["calls"], got["time"]),
        "waiting_faults": (got["waiting"], got["time"]),
        "write_share": (got["written"], got["time"]),
    }  # fmt: skip
    estimates = {name: _estimate(*pair) for name, pair in ratios.items()}
    per_batch = {name: np.divide(a, b, out=np.zeros_like(a), where=b > 0)
                 for name, (a, b) in ratios.items()}  # fmt: skip
    quantiles, ones = {}, np.ones(len(sums))
    for level in levels:
        each = [_quantile(k, f, level) for k, f in zip(waits, got["faults"], strict=True)]
        spread = _estimate(np.array(each), ones)
        whole = _quantile(waits.sum(axis=0), float(got["faults"].sum()), level)
        quantiles[level] = Estimate(whole, spread.error, spread.half_width)
    limited = _limited(lock)
    half = len(sums) // 2
    growth = [_estimate(wait[s], got["faults"][s]) for s in (slice(half), slice(half, None))]
    load = (
        (lock.writer_rate or 0.0) * lock.sections * (_first(lock.exclusive) + _first(lock.shared))
    )
    broken = []
    if full:
        broken.append(f"more than {POOL} wait: no steady state")
    elif load >= 1:
        broken.append("the calls come faster than the lock can serve them: no steady state")
    elif growth[1].mean - growth[0].mean > _STEADY * math.hypot(*(g.error for g in growth)) > 0:
        broken.append("the waits still grow: more calls are needed, or there is no steady state")
    if limited and lock.io_share > 0:
        broken.append("no fault waits for I/O: here it would take a CPU meanwhile")
    if cut:
        broken.append(f"only {got['calls'].sum():.0f} calls came within the events allowed")
    unstable = full or load >= 1
    value = {name: np.array([math.inf if unstable and name in _GROWING else e.mean])
             for name, e in estimates.items()}  # fmt: skip
    answer = Answer(
        **{name: value[name] for name in ratios if name not in ("waiting_faults", "write_share")},
        wait_quantiles={q: np.array([e.mean]) for q, e in quantiles.items()},
        solver=f"simulation, {lock.discipline} rule"
        + (f", {lock.cpus} CPUs" if limited else "")
        + f"; corrections: {corrections}",
        stated_error=f"95 % intervals from {len(sums)} batches stand beside every mean",
        region=Region.nowhere(broken),
    )
    return SimulationResult(
        lock, answer, estimates, quantiles, per_batch, int(got["calls"].sum()),
        int(got["faults"].sum()), int(got["events"].sum()), seed, corrections,
    )  # fmt: skip


_GROWING = ("acquire", "blocked_time", "wait_mean")


def compare(first: SimulationResult, second: SimulationResult) -> dict[str, Estimate]:
    """Return second minus first, batch by batch.

    With one seed both met the same draws, and most of the noise cancels.

    Parameters
    ----------
    first, second : SimulationResult
        Of as many batches.

    Raises
    ------
    InputError
        If their batches are not the same periods of the same draws.
    """
    sizes = [r.batches["wait_mean"].size for r in (first, second)]
    if first.seed != second.seed or sizes[0] != sizes[1]:
        raise InputError("the runs are not paired", field="seed",
                         expected="one seed, and as many batches")  # fmt: skip
    return {
        name: _estimate(second.batches[name] - first.batches[name], np.ones(sizes[0]))
        for name in first.batches
    }
