"""Blocks as GitHub Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Heading,
    Mark,
    Picture,
    Table,
    Text,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["to_markdown"]

#: Characters that Markdown or the HTML within it would take for its own; an underscore inside a
#: word is a plain character.
_SPECIAL = re.compile(r"[\\`*|<>\[\]&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as Markdown text that ends in a newline."""
    return "\n\n".join(filter(None, (_render(b) for b in blocks))) + "\n"


def _safe(text: str) -> str:
    line = " ".join(printable(text).split())
    return _SPECIAL.sub(
        lambda m: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(m[0], "\\" + m[0]), line
    )


def _render(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * min(max(level, 1), 6)} {_safe(text)}"
        case Text(text, tone):
            return f"**{_safe(text)}**" if tone in ("bad", "strong") else _start(_safe(text))
        case Bullets(items):
            return "\n".join(f"- {_safe(i)}" for i in items)
        case Table():
            return _table(block)
        case Picture(path, caption):
            target = path.replace(" ", "%20").replace("(", "%28").replace(")", "%29")
            return f"![{_safe(caption)}]({target})\n\n*{_safe(caption)}*"


def _start(text: str) -> str:
    """Keep a paragraph from being read as a heading, a list or a rule."""
    return re.sub(r"^(#|[-+=]|\d+(?=[.)]))", r"\\\1", text)


def _table(table: Table) -> str:
    head = "| " + " | ".join(_safe(c.name) for c in table.columns) + " |"
    rule = "|" + "|".join(" ---: " if c.right else " --- " for c in table.columns) + "|"
    rows = ["| " + " | ".join(_cell(c) for c in row) + " |" for row in table.rows]
    caption = [f"*{_safe(table.caption)}*", ""] if table.caption else []
    return "\n".join([*caption, head, rule, *rows])


def _cell(cell: Cell) -> str:
    if not isinstance(cell, Mark):
        return _safe(cell)
    return f"**{_safe(cell.text)}**" if cell.tone in ("bad", "strong") else _safe(cell.text)
