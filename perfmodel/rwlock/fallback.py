"""Who answers: the closed forms where their error is known, else the chain or the simulation.

The locks of several policies are compared with each other, so one solver answers them all: a closed
form's error of two per cent beside an exact answer would be a gain out of nothing.

The other solvers answer for the central draw alone. How the answer moves over the draws of the
machine is taken from the closed form: every draw is multiplied by what the central one is off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.region import Region
from perfmodel.rwlock.closed_form import solve
from perfmodel.rwlock.lock import LEVELS, Answer, Lock
from perfmodel.rwlock.stacked import TIMES, solve_all
from perfmodel.rwlock.terms import woken_in_the_way

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHOICES", "Answers", "answer_all", "chain_of_constant_holds", "simulated"]

#: What can be asked for. ``auto``: closed form, chain, simulation, in this order, whichever is the
#: first whose error is known; ``chain``: without the simulation, and so without chance.
CHOICES = ("auto", "closed", "chain", "simulation")

#: A chain of at most so many states answers in about a tenth of a second.
STATES = 60_000

#: Events that the simulation of one lock may take (a tenth of a second), and the calls that must
#: come in them for its means to be worth having.
EVENTS, FEWEST_CALLS = 3_000_000, 300

#: Stages of the holds in the chain. Its means approach those of constant holds as 1 / stages: from
#: two of them follows the limit.
STAGES = (4, 8)

#: What a solver answers, one number a draw.
FIELDS = (
    "acquire", "blocked", "blocked_time", "wake_time", "wait_mean", "blocked_share", "fault_rate",
    "call_rate",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of several locks by one solver.

    Parameters
    ----------
    answers : tuple of Answer
        In the order of the locks.
    reason : str
        Why it was not the closed form, or why it was although it does not hold; else empty.
    """

    answers: tuple[Answer, ...]
    reason: str = ""


#: A solver's answer for one draw, and the relative standard error of each of its fields.
_Told = tuple[Answer, Mapping[str, float]]


def _first(value: Any) -> Any:
    array = np.asarray(value, dtype=float).reshape(-1)
    return array[:1]


def central(lock: Lock) -> Lock:
    """Return a lock with its first draw, the estimate, alone."""
    return replace(lock, **{name: _first(getattr(lock, name)) for name in TIMES})


def chain_of_constant_holds(lock: Lock) -> Answer:
    """Answer for constant holds by the exact chain; without quantiles.

    Two chains, of Erlang holds with 4 and 8 stages, are extrapolated to infinitely many. That is good
    for means; the crowd of faults that wait for just one constant hold has no like in either chain.

    Parameters
    ----------
    lock : Lock
        A closed population; one draw.

    Raises
    ------
    InputError
        If the chain does not know the question, or has more than `STATES` states.
    """
    from perfmodel.rwlock.markov import solve_chain
    from perfmodel.rwlock.markov_states import Shape, count_states

    shape = Shape(
        lock.fault_threads or 0, lock.writer_threads, STAGES[-1],
        bool(np.any(lock.shared > 0)), lock.discipline,
    )  # fmt: skip
    if lock.fault_threads is not None and (states := count_states(shape)) > STATES:
        raise InputError(f"{states} states", field="fault_threads", expected=f"at most {STATES}")
    short = solve_chain(lock, stages=STAGES[0], levels=())
    long = solve_chain(lock, stages=STAGES[1], levels=())
    ratio = STAGES[1] / STAGES[0]
    values = {}
    for name in FIELDS:
        near, far = getattr(long, name), getattr(short, name)
        # A count or a time: the limit may not fall below what cannot be.
        values[name] = np.maximum((ratio * near - far) / (ratio - 1.0), 0.0)
    return replace(
        long, **values, region=long.region.also(woken_in_the_way(lock, values["call_rate"])),
        stated_error="exact for exponential reads and think times; constant holds by extrapolation"
        " from 4 and 8 stages",
    )  # fmt: skip


def simulated(
    lock: Lock, levels: tuple[float, ...] = LEVELS, *, events_a_call: float, seed: int = 0
) -> _Told:
    """Answer by simulation, with as many calls as a tenth of a second has room for.

    Parameters
    ----------
    lock : Lock
        One draw.
    levels : tuple of float
        Quantiles of the wait.
    events_a_call : float
        About how many events one call takes.
    seed : int

    Returns
    -------
    Answer, mapping of str to float
        And the relative standard error of each of `FIELDS`.

    Raises
    ------
    InputError
        If too few calls come in the events allowed.
    MissingExtraError
        If numba is not installed.
    """
    from perfmodel.rwlock.simulate import simulate

    calls = EVENTS / events_a_call if events_a_call > 0 else math.inf
    if not calls >= FEWEST_CALLS:
        raise InputError(
            f"one call takes about {events_a_call:.2g} events", field="faults",
            expected=f"at most {EVENTS / FEWEST_CALLS:.0f}",
        )  # fmt: skip
    result = simulate(
        lock, calls=int(min(calls, 20_000)), seed=seed, levels=levels, max_events=4 * EVENTS
    )
    errors = {name: e.error / e.mean if e.mean > 0 else 0.0 for name, e in result.estimates.items()}
    return result.answer, errors


def answer_all(
    locks: Sequence[Lock],
    solver: str = "auto",
    levels: tuple[float, ...] = LEVELS,
    *,
    seed: int = 0,
) -> Answers:
    """Answer the locks of several policies, all by one solver.

    Parameters
    ----------
    locks : sequence of Lock
        Over the draws of a machine, the first the central estimate.
    solver : str
        One of `CHOICES`.
    levels : tuple of float
        Quantiles of the wait, for the central draw.
    seed : int
        Of the simulation, and of its error in the draws.

    Raises
    ------
    InputError
        If there is no such solver, or the one asked for cannot answer.
    MissingExtraError
        If the simulation is asked for without its extra.
    """
    if solver not in CHOICES:
        raise InputError(
            f"there is no solver {solver!r}",
            field="solver",
            expected="one of " + ", ".join(CHOICES),
        )
    first = _first_equal(locks)
    if len(set(first)) < len(first):
        # A policy that changes nothing here is the same question: one answer, and no gain by chance.
        asked = sorted(set(first))
        found = answer_all([locks[i] for i in asked], solver, levels, seed=seed)
        place = {i: k for k, i in enumerate(asked)}
        return replace(found, answers=tuple(found.answers[place[i]] for i in first))
    closed = solve_all(locks, ())
    known = [i for i, lock in enumerate(locks) if _is_known(lock)]
    outside = list(dict.fromkeys(why for i in known for why in closed[i].broken))
    if solver == "closed" or not known or (not outside and solver != "simulation"):
        return Answers(_with_quantiles(locks, closed, levels))
    why_not = []
    for name in ("chain", "simulation") if solver in ("auto", "chain") else (solver,):
        if name == "simulation" and solver == "chain":
            continue
        ask = _ask_chain if name == "chain" else _ask_simulation
        try:
            told = {i: ask(locks[i], closed[i], levels, seed) for i in known}
        except (InputError, MissingExtraError) as error:
            if solver == name == "simulation":
                raise
            why_not.append(f"{name}: {error}")
            continue
        missed = list(dict.fromkeys(w for answer, _ in told.values() for w in answer.broken))
        if missed and solver != name:
            why_not.append(f"{name}: not so that {missed[0]}")
            continue
        answers = list(closed)
        for i, (answer, errors) in told.items():
            answers[i] = _moved(locks[i], closed[i], answer, errors, seed)
        reason = f"the {_NAMES[name]} answers"
        if outside:
            reason += f", as the closed form's error is known only if {outside[0]}"
        return Answers(
            tuple(answers), f"{reason}; the spread over the draws is the closed form's"
        )  # fmt: skip
    return Answers(
        _with_quantiles(locks, closed, levels),
        "no other solver can stand in for the closed form here: " + "; ".join(why_not),
    )


_NAMES = {"chain": "Markov chain", "simulation": "simulation"}


def _first_equal(locks: Sequence[Lock]) -> list[int]:
    """Return, for every lock, the place of the first one that is the same question."""

    def key(lock: Lock) -> tuple[Any, ...]:
        values = (getattr(lock, f.name) for f in fields(lock))
        # Bytes, as an unknown time is the same question again and NaN is no equal of itself.
        return tuple(
            np.asarray(v, dtype=float).tobytes() if isinstance(v, np.ndarray | float) else v
            for v in values
        )

    places: dict[tuple[Any, ...], int] = {}
    return [places.setdefault(key(lock), i) for i, lock in enumerate(locks)]


def _is_known(lock: Lock) -> bool:
    return bool(
        np.isfinite(_first(lock.exclusive)).all() and np.isfinite(_first(lock.shared)).all()
    )


def _with_quantiles(
    locks: Sequence[Lock], closed: Sequence[Answer], levels: tuple[float, ...]
) -> tuple[Answer, ...]:
    """Add the quantiles of the central draw: they take most of the time."""
    if not levels:
        return tuple(closed)
    middle = solve_all([central(lock) for lock in locks], levels)
    return tuple(
        replace(answer, wait_quantiles=one.wait_quantiles)
        for answer, one in zip(closed, middle, strict=True)
    )


def _ask_chain(lock: Lock, _: Answer, levels: tuple[float, ...], seed: int) -> _Told:  # noqa: ARG001
    one = central(lock)
    told, closed = chain_of_constant_holds(one), solve(one, levels)
    with np.errstate(all="ignore"):
        longer = (told.wait_mean / told.blocked_share) / (closed.wait_mean / closed.blocked_share)
        longer = np.where(np.isfinite(longer), longer, 1.0)
    return replace(
        told,
        wait_quantiles={q: longer * wait for q, wait in closed.wait_quantiles.items()},
        stated_error=told.stated_error
        + "; quantiles: the closed form's, longer as the mean wait is",
    ), {}


def _ask_simulation(lock: Lock, closed: Answer, levels: tuple[float, ...], seed: int) -> _Told:
    calls, faults = float(_first(closed.call_rate)[0]), float(_first(closed.fault_rate)[0])
    # A fault comes and goes; a call comes, downgrades and goes, in every section.
    events = 2.0 * faults / calls + 4.0 * lock.sections if calls > 0 else math.inf
    return simulated(central(lock), levels, events_a_call=events, seed=seed)


def _moved(
    lock: Lock, closed: Answer, told: Answer, errors: Mapping[str, float], seed: int
) -> Answer:
    """Put a closed form's draws where another solver's central answer is.

    The simulation's own error is drawn besides, one number for all locks of a comparison: with one
    seed they meet the same faults and calls, and err together.
    """
    size, rng = closed.wait_mean.size, np.random.default_rng(seed)

    def noise(name: str) -> NDArray[np.float64]:
        factor = 1.0 + errors.get(name, 0.0) * rng.standard_normal(size)
        factor[0] = 1.0
        return np.maximum(factor, 0.0)

    values = {}
    for name in FIELDS:
        level = float(_first(getattr(told, name))[0])
        draws = np.asarray(getattr(closed, name), dtype=float).reshape(-1)
        middle = draws[0] if draws.size else math.nan
        relative = draws / middle if math.isfinite(middle) and middle > 0 else np.ones(size)
        values[name] = level * relative * noise(name)
    # Scaled draws may leave what is possible: a share of one, and threads that never wait.
    values["blocked_share"] = np.minimum(values["blocked_share"], 1.0)
    if lock.fault_threads is not None:
        never = lock.fault_threads / (lock.fault_think + np.asarray(lock.read_hold, dtype=float))
        values["fault_rate"] = np.minimum(values["fault_rate"], never)
    return Answer(
        **values, wait_quantiles=told.wait_quantiles, solver=told.solver,
        stated_error=told.stated_error, region=Region(told.region.conditions),
    )  # fmt: skip
