"""Tables of the page that shows where the models are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perfmodel.report.blocks import Cell, Column, Table
from perfmodel.report.markdown import to_markdown
from perfmodel.report.numbers import number_text

if TYPE_CHECKING:
    from perfmodel.figures.textbook_rule import Spec
    from perfmodel.observations import Group, ObservationTable

__all__ = ["rules_markdown", "spread_markdown"]

#: Fewer events say little of a spread.
_FEWEST = 100

#: What is measured, and which records it is: phase and benchmark.
_MEASURED = (
    ("a whole call, nothing else running", "call", "call_latency"),
    ("a whole call, beside faults", "call", "fault_latency"),
    ("its exclusive hold, traced", "exclusive", None),
)


def rules_markdown(spec: Spec) -> str:
    """Return how much a downgrade shortens the waits, by situation and order of service.

    Parameters
    ----------
    spec : Spec
        The data of the figure.
    """
    from perfmodel.figures.textbook_rule import RULES, SHARE

    columns = [Column(f"{100 * SHARE:.0f} % of the hold shared"),
               *(Column(RULES[rule][0], right=True) for rule in RULES)]  # fmt: skip
    rows: list[list[Cell]] = []
    for case in spec.cases:
        ratios = (
            number_text(ratio, 3) + (f" ± {number_text(width, 1)}" if width else "")
            for ratio, width in zip(case.ratio, case.half_width, strict=True)
        )
        rows.append([case.name, *ratios])
    return to_markdown([Table(columns, rows)]).strip()


def _spread(group: Group) -> tuple[float, float]:
    """Return the coefficient of variation of a group, and its 99 % quantile over its median."""
    middle = group.middle
    mean = float(np.sum(middle * group.count) / group.total)
    variance = float(np.sum((middle - mean) ** 2 * group.count) / group.total)
    return variance**0.5 / mean, group.quantile(0.99) / group.quantile(0.5)


def spread_markdown(table: ObservationTable) -> str:
    """Return how much measured times of one shape of mprotect vary.

    Parameters
    ----------
    table : ObservationTable
        A recorded run with its trace; only groups of at least 100 events count.
    """
    columns = [Column("mprotect"), Column("shapes", right=True), Column("median cv", right=True),
               Column("cv, 90 % below", right=True), Column("p99 / median", right=True)]  # fmt: skip
    rows: list[list[Cell]] = []
    for name, phase, benchmark in _MEASURED:
        found = table.select(
            operation="mprotect", phase=phase, benchmark=lambda name, b=benchmark: name == b
        )
        spreads = np.array([_spread(g) for g in found.groups if g.total >= _FEWEST])
        if not spreads.size:
            continue
        cv = spreads[:, 0]
        rows.append(
            [name, str(len(cv)), number_text(float(np.median(cv)), 2),
             number_text(float(np.quantile(cv, 0.9)), 2),
             number_text(float(np.median(spreads[:, 1])), 2)]
        )  # fmt: skip
    return to_markdown([Table(columns, rows)]).strip()
