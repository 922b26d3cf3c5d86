"""What is assumed, and what each assumption rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Cell, Column, Heading, Table, Text
from perfmodel.report.machine import origin
from perfmodel.report.whole import BREAK_EVENS, VERDICTS
from perfmodel.stale_tlb import SCOPE
from perfmodel.writeup.numbering import ref

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the table of assumptions, from the declarations of equations, constants and cases."""
    rows = [*_equations(), *_constants(material), *_cases(), *_predictions(material)]
    rows.append(
        ["safety", f"The exploration is of {SCOPE}", "derived, from rules read in the source"]
    )
    columns = [Column("where"), Column("assumption", wrap=True), Column("rests on", wrap=True)]
    return [
        Heading("Assumptions", 2),
        Text(
            f"Everything that an answer below takes for granted stands in {ref('table', 'assumptions')}, as the"
            " equations, the profile and the cases declare it. Measured is what was timed on the machine of the"
            " profile; published, what somebody else measured; derived, what follows from other numbers or from"
            " the kernel's source; assumed, what nobody measured."
        ),
        Table(columns, rows, "Assumptions, and what they rest on", ref("table", "assumptions")),
    ]


def _equations() -> list[list[Cell]]:
    """Return each assumption of the shown equations once, with the equations' stated error."""
    from perfmodel.writeup.sections.account import SHOWN
    from perfmodel.writeup.sections.turning import CLOSED

    by: dict[str, list[str]] = {}
    errors: dict[str, dict[str, None]] = {}
    for equation in (*SHOWN, *CLOSED):
        for text in equation.assumptions:
            by.setdefault(text, []).append(equation.result.meaning)
            errors.setdefault(text, {})[equation.stated_error] = None
    return [
        ["equations", f"{text[0].upper()}{text[1:]} ({'; '.join(dict.fromkeys(uses))})",
         f"assumed; where it holds: {'; '.join(errors[text])}"]
        for text, uses in by.items()
    ]  # fmt: skip


def _constants(material: Material) -> list[list[Cell]]:
    from perfmodel.machine import CONSTANTS

    return [
        ["machine", f"{name}: {CONSTANTS[name].meaning}", constant.source or constant.reason or "unknown"]
        for name, constant in material.machine.constants.items() if origin(constant) != "measured"
    ]  # fmt: skip


def _cases() -> list[list[Cell]]:
    from perfmodel.presets import PRESETS

    names = dict.fromkeys([*VERDICTS, *(name for name, _ in BREAK_EVENS)])
    return [[f"case {n}", PRESETS[n].sentence, PRESETS[n].source] for n in names]


def _predictions(material: Material) -> list[list[Cell]]:
    """Return what the predictions themselves say that they rest on."""
    told = dict.fromkeys(w for name in VERDICTS for w in material.prediction(name).warnings)
    return [
        ["prediction", f"{text[0].upper()}{text[1:]}", "said by the prediction itself"]
        for text in told
    ]
