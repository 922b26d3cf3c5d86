"""A break-even in blocks: the sentence, where it turns, and the net gain over the range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.breakeven import PARAMETERS
from perfmodel.quantities import SCENARIO
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Table, Text
from perfmodel.report.numbers import gain_text, number_text, probability_text
from perfmodel.report.prediction import machine_line, scenario_lines, scenario_title
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from perfmodel.breakeven import BreakEven

__all__ = ["breakeven_blocks", "strip"]

#: Rows of the table of net gains.
_ROWS = 9


def strip(answer: BreakEven) -> str:
    """Return one character a grid point: ``+`` gains, ``-`` loses, ``.`` the interval holds 0."""
    out = []
    for gains in answer.net_gain:
        known = gains[np.isfinite(gains)]
        if not math.isfinite(gains[0]) or known.size == 0:
            out.append("?")
            continue
        low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        out.append("+" if low > 0 else "-" if high < 0 else ".")
    return "".join(out)


def breakeven_blocks(answer: BreakEven) -> list[Block]:
    """Return the sentence, the roots with their intervals, and the net gain over the grid."""
    declared = SCENARIO[PARAMETERS[answer.over][1]]
    unit = "" if declared.unit in ("1", answer.over) else f" ({declared.unit})"
    low, high = number_text(answer.grid[0], 4), number_text(answer.grid[-1], 4)
    blocks: list[Block] = [
        Heading(f"{answer.policy.value} over {answer.over}: {scenario_title(answer.scenario)}", 3),
        Bullets(scenario_lines(answer.scenario)),
        Text(answer.sentence(), "plain" if answer.safe else "bad"),
    ]
    if answer.roots:
        rows: list[list[Cell]] = [
            [
                number_text(r.value),
                f"{number_text(r.low)} to {number_text(r.high)}" if math.isfinite(r.low)
                else "unknown: most draws turn elsewhere or nowhere",
                f"{r.pays} it",
            ]
            for r in answer.roots
        ]  # fmt: skip
        columns = [
            Column(answer.over + unit, True), Column("90 % interval", wrap=True), Column("gains"),
        ]  # fmt: skip
        blocks.append(Table(columns, rows, "Where the net gain changes sign"))
    blocks.append(
        Text(f"{low} |{strip(answer)}| {high}{unit}   + gains, - loses, . the interval holds zero")
    )
    blocks.append(_grid_table(answer, unit))
    blocks.append(
        Bullets([
            f"Costs: {machine_line(answer.scenario.machine)}; {answer.net_gain.shape[1]} draws.",
            f"{declared.name}: {declared.meaning}; typical range of the declaration.",
        ])
    )  # fmt: skip
    return blocks


def _grid_table(answer: BreakEven, unit: str) -> Table:
    chosen = np.unique(np.linspace(0, answer.grid.size - 1, _ROWS).round().astype(int))
    rows: list[list[Cell]] = []
    for i in chosen:
        gains = answer.net_gain[i]
        known = gains[np.isfinite(gains)]
        if known.size and math.isfinite(gains[0]):
            low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            text = gain_text(float(gains[0]), float(low), float(high))
            p = float(np.mean(gains > 0))
        else:
            text, p = "unknown", math.nan
        rows.append([number_text(answer.grid[i]), text, probability_text(p, gains.size)])
    return Table(
        [Column(answer.over + unit, True), Column("net gain a call [90 %]", True),
         Column("P(pays)", True)],
        rows,
    )  # fmt: skip
