"""The claims of 2020 and the rule of 2006 in blocks, and as the table of a README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.claims import evaluate_claims
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text, Tone
from perfmodel.report.markdown import to_markdown
from perfmodel.report.prediction import machine_line

if TYPE_CHECKING:
    from perfmodel.claims import Claim, ClaimTable
    from perfmodel.machine import Machine

__all__ = ["claims_blocks", "claims_markdown", "verdict_mark"]

_TONES: dict[str, Tone] = {"holds": "good", "holds in part": "strong", "does not hold": "bad"}


def verdict_mark(claim: Claim) -> Mark:
    """Return the verdict of a claim, in the tone that it deserves."""
    return Mark(claim.verdict, _TONES.get(claim.verdict, "plain"))


def claims_blocks(table: ClaimTable) -> list[Block]:
    """Return an overview, then claim by claim the answer, where it holds and what it rests on."""
    rows: list[list[Cell]] = [[c.name, c.claim, verdict_mark(c)] for c in table.claims]
    columns = [Column("claim"), Column("in other words", wrap=True), Column("verdict")]
    blocks: list[Block] = [
        Heading("The claims of December 2020, and the rule of 2006", 3),
        Table(columns, rows),
        Text("Values in brackets: 90 % interval over the draws of the machine's constants."),
    ]
    for claim in table.claims:
        blocks += [
            Heading(f"{claim.name}: {claim.verdict}", 4),
            Text(claim.claim, "dim"),
            Text(claim.answer),
            Bullets([f"Where it holds: {claim.where}.", f"Rests on: {claim.rests_on}."]),
        ]
    return [*blocks, Bullets([f"Costs: {machine_line(table.machine)}."])]


def claims_markdown(machine: Machine, *, draws: int = 400) -> str:
    """Return the table of claims as Markdown: claim, the model's answer in brief, where it holds.

    Parameters
    ----------
    machine : Machine
    draws : int
        Draws behind the intervals.
    """
    table = evaluate_claims(machine, draws=draws)
    columns = [
        Column("claim", wrap=True), Column("the model's answer", wrap=True),
        Column("where it holds, and on what it rests", wrap=True),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [f"{c.name}: {c.claim}", f"{c.verdict}: {c.brief}", f"{c.where}; {c.rests_on}"]
        for c in table.claims
    ]
    return to_markdown([Table(columns, rows)]).strip()
