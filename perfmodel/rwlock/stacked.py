"""Several locks that differ in their times alone, answered in closed form as one array.

The policies of a comparison ask the same lock with other holds. A closed form that iterates costs
nearly as much for one point as for three: its rounds are counted, not its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from perfmodel.region import Region
from perfmodel.rwlock.closed_form import solve
from perfmodel.rwlock.lock import Answer, Lock

__all__ = ["TIMES", "solve_all", "solve_each"]

#: The times of a lock, ns, one a draw: what may differ between locks that are asked together.
TIMES = ("exclusive", "shared", "read_hold", "writer_think", "wake_latency", "wake_serial")

#: Points beyond which a lock by itself keeps the processor as busy as several together.
_WIDE = 200


def solve_each(locks: Sequence[Lock], levels: tuple[float, ...]) -> list[Answer]:
    """Answer locks in closed form, one after another."""
    return [solve(lock, levels) for lock in locks]


def solve_all(locks: Sequence[Lock], levels: tuple[float, ...]) -> list[Answer]:
    """Answer locks in closed form, those that differ in their times alone together.

    Parameters
    ----------
    locks : sequence of Lock
        Over the draws of one machine.
    levels : tuple of float
        Quantiles of the wait to give.

    Returns
    -------
    list of Answer
        In the order of the locks. A fixed point that is asked together goes on until its last point
        is found: the numbers agree with :func:`solve_each` to within that fixed point's tolerance.

    Raises
    ------
    InputError
        As :func:`perfmodel.rwlock.closed_form.solve`.
    """
    alike: dict[Any, list[int]] = {}
    for i, lock in enumerate(locks):
        alike.setdefault(_kind(lock, i), []).append(i)
    found: dict[int, Answer] = {}
    for places in alike.values():
        if len(places) == 1:
            found[places[0]] = solve(locks[places[0]], levels)
        else:
            found |= _solved_as_one([locks[i] for i in places], places, levels)
    return [found[i] for i in range(len(locks))]


def _kind(lock: Lock, place: int) -> Any:
    """Return what must be the same in locks that are asked together."""
    size = np.asarray(lock.exclusive).size
    if np.ndim(lock.exclusive) != 1 or size > _WIDE:
        return place
    same = tuple(getattr(lock, f.name) for f in fields(lock) if f.name not in TIMES)
    # Which closed form is asked hangs on whether anybody is blocked, and whether anybody sleeps.
    branch = (bool(np.any(lock.exclusive > 0)), bool(np.any(np.asarray(lock.wake_latency) > 0)))
    return same, branch, size


def _solved_as_one(
    locks: Sequence[Lock], places: Sequence[int], levels: tuple[float, ...]
) -> dict[int, Answer]:
    size = locks[0].exclusive.size
    times: dict[str, Any] = {
        name: np.concatenate([
            np.broadcast_to(np.asarray(getattr(lock, name), dtype=float), (size,)) for lock in locks
        ])
        for name in TIMES
    }  # fmt: skip
    whole = solve(replace(locks[0], **times), levels)
    return {
        place: _part(whole, slice(k * size, (k + 1) * size), size * len(locks))
        for k, place in enumerate(places)
    }


def _part(whole: Answer, points: slice, size: int) -> Answer:
    """Return the points of one lock."""

    def cut(value: Any) -> Any:
        return value[points] if np.shape(value) == (size,) else value

    values = {f.name: getattr(whole, f.name) for f in fields(whole)}
    values = {name: cut(v) if isinstance(v, np.ndarray) else v for name, v in values.items()}
    quantiles = {level: cut(wait) for level, wait in whole.wait_quantiles.items()}
    region = Region({text: cut(met) for text, met in whole.region.conditions.items()})
    return Answer(**values | {"wait_quantiles": quantiles, "region": region})
