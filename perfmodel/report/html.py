"""Blocks as HTML: a fragment for a notebook or a page of its own. Everything is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Column,
    Heading,
    Mark,
    Picture,
    Table,
    Text,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["to_fragment", "to_page"]

# The class is named twice to outrank what a notebook says of tables. Colours are mixed
# from the text's own, so that light and dark notebooks both work.
_CSS = """
.perfmodel.perfmodel{font:14px/1.5 system-ui,sans-serif;max-width:75em}
.perfmodel.perfmodel table{border-collapse:collapse;margin:.3em 0 1em;font-variant-numeric:tabular-nums}
.perfmodel.perfmodel th,.perfmodel.perfmodel td{padding:.15em .7em;text-align:left;vertical-align:top}
.perfmodel.perfmodel th,.perfmodel.perfmodel td{background:none}
.perfmodel.perfmodel th{border-bottom:1px solid currentColor}
.perfmodel.perfmodel caption{text-align:left;font-style:italic;padding-bottom:.2em}
.perfmodel.perfmodel .right{text-align:right;white-space:nowrap}
.perfmodel.perfmodel .good{color:#2a7d2a}.perfmodel.perfmodel .bad{color:#c62f2f;font-weight:bold}
.perfmodel.perfmodel .dim{opacity:.65}.perfmodel.perfmodel .strong{font-weight:bold}
.perfmodel.perfmodel .wide{overflow-x:auto}
.perfmodel.perfmodel figure{margin:1em 0}.perfmodel.perfmodel img{max-width:100%}
"""


def to_fragment(blocks: Iterable[Block]) -> str:
    """Return the blocks as one ``<div>`` with its style."""
    body = "\n".join(filter(None, (_render(b) for b in blocks)))
    return f'<div class="perfmodel"><style>{_CSS}</style>\n{body}\n</div>'


def to_page(title: str, blocks: Iterable[Block]) -> str:
    """Return the blocks as a page of its own, which loads nothing but its figures."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_safe(title)}</title></head>\n<body>\n{to_fragment(blocks)}\n</body></html>\n"
    )


def _safe(text: str) -> str:
    return escape(printable(text), quote=True)


def _render(block: Block) -> str:
    match block:
        case Heading(text, level):
            rank = min(max(level, 1), 6)
            return f"<h{rank}>{_safe(text)}</h{rank}>"
        case Text(text, tone):
            return f'<p class="{tone}">{_safe(text)}</p>'
        case Bullets(items):
            if not items:
                return ""
            return "<ul>" + "".join(f"<li>{_safe(i)}</li>" for i in items) + "</ul>"
        case Table():
            return _table(block)
        case Picture(path, caption):
            words = _safe(caption)
            return (
                f'<figure><img src="{_safe(path)}" alt="{words}">'
                f"<figcaption>{words}</figcaption></figure>"
            )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_class(c, c.name)}>{_safe(c.name)}</th>' for c in table.columns
    )
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_class(column, cell)}>{_safe(cell.text if isinstance(cell, Mark) else cell)}</td>"
            for column, cell in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{_safe(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _class(column: Column, cell: Cell) -> str:
    names = ["right"] if column.right else []
    if isinstance(cell, Mark) and cell.tone != "plain":
        names.append(cell.tone)
    return f' class="{" ".join(names)}"' if names else ""
