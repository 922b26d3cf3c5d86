"""Who breaks which cut, the shortest schedule, and what an unsafe cut would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Heading, Text
from perfmodel.report.exposure import exposure_blocks
from perfmodel.report.safety import explanation_blocks
from perfmodel.stale_tlb import SCOPE
from perfmodel.stale_tlb.boundary import load
from perfmodel.stale_tlb.cells import OTHERS
from perfmodel.verdict import CUTS
from perfmodel.writeup.numbering import about

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perfmodel.stale_tlb.boundary import Answer, Break, Question
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]

#: Rates at which losses are asked about [assumed].
FORCED_WRITES, STORES = 1.0, 1e6

_CUTS = frozenset(cut.value for cut in CUTS)


def blocks(material: Material) -> list[Block]:
    """Return the exploration, its shortest counterexample, and the exposure."""
    table = load()
    cells = {q: a for q, a in table.items()
             if q.call == "mprotect" and q.guard == "none" and q.policy in _CUTS and q.size == "base"}  # fmt: skip
    broken = {q: a for q, a in cells.items() if not a.safe}
    states = sum(a.states for a in cells.values())
    shown = material.figure("who_breaks")
    where = about(shown, "shows all of them.")
    found: list[Block] = [
        Heading("Is it safe?", 2),
        Text(
            "A CPU may use a translation that it has cached until it is flushed. Under the read lock faults,"
            " forced writes and others can act on the new entry meanwhile. Every interleaving of the caller, a"
            f" CPU that goes on through its cached translation, and one or two others was explored:"
            f" {len(cells)} questions of cut, transition and release, {states:,} states."
            f" {len(broken)} are broken by somebody, in {_when(broken)}.{where}"
        ),
        *shown,
    ]
    if broken:
        who = dict.fromkeys(name for a in broken.values() for b in a.breaks for name in b.by)
        found.append(Text(f"Who breaks them: {'; '.join(f'{n}, {OTHERS[n]}' for n in who)}."))
        found += explanation_blocks(*_shortest(broken))
    found += _losses(material)
    return [*found, Text(f"Scope: {SCOPE}.", "dim")]


def _when(broken: Mapping[Question, Answer]) -> str:
    """Return the eras in which something is broken, and the last without."""
    eras = dict.fromkeys(q.era for q in broken)
    return f"the eras from {', from '.join(eras)}" if eras else "no era"


def _shortest(broken: Mapping[Question, Answer]) -> tuple[Question, Break]:
    """Return the gravest break of the mail's own transition, a lost store, with the fewest moves."""
    own = {q: a for q, a in broken.items() if q.transition == "RW->R"} or broken
    pairs = [(q, b) for q, a in own.items() for b in a.breaks]
    return min(
        pairs, key=lambda pair: (pair[1].invariant != "lost-store", pair[1].steps, len(pair[1].by))
    )


def _losses(material: Material) -> list[Block]:
    from perfmodel.exposure import lost_stores

    scenario = material.scenario("mail")
    material.progress("lost stores")
    found = lost_stores(
        scenario, forced_writes_per_s=FORCED_WRITES, stores_per_s=STORES, draws=material.draws
    )
    return exposure_blocks(scenario, found, FORCED_WRITES, STORES)
