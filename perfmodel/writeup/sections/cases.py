"""The mail's own case and a large range, in full."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perfmodel.presets import PRESETS
from perfmodel.report.blocks import Block, Bullets, Heading, Table, Text
from perfmodel.report.prediction import prediction_blocks
from perfmodel.report.whole import VERDICTS
from perfmodel.writeup.numbering import about

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the verdicts with their tables."""
    found: list[Block] = [Heading("Results: one page, and a large range", 2)]
    for name in VERDICTS:
        for block in prediction_blocks(material.prediction(name), brief=True):
            match block:
                case Bullets(items):
                    found.append(Text(" ".join((PRESETS[name].sentence, *items)), "dim"))
                case Table() if any(isinstance(b, Table) for b in found):
                    # What the columns mean is said once.
                    found.append(replace(block, caption=""))
                case _:
                    found.append(block)
    gains = material.figure("gain_by_policy", "column")
    more = about(
        gains, "puts the policies beside each other in every case that the kit is shipped with."
    )
    return [*found, Text(more.lstrip()), *gains] if gains else found
