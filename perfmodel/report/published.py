"""Published pairs beside the model, in blocks: hits, misses, and what it cannot speak to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.published.figures import BASES, EVIDENCE
from perfmodel.published.result import TOLERANCE
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.numbers import number_text
from perfmodel.report.validation import value_text
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perfmodel.published.figures import Published
    from perfmodel.published.result import Comparison, PublishedTable

__all__ = ["constants_blocks", "published_blocks"]


def published_blocks(found: PublishedTable, *, brief: bool = False) -> list[Block]:
    """Return all pairs: a table of what is compared, notes, and who is silent why.

    Parameters
    ----------
    found : PublishedTable
    brief : bool
        Whether to leave out notes and sources.
    """
    every = found.comparisons
    silent = [r for r in found.results if r.silent]
    blocks: list[Block] = [
        Text(
            f"{len(found.results)} published pairs: the model speaks to"
            f" {len(found.results) - len(silent)}, in {len(every)} numbers, of which {found.hits} lie"
            f" within the {100 * LEVEL:.0f} % interval (widened by {100 * TOLERANCE:.0f} %, for a"
            " published figure has no error of its own). Several numbers of a pair hang on one constant:"
            " their hits and misses are not independent."
        )
    ]
    columns = [
        Column("pair"), Column("number", wrap=True), Column("published", True),
        Column("predicted", True), Column("ratio", True), Column(f"{100 * LEVEL:.0f} % interval"),
        Column(""), Column("profile"),
    ]  # fmt: skip
    blocks.append(Table(columns, [_row(c) for c in every], "Published beside predicted"))
    lines = [f"{r.pair.id} ({r.pair.what}): {r.silent}" for r in silent]
    blocks += [Heading("What the model cannot speak to", 3), Bullets(lines)]
    if brief:
        return blocks
    told = [f"{r.pair.id}: {r.note}" for r in found.results if r.note]
    inputs = dict.fromkeys(f"{c.pair}: {c.inputs}" for c in every if c.inputs)
    sources = [
        f"{p.id}: {p.what}; {p.machine}, kernel {p.kernel}; {p.source}"
        f" ({EVIDENCE[p.evidence]}; {BASES[p.basis]})."
        for p in (r.pair for r in found.results)
    ]
    return [
        *blocks, Heading("What it rests on, and why it misses", 3), Bullets(told),
        Text("Published numbers that went in, and are not compared:"), Bullets(list(inputs)),
        Heading("Sources", 3), Bullets(sources),
    ]  # fmt: skip


def _row(c: Comparison) -> list[Cell]:
    low, high = value_text(c.low, c.unit), value_text(c.high, c.unit)
    if c.unit == "1":
        shown = [number_text(v) for v in (c.published, c.predicted, c.low, c.high)]
    else:
        shown = [value_text(c.published, c.unit), value_text(c.predicted, c.unit), low, high]
    within = "none" if c.low == c.high else f"{shown[2]} to {shown[3]}"
    mark = Mark("hit", "good") if c.hit else Mark("MISS" if c.known else "unknown", "bad")
    return [c.pair, c.what, shown[0], shown[1], number_text(c.ratio, 2), within, mark, c.profile]


def constants_blocks(published: Published, used: Mapping[str, Sequence[str]]) -> list[Block]:
    """Return every published constant, and which profile it went into.

    Parameters
    ----------
    published : Published
    used : mapping of str to sequence of str
        Constants by profile.
    """
    rows: list[list[Cell]] = []
    for name, constant in published.constants.items():
        into = ", ".join(p for p, names in used.items() if name in names)
        for i, f in enumerate(constant.figures):
            sign = {"exact": "", "about": "~", "at-most": "<=", "at-least": ">="}[f.bound]
            rows.append(
                [name if not i else "", f.what, f"{sign}{f.value:g} {f.unit}", f.machine, f.kernel,
                 f"{constant.evidence}, {constant.basis}" if not i else "", into if not i else ""]
            )  # fmt: skip
    columns = [
        Column("constant"), Column("which", wrap=True), Column("value", True),
        Column("machine", wrap=True), Column("kernel", wrap=True), Column("evidence"),
        Column("used in", wrap=True),
    ]  # fmt: skip
    return [
        Heading("Published constants", 3),
        Table(columns, rows),
        Bullets([f"{k}: {v}" for k, v in EVIDENCE.items()]),
    ]
