"""Blocks as GitHub Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Formula,
    Heading,
    Picture,
    Table,
    Text,
    legend,
    plain,
    printable,
    rendered,
    stands_out,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["to_markdown"]

#: Characters that Markdown or the HTML within it would take for its own; an underscore inside a
#: word is a plain character.
_SPECIAL = re.compile(r"[\\`*|<>\[\]&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as Markdown text that ends in a newline."""
    return rendered(blocks, _render, "\n\n") + "\n"


def _safe(text: str) -> str:
    line = " ".join(printable(text).split())
    return _SPECIAL.sub(
        lambda m: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(m[0], "\\" + m[0]), line
    )


def _render(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * min(max(level, 1), 6)} {_safe(text)}"
        case Text(text):
            return f"**{_safe(text)}**" if stands_out(block) else _start(_safe(text))
        case Bullets(items):
            return "\n".join(f"- {_safe(i)}" for i in items)
        case Table():
            return _table(block)
        case Formula(latex, _, label):
            tag = rf" \tag{{{label}}}" if label else ""
            return f"$$\n{latex}{tag}\n$$"
        case Code(text):
            return "\n".join(f"    {line}".rstrip() for line in printable(text).splitlines())
        case Picture():
            return _picture(block)


def _start(text: str) -> str:
    """Keep a paragraph from being read as a heading, a list or a rule."""
    return re.sub(r"^(#|[-+=]|\d+(?=[.)]))", r"\\\1", text)


def _picture(picture: Picture) -> str:
    target = picture.path.replace(" ", "%20").replace("(", "%28").replace(")", "%29")
    shown = f"![{_safe(picture.alt or picture.caption)}]({target})\n\n*{_safe(legend(picture))}*"
    if picture.detail:
        words = _safe(picture.detail)
        shown += f"\n\n<details><summary>All of it in words</summary>\n\n{words}\n\n</details>"
    return shown


def _table(table: Table) -> str:
    head = "| " + " | ".join(_safe(c.name) for c in table.columns) + " |"
    rule = "|" + "|".join(" ---: " if c.right else " --- " for c in table.columns) + "|"
    rows = ["| " + " | ".join(_cell(c) for c in row) + " |" for row in table.rows]
    caption = [f"*{_safe(legend(table))}*", ""] if legend(table) else []
    return "\n".join([*caption, head, rule, *rows])


def _cell(cell: Cell) -> str:
    if isinstance(cell, Formula):
        # A bar would end the cell, even within a formula.
        return f"${cell.latex.replace('|', chr(92) + 'vert ')}$"
    text = _safe(plain(cell))
    return f"**{text}**" if stands_out(cell) else text
