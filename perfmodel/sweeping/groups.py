"""Points that differ by numbers only: what one array call of the models can answer.

The models branch on some parameters (the operation, the number of threads, whether anything is
present). Points that are alike in these form a group; what is left to differ within it are arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.sweeping.axes import CHOICES, NUMBERS
from perfmodel.sweeping.plan import Block, Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.scenario import Scenario

__all__ = ["COMPILED", "STREAMED", "Group", "Impossible", "groups_of"]

#: Parameters that the array functions take as arrays, besides the machine's constants.
STREAMED = ("pages", "populated", "remote_cpus", "writer_think_us")

#: And those that the compiled stream of faults takes so.
COMPILED = (*STREAMED, "fault_rate", "same_vma", "first_touch", "cpus")

#: Constants of which a scenario asks the estimate, and those whose zero chooses another form.
_ASKED, _ZERO_COUNTS = ("fault_minor",), ("wake_latency", "fault_hold")


@dataclass(frozen=True, eq=False)
class Group:
    """Points of one structure.

    Parameters
    ----------
    places : ndarray of int
        Which points of the block.
    scenario : Scenario
        One of them.
    arrays : mapping of str to ndarray
        Value of every other swept parameter, at each point.
    """

    places: NDArray[np.int64]
    scenario: Scenario
    arrays: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.places.size)


@dataclass(frozen=True)
class Impossible:
    """Points that are no scenario, and why.

    Parameters
    ----------
    places : ndarray of int
    reason : str
    """

    places: NDArray[np.int64]
    reason: str


def _structure(name: str, values: NDArray[Any], arrays: tuple[str, ...]) -> NDArray[Any] | None:
    """Return what of an axis tells groups apart; None for nothing."""
    if name in CHOICES:
        return np.arange(len(values))
    if name == "populated":
        return values > 0
    if name in _ZERO_COUNTS:
        return values > 0
    if name in arrays or (name not in _ASKED and name not in NUMBERS):
        return None
    return values


def groups_of(
    plan: Plan, block: Block, arrays: tuple[str, ...] = STREAMED
) -> Iterator[Group | Impossible]:
    """Part the points of a block by what the models branch on.

    Parameters
    ----------
    plan : Plan
    block : Block
    arrays : tuple of str
        Parameters of the scenario that may differ within a group.
    """
    codes = plan.codes(block)
    key = np.zeros(block.size, dtype=np.int64)
    for axis in plan.axes:
        told = _structure(axis.name, axis.values, arrays)
        if told is not None:
            distinct, of_value = np.unique(told, return_inverse=True)
            key = key * len(distinct) + of_value.reshape(-1)[codes[axis.name]]
            # Small numbers again, that the next axis may be added.
            key = np.unique(key, return_inverse=True)[1].reshape(-1)
    free = [a for a in plan.axes if _differs(a.name, arrays)]
    for places in _alike(key):
        pages = _column(plan, codes, "pages", places, plan.scenario.call.pages)
        vmas = _column(plan, codes, "vmas", places, plan.scenario.call.vmas)
        fits = vmas <= pages
        if not fits.all():
            yield Impossible(places[~fits], "more VMAs than pages")
            places = places[fits]
        if not places.size:
            continue
        point = {a.name: plan.value(a, int(codes[a.name][places[0]])) for a in plan.axes}
        try:
            scenario = plan.placed(point)
        except InputError as error:
            yield Impossible(places, str(error))
            continue
        here = slice(None) if places.size == block.size else places  # all of them, in order
        yield Group(
            places, scenario,
            {a.name: a.values[codes[a.name][here]].astype(float, copy=False) for a in free},
        )  # fmt: skip


def _differs(name: str, arrays: tuple[str, ...]) -> bool:
    """Whether a parameter may differ within a group."""
    if name in CHOICES or name in _ASKED:
        return False
    return name in arrays or name not in NUMBERS


def _alike(key: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Return the places of each value of a key."""
    if key.size and (key == key[0]).all():
        yield np.arange(key.size)
        return
    order = np.argsort(key, kind="stable")
    borders = np.flatnonzero(np.diff(key[order])) + 1
    yield from np.split(order, borders)


def _column(
    plan: Plan, codes: dict[str, NDArray[np.int64]], name: str, places: NDArray[np.int64],
    otherwise: float,
) -> NDArray[np.float64]:  # fmt: skip
    axis = next((a for a in plan.axes if a.name == name), None)
    if axis is None:
        return np.broadcast_to(np.float64(otherwise), places.shape)
    return np.asarray(axis.values[codes[name][places]], dtype=float)
