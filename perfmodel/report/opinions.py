"""A second solver's answers beside the closed form's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Table
from perfmodel.report.numbers import number_text, share_text, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfmodel.crosscheck import Opinion

__all__ = ["opinion_blocks"]

_NAMES = {
    "wait_mean": "mean fault wait", "blocked_share": "faults blocked",
    "acquire": "caller's wait", "fault_rate": "faults/s", "call_rate": "calls/s",
}  # fmt: skip


def _put(opinion: Opinion, value: float) -> str:
    if math.isnan(value):
        return "n/a"
    if opinion.unit == "ns":
        return time_text(value)
    return share_text(value) if opinion.unit == "1" else number_text(value * 1e9)


def opinion_blocks(opinions: Sequence[Opinion]) -> list[Block]:
    """Return one table of both solvers' central answers, and who the second solver was."""
    if not opinions:
        return []
    columns = [
        Column("policy"), Column("quantity"), Column("closed form", True),
        Column("second solver", True), Column("closed / second", True),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for one in opinions:
        other = _put(one, one.other)
        if one.half_width > 0 and math.isfinite(one.half_width):
            other += f" +- {_put(one, one.half_width)}"
        ratio = "n/a" if math.isnan(one.ratio) else f"{one.ratio:.3g}"
        rows.append([one.policy, _NAMES[one.quantity], _put(one, one.closed), other, ratio])
    who = dict.fromkeys(f"{o.policy}: {o.solver}" for o in opinions)
    caption = "Central estimates; +- is half of a 95 % interval of the simulation"
    return [Heading("Second opinion", 4), Table(columns, rows, caption), Bullets(list(who))]
