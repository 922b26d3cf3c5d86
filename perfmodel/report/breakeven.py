"""A break-even in blocks: the sentence, where it turns, and the net gain over the range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Table, Text
from perfmodel.report.numbers import (
    gain_text,
    number_text,
    probability_text,
    share_text,
    time_text,
)
from perfmodel.report.prediction import machine_line, scenario_lines, scenario_title
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from perfmodel.breakeven import BreakEven, ClosedForm

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
    """Return the sentence, the roots with their intervals, the closed form, and the net gain."""
    declared = answer.declared
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
                _value_text(answer, r.value),
                f"{_value_text(answer, r.low)} to {_value_text(answer, r.high)}" if math.isfinite(r.low)
                else "unknown: most draws turn elsewhere or nowhere",
                share_text(r.share) if math.isfinite(r.share) else "n/a",
                f"{r.pays} it",
            ]
            for r in answer.roots
        ]  # fmt: skip
        columns = [
            Column(answer.over + unit, True), Column("90 % interval", wrap=True),
            Column("draws that have it", True), Column("gains"),
        ]  # fmt: skip
        blocks.append(Table(columns, rows, "Where the net gain changes sign"))
    if answer.closed_form is not None:
        blocks += _closed_form(answer, answer.closed_form, unit)
    blocks.append(
        Text(f"{low} |{strip(answer)}| {high}{unit}   + gains, - loses, . the interval holds zero")
    )
    blocks.append(_grid_table(answer, unit))
    blocks.append(
        Bullets([
            f"Costs: {machine_line(answer.scenario.machine)}; {answer.net_gain.shape[1]} draws.",
            f"{answer.over}: {declared.meaning}; typical range of the declaration.",
            *answer.notes,
        ])
    )  # fmt: skip
    return blocks


#: How the formulas' arguments are written, and what they are.
_ARGUMENTS = {
    "lambda_r": "lambda_r", "nu": "nu", "window": "Y", "shared": "R", "per_page": "alpha",
    "fixed_shared": "phi", "cost": "c", "wake_latency": "s", "wake_serial": "w",
    "slowpath_ops": "k_s", "marginal_cost": "omega",
}  # fmt: skip
_RATES, _NUMBERS = ("lambda_r", "nu"), ("slowpath_ops",)


def _value_text(answer: BreakEven, value: float) -> str:
    """Write a value of the parameter: whole numbers as such, as long as they are short."""
    whole = answer.declared.integer and abs(value) < 10_000
    return f"{value:.0f}" if whole else number_text(value)


def _closed_form(answer: BreakEven, form: ClosedForm, unit: str) -> list[Block]:
    """Return the value of the formula beside the model's root, and what it was given and assumes."""
    if math.isinf(form.value):
        value = "never"
    elif form.value == 0:
        value = "any value pays"
    else:
        value = f"{number_text(form.value)}{unit}"
    given = []
    for name, written in _ARGUMENTS.items():
        if name in form.given:
            number = form.given[name]
            if name in _RATES:
                given.append(f"{written} = {number_text(number * 1e9)} 1/s")
            elif name in _NUMBERS:
                given.append(f"{written} = {number:g}")
            else:
                given.append(f"{written} = {time_text(number)}")
    kept = [text for text, met in form.conditions.items() if met]
    unknown = [text for text, met in form.conditions.items() if met is None]
    lines = [
        f"Given there: {', '.join(given)} (s: the wake-up and what brings the CPU out of its sleep)."
        if form.given.get("wake_latency") else f"Given there: {', '.join(given)}.",
        f"Stated error: {form.stated_error}.",
    ]  # fmt: skip
    if form.relation:
        lines.insert(0, f"{form.relation[0].upper()}{form.relation[1:]}.")
    for what, texts in (
        ("Holds here", kept), ("Does NOT hold here", form.broken), ("Not checked", unknown),
    ):  # fmt: skip
        if texts:
            lines.append(f"{what}: {'; '.join(texts)}.")
    return [
        Text(f"Closed form ({form.equation}): {answer.over} = {value}; {form.says}.",
             "strong" if form.agrees is False else "plain"),
        Bullets(lines),
    ]  # fmt: skip


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
        rows.append([_value_text(answer, answer.grid[i]), text, probability_text(p, gains.size)])
    return Table(
        [Column(answer.over + unit, True), Column("net gain a call [90 %]", True),
         Column("P(pays)", True)],
        rows,
    )  # fmt: skip
