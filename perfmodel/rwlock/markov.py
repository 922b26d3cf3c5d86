r"""The exact steady state of a closed lock: a Markov chain, solved through its own order.

Thinking and reading are exponential, the exclusive part and the shared tail are Erlang with `stages`
stages (one: exponential; many: nearly constant). The states and moves come from
:mod:`perfmodel.rwlock.markov_states`.

Write the balance equations as :math:`\pi (U + R) = 0`, where *R* holds the moves that start an
exclusive part and *U* all others. *U* is upper triangular but for readers that come and go while
nobody waits, so its factors have next to no fill. With :math:`y = \pi R`, the rate of starts by
state, :math:`y = y P` with :math:`P = -U^{-1} R`: a stochastic matrix over the few states in which an
exclusive part can start, applied by one sparse substitution and never formed. GMRES solves it, and
:math:`\pi = -y U^{-1}`.

With fewer CPUs than threads that are not blocked, all of them slow down by the same factor *f* of
the state (processor sharing). This multiplies all moves out of a state alike, so the limited chain
has the steady state :math:`\pi / f`, normalised: no second solution is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfmodel.equations.account import WAKE_TIME
from perfmodel.errors import InputError
from perfmodel.region import Region
from perfmodel.rwlock.closed_form import (
    SEVERAL_SECTIONS,
    _affected_think_rate,
    _never_blocked,
    _with_wake,
)
from perfmodel.rwlock.lock import LEVELS, Answer, Lock
from perfmodel.rwlock.markov_states import MOVES, Shape, Structure, structure
from perfmodel.rwlock.markov_wait import Waits, wait_quantile

__all__ = ["SteadyState", "solve_chain", "steady_state"]

Floats = NDArray[np.float64]

#: Disciplines whose states are known.
_KNOWN = ("rwsem", "fifo")

#: Residual above which an answer is flagged.
_TOLERANCE = 1e-9

#: A think time of 0 is taken as this part of the hold: the order of events is kept, and the cycle
#: is longer by no more than this.
_NO_THINK = 1e-9

# The fields of an answer that are one number per draw.
_FIELDS = (
    "acquire", "blocked", "blocked_time", "wake_time", "wait_mean", "blocked_share", "fault_rate",
    "call_rate",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SteadyState:
    """Steady state of a chain of *s* states and *e* moves.

    Attributes
    ----------
    probability : ndarray of shape (s,)
        Share of the time in each state.
    flow : ndarray of shape (e,), per ns
        How often each move happens.
    residual : float
        Largest imbalance of a state (what enters less what leaves) over the largest flow through
        one.
    """

    probability: Floats
    flow: Floats
    residual: float

    def rate(self, which: Any) -> float:
        """Return how often the chosen moves happen, per ns; `which` is a mask or weights."""
        return float(self.flow @ which)


def steady_state(
    chain: Structure, rates: Mapping[str, float], cpus: int | None = None
) -> SteadyState:
    """Solve a chain.

    Parameters
    ----------
    chain : Structure
        States and moves.
    rates : mapping of str to float, per ns
        Rate of each of `MOVES` for one thread; for the stages, of one stage.
    cpus : int, optional
        CPUs that the threads which are not blocked share; None: one for each.

    Returns
    -------
    SteadyState
        Probabilities, flows and the residual of the balance equations.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator, gmres, splu

    size = chain.states
    base = np.array([rates[name] for name in MOVES])
    # Rates differ by orders of magnitude; in units of the largest the numbers stay near one.
    unit = float(base.max())
    rate = chain.threads * (base / unit)[chain.kind]
    leaving = np.bincount(chain.source, rate, size)
    inner = ~chain.starts
    diagonal = np.arange(size)
    # By columns, transposed: the substitution runs from the first state to the last.
    upper = csr_array(
        (
            np.concatenate((rate[inner], -leaving)),
            (
                np.concatenate((chain.source[inner], diagonal)),
                np.concatenate((chain.target[inner], diagonal)),
            ),
        ),
        shape=(size, size),
    )
    factors = splu(
        upper.T.tocsc(), permc_spec="NATURAL", diag_pivot_thresh=0.0,
        options={"Equil": False, "SymmetricMode": True},
    )  # fmt: skip
    source, target = chain.source[chain.starts], chain.target[chain.starts]
    entered, column = np.unique(target, return_inverse=True)
    count, weight = len(entered), rate[chain.starts]

    def until_next_start(y: Floats) -> Floats:
        flow = np.zeros(size)
        flow[entered] = -y
        return np.asarray(factors.solve(flow))

    def next_start(y: Floats) -> Floats:
        time = until_next_start(y)
        return np.asarray(np.bincount(column, time[source] * weight, count), dtype=np.float64)

    start: Floats = np.full(count, 1.0 / count)
    for _ in range(3):
        start = next_start(start)
        start = start / start.sum()
    # y = yP leaves the scale free; adding (sum of y) times any distribution fixes it at one.
    system = LinearOperator(
        (count, count), matvec=lambda y: y - next_start(y) + start * y.sum(), dtype=np.float64
    )  # fmt: skip
    solution, _ = gmres(system, start, x0=start, rtol=1e-14, atol=0.0, restart=60, maxiter=4)
    # A last application of P smooths what GMRES leaves over.
    solution = next_start(np.maximum(solution, 0.0))
    probability = until_next_start(solution / solution.sum())
    probability /= probability.sum()
    speed = np.ones(size) if cpus is None else np.minimum(1.0, cpus / chain.running)
    probability = probability / speed
    probability /= probability.sum()
    flow = probability[chain.source] * speed[chain.source] * rate
    out = np.bincount(chain.source, flow, size)
    imbalance = np.bincount(chain.target, flow, size) - out
    return SteadyState(probability, flow * unit, float(np.abs(imbalance).max() / out.max()))


def solve_chain(
    lock: Lock,
    *,
    stages: int = 1,
    levels: tuple[float, ...] = LEVELS,
) -> Answer:
    """Answer a lock question exactly, for a closed population of faults and of callers.

    Parameters
    ----------
    lock : Lock
        The question. Each draw is a chain of its own: ask about a handful.
    stages : int
        Stages of the exclusive part and of the tail: their coefficient of variation is
        ``stages ** -0.5``. The chain grows in proportion.
    levels : tuple of float
        Quantiles of the wait to give.

    Returns
    -------
    Answer
        In the terms of :func:`perfmodel.rwlock.closed_form.solve`; NaN where a hold is unknown.
        A wake-up delays the fault it belongs to and nothing else. Quantiles are those of the
        kernel's rule without a limit of CPUs, NaN otherwise.

    Raises
    ------
    InputError
        If the discipline is a textbook one, the faults or the calls are an open stream, some faults
        wait for I/O under the lock, a time that must be positive is not, or there are too many
        states.

    Notes
    -----
    Where not all faults need the lock, the time between two that do is taken as exponential, and
    the sections of a call as calls of their own. Means come near those of constant holds in
    proportion to ``1 / stages``; a quantile just below the end of the hold, where many faults blocked
    by a constant one would crowd, only to ``stages ** -0.5``. A think time of 0 between calls is taken as 1e-9 of
    the hold.
    """
    _check(lock, stages, levels)
    cpus = lock.cpus
    if cpus is not None and cpus >= (lock.fault_threads or 0) + lock.writer_threads:
        cpus = None  # nobody ever waits for one
    shape = np.shape(lock.exclusive)
    lock = _spread(lock)
    draws, said, states, residual = [], [], 0, 0.0
    # Draws differ in their rates and seldom in their states.
    build = lru_cache(maxsize=2)(structure)
    for index in range(len(lock.exclusive)):
        one = _draw(lock, index)
        times = (one.exclusive, one.shared, one.read_hold, one.writer_think)
        if np.any(np.isnan(np.array(times, dtype=float))):
            nothing = dict.fromkeys((*_FIELDS, *levels), np.nan)
            draws.append(nothing)
        elif lock.affected == 0 or one.exclusive[0] <= 0:
            draws.append(_free(one, cpus, levels))
        else:
            answer, chain, solved = _one(one, build, cpus, stages, levels)
            states, residual = max(states, chain.states), max(residual, solved.residual)
            draws.append(answer)
    column = {name: np.array([draw[name] for draw in draws]).reshape(shape) for name in draws[0]}
    if residual > _TOLERANCE:
        said.append(f"the balance equations are solved to {_TOLERANCE:g}")
    if lock.sections > 1:
        said.append(SEVERAL_SECTIONS)
    if lock.affected < 1:
        said.append("the time between two faults that need the lock is exponential")
    if cpus is not None and lock.readers_sleep:
        said.append("a CPU is free for every woken thread")
    reason = _no_quantiles(lock, cpus)
    if reason and states:
        said.append(reason)
    law = "exponential" if stages == 1 else f"Erlang-{stages}"
    return Answer(
        **{name: column[name] for name in _FIELDS},
        wait_quantiles={level: column[level] for level in levels},
        solver=(
            f"Markov chain, {lock.discipline} rule"
            + ("" if cpus is None else f", {cpus} CPUs")
            + f", {states} states, residual {residual:.0e}"
            if states
            else "no fault needs the lock while it is exclusive: nobody waits"
        ),
        stated_error=(
            f"exact for exponential reads and think times and {law} holds"
            f" (against a constant hold the second moment is {1 / stages:.2g} too large)"
        ),
        region=Region.nowhere(said),
    )


def _check(lock: Lock, stages: int, levels: tuple[float, ...]) -> None:
    def refuse(what: str, field: str, expected: str) -> None:
        raise InputError(what, field=field, expected=expected)

    if lock.discipline not in _KNOWN:
        refuse(f"the chain has no {lock.discipline}", "discipline", " or ".join(_KNOWN))
    if lock.fault_threads is None:
        refuse("the chain has no open stream of faults", "fault_rate", "a number of threads")
    if lock.writer_rate is not None:
        refuse("the chain has no open stream of calls", "writer_rate", "callers that think")
    if lock.io_share > 0:
        refuse("the chain has one law of read holds", "io_share", "0")
    if lock.writer_threads < 1:
        refuse(f"{lock.writer_threads} callers", "writer_threads", "at least 1")
    threads = lock.fault_threads or 0
    if threads < 0:
        refuse(f"{threads} faulting threads", "fault_threads", "at least 0")
    if threads and not lock.fault_think > 0:
        refuse(f"a think time of {lock.fault_think:g} ns", "fault_think", "more than 0")
    if threads and np.any(np.asarray(lock.read_hold) <= 0):
        refuse("a read hold that takes no time", "read_hold", "more than 0")
    if np.any(np.asarray(lock.writer_think) < 0):
        refuse("a negative think time", "writer_think", "at least 0")
    if stages < 1:
        refuse(f"{stages} stages", "stages", "at least 1")
    for level in levels:
        if not 0 < level < 1:
            refuse(f"{level!r} is no level", "levels", "between 0 and 1")


_ARRAYS = ("exclusive", "shared", "read_hold", "writer_think", "wake_latency", "wake_serial")


def _spread(lock: Lock) -> Lock:
    """Give every time one value per draw."""
    shape = np.shape(lock.exclusive)
    times: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(getattr(lock, name), dtype=float), shape).ravel()
        for name in _ARRAYS
    }
    return replace(lock, **times)


def _draw(lock: Lock, index: int) -> Lock:
    times: dict[str, Any] = {name: getattr(lock, name)[index : index + 1] for name in _ARRAYS}
    return replace(lock, **times)


def _free(lock: Lock, cpus: int | None, levels: tuple[float, ...]) -> dict[Any, float]:
    """Answer for one draw in which nobody is ever blocked: all threads run all the time."""
    answer = _never_blocked(lock, levels)
    everybody = (lock.fault_threads or 0) + lock.writer_threads
    speed = 1.0 if cpus is None else min(1.0, cpus / everybody)
    found: dict[Any, float] = {name: float(getattr(answer, name)[0]) for name in _FIELDS}
    found["call_rate"] *= speed
    found["fault_rate"] = found["fault_rate"] * speed if lock.fault_threads else 0.0
    return found | dict.fromkeys(levels, 0.0)


def _no_quantiles(lock: Lock, cpus: int | None) -> str:
    """Say why there are no quantiles; empty where there are."""
    if cpus is not None:
        return "quantiles need as many CPUs as threads: others slow a blocked thread's wait down"
    if lock.discipline == "fifo" and lock.writer_threads > 1:
        return "quantiles of several callers need the kernel's rule: later faults change the wait"
    return ""


def _one(
    lock: Lock,
    build: Callable[[Shape], Structure],
    cpus: int | None,
    stages: int,
    levels: tuple[float, ...],
) -> tuple[dict[Any, float], Structure, SteadyState]:
    """Answer for one draw."""
    n, m, sections = lock.fault_threads or 0, lock.writer_threads, lock.sections
    exclusive, shared = float(lock.exclusive[0]), float(max(lock.shared[0], 0.0))
    hold = exclusive + shared
    think = max(float(lock.writer_think[0]) / sections, _NO_THINK * hold)
    chain = build(Shape(n, m, stages, shared > 0, lock.discipline == "fifo"))
    rates = {
        "fault": float(np.ravel(_affected_think_rate(lock))[0]) if n else 0.0,
        "call": 1.0 / think,
        "read end": 1.0 / float(lock.read_hold[0]) if n else 0.0,
        "exclusive stage": stages / exclusive,
        "tail stage": stages / shared if shared > 0 else 0.0,
    }
    state = steady_state(chain, rates, cpus)
    calls = state.rate(chain.kind == MOVES.index("call"))
    faults = state.rate(chain.kind == MOVES.index("fault"))
    blocks = (chain.kind == MOVES.index("fault")) & chain.blocks[chain.source]
    blocked_rate = state.rate(blocks)
    blocked = blocked_rate / calls
    blocked_time = float(state.probability @ chain.waiting_readers) / calls
    # The equation of the closed form, with the pairs as they are and not as if binomial.
    wake_time = 0.0
    if lock.readers_sleep:
        wake_time = float(
            WAKE_TIME(
                woken=blocked, woken_pairs=state.rate(chain.woken * (chain.woken - 1)) / calls,
                wake_latency=lock.wake_latency[0], wake_serial=lock.wake_serial[0],
            )
        )  # fmt: skip
    share = lock.affected * blocked_rate / faults if faults > 0 else 0.0
    each = (blocked_time + wake_time) / blocked if blocked > 0 else 0.0
    wake_each = wake_time / blocked if blocked > 0 else 0.0
    answer: dict[Any, float] = {
        "acquire": sections * float(state.probability @ chain.waiting_callers) / calls,
        "blocked": sections * blocked,
        "blocked_time": sections * blocked_time,
        "wake_time": sections * wake_time,
        "wait_mean": share * each,
        "blocked_share": share,
        # The chain's cycle of one fault, longer by the wake-ups, which the chain leaves out.
        "fault_rate": n / (n * lock.affected / faults + share * wake_each) if faults > 0 else 0.0,
        "call_rate": calls / sections,
    }
    quantiles = dict.fromkeys(levels, 0.0 if n == 0 else np.nan)
    if n and not _no_quantiles(lock, cpus):
        waits = Waits.of(chain, np.where(blocks, state.flow, 0.0), rates)
        quantiles = _quantiles(waits, share, blocked, wake_time, levels)
    return answer | quantiles, chain, state


def _quantiles(
    waits: Waits, share: float, blocked: float, wake_time: float, levels: tuple[float, ...]
) -> dict[float, float]:
    """Quantiles over all faults from the law of those that are blocked."""
    beyond: Floats = (1.0 - np.array(levels, dtype=float)) / share
    late = beyond < 1.0
    wait = np.zeros(len(levels))
    wait[late] = wait_quantile(waits, beyond[late])
    inner = {level: wait[i : i + 1] for i, level in enumerate(levels)}
    full = _with_wake(np.array([blocked]), np.array([wake_time]), inner)
    return {level: float(value[0]) for level, value in full.items()}
