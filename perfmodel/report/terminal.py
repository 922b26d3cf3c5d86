"""Blocks as rich renderables: readable at 100 columns and when piped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Formula,
    Heading,
    Mark,
    Picture,
    Table,
    Text,
    legend,
    plain,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

__all__ = ["to_rich"]

_STYLE = {"plain": "", "good": "green", "bad": "bold red", "dim": "dim", "strong": "bold"}


def to_rich(blocks: Iterable[Block]) -> RenderableType:
    """Return the blocks one below the other.

    Texts are never read as markup: brackets stay brackets.
    """
    from rich.console import Group

    parts: list[RenderableType] = []
    for block in blocks:
        shown = _render(block)
        if shown is None:
            continue
        if parts and not isinstance(block, Bullets):
            parts.append("")
        parts.append(shown)
    return Group(*parts)


def _render(block: Block) -> RenderableType | None:
    from rich.padding import Padding
    from rich.text import Text as RichText

    match block:
        case Heading(text, level):
            return RichText(printable(text), style="bold underline" if level == 1 else "bold")
        case Text(text, tone):
            return RichText(printable(text), style=_STYLE[tone])
        case Bullets(items):
            return _bullets(items) if items else None
        case Table():
            return _table(block)
        case Formula(_, words, label):
            number = f"  ({label})" if label else ""
            return Padding(RichText(printable(words) + number), (0, 0, 0, 4))
        case Code(text):
            return Padding(RichText(printable(text)), (0, 0, 0, 4))
        case Picture(path):
            return Padding(RichText(printable(f"Figure {path}: {legend(block)}")), (0, 0, 0, 2))


def _bullets(items: Iterable[str]) -> RenderableType:
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    grid = RichTable.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    for item in items:
        grid.add_row("-", RichText(printable(item)))
    return grid


def _table(table: Table) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column in table.columns:
        shown.add_column(
            RichText(printable(column.name)),
            justify="right" if column.right else "left",
            # A cell that is not to wrap is cut where it does not fit; better a break than a loss.
            no_wrap=False,
            overflow="fold",
        )
    for row in table.rows:
        shown.add_row(*(_cell(cell) for cell in row))
    if not legend(table):
        return shown
    return Group(RichText(printable(legend(table)), style="italic"), shown)


def _cell(cell: Cell) -> RenderableType:
    from rich.text import Text as RichText

    style = _STYLE[cell.tone] if isinstance(cell, Mark) else ""
    return RichText(printable(plain(cell)), style=style)
