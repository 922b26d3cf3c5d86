"""One block of a sweep: every point answered, flagged, or counted with the reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.sweeping.answers import Found, empty
from perfmodel.sweeping.arrays import answer_group
from perfmodel.sweeping.groups import COMPILED, STREAMED, Group, Impossible, groups_of
from perfmodel.sweeping.guarded import unguarded, with_guards
from perfmodel.sweeping.pointwise import by_other_solvers
from perfmodel.sweeping.stream import answer_stream, is_plain
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.sweeping.plan import Block, Plan

__all__ = ["WORTH", "answered", "compiles", "evaluate", "parted"]


#: Points, and points times draws, from which on the loop is worth compiling: that takes some seconds.
WORTH, WORTH_DRAWN = 1_000, 100_000


def compiles(plan: Plan) -> bool:
    """Whether the compiled loop is asked where it can answer: numba is there, and it is worth it."""
    worth = plan.size >= WORTH or plan.size * plan.draws >= WORTH_DRAWN
    return worth and find_spec("numba") is not None


def evaluate(plan: Plan, block: Block, *, loop: bool | None = None) -> Found:
    """Answer every point of a block.

    Parameters
    ----------
    plan : Plan
    block : Block
    loop : bool, optional
        Whether the compiled loop answers what it can; else arrays do. Default: see `compiles`.

    Returns
    -------
    Found
        Arrays with the points along the first axis, in C order; NaN where there is no answer.
    """
    loop = compiles(plan) if loop is None else loop
    if unguarded(plan) is not plan:
        return with_guards(plan, block, lambda asked: evaluate(asked, block, loop=loop))
    if plan.solver != "closed":
        return by_other_solvers(plan, block, lambda asked: _closed(asked, block, loop))
    return _closed(plan, block, loop)


def _closed(plan: Plan, block: Block, loop: bool) -> Found:
    """Answer by the closed forms."""
    out: Found | None = None
    for group in parted(plan, block, loop):
        if isinstance(group, Impossible):
            out = out or empty(plan, block.size)
            out.reasons["", group.reason] += group.places.size
            continue
        for places, found in answered(plan, group, loop):
            if places.size == block.size:
                found.values = {
                    name: np.asarray(value, dtype=plan.dtype(VARIABLES[name]))
                    for name, value in found.values.items()
                }
                return found  # nothing to be put together
            out = out or empty(plan, block.size)
            out.put(places, found)
    return out or empty(plan, block.size)


def parted(plan: Plan, block: Block, loop: bool) -> Iterator[Group | Impossible]:
    """Part the block as the loop takes it where it answers everything, else as the arrays do."""
    if loop:
        groups = list(groups_of(plan, block, COMPILED))
        if all(isinstance(g, Impossible) or is_plain(plan, g.scenario) for g in groups):
            return iter(groups)
    return groups_of(plan, block, STREAMED)


def answered(plan: Plan, group: Group, loop: bool) -> Iterator[tuple[NDArray[np.int64], Found]]:
    """Answer a group by the loop where it can, else by arrays."""
    ask = answer_stream if loop and is_plain(plan, group.scenario) else answer_group
    return ask(plan, group)
