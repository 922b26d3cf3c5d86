"""The claims of the mail and the rule of 2006, with the model's verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Cell, Column, Heading, Table, Text
from perfmodel.report.claims import verdict_mark
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the table of claims."""
    rows: list[list[Cell]] = [
        [c.name, verdict_mark(c), c.brief, c.rests_on] for c in material.claims.claims
    ]
    columns = [Column("claim"), Column("verdict"), Column("the model's answer", wrap=True),
               Column("rests on", wrap=True)]  # fmt: skip
    caption = "The claims of December 2020 and the rule of 2006; in brackets 90 % intervals"
    counts = {v: sum(c.verdict == v for c in material.claims.claims) for v in
              ("holds", "holds in part", "does not hold")}  # fmt: skip
    told = ", ".join(f"{n} {v}" for v, n in counts.items())
    locked = material.figure("locked_op")
    where = about(
        locked, "shows what the one locked operation more costs others on the lock's line."
    )
    return [
        Heading("The claims, one by one", 2),
        Text(f"Of {len(rows)}: {told} ({ref('table', 'claims')}). perfmodel claims prints each in full, with the"
             f" region in which it holds.{where}"),
        Table(columns, rows, caption, ref("table", "claims")),
        *locked,
    ]  # fmt: skip
