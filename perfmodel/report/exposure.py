"""What an unsafe cut would lose, in blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfmodel.exposure import NS_PER_HOUR
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.numbers import time_text, time_with_spread
from perfmodel.report.prediction import machine_line, scenario_title

if TYPE_CHECKING:
    from perfmodel.exposure import Exposure
    from perfmodel.scenario import Scenario

__all__ = ["exposure_blocks"]


def exposure_blocks(
    scenario: Scenario, found: Sequence[Exposure], forced: float, stores: float
) -> list[Block]:
    """Return the losses of every cut.

    Parameters
    ----------
    scenario : Scenario
    found : sequence of Exposure
    forced, stores : float
        Forced writes and stores a second, for the heading.
    """
    rows: list[list[Cell]] = [
        [e.policy.value, Mark("yes", "bad") if e.lost else Mark("no", "good"),
         time_with_spread(e.window), _count(e.per_call[0]), _range(e), _first(e)]
        for e in found
    ]  # fmt: skip
    columns = [
        Column("cut"), Column("loses stores"), Column("stale window", True),
        Column("lost a call", True), Column("lost an hour [90 %]", True),
        Column("until the first", True),
    ]  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for e in found:
        reasons.setdefault(e.reason, []).append(e.policy.value)
    return [
        Heading(f"Stores lost if one did it anyway: {scenario_title(scenario)}", 3),
        Text(f"With {_rate(forced, 'forced write')} a second to pages of the call that somebody else refers"
             f" to, and {_rate(stores, 'store')} a second to each by a CPU that has it cached."),
        Table(columns, rows, "Stale window: time for which a page is stale and the lock shared, mean"
              " over the pages; lost: calls that lose a store"),
        Bullets([f"{', '.join(names)}: {why}." for why, names in reasons.items()]),
        Text(f"Exact to first order in the rate of forced writes. Costs: {machine_line(scenario.machine)}."),
    ]  # fmt: skip


def _rate(rate: float, what: str) -> str:
    number = f"{rate:,.0f}" if rate >= 1000 else f"{rate:g}"
    return f"{number} {what}{'' if rate == 1 else 's'}"


def _count(value: float) -> str:
    """Write two digits that count; an exponent only where the number is small."""
    if not math.isfinite(value):
        return "unknown"
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def _range(one: Exposure) -> str:
    estimate, low, high = one.interval()
    if estimate == 0:
        return "0"
    return (
        "unknown" if math.isnan(estimate) else f"{_count(estimate)} [{_count(low)}, {_count(high)}]"
    )


def _first(one: Exposure) -> str:
    estimate = one.interval()[0]
    if not estimate > 0:
        return "never" if estimate == 0 else "unknown"
    return "above a century" if estimate < 1e-6 else _span(NS_PER_HOUR / estimate)


def _span(ns: float) -> str:
    """Write a time that may be hours or days."""
    for unit, size in (("days", 24 * NS_PER_HOUR), ("hours", NS_PER_HOUR), ("minutes", 6e10)):
        if ns >= size:
            return f"{ns / size:.2g} {unit}"
    return time_text(ns)
