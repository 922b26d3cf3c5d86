"""Blocks as HTML: a fragment for a notebook or a page of its own. Everything is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Column,
    Formula,
    Heading,
    Mark,
    Picture,
    Table,
    Text,
    legend,
    plain,
    printable,
    rendered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
.perfmodel.perfmodel figure img{background:#fff}
.perfmodel.perfmodel .formula{display:flex;align-items:center;gap:1em;margin:.8em 0 .8em 2em;overflow-x:auto}
.perfmodel.perfmodel svg.math{vertical-align:middle;max-width:none}
.perfmodel.perfmodel pre{overflow-x:auto;padding:.6em 1em;border:1px solid currentColor;border-radius:4px}
.perfmodel.perfmodel details{margin:.3em 0}
"""

#: What a page of its own adds for reading: a measure, room at the edges, colours of either theme.
_PAGE = """
body{margin:0 auto;padding:1em;max-width:60em;background:Canvas;color:CanvasText;overflow-wrap:anywhere}
td,th{overflow-wrap:normal}
@media (prefers-color-scheme:dark){
.perfmodel.perfmodel .good{color:#7bd07b}.perfmodel.perfmodel .bad{color:#ff8f8f}
}
body .perfmodel.perfmodel{font-size:16px}
body .perfmodel.perfmodel table,body .perfmodel.perfmodel figcaption{font-size:14px}
body .perfmodel.perfmodel figure img{width:100%}
body .perfmodel.perfmodel figure.narrow img{width:min(100%,32em)}
"""


#: What is wider than the screen scrolls by itself, by keyboard too.
_SCROLLS = ' tabindex="0"'


def to_fragment(blocks: Iterable[Block]) -> str:
    """Return the blocks as one ``<div>`` with its style."""
    return f'<div class="perfmodel"><style>{_CSS}</style>\n{_body(blocks, str)}\n</div>'


def to_page(title: str, blocks: Iterable[Block], *, source: Callable[[str], str] = str) -> str:
    """Return the blocks as a page of its own, which loads nothing but its figures.

    Parameters
    ----------
    title : str
    blocks : iterable of Block
    source : callable
        Path of a figure to the address that the page loads it from; a ``data:`` address makes the
        page whole by itself. Default: the path.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_safe(title)}</title><style>{_CSS}{_PAGE}</style></head>\n"
        f'<body><main class="perfmodel">\n{_body(blocks, source)}\n</main></body></html>\n'
    )


def _body(blocks: Iterable[Block], source: Callable[[str], str]) -> str:
    return rendered(blocks, lambda block: _render(block, source), "\n")


def _safe(text: str) -> str:
    return escape(printable(text), quote=True)


def _render(block: Block, source: Callable[[str], str]) -> str:
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
        case Formula(_, _, label):
            number = f"<span>({_safe(label)})</span>" if label else ""
            return f'<div class="formula"{_SCROLLS}>{_formula(block)}{number}</div>'
        case Code(text):
            return f"<pre{_SCROLLS}>{_safe(text)}</pre>"
        case Picture(path, caption, alt, detail):
            narrow = ' class="narrow"' if block.narrow else ""
            more = (
                f"<details><summary>All of it in words</summary><p>{_safe(detail)}</p></details>"
                if detail else ""
            )  # fmt: skip
            return (
                f'<figure{narrow}><img src="{_safe(source(path))}" alt="{_safe(alt or caption)}">'
                f"<figcaption>{_safe(legend(block))}{more}</figcaption></figure>"
            )


def _formula(formula: Formula) -> str:
    """Return a formula as a picture in the colour of the text; in words where it cannot be drawn."""
    from perfmodel.report.formula import svg

    return svg(formula.latex, formula.words) or f"<code>{_safe(formula.words)}</code>"


def _content(cell: Cell) -> str:
    return _formula(cell) if isinstance(cell, Formula) else _safe(plain(cell))


def _table(table: Table) -> str:
    head = "".join(_head(column) for column in table.columns)
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_class(column, cell)}>{_content(cell)}</td>"
            for column, cell in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{_safe(legend(table))}</caption>" if legend(table) else ""
    return (
        f'<div class="wide"{_SCROLLS}><table>{caption}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(column: Column) -> str:
    """Return the head of a column; one without a name is no head."""
    if not column.name:
        return "<td></td>"
    return f'<th scope="col"{_class(column, column.name)}>{_safe(column.name)}</th>'


def _class(column: Column, cell: Cell) -> str:
    names = ["right"] if column.right else []
    if isinstance(cell, Mark) and cell.tone != "plain":
        names.append(cell.tone)
    return f' class="{" ".join(names)}"' if names else ""
