"""How wide the columns of a printed table are: nothing may run out of the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.report.blocks import Formula, plain

if TYPE_CHECKING:
    from perfmodel.report.blocks import Cell, Table

__all__ = ["widths"]

#: Points: of a text of 170 mm, and between two columns.
PAGE, BETWEEN = 483.0, 8.0

#: Points of a character at 8 point: narrow, wide, and all others, on the wide side.
_NARROW, _WIDE = frozenset(" .,:;'!|()[]/ijltf"), frozenset("mwMW%@")
_POINTS = {"narrow": 2.9, "wide": 7.2, "capital": 6.0, "other": 4.2}

#: By how much the head of a column, which is bold, is wider.
_BOLD = 1.15


def widths(table: Table) -> list[float | None]:
    """Return the width of each column in points; None where it is as wide as its longest cell.

    Columns that would not fit side by side are broken into lines, those of numbers last.
    """
    room = PAGE - BETWEEN * (len(table.columns) - 1)
    cells = [[c.name, *(row[i] for row in table.rows)] for i, c in enumerate(table.columns)]
    natural = [max(_BOLD * _line(head), *map(_line, some)) for head, *some in cells]
    if sum(natural) <= room:
        return [None] * len(cells)
    least = [max(_BOLD * _word(head), *map(_word, some)) for head, *some in cells]
    broken = [i for i, c in enumerate(table.columns) if not c.right and natural[i] > least[i]]
    rest = room - sum(w for i, w in enumerate(natural) if i not in broken)
    if not broken or rest < sum(least[i] for i in broken):
        broken, rest = list(range(len(cells))), room
    text = [sum(map(_line, column)) ** 0.75 for column in cells]
    shares = _shared(rest, *([some[i] for i in broken] for some in (least, natural, text)))
    found: list[float | None] = [None] * len(cells)
    for i, width in zip(broken, shares, strict=True):
        found[i] = width
    return found


def _shared(
    room: float, least: list[float], most: list[float], weights: list[float]
) -> list[float]:
    """Return widths that fill the room: each at least its longest word, if the room is enough for that.

    What is left is shared by weight; who needs less than its share leaves the others more.
    """
    total = sum(least)
    if total >= room:
        return [room * w / total for w in least]
    found, left = list(least), room - total
    growing = [i for i in range(len(least)) if most[i] > least[i]]
    while growing:
        whole = sum(weights[i] for i in growing)
        more = {i: left * weights[i] / whole for i in growing}
        full = [i for i in growing if found[i] + more[i] >= most[i]]
        for i in full or growing:
            grown = most[i] - found[i] if full else more[i]
            found[i] += grown
            left -= grown
        growing = [i for i in growing if i not in full] if full else []
    return found


def _shown(cell: Cell) -> str:
    if isinstance(cell, Formula):
        # A command is one sign, braces and scripts are none.
        return re.sub(r"[{}^_$ ]", "", re.sub(r"\\[A-Za-z]+", "m", cell.latex))
    return plain(cell)


def _points(text: str) -> float:
    return sum(
        _POINTS[
            "narrow"
            if c in _NARROW
            else "wide"
            if c in _WIDE
            else "capital"
            if c.isupper()
            else "other"
        ]
        for c in text
    )


def _line(cell: Cell) -> float:
    return _points(_shown(cell))


def _word(cell: Cell) -> float:
    if isinstance(cell, Formula):
        return _line(cell)
    return max(map(_points, re.split(r"\s+|(?<=-)(?=\w)", _shown(cell))), default=0.0)
