"""Every figure that no other section shows, under the question that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Heading, Text

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the questions that are left, and with an appendix their figures."""
    from perfmodel.figures import WRITE_UP

    rest = [k for k in WRITE_UP if k.name not in material.drawn and k.name not in material.missing]
    head = Heading("Further questions", 2)
    if not rest:
        return []
    if not material.appendix:
        said = Text("Each of these has a figure: perfmodel figures -o DIR --only NAME draws it, and"
                    " perfmodel write-up --appendix puts all of them here.")  # fmt: skip
        return [head, said, Bullets([f"{k.name}: {k.question}" for k in rest])]
    found: list[Block] = []
    for kind in rest:
        if shown := material.figure(kind.name):
            found += [Text(kind.question, "strong"), *shown]
    return [head, *found] if found else []
