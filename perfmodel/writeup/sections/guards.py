"""A cut with what would make it safe, priced against doing nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Heading, Table, Text
from perfmodel.report.prediction import guarded_blocks, scenario_title
from perfmodel.report.whole import VERDICTS
from perfmodel.stale_tlb.setting import GUARD_TEXTS
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the guards, and a table for each case in which some cut needs one."""
    found: list[Block] = []
    names: dict[str, None] = {}
    first = ""
    for name in VERDICTS:
        prediction = material.prediction(name)
        names.update(dict.fromkeys(r.guard for r in prediction.guarded))
        for block in guarded_blocks(prediction):
            if isinstance(block, Table):
                label = ref("table", f"guards {name}")
                # What the columns mean is said once.
                meaning = f"Columns as in {first}." if first else block.caption
                block = replace(block, label=label, caption=f"Case {name}: {scenario_title(prediction.scenario)}."
                                f" {meaning}")  # fmt: skip
                first = first or label
            found.append(block)
    if not found:
        return []
    single = dict.fromkeys(g.removesuffix("+nested") for g in names)
    texts = [f"{g}: {GUARD_TEXTS[g]}." for g in single if g in GUARD_TEXTS]
    if any(g.endswith("+nested") for g in names):
        texts.append(f"+nested: {GUARD_TEXTS['nested']}.")
    if "one-pmd" in single:
        texts.append(
            "one-pmd: flush-in-ptl for calls within one page table; others are left alone."
        )
    shown = material.figure("guard_price")
    where = about(shown, "shows what each leaves of the gain.")
    return [
        Heading("Guards, priced", 2),
        Text("What would have to be added to the kernel to make a cut safe, explored for safety and priced"
             f" against doing nothing. No kernel has any of these for mprotect.{where}"),
        Bullets(texts),
        *shown,
        *found,
    ]  # fmt: skip
