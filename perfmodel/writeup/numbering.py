"""Numbers of figures, tables, equations and sources, and the references to them within texts.

A section names what it shows and what it speaks of with `ref`; `numbered` puts the numbers in once the
whole document is there, so that a section can be added, moved or left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from perfmodel.report.blocks import Block, Bullets, Cell, Formula, Mark, Picture, Table, Text

__all__ = ["about", "numbered", "ref"]

Kind = Literal["figure", "table", "equation", "source"]

#: Private characters of Unicode around a name: no text holds them by chance.
_OPEN, _CLOSE = "\ue000", "\ue001"
_TOKEN = re.compile(f"{_OPEN}(\\w+):([^{_CLOSE}]*){_CLOSE}")

#: How a text speaks of each kind.
_SAID = {"figure": "Figure {}", "table": "Table {}", "equation": "({})", "source": "[{}]"}


def ref(kind: Kind, name: str) -> str:
    """Return what stands for a number in a text, and in the label of what has it."""
    return f"{_OPEN}{kind}:{name}{_CLOSE}"


def about(shown: Sequence[Picture], words: str) -> str:
    """Return a sentence about a figure, after a space; nothing where the figure is not drawn."""
    return f" {shown[0].label} {words}" if shown else ""


def numbered(blocks: Iterable[Block]) -> list[Block]:
    """Return the blocks with numbers in labels and texts, and times in the figures' spelling.

    Figures, tables and equations are numbered in the order in which they stand; sources in the order
    in which the items of lists begin with them.

    Raises
    ------
    ValueError
        If a text speaks of something that is not shown, or two things have one name.
    """
    everything = list(blocks)
    numbers: dict[tuple[str, str], str] = {}
    for label in filter(None, (m for b in everything for m in _labels(b))):
        kind, name = label.groups()
        if (kind, name) in numbers:
            raise ValueError(f"two things are called {kind} {name!r}")
        numbers[kind, name] = str(1 + sum(k == kind for k, _ in numbers))

    def said(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if (kind, name) not in numbers:
            raise ValueError(f"a text speaks of {kind} {name!r}, which is not shown")
        return _SAID[kind].format(numbers[kind, name])

    def put(text: str) -> str:
        # The texts of the terminal write us, the figures µs.
        return re.sub(r"(?<=\d) us\b", " µs", _TOKEN.sub(said, text))

    return [_mapped(block, put) for block in everything]


def _labels(block: Block) -> list[re.Match[str] | None]:
    if isinstance(block, Bullets):
        return [_TOKEN.match(i) for i in block.items if i.startswith(f"{_OPEN}source:")]
    if isinstance(block, Picture | Table | Formula):
        return [_TOKEN.fullmatch(block.label)]
    return []


def _mapped(block: Block, put: Callable[[str], str]) -> Block:
    match block:
        case Text(text):
            return replace(block, text=put(text))
        case Bullets(items):
            return Bullets([put(i) for i in items])
        case Formula(label=label):
            return replace(block, label=put(label).strip("()"))
        case Picture(caption=caption, alt=alt, detail=detail, label=label):
            return replace(
                block, caption=put(caption), alt=put(alt), detail=put(detail), label=put(label)
            )
        case Table(columns, rows, caption, label):
            heads = [replace(c, name=put(c.name)) for c in columns]
            cells = [[_cell(c, put) for c in row] for row in rows]
            return Table(heads, cells, put(caption), put(label))
    return block


def _cell(cell: Cell, put: Callable[[str], str]) -> Cell:
    if isinstance(cell, Formula):
        return cell
    return replace(cell, text=put(cell.text)) if isinstance(cell, Mark) else put(cell)
