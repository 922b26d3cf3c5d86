"""What a sweep will cost: points, time by a short probe, and room."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perfmodel.sweeping.evaluate import answered, compiles, evaluate, parted
from perfmodel.sweeping.groups import Group
from perfmodel.sweeping.guarded import unguarded

if TYPE_CHECKING:
    from perfmodel.sweeping.plan import Plan

__all__ = ["Preview", "preview"]

#: A probe is made longer until it takes so many seconds.
_LONG = 0.2


@dataclass(frozen=True)
class Preview:
    """The cost of a sweep.

    Parameters
    ----------
    points, blocks, policies : int
    seconds : float
        One worker, without the writing; by what a probe of a part took.
    bytes : int
        Of the results, not compressed.
    compiled : bool
        Whether the compiled loop is used where it can answer.
    others : bool
        Whether some points are asked of another solver besides, which is not in the time.
    """

    points: int
    blocks: int
    policies: int
    seconds: float
    bytes: int
    compiled: bool
    others: bool = False

    def sentence(self) -> str:
        """Say it to a person."""
        return (
            f"{self.points:,} points, {self.policies} policies, {self.blocks:,} block"
            f"{'s' if self.blocks != 1 else ''}: about {_duration(self.seconds)} on one worker,"
            f" {_room(self.bytes)} not compressed"
            + ("; points outside the closed form's region come on top" if self.others else "")
        )


def preview(plan: Plan) -> Preview:
    """Time a small part of a sweep and say what the whole will cost.

    Parameters
    ----------
    plan : Plan
    """
    if plan.solver == "simulation" or unguarded(plan) is not plan:
        # Every point is asked of `predict`: one of them says how long.
        return _preview(plan, plan.size * _asked(plan), compiles(plan))
    loop = compiles(plan)
    block = plan.block(plan.blocks // 2)
    groups = [g for g in parted(plan, block, loop) if isinstance(g, Group)]
    seconds = 0.0
    if groups:
        largest = max(groups, key=lambda g: g.size)
        _timed(plan, largest, 1, loop)  # compiles, and builds the functions of the equations
        one = taken = _timed(plan, largest, 1, loop)
        points = 1
        while taken < _LONG and points < largest.size:
            points = min(16 * points, largest.size)
            taken = _timed(plan, largest, points, loop)
        each = max(taken - one, 0.0) / (points - 1) if points > 1 else one
        # A group costs something whatever its size.
        seconds = sum(max(one - each, 0.0) + each * g.size for g in groups)
    return _preview(plan, seconds * plan.size / block.size, loop)


def _preview(plan: Plan, seconds: float, loop: bool) -> Preview:
    return Preview(
        plan.size, plan.blocks, len(plan.policies), seconds, plan.size * plan.bytes_per_point, loop,
        plan.solver in ("auto", "chain"),
    )  # fmt: skip


def _asked(plan: Plan) -> float:
    """Return the seconds that the solver takes for one point."""
    single = replace(plan, block_points=1)
    block = single.block(single.blocks // 2)
    evaluate(single, block)  # compiles
    begun = time.perf_counter()
    evaluate(single, block)
    return time.perf_counter() - begun


def _timed(plan: Plan, group: Group, points: int, loop: bool) -> float:
    """Return the seconds that some points of a group take."""
    part = Group(
        group.places[:points], group.scenario, {k: v[:points] for k, v in group.arrays.items()}
    )
    begun = time.perf_counter()
    for _ in answered(plan, part, loop):
        pass
    return time.perf_counter() - begun


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s" if seconds >= 0.1 else "less than 0.1 s"


def _room(size: int) -> str:
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << bits:
            return f"{size / (1 << bits):.3g} {unit}"
    return f"{size} bytes"
