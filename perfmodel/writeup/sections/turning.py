"""Where the verdict turns: over pages, fault rate and the share of faults that hit the call's VMA."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.equations import EQUATIONS
from perfmodel.report.blocks import Block, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.labels import label
from perfmodel.report.numbers import number_text
from perfmodel.report.whole import BREAK_EVENS
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    from perfmodel.breakeven import BreakEven
    from perfmodel.equations import Equation
    from perfmodel.writeup.material import Material

__all__ = ["CLOSED", "blocks"]

#: The closed forms that the text shows.
CLOSED: tuple[Equation, ...] = tuple(EQUATIONS[n] for n in ("net_benefit", "break_even_rate"))

#: (preset, parameter): what was argued about, and the mail's own page.
ASKED = (("mail", "fault_rate"), *BREAK_EVENS)


def blocks(material: Material) -> list[Block]:
    """Return the break-evens, their closed form and the map."""
    from perfmodel.writeup.sections.account import formula

    answers = [(name, material.break_even(name, over)) for name, over in ASKED]
    columns = [Column("case"), Column("over"), Column("range tried", True),
               Column("gains", wrap=True), Column("safe as it stands")]  # fmt: skip
    rows: list[list[Cell]] = [
        [name, label(a.declared), f"{a.grid[0]:,.7g} to {a.grid[-1]:,.7g}", _gains(a),
         Mark("yes", "good") if a.safe else Mark("no", "bad")]
        for name, a in answers
    ]  # fmt: skip
    shown = material.figure("break_even_map")
    where = about(shown, "shows both together.")
    return [
        Heading("Where it turns", 2),
        Text(
            "With Poisson faults the net gain is quadratic in their rate and in the shared part, so where it"
            " changes sign is known in closed form; the table's values are the model's own roots, which hold"
            f" the solver's corrections too.{where}"
        ),
        *(formula(e, label=True) for e in CLOSED),
        Text(f"Stated error: {CLOSED[-1].stated_error}. {_formula_beside(answers)}"),
        Table(columns, rows, "Sign changes of the net gain of the cut last-vma; in brackets 90 % intervals",
              ref("table", "turning")),
        *shown,
    ]  # fmt: skip


def _gains(answer: BreakEven) -> str:
    if answer.answer in ("always", "never", "unknown") or not answer.roots:
        return answer.answer
    parts = []
    for root in answer.roots:
        span = ""
        if math.isfinite(root.low):
            span = f" [{number_text(root.low)}, {number_text(root.high)}]"
        parts.append(f"{root.pays} {number_text(root.value)}{span}")
    return "; ".join(parts)


def _formula_beside(answers: list[tuple[str, BreakEven]]) -> str:
    """Say what the closed form gives beside the model's own root."""
    for name, answer in answers:
        form = answer.closed_form
        if form is not None and answer.roots and math.isfinite(form.value):
            return (
                f"For the case {name} over {label(answer.declared)} the formula gives"
                f" {number_text(form.value)}, the model {number_text(answer.roots[0].value)}: {form.says}."
            )
    return ""
