r"""The answer of an exact Markov chain, for a closed population of faults and of callers.

Thinking and reading are exponential, the exclusive part and the shared tail are Erlang with `stages`
stages (one: exponential; many: nearly constant). The states and moves come from
:mod:`perfmodel.rwlock.markov_states`, their probabilities from :mod:`perfmodel.rwlock.markov_steady`.

With fewer CPUs than threads that are not blocked, all of them slow down by the same factor *f* of
the state (processor sharing). This multiplies all moves out of a state alike, so the limited chain
has the steady state :math:`\pi / f`, normalised: no second solution is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfmodel.equations.account import WAKE_TIME
from perfmodel.errors import InputError
from perfmodel.region import Region
from perfmodel.rwlock.lock import LEVELS, Answer, Lock
from perfmodel.rwlock.markov_overtaken import OvertakenWaits
from perfmodel.rwlock.markov_states import Shape, Structure, count_states, structure
from perfmodel.rwlock.markov_steady import SteadyState, steady_state
from perfmodel.rwlock.markov_wait import WaitLaw, Waits, wait_quantile
from perfmodel.rwlock.terms import (
    SEVERAL_SECTIONS,
    affected_think_rate,
    never_blocked,
    with_wake,
)

__all__ = ["SteadyState", "solve_chain", "steady_state"]

Floats = NDArray[np.float64]

#: Residual above which an answer is flagged.
_TOLERANCE = 1e-9

#: A think time of 0 is taken as this part of the hold: the order of events is kept, and the cycle
#: is longer by no more than this.
_NO_THINK = 1e-9

#: Blocked faults that one wake-up lets in at most under the kernel's rule (MAX_READERS_WAKEUP in
#: ``kernel/locking/rwsem.c``, Linux 5.10 to 6.18). The chain lets all of them in.
MAX_WOKEN = 256

#: Chains of up to so many states are kept for the next question: its rates alone are new. The four
#: take up to 75 MB, some 0.36 kB a state with the layout.
_REMEMBERED = 50_000
_remembered = lru_cache(maxsize=4)(structure)

# Conditions that are met or not draw by draw.
_LET_IN = "nobody is kept out so long that floating point has no number for it"
_AT_ONCE = (
    f"no wake-up finds more than {MAX_WOKEN} blocked faults: the kernel leaves the rest asleep"
)
_LAW = (
    "quantiles need callers who do not keep readers out for millions of holds, and levels below"
    " that of all but one in a million of the blocked faults"
)

# The fields of an answer that are one number per draw.
_FIELDS = (
    "acquire", "blocked", "blocked_time", "wake_time", "wait_mean", "blocked_share", "fault_rate",
    "call_rate",
)  # fmt: skip


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
        A wake-up delays the fault it belongs to and nothing else. Quantiles are NaN, and the region
        says why, for ``fifo`` with several callers and where threads share CPUs.

    Raises
    ------
    InputError
        If the faults or the calls are an open stream, some faults wait for I/O under the lock, a
        time that must be positive is not, or there are too many states.

    Notes
    -----
    Where not all faults need the lock, the time between two that do is taken as exponential, and
    the sections of a call as calls of their own. Means come near those of constant holds in
    proportion to ``1 / stages``; a quantile just below the end of the hold, where many faults blocked
    by a constant one would crowd, only to ``stages ** -0.5``. A think time of 0 between calls is
    taken as 1e-9 of the hold; only where callers are preferred and there are several is the limit
    another lock: they never let a reader in, and its wait is infinite.

    The kernel's limit of 256 readers to a wake-up cannot matter with fewer faulting threads; with
    more, a draw in which more than 1e-9 of the calls wake so many is flagged. The other disciplines
    have no such limit.
    """
    _check(lock, stages, levels)
    cpus = lock.cpus
    if cpus is not None and cpus >= (lock.fault_threads or 0) + lock.writer_threads:
        cpus = None  # nobody ever waits for one
    shape = np.shape(lock.exclusive)
    lock = _spread(lock)
    draws, said, states, residual = [], [], 0, 0.0
    met = {name: np.full(len(lock.exclusive), True) for name in (_LET_IN, _AT_ONCE, _LAW)}
    # Draws differ in their rates and seldom in their states.
    large = lru_cache(maxsize=2)(structure)

    def build(shape: Shape) -> Structure:
        return _remembered(shape) if count_states(shape) <= _REMEMBERED else large(shape)

    for index in range(len(lock.exclusive)):
        one = _draw(lock, index) if len(lock.exclusive) > 1 else lock
        times = (one.exclusive, one.shared, one.read_hold, one.writer_think)
        if np.any(np.isnan(np.array(times, dtype=float))):
            nothing = dict.fromkeys((*_FIELDS, *levels), np.nan)
            draws.append(nothing)
        elif lock.affected == 0 or one.exclusive[0] <= 0:
            draws.append(_free(one, cpus, levels))
        elif _readers_starve(one):
            alone, chain, solved = _one(replace(one, fault_threads=0), build, cpus, stages, ())
            states, residual = max(states, chain.states), max(residual, solved.residual)
            draws.append(_starved(one, alone, levels))
        else:
            answer, chain, solved = _one(one, build, cpus, stages, levels)
            draws.append(answer)
            states = max(states, chain.states)
            met[_LET_IN][index] = let_in = not np.isnan(solved.residual)
            if let_in:
                residual = max(residual, solved.residual)
                met[_AT_ONCE][index] = _wakes_all(chain, solved)
                met[_LAW][index] = not any(np.isnan(answer[level]) for level in levels)
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
        met.pop(_LAW)
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
        region=Region.nowhere(said).also(
            {text: flags.reshape(shape) for text, flags in met.items() if not flags.all()}
        ),
    )


def _check(lock: Lock, stages: int, levels: tuple[float, ...]) -> None:
    def refuse(what: str, field: str, expected: str) -> None:
        raise InputError(what, field=field, expected=expected)

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
    none = np.zeros(np.shape(lock.exclusive))
    times: dict[str, Any] = {name: (none + getattr(lock, name)).ravel() for name in _ARRAYS}
    return replace(lock, **times)


def _draw(lock: Lock, index: int) -> Lock:
    times: dict[str, Any] = {name: getattr(lock, name)[index : index + 1] for name in _ARRAYS}
    return replace(lock, **times)


def _free(lock: Lock, cpus: int | None, levels: tuple[float, ...]) -> dict[Any, float]:
    """Answer for one draw in which nobody is ever blocked: all threads run all the time."""
    answer = never_blocked(lock, levels)
    everybody = (lock.fault_threads or 0) + lock.writer_threads
    speed = 1.0 if cpus is None else min(1.0, cpus / everybody)
    found: dict[Any, float] = {name: float(getattr(answer, name)[0]) for name in _FIELDS}
    found["call_rate"] *= speed
    found["fault_rate"] = found["fault_rate"] * speed if lock.fault_threads else 0.0
    return found | dict.fromkeys(levels, 0.0)


def _readers_starve(lock: Lock) -> bool:
    """Tell whether some caller always waits, and no reader may enter where one does."""
    preferred = lock.discipline == "writer_preference" and lock.writer_threads > 1
    return bool(preferred and (lock.fault_threads or 0) > 0 and lock.writer_think[0] == 0)


def _starved(lock: Lock, callers: dict[Any, float], levels: tuple[float, ...]) -> dict[Any, float]:
    """Answer for one draw in which every faulting thread is blocked for good, from callers alone."""
    blocked: dict[Any, float] = {
        "blocked_time": (lock.fault_threads or 0) / callers["call_rate"],
        "wait_mean": np.inf, "blocked_share": lock.affected,
        **{level: np.inf if level > 1.0 - lock.affected else 0.0 for level in levels},
    }  # fmt: skip
    return callers | blocked


def _wakes_all(chain: Structure, state: SteadyState) -> bool:
    """Tell whether the kernel's limit of readers to a wake-up leaves the answer alone."""
    if chain.shape.discipline != "rwsem" or chain.shape.threads <= MAX_WOKEN:
        return True
    calls = state.rate(chain.moves["call"])
    return state.rate(chain.woken > MAX_WOKEN) <= _TOLERANCE * calls


def _no_quantiles(lock: Lock, cpus: int | None) -> str:
    """Say why there are no quantiles; empty where there are."""
    if cpus is not None:
        return "quantiles need as many CPUs as threads: others slow a blocked thread's wait down"
    if lock.discipline == "fifo" and lock.writer_threads > 1:
        return "quantiles of several callers need another rule than fifo: they depend on the gaps"
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
    chain = build(Shape(n, m, stages, shared > 0, lock.discipline))
    rates = {
        "fault": float(np.ravel(affected_think_rate(lock))[0]) if n else 0.0,
        "call": 1.0 / think,
        "read end": 1.0 / float(lock.read_hold[0]) if n else 0.0,
        "exclusive stage": stages / exclusive,
        "tail stage": stages / shared if shared > 0 else 0.0,
    }
    state = steady_state(chain, rates, cpus)
    if np.isnan(state.residual):
        return dict.fromkeys((*_FIELDS, *levels), np.nan), chain, state
    calls = state.rate(chain.moves["call"])
    faults = state.rate(chain.moves["fault"])
    blocked_rate = state.rate(chain.blocking)
    blocked = blocked_rate / calls
    # Sums of products and not inner products: the library would wake threads for long ones.
    blocked_time = float((state.probability * chain.waiting_readers).sum()) / calls
    # The equation of the closed form, with the pairs as they are and not as if binomial.
    wake_time = 0.0
    if lock.readers_sleep:
        wake_time = float(
            WAKE_TIME(
                woken=blocked, woken_pairs=float((state.flow * chain.woken * (chain.woken - 1)).sum()) / calls,
                wake_latency=lock.wake_latency[0], wake_serial=lock.wake_serial[0],
            )
        )  # fmt: skip
    share = lock.affected * blocked_rate / faults if faults > 0 else 0.0
    each = (blocked_time + wake_time) / blocked if blocked > 0 else 0.0
    wake_each = wake_time / blocked if blocked > 0 else 0.0
    answer: dict[Any, float] = {
        "acquire": sections * float((state.probability * chain.waiting_callers).sum()) / calls,
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
    if n and levels and not _no_quantiles(lock, cpus):
        law = OvertakenWaits if lock.discipline == "writer_preference" else Waits
        waits: WaitLaw = law.of(chain, state.flow[chain.blocking], rates)
        mean = blocked_time / blocked
        told = _quantiles(waits, mean, share, blocked, wake_time, levels)
        # The law must know its own mean as well as the chain does.
        if abs(waits.mean / mean - 1.0) < _TOLERANCE:
            quantiles = told
    return answer | quantiles, chain, state


def _quantiles(
    waits: WaitLaw, mean: float, share: float, blocked: float, wake_time: float,
    levels: tuple[float, ...],
) -> dict[float, float]:  # fmt: skip
    """Quantiles over all faults from the law of those that are blocked."""
    beyond: Floats = (1.0 - np.array(levels, dtype=float)) / share
    late = beyond < 1.0
    wait = np.zeros(len(levels))
    wait[late] = wait_quantile(waits, beyond[late], mean)
    inner = {level: wait[i : i + 1] for i, level in enumerate(levels)}
    full = with_wake(np.array([blocked]), np.array([wake_time]), inner)
    return {level: float(value[0]) for level, value in full.items()}
