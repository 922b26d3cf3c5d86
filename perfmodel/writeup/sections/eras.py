"""The same questions on the releases at which a rule changed, and per-VMA locks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.kernel import FACTS, NEWEST, OLDEST
from perfmodel.report.blocks import Block, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.numbers import gain_text, share_text, time_with_spread
from perfmodel.report.whole import VERDICTS
from perfmodel.scenario import Policy
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    from perfmodel.results import PolicyResult
    from perfmodel.writeup.material import Material

__all__ = ["blocks", "releases"]

#: Rules that move a hold, a wait or a verdict.
_RULES = ("reader_spin", "flush_in_loop", "per_vma_lock", "up_read_ops")


def releases() -> list[str]:
    """Return the oldest and newest release read, and those at which a rule of the verdict changed."""
    changed = {fact.since for name in _RULES for fact in FACTS[name]}
    return [f"{major}.{minor}" for major, minor in sorted({OLDEST, *changed, NEWEST})]


def blocks(material: Material) -> list[Block]:
    """Return one row a release for each case, and where per-VMA locks leave the question."""
    rows: list[list[Cell]] = []
    for name in VERDICTS:
        for release in releases():
            found = material.prediction(name, release)
            none, cut = found[Policy.NONE], found[Policy.LAST_VMA]
            rows.append(
                [f"{name}, {release}", time_with_spread(none.hold.exclusive),
                 share_text(float(none.answer.blocked_share[0])), time_with_spread(none.answer.wait_mean),
                 _gain(cut), _gain(found[Policy.BEFORE_FLUSH]),
                 Mark("yes", "good") if cut.safety.safe else Mark("no", "bad")]
            )  # fmt: skip
    columns = [
        Column("case, release"), Column("hold", True), Column("blocked", True), Column("mean wait", True),
        Column("last-vma gains", True), Column("before-flush gains", True), Column("safe"),
    ]  # fmt: skip
    shown = material.figure("eras")
    return [
        Heading("Kernel eras and per-VMA locks", 2),
        Text(
            f"The same two cases on each release at which a rule changed ({ref('table', 'eras')}):"
            f" {'; '.join(_changes())}. The costs are those of the one machine throughout: a column is what"
            " the rules alone change."
        ),
        Table(columns, rows, "Hold, share of faults blocked and mean wait without a cut; net gain a call of"
              " two cuts [90 %], in brackets where unsafe", ref("table", "eras")),
        Text(_per_vma(material) + about(shown, "shows what the cut gains over the share of faults in that VMA.")),
        *shown,
    ]  # fmt: skip


def _gain(result: PolicyResult) -> str:
    if result.reason:
        return "n/a"
    text = gain_text(*result.interval())
    return text if result.safety.safe else f"({text})"


def _changes() -> list[str]:
    """Say in which release each rule changed, by its source."""
    return [
        f"{fact.since[0]}.{fact.since[1]}: {fact.source.rstrip('.')}"
        for name in _RULES for fact in FACTS[name] if fact.since > OLDEST
    ]  # fmt: skip


def _per_vma(material: Material) -> str:
    """Say up to which share of faults in the call's VMA per-VMA locks leave anything to gain."""
    answer = material.break_even("gc-barrier", "same_vma")
    own = material.prediction("large")
    per_vma, cut = own[Policy.PER_VMA], own[Policy.LAST_VMA]
    text = (
        "With per-VMA locks only the faults in the VMA of the call are blocked, and those that fall back."
        f" On {answer.scenario.kernel.release} (case gc-barrier): {answer.sentence()}"
    )
    if not per_vma.reason and math.isfinite(per_vma.net_gain[0]):
        text += (
            f" In the case large all faults hit that VMA: per-VMA locks save {gain_text(*per_vma.interval())},"
            f" the cut {gain_text(*cut.interval())}."
        )
    return text
