"""Elasticities and Sobol indices in blocks: a tornado in a table, and what it leaves out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Table, Text
from perfmodel.report.numbers import number_text, share_text, time_text
from perfmodel.report.prediction import machine_line, scenario_lines, scenario_title
from perfmodel.sensitivity import OUTPUTS
from perfmodel.stale_tlb import safety

if TYPE_CHECKING:
    from perfmodel.sensitivity import Elasticities, SobolIndices

__all__ = ["elasticity_blocks", "sobol_blocks"]

#: Elasticities smaller than this are not shown: one per cent in ten doublings.
_SHOWN = 0.005

#: Unless they bear more than this of the variance.
_SHOWN_SHARE = 0.001

#: Characters of the longest bar.
_BAR = 24

#: Spread of the logarithm beyond which a first-order split is rough.
_ROUGH = 0.3


def elasticity_blocks(answer: Elasticities) -> list[Block]:
    """Return what an output hangs on: the machine's constants, then the scenario's parameters."""
    blocks: list[Block] = [
        Heading(f"What {answer.output.replace('_', ' ')} of {answer.policy.value} hangs on:"
                f" {scenario_title(answer.scenario)}", 3),
        Bullets(scenario_lines(answer.scenario)),
        Text(f"{OUTPUTS[answer.output]}: {time_text(answer.value)}"
             f" (one standard deviation: {share_text(answer.log_sd)})."),
    ]  # fmt: skip
    found = safety(answer.scenario.kernel, answer.scenario.call, answer.policy)
    if not found.safe:
        blocks.append(
            Text(
                f"Hypothetical: {answer.policy.value} is unsafe as it stands: {found.reason}.",
                "bad",
            )
        )
    constants = [
        e for e in answer.constants if abs(e.elasticity) >= _SHOWN or abs(e.share) >= _SHOWN_SHARE
    ]
    swings = [abs(e.elasticity) * e.log_sd for e in constants]
    longest = max(swings, default=0.0) or 1.0
    rows: list[list[Cell]] = []
    for e, swing in zip(constants, swings, strict=True):
        mark = ("+" if e.elasticity > 0 else "-") * round(_BAR * swing / longest)
        rows.append([e.name, f"{number_text(e.value)} {e.unit}", f"{e.elasticity:+.2f}",
                     share_text(e.log_sd), share_text(e.share), mark or "."])  # fmt: skip
    columns = [
        Column("constant"), Column("value", True), Column("elasticity", True),
        Column("its spread", True), Column("of the variance", True), Column("one sd of it moves the output"),
    ]  # fmt: skip
    blocks.append(Table(columns, rows, "Machine: per cent of the output for one per cent, and share"
                        " of the output's variance"))  # fmt: skip
    parameters = [e for e in answer.parameters if abs(e.elasticity) >= _SHOWN]
    rows = [
        [e.name, f"{e.value:g}{'' if e.unit in ('1', e.name) else ' ' + e.unit}",
         f"{e.elasticity:+.2f}", e.method]
        for e in parameters
    ]  # fmt: skip
    columns = [
        Column("parameter"),
        Column("value", True),
        Column("elasticity", True),
        Column("taken as"),
    ]
    blocks.append(Table(columns, rows, "Scenario"))
    return [*blocks, Bullets(_notes(answer, len(constants), len(parameters)))]


def _notes(answer: Elasticities, constants: int, parameters: int) -> list[str]:
    hidden = len(answer.constants) - constants + len(answer.parameters) - parameters
    notes = [f"{hidden} with an elasticity below {_SHOWN:g} are not shown (--json has them)."]
    if answer.left_out:
        reasons: dict[str, list[str]] = {}
        for name, why in answer.left_out.items():
            reasons.setdefault(why, []).append(name)
        told = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
        notes.append(f"Without an elasticity: {told}.")
    if answer.log_sd > _ROUGH or not math.isfinite(answer.log_sd):
        notes.append(
            "The spread is wide and the split of the variance to first order rough: see --sobol."
        )
    notes.append(f"Costs: {machine_line(answer.scenario.machine)}.")
    return notes


def sobol_blocks(answer: SobolIndices) -> list[Block]:
    """Return the indices with their intervals, and what is attributed to what."""

    def put(value: float, half: float) -> str:
        return f"{max(value, 0.0):.2f} [{max(value - half, 0.0):.2f}, {min(value + half, 1.0):.2f}]"

    rows: list[list[Cell]] = [
        [i.name, put(i.first, i.first_half), put(i.total, i.total_half)] for i in answer.indices
    ]
    columns = [Column("constant"), Column("first [90 %]", True), Column("total [90 %]", True)]
    return [
        Heading(f"Sobol indices of {answer.output.replace('_', ' ')} of {answer.policy.value}", 3),
        Text(f"Mean {time_text(answer.mean)}, standard deviation {time_text(answer.sd)} over"
             f" {answer.evaluations} evaluations (seed {answer.seed})."),
        Table(columns, rows),
        Bullets([f"{answer.attribution}.",
                 f"{len(answer.fixed)} constants hardly move it and stayed at their estimates."]),
    ]  # fmt: skip
